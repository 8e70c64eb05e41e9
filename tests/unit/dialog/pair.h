#pragma once
/* Two parties, and what the tests of this folder do with them. */

#include "dialog/priv.h"
#include "party.h"

struct pair {
	struct world *w;
	struct party *a, *b;
};
extern uint64_t pair_hits[256]; /* rows of the session machine taken so far */
struct pair pair_new(void);
/* Everything that lives must be over some time after the last event. */
void pair_free(struct pair *p);
struct pair pair_talking(void); /* a has called b; ladder and logs are empty */
void hangup(struct party *p);
void modify(struct party *p);
struct ses *call_of(struct party *p);
struct dlg *dialog(struct party *p); /* of its session */
void lose(struct world *w, struct party *from, struct party *to, double loss);

/* A request inside p's dialog, outside of what the session would send; *done gets the status. */
void inside(struct party *p, const char *method, const char *headers, unsigned sdp, unsigned *done);
/* A request outside of dialogs, with whole header lines. */
void outside(struct party *p, const struct party *to, const char *method, const char *headers,
	     const char *type, const char *body, unsigned *done);
extern const struct uac_user pair_plain; /* its context is an unsigned, for the status */
void outside_with(struct party *p, const struct uac_account *acc, const struct uac_request *req,
		  unsigned *done, struct uac **u);
/* A response with a To tag of our choice (NULL: none), Contact of p, header lines, an SDP (0:
 * none). */
void respond(struct party *p, tsx_id st, struct tp_rx *rx, unsigned status, const char *tag,
	     const char *headers, unsigned sdp);
/* An on_request that keeps the INVITE for the test to answer. */
bool keep_invite(struct party *p, tsx_id st, struct tp_rx *rx);
extern tsx_id kept_st;
extern struct tp_rx *kept_rx;
