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
void watch_start(struct watch *w, struct raw *r, const char *uri, const char *event);
void watch_next(struct watch *w); /* fails the test without one */
void watch_next_within(struct watch *w, double seconds);
/* A SUBSCRIBE in the dialog; its status. */
unsigned watch_again(struct watch *w, const char *expires);
bool watch_says(const struct watch *w, const char *text); /* the last one */
/* Takes its next NOTIFY if it is there; arg is a struct watch. */
bool watch_has_next(void *arg);
bool watch_is_quiet(struct watch *w, double seconds);
unsigned watch_cseq(const struct raw_msg *m);
