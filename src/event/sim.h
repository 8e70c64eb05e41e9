#pragma once
/* A simulated network in virtual time, in one thread: hosts with addresses, links with faults, envs
 * (shards) on hosts. All randomness comes from one seed; two runs of a seed give identical bytes.
 */

#include "event/env.h"

struct sim;
struct sim_host;
struct ev_loop;

struct sim_link {                     /* faults of what a host sends to another */
	uint32_t delay_us, jitter_us; /* jitter reorders when it exceeds the spacing of datagrams */
	double loss, duplicate;       /* probabilities 0..1, datagrams only; TCP sees delay alone */
	uint32_t mtu; /* datagrams above it are lost when `drop_fragments`; 0 = no limit */
	bool drop_fragments;
};

/* One datagram or TCP segment as the network saw it, for captures and golden files. */
struct sim_packet {
	uint64_t at_us;
	struct addr from, to;
	bool is_tcp, is_lost;
	struct str bytes;
};

enum err sim_new(uint64_t seed, struct sim **out);
void sim_free(struct sim *s); /* with its hosts; envs must have been freed before */
/* Up to 8 addresses; the first is its host address. */
enum err sim_host_new(struct sim *s, const char *name, const struct addr *ips, size_t n_ips,
		      struct sim_host **out);
enum err sim_env_new(struct sim_host *h, struct env **out);
/* Without memory for a new pair sim_link_set changes nothing. */
void sim_link_default(struct sim *s, const struct sim_link *l);
void sim_link_set(struct sim *s, struct sim_host *from, struct sim_host *to,
		  const struct sim_link *l);
/* A NAT with one address outside. UDP mappings end idle_us after the last datagram sent out. Hosts
 * that are added are behind it; freed with the sim. */
struct sim_nat;
enum err sim_nat_new(struct sim *s, const struct addr *outside, uint64_t idle_us,
		     struct sim_nat **out);
void sim_nat_add(struct sim_nat *n, struct sim_host *h);
void sim_nat_restart(struct sim_nat *n); /* as a router that was switched off: all mappings go */
/* The host vanishes: sockets closed without a word, datagrams to it lost, its envs are not run any
 * more. The caller throws its loops away and may then bring the host back with new envs. */
void sim_host_crash(struct sim_host *h);
void sim_host_up(struct sim_host *h);
void sim_clock_skew(struct sim_host *h, int64_t wall_us);
void sim_tap(struct sim *s, void (*fn)(void *arg, const struct sim_packet *p), void *arg);

/* Registers a loop to be run; its env must be one of this sim's, one loop per env. Both may be
 * called while loops are run. */
void sim_add_loop(struct sim *s, struct ev_loop *loop);
void sim_del_loop(struct sim *s, struct ev_loop *loop);
/* Runs loops and deliveries in order of virtual time until `until_us`. When nothing is left to do
 * the time jumps there at once, or stays when it is UINT64_MAX. Returns the time. */
uint64_t sim_run(struct sim *s, uint64_t until_us);
/* Runs until pred(arg) is true (checked after each turn) or the time is reached; tells whether pred
 * became true. */
bool sim_run_until(struct sim *s, uint64_t until_us, bool (*pred)(void *arg), void *arg);
uint64_t sim_now_us(const struct sim *s);
uint64_t sim_random(struct sim *s);
