#pragma once
/* Seen only by proxy.c (contexts), proxy_branch.c, proxy_step.c (steps, 3xx), proxy_answer.c (what
 * goes back) and proxy_ack.c (what has no transaction). The words are explained in proxy.c. */

#include "base/list.h"
#include "service/codes.h"
#include "service/steps.h"

#define PRX_REPEATS 64

/* A 2xx that its sender repeats: the ACK does not reach it. See proxy_ack.c. */
struct repeat {
	uint64_t key; /* of Call-ID, To tag, CSeq; 0: none */
	uint32_t n;
	struct tp_dst back; /* where it came from */
};

struct prx {
	struct ev_loop *loop;
	struct tp *tp;
	struct tsx_mgr *tsx;
	struct block_cache *blocks;
	const struct rt_self *self;
	struct str realm;
	uint64_t timer_c_us, serial_us;
	void (*on_answer)(void *ctx, const struct sip_msg *invite, const struct sip_msg *resp,
			  unsigned status, struct str aor);
	void (*on_miss)(void *ctx, const struct sip_msg *invite, const struct sip_msg *resp,
			struct str aor);
	void (*on_gone)(void *ctx, const struct sip_msg *request);
	prx_deaf_fn *on_deaf;
	bool (*is_trusted)(void *ctx, const struct addr *to);
	size_t (*expand)(void *ctx, const struct sip_uri *contact, struct prx_target *t,
			 size_t max);
	void *ctx;
	struct pool contexts, branches, ack_pool;
	struct link acks; /* struct ack_wait */
	struct repeat repeats[PRX_REPEATS];
	uint64_t repeats_until_us; /* none of them matters any more */
	struct prx_stats stats;
};

enum branch_state { SPARE, WAITING, RESOLVING, CALLING, ABANDONED, DONE };

struct ctx;
struct branch {
	struct branch *next;
	struct ctx *ctx;
	struct branch *primary; /* SPARE: what it stands in for; else NULL, or what it stood in for
				 */
	enum branch_state state;
	uint16_t q, trunk; /* trunk, host: as in struct prx_target */
	uint32_t host;
	uint8_t step;
	bool is_timeout, has_side;
	bool is_given_up; /* cancelled by ourselves (Timer C, the next q group): its 487 is ours */
	bool is_heard;    /* it has answered something */
	bool has_rung;
	bool is_followed; /* its 3xx made further branches */
	bool is_bad;      /* its final response cannot go on */
	bool is_outside;
	bool is_tls;      /* its target is a sips URI, whatever the request's is */
	uint32_t breadth; /* its share of Max-Breadth */
	tsx_id ct;
	struct tp_resolve *resolve;
	struct tp_targets dsts;
	size_t next_dst;
	struct tp_rx *final;
	struct str ruri, path, aor;
	struct str diversion; /* lines in place of its step's; empty: those */
	struct hist_row *row; /* of the context's history; NULL: none */
	char *text;           /* block that holds these, or NULL */
	struct tmr timer_c;
};

struct ctx {
	struct prx *prx;
	tsx_id st;
	struct tp_rx *rx;
	struct rt_plan route; /* its strings point into rx */
	struct rt_side caller;
	bool is_trusted, record_route, add_path, is_invite, is_cancelled, is_final_sent,
		is_2xx_sent, is_server_gone, is_busy;
	bool is_closed;     /* no further branch or address is tried */
	bool is_sips;       /* the request's URI is */
	bool is_insecure;   /* a target was not reached, since that had been no secure way */
	bool is_overloaded; /* something could not be started for want of room */
	bool follows;
	bool has_history; /* that of responses is ours to tell */
	uint32_t breadth;
	struct steps *steps; /* a block; NULL: one, that none follows */
	struct hist *hist;   /* NULL: none is told */
	struct branch *branches;
	struct tmr serial;
};

/* Answers with a code of ours. */
void prx_refuse(struct ctx *c, enum code code);
/* Sends what came from a branch (NULL: the best of all) back, without our Via; `more`: responses
 * whose challenges go with it. */
void prx_send_back(struct ctx *c, const struct branch *b, struct tp_rx *resp,
		   struct tp_rx *const *more, size_t n_more);
/* A branch for one of several people has ended, the call goes on. */
void prx_tell_miss(const struct branch *b);
/* Nobody answered at its host, if that is a trunk's; or with this 503. */
void prx_tell_deaf(const struct branch *b, const struct sip_msg *refusal);
/* Nothing runs any more: answers with the best that the branches have come to. */
void prx_answer_best(struct ctx *c);

/* A 2xx to an INVITE came again. */
void prx_note_repeat(struct prx *p, struct tp_rx *rx);

/* Copies steps with their texts; ERR_NOMEM. */
enum err prx_keep_steps(struct ctx *c, const struct prx_request *r);
/* The present step has come to its end: true when another follows, which is the present one then.
 */
bool prx_next_step(struct ctx *c);
static inline size_t prx_step_now(const struct ctx *c)
{
	return steps_now(c->steps);
}
/* Headers that its step writes, or the 3xx that it came by. */
struct fwd_headers prx_step_headers(const struct ctx *c, const struct branch *b);
/* How long the group that has just been started may ring, 0: as long as the caller waits. */
uint64_t prx_group_us(const struct ctx *c, bool has_waiting);
/* Where another step follows for who is not reached: after a while without any answer it does. */
void prx_watch_silence(struct ctx *c);
/* Who does not even answer the CANCEL of his time's end is not waited for long, either. */
void prx_watch_cancelled(struct ctx *c);
/* Waits no longer for a branch that has said nothing. */
void prx_abandon(struct branch *b);
/* Something has ended: goes on with the next q group or step, answers, or waits; c may be freed. */
void prx_settle(struct ctx *c);
void prx_end_branch(struct branch *b);
/* proxy_branch.c: starts all waiting branches of the highest q in the present step. */
void prx_start_group(struct ctx *c);
/* No branch is started any more, and those that ring are cancelled. */
void prx_cancel_pending(struct ctx *c, struct str reason);
bool prx_has_waiting(const struct ctx *c); /* in the present step */
/* The time of the present step is over. */
bool prx_is_step_over(const struct ctx *c);
/* Puts the Contacts of a 3xx into the present step; false when it goes back to the caller. */
bool prx_follow(struct ctx *c, struct branch *b, const struct sip_msg *m);
enum err prx_add_branch(struct ctx *c, const struct prx_target *t);

void prx_init_acks(struct prx *p, uint32_t max);
/* Forgets the ACKs whose next hop is still being looked up. */
void prx_free_acks(struct prx *p);
