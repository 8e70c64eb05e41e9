#pragma once
/* A subscription of a peer of text: what the exchange notifies, in order. [RFC6665] */

#include "scene.h"

struct watch {
	struct raw *r;
	struct raw_req q;
	char to[128], uri[128], event[80];
	struct raw_msg *notify; /* the last one */
	unsigned cseq;          /* of it */
};

/* SUBSCRIBEs to `uri` and takes the first NOTIFY. */
void lookout_start(struct watch *w, struct raw *r, const char *uri, const char *event);
void lookout_next(struct watch *w); /* fails the test without one */
void lookout_next_within(struct watch *w, double seconds);
/* A SUBSCRIBE in the dialog; its status. */
unsigned lookout_again(struct watch *w, const char *expires);
bool lookout_says(const struct watch *w, const char *text); /* the last one */
/* Takes its next NOTIFY if it is there; arg is a struct watch. */
bool lookout_has_next(void *arg);
bool lookout_is_quiet(struct watch *w, double seconds);
unsigned lookout_cseq(const struct raw_msg *m);
/* The NOTIFY that says so comes; what is told in between is passed over. */
void lookout_sees(struct watch *w, const char *text);
