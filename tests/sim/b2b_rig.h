#pragma once
/* Calls through the back-to-back user agent between peers of text, with a ladder of what the
 * exchange (x) sends and gets, and when:
 *
 *     0 a->x INVITE a1           1 x->b INVITE a1
 *
 * "a1": SDP whose o= line has user a and version 1. Times in ms since rig_clear. */

#include "scene.h"

struct rig {
	struct scene *t;
	struct raw *a, *b, *c, *d; /* accounts 1001, 1002, 1002, 1003 */
	struct buf ladder;
	uint64_t start_us;
	unsigned version[4]; /* of the last SDP of each */
	char sdp_mem[4][512];
};

struct rig *rig_new(void); /* one phone registered for 1001 (a), 1002 (b), 1003 (d) */
struct rig *rig_new_with(const struct exc_cfg *cfg);
void rig_free(struct rig *g); /* nothing may be left */
void rig_clear(struct rig *g);
#define CHECK_RIG(g, lit) CHECK_STR(buf_view(&(g)->ladder), lit)
/* A new description of that peer: "a=<dir>" added when dir is not NULL. */
const char *rig_sdp(struct rig *g, struct raw *r, const char *dir);
#define RIG_SDP "Content-Type: application/sdp\n"

struct rig_end { /* one side of a call, as the peer sees it */
	struct raw *r;
	struct raw_req q;
	char uri[160], from[160], to[160], routes[512];
	const struct raw_msg *invite, *answer; /* the callee's, the caller's */
};
/* INVITE with SDP through its challenge; the callee's INVITE is left to be taken. */
void rig_call(struct rig *g, struct raw *from, const char *to, const char *extra,
	      struct rig_end *caller);
void rig_late_call(struct rig *g, struct raw *from, const char *to, struct rig_end *caller);
/* Takes the INVITE that has come to r. */
void rig_ring(struct rig *g, struct raw *r, struct rig_end *callee);
void rig_answer(struct rig *g, struct rig_end *callee, struct rig_end *caller); /* 200, ACKs */
void rig_set_caller(struct rig_end *caller, const struct raw_msg *answer);
/* Rings and answers at `at`, with ACKs. */
void rig_talk(struct rig *g, struct raw *from, const char *to, struct raw *at,
	      struct rig_end *caller, struct rig_end *callee);
/* A request inside the dialog; its answer is left to be taken. */
struct raw_req rig_ask(struct rig_end *e, const char *method, const char *extra, const char *body);
void rig_ack(struct rig_end *e, const struct raw_req *invite, const char *extra, const char *body);
void rig_reply(struct raw *r, const struct raw_msg *m, const char *status); /* inside */
void rig_bye(struct rig *g, struct rig_end *from, struct rig_end *to);      /* both answered */

/* --- transfers */
/* Its line where the dialog of e is to be replaced. */
const char *rig_refer_to(const struct rig_end *e, char line[800]);
struct raw_msg *rig_notify(struct raw *r, const char *status); /* takes and answers what says so */
/* d has rung and answers; e gets d's offer, his answer goes to d. */
void rig_join(struct rig *g, struct rig_end *d, struct rig_end *e);
/* e is asked for an offer and makes one; takes that of another; has the answer to his own. */
struct raw_msg *rig_offers(struct rig *g, struct rig_end *e);
struct raw_msg *rig_gets_offer(struct rig_end *e, const struct rig_end *of);
void rig_gets_answer(struct rig_end *e, const struct rig_end *of);
void rig_answers(struct rig *g, struct rig_end *e, const struct raw_msg *m);
void rig_refuses(struct rig_end *e, const struct raw_msg *m, const char *status);
/* All that. */
void rig_meet(struct rig *g, struct rig_end *first, struct rig_end *other);
/* A request of `from` reaches `to`. */
void rig_still_talk(struct rig *g, struct rig_end *from, struct rig_end *to);
void rig_bye_from(struct rig_end *e); /* the other side's is left to be taken */
