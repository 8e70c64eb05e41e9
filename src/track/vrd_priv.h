#pragma once
/* What the rules work with: a call's messages sorted into transactions. */

#include "track/vrd.h"

#define MAX_TSX  96
#define MAX_ACKS 32

struct tsx { /* a transaction on one hop, as seen */
	const struct trk_ev *req;
	uint8_t from, to; /* peers */
	uint8_t method;
	uint8_t final_from;
	uint16_t n_sent; /* of the request, the first one included */
	uint64_t last_sent_us;
	const struct trk_ev *trying;  /* first 100 */
	const struct trk_ev *ringing; /* first 101 ... 199 */
	const struct trk_ev *final;
	uint16_t n_final;
	uint64_t last_final_us;
	const struct trk_ev *ack; /* that belongs to it: of a non-2xx, or of the same hop */
};

struct judge {
	struct vrd *v;
	struct trk *t;
	const struct trk_call *c;
	const struct trk_ev *const *history;
	uint32_t n_history;
	struct tsx tsx[MAX_TSX];
	unsigned n_tsx;
	const struct trk_ev *acks[MAX_ACKS];
	unsigned n_acks;
	struct tsx *head; /* the caller's last attempt on its first hop, or NULL */
	const struct trk_ev *last_challenge, *last_credentials;
	const struct trk_ev *hint;
	uint64_t facts;          /* bit set of the kinds that the call has: most rules need one */
	bool has_ports;          /* two peers share an address: names need the port */
	size_t text_at[VRD_MAX]; /* where each sentence begins in v->text */
};

typedef bool vrd_rule_fn(struct judge *j);

/* Begins a finding: what is appended to j->v->text afterwards is its sentence. NULL when there are
 * too many. */
struct vrd_finding *vrd_find(struct judge *j, enum vrd_rule rule);
void vrd_evidence(struct vrd_finding *f, const struct trk_ev *e); /* e may be NULL */
void vrd_say(struct judge *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vrd_say_peer(struct judge *j, uint8_t peer);
void vrd_say_duration(struct judge *j, uint64_t us);          /* "0.8 s", "2 min 5 s" */
void vrd_say_answer(struct judge *j, const struct trk_ev *e); /* "486 Busy Here" */
void vrd_say_times(struct judge *j, const struct tsx *x);     /* "at 0, 0.5, 1.5 s" */
/* Appends Reason, Warning, "Unsupported: x" of an answer, if it has them. */
void vrd_say_why(struct judge *j, const struct trk_ev *e);

/* A Reason header, with its Q.850 cause in words. */
void vrd_say_reason(struct judge *j, struct str reason);

/* What the exchange itself said (trk_hint): it is sure of it. Once; j->hint must be there. */
void vrd_say_hint(struct judge *j, struct vrd_finding *f);
/* Of a 481: which tags were asked for, and whether the call has them. */
void vrd_say_tags(struct judge *j, const struct trk_ev *e);
/* A 403 to a request with credentials: some servers answer a wrong password so. */
void vrd_say_credentials(struct judge *j, const struct trk_ev *e);

static inline bool vrd_has_fact(const struct judge *j, enum trk_fact_kind kind)
{
	return j->facts >> kind & 1;
}
static inline uint64_t vrd_since(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}
/* Last transaction with that method, whose request is a first one on its hop; NULL if none. */
struct tsx *vrd_last(struct judge *j, enum sip_method m);
/* The farthest transaction of the caller's last attempt: the one that nobody passed on. */
struct tsx *vrd_tail(struct judge *j);
/* The first final answer with that status in the caller's last attempt: whose it was. */
const struct trk_ev *vrd_origin(struct judge *j, unsigned status);

bool vrd_has(const struct judge *j, enum vrd_rule rule); /* found so far */
/* The ICMP error that answered a request, or NULL; in words; as a clause. */
const struct trk_fact *vrd_icmp(struct judge *j, const struct tsx *x);
const char *vrd_icmp_text(const struct trk_fact *k);
void vrd_say_icmp(struct judge *j, const struct tsx *x);
/* Too near to the end of the capture to say "never". */
bool vrd_is_near_end(const struct judge *j, uint64_t at_us);
/* vrd_call.c: neither party sent the BYE */
bool vrd_is_from_between(struct judge *j);
struct tsx *vrd_callers_cancel(struct judge *j); /* of the last attempt, or NULL */
/* vrd_media.c: both sides wanted to send and receive, as far as all their descriptions say. */
bool vrd_both_ways_agreed(struct judge *j);
const char *vrd_side_name(unsigned side); /* "caller", "callee" */
/* Whether the caller's side wrote what the message carries. */
static inline bool vrd_is_by_caller(const struct trk_ev *e)
{
	return !(e->flags & TRK_EV_REQUEST) != !!(e->flags & TRK_EV_CALLER);
}

/* In the order in which they are told: each list ends with NULL. */
extern vrd_rule_fn *const vrd_call_outcomes[];
extern vrd_rule_fn *const vrd_other_outcomes[];
extern vrd_rule_fn *const vrd_drop_notes[];
extern vrd_rule_fn *const vrd_media_notes[];
extern vrd_rule_fn *const vrd_quality_notes[];
extern vrd_rule_fn *const vrd_call_notes[];
extern vrd_rule_fn *const vrd_other_notes[];
extern vrd_rule_fn *const vrd_common_notes[];
extern vrd_rule_fn *const vrd_nat_notes[];
extern vrd_rule_fn *const vrd_capture_notes[];

bool vrd_auth(struct judge *j, const struct tsx *x); /* rules AUTH_* about a transaction */
