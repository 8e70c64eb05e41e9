#pragma once
/* User agents in virtual time: each party is a host with transport, transactions and dialogs, a
 * plan for what it does with calls, and an SDP whose version tells one offer from the next. What
 * goes over the wire becomes a ladder of text lines, what the owners are told a log, for golden
 * comparison:
 *
 *     0 a->b INVITE              a: progress 180
 *    20 b->a 180 (INVITE)        a: confirmed
 *
 * Times are in milliseconds since the last ladder_clear. */

#include "dialog/register.h"
#include "dialog/relay.h"
#include "dialog/session.h"
#include "dialog/subscription.h"
#include "event/loop.h"
#include "event/sim.h"
#include "sip/auth.h"
#include "sip/out.h"
#include "test.h"

#define PARTIES    8
#define PARTY_ENDS 256

struct world;
struct party {
	struct world *w;
	const char *name; /* one letter */
	char ip[32];
	struct sim_host *host;
	struct env *env;
	struct ev_loop loop;
	struct block_cache blocks;
	struct tp *tp;
	struct tsx_mgr *tsx;
	struct dlg_mgr *dlg;
	bool is_up;

	/* the plan for calls that come */
	unsigned ring; /* provisional status at once; 0: none */
	bool ring_sdp;
	unsigned answer;       /* final status; 0: none by itself */
	uint32_t answer_ms;    /* after that time; 0: at once */
	unsigned refuse_offer; /* what answer_offer says; 0: accept */
	bool refuse_answer, no_offer;
	const char *password; /* not NULL: challenges with this realm "r" and user "u" */
	bool is_proxy_auth;   /* by 407 rather than 401 */
	bool (*on_request)(struct party *p, tsx_id st, struct tp_rx *rx); /* true: dealt with */
	bool is_asked_first; /* on_request: before the dialogs */

	bool is_late;            /* answers and offers of changes come later: ses_settle */
	bool is_reliable;        /* rings reliably */
	unsigned request_status; /* what on_request says */
	uint32_t session_s;      /* session timer to ask for */
	tsx_id waiting;          /* a request that waits for ses_respond */

	/* the present call */
	struct ses *ses;
	struct tmr answer_timer;
	enum dlg_refusal refusal; /* the last one of the layer's own */
	unsigned n_calls, n_ended;
	unsigned offer_version; /* of the last SDP that this party wrote */
	unsigned local, remote; /* versions that count now: ours, theirs */
	struct ses_end end;
	bool is_confirmed, has_ended;
	char call_id[40];  /* of the present call */
	struct party_end { /* how calls ended */
		char call_id[40];
		struct ses_end end; /* without text */
		bool is_caller, was_confirmed;
	} ends[PARTY_ENDS];
	unsigned n_ends;
	/* registrations, subscriptions, requests */
	struct rgc *rgc;
	struct sub *sub;
	struct buf log;
};

struct world {
	struct sim *sim;
	struct party *parties[PARTIES];
	unsigned n;
	struct buf ladder;
	uint64_t start_us;
	uint64_t hash, n_packets; /* of everything on the wire */
	bool is_running;
	bool is_quiet; /* no ladder */
};

struct world *world_new(uint64_t seed, const struct sim_link *link);
void world_free(struct world *w);
void world_run(struct world *w, uint64_t ms);
/* Name is one letter; its address is 10.0.0.<1 + position>. */
struct party *party_new(struct world *w, const char *name);
void party_open(struct party *p); /* as party_new does; again after party_close */
void party_close(struct party *p);
extern void (*party_closing)(struct party *p); /* for counters that tests collect; may be NULL */
struct uac_account party_account(struct party *p); /* user u, password "secret" */
/* Calls the other; URI with these parameters (";transport=tcp"), which may be "". */
void party_call(struct party *p, const struct party *to, const char *params);
void party_call_with(struct party *p, struct ses_call *call);
const char *party_uri(const struct party *p,
		      const char *params); /* lives until the next but three */
void party_note(struct party *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void ladder_clear(struct world *w); /* and the logs */
#define CHECK_LADDER(w, lit) CHECK_STR(buf_view(&(w)->ladder), lit)
#define CHECK_EVENTS(p, lit) CHECK_STR(buf_view(&(p)->log), lit)
/* The n-th SDP of a party, as it writes it. */
void party_put_sdp(const struct party *p, unsigned version, struct buf *b);
unsigned party_sdp_version(struct str sdp);
/* No dialog, session, transaction, timer is left at any party. */
void world_check_idle(struct world *w);
