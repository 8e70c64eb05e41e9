#pragma once
/* What an env is inside: a table of functions and a pointer to its clock. Both environments begin
 * their structs with these heads. Seen only in event/. */

#include "event/env.h"

struct env_ops {
	uint64_t (*wall_us)(const struct env *e);
	void (*random)(struct env *e, void *p, size_t n);
	enum err (*udp_open)(struct env *e, const struct addr *local, unsigned flags,
			     env_ready_fn *fn, void *arg, struct env_sock **out, const char **why);
	enum err (*tcp_listen)(struct env *e, const struct addr *local, unsigned flags,
			       env_ready_fn *fn, void *arg, struct env_sock **out,
			       const char **why);
	enum err (*tcp_connect)(struct env *e, const struct addr *local, const struct addr *peer,
				env_ready_fn *fn, void *arg, struct env_sock **out);
	enum err (*accept)(struct env_sock *listener, env_ready_fn *fn, void *arg,
			   struct env_sock **out, struct addr *peer);
	void (*close)(struct env_sock *s);
	void (*want)(struct env_sock *s, unsigned events);
	struct addr (*local)(const struct env_sock *s);
	struct addr (*peer)(const struct env_sock *s);
	enum err (*recv)(struct env_sock *s, void *p, size_t cap, struct env_rx *rx);
	enum err (*icmp_next)(struct env_sock *s, struct env_icmp *out);
	enum err (*send)(struct env_sock *s, const void *p, size_t n, const struct addr *to,
			 const struct addr *from);
	void (*flush)(struct env *e); /* NULL: nothing is ever gathered */
	enum err (*read)(struct env_sock *s, void *p, size_t cap, size_t *n_out);
	enum err (*write)(struct env_sock *s, const void *p, size_t n, size_t *n_out);
	enum err (*source_for)(struct env *e, const struct addr *peer, struct addr *local);
	struct addr (*host_addr)(struct env *e);
	bool (*poll)(struct env *e, uint64_t timeout_us);
	void (*wake)(struct env *e);
	void (*free)(struct env *e);
	enum err (*watch_fd)(struct env *e, int fd, unsigned events, env_ready_fn *fn, void *arg,
			     struct env_sock **out);
};

struct env {
	const struct env_ops *ops;
	const uint64_t *now_us; /* own clock (env_os) or the simulation's */
	/* Called after a sleep, before handlers run: the loop tells the other shards that it reads
	 * snapshots again. NULL without a loop. */
	void (*awake)(void *arg);
	void *awake_arg;
	/* What came since the thread last asked: datagrams, reads, messages of other shards. */
	unsigned n_taken;
};

struct env_sock {
	struct env *env;
	env_ready_fn *fn;
	void *arg;
};

/* --- what only the operating system has: several envs on one thread (env_os_gate.c) ---------- */

/* The clock of env_now_us, read now. */
uint64_t env_clock_us(void);
/* Sleeps and hears nothing. */
void env_pause(uint64_t us);
/* Others have called env_wake since the last env_poll. */
bool env_is_woken(const struct env *e);
/* Where a thread with several envs sleeps: whatever would end an env's own sleep opens the gate. */
struct env_gate;
enum err env_gate_new(struct env_gate **out);
void env_gate_free(struct env_gate *g); /* NULL is harmless; no env may stand at it */
void env_gate_add(struct env_gate *g, struct env *e);
void env_gate_del(struct env_gate *g, struct env *e);
/* Waits until one of the envs has something for env_poll, at most timeout_us (UINT64_MAX: for
 * ever). Returns the time. */
uint64_t env_gate_wait(struct env_gate *g, uint64_t timeout_us);
/* After a wait: this one has something, or has been woken. */
bool env_is_ready(const struct env *e);
