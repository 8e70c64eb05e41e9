#pragma once
/* A registrar of n shards on a simulated host at 192.0.2.1:5060, and a phone at 192.0.2.9 that
 * sends REGISTERs as text and reads the answers. Realm "rung-test"; accounts 100 (password
 * "secret100"), 200 ("secret200"), and 300, which is disabled. */

#include "event/sim.h"
#include "service/registrar.h"
#include "sip/auth.h"
#include "store/mem.h"

#define RIG_SHARDS 4

struct rig_shard {
	struct rig *r;
	size_t n;
	struct block_cache blocks;
	struct tp *tp;
	struct tsx_mgr *tsx;
	struct auth *auth;
	struct reg *reg;
};

struct rig {
	struct sim *sim;
	struct sim_host *host, *phone_host;
	struct env *env[RIG_SHARDS], *phone_env;
	struct ev_shards *shards;
	struct ev_loop phone_loop;
	struct env_sock *sock;
	struct st_mem *disk;
	struct st *st;
	struct acc *acc;
	struct dom *dom;
	struct loc *loc;
	struct rig_shard shard[RIG_SHARDS];
	size_t n;
	struct auth_cfg auth_cfg;
	struct reg_cfg reg_cfg;
	struct addr_net trust;
	bool is_phone_loop;
	/* the phone */
	struct addr phone_addr;
	unsigned n_branch;
	char reply[8000];
	size_t reply_n;
	struct sip_msg *last; /* the last answer */
	struct reg_outcome outcome;
	char outcome_user[80], why_mem[128];
	struct str outcome_why;
	unsigned n_outcomes;
};

/* CHECKs that it works; with `disk` the store of an earlier rig goes on. */
struct rig *rig_new(size_t n_shards, struct st_mem *disk);
/* What rigs made from now on offer; n 0: the default. */
void rig_offer(const enum md_alg *list, size_t n);
void rig_free(struct rig *r, bool keep_disk); /* keep_disk: the caller frees r->disk itself */

struct ask {                         /* zeroed fields: the usual */
	const char *method;          /* REGISTER */
	const char *ruri;            /* sip:192.0.2.1 */
	const char *to;              /* <sip:100@192.0.2.1> */
	const char *call_id;         /* "call-1" */
	uint32_t cseq;               /* 1 */
	const char *contact;         /* header lines; default: one Contact of the phone */
	const char *more;            /* further header lines */
	const char *via_host;        /* "192.0.2.9:5060" */
	const char *user, *password; /* with credentials for the last challenge */
	const char *uri;             /* of the credentials; default ruri */
	unsigned challenge;          /* answer the n-th challenge of the last answer; 0 the first */
	uint32_t nc;                 /* 1 */
	bool no_qop;
};
/* Sends it and returns the status of the answer (0: none came in 2 s). */
unsigned rig_ask(struct rig *r, const struct ask *a);
/* Challenge, then credentials: the status of the second answer. */
unsigned rig_register(struct rig *r, const struct ask *a);
struct str rig_hdr(struct rig *r, enum sip_hdr_id id); /* of the last answer */
/* Values of Contact in the last answer, joined by " | ". */
struct str rig_contacts(struct rig *r);
void rig_run_s(struct rig *r, uint32_t seconds);
/* The number in the Warning of the last answer. */
unsigned rig_code(struct rig *r);
