#pragma once
/* A whole stage in virtual time: an exchange (with a store on a disk in memory) on one host, phones
 * on hosts of their own, links with faults. */

#include "event/sim.h"
#include "net/tls.h"
#include "phone/phone.h"
#include "service/accounts.h"
#include "service/exchange.h"
#include "store/mem.h"
#include "test.h"

#define STAGE_PASSWORD "walkthrough"
#define STAGE_PHONES   16

struct stage;

#define STAGE_CALLS 128
struct stage_call { /* one call as a phone saw it */
	char call_id[80];
	bool is_caller, is_answered;
	unsigned n_ended;
	char by[16], cause[32]; /* of its end */
};

struct stage_phone {
	struct stage *stage;
	char user[16], host[32];
	struct sim_host *sim_host;
	struct env *env;
	struct ev_loop loop;
	struct ph *ph;
	struct ph_plan plan; /* of the calls that it answers */
	unsigned n_registered, n_failed, n_answered, n_ended, n_notified, n_media_events;
	enum ph_outcome outcome; /* of the last "ended" or "registered" */
	char by[16], cause[32];  /* of the last "ended" */
	unsigned status;
	char log[65536]; /* every event, one line each */
	size_t n_log;
	bool is_started;
	struct stage_call calls[STAGE_CALLS];
	size_t n_calls;
};

struct stage {
	struct sim *sim;
	struct sim_host *server;
	size_t n_shards;
	struct env *envs[8];
	struct ev_shards *shards;
	struct st_mem *disk;
	struct st *st;
	struct exc *exc;
	struct net_tls *tls; /* a null one: plain text on the wire */
	struct exc_cfg cfg;
	uint64_t wire_hash; /* over every packet: two runs of a seed are equal */
	uint64_t n_packets;
	struct stage_phone phones[STAGE_PHONES];
	size_t n_phones;
	char notes[16384];
	size_t n_notes;
	void (*on_leg)(void *ctx, struct str of, struct str call_id); /* EXC_NOTE_LEG; or NULL */
	void *leg_ctx;
};

/* Fails the test when something cannot be had. */
struct stage *stage_new(uint64_t seed, size_t n_shards, const struct sim_link *link);
/* The same with another configuration, whose strings must live as long. */
struct stage *stage_new_with(uint64_t seed, size_t n_shards, const struct sim_link *link,
			     const struct exc_cfg *cfg);
void stage_free(struct stage *s);
void stage_open_exchange(struct stage *s); /* called by stage_new; again after stage_crash */
void stage_crash(struct stage *s); /* the exchange's host goes without a word; its disk keeps what
				      was written */
void stage_account(struct stage *s, const char *user);
void stage_account_del(struct stage *s, const char *user);
/* A phone at 10.0.0.<10 + n>, its account made if there is none; started, not registered. */
struct stage_phone *stage_phone(struct stage *s, const char *user, enum tp_proto proto);
struct stage_phone *stage_phone_with(struct stage *s, const char *user, const char *password,
				     enum tp_proto proto);
void stage_check_loop(const struct ev_loop *l); /* of which all users are gone */
/* A phone whose account is the sips address. */
struct stage_phone *stage_phone_sips(struct stage *s, const char *user, enum tp_proto proto);
void stage_run(struct stage *s, double seconds);
bool stage_run_until(struct stage *s, double seconds, bool (*pred)(void *arg), void *arg);
void stage_register(struct stage *s, struct stage_phone *p); /* and waits for it, 64 s at most */
struct stage_call *stage_find_call(struct stage_phone *p,
				   const char *call_id); /* NULL: it never heard of it */
void stage_call(struct stage_phone *p, const char *user, const struct ph_plan *plan);
void stage_listen6(struct stage *s); /* the exchange by IPv6 too */
/* A phone at 2001:db8::<10 + n> that registers there. */
struct stage_phone *stage_phone6(struct stage *s, const char *user, enum tp_proto proto);
#define STAGE_SERVER  "10.0.0.1"
#define STAGE_SERVER6 "2001:db8::1"
