#pragma once
/* The request that a proxy sends on, made from the bytes as received: edits only, in one copy.
 * [RFC3261 16.6] [RFC5393] */

#include "dialog/history.h"
#include "service/route.h"
#include "sip/edit.h"

#define FWD_BREADTH_DEFAULT 60 /* [RFC5393 5.3.3.1] */

struct fwd_plan {
	const struct tp_rx *rx;
	const struct rt_self *self;
	const struct rt_plan *route;
	struct str realm;     /* credentials for it are ours and go no further */
	bool is_trusted;      /* the sender: his P-Asserted-Identity stays */
	bool is_next_trusted; /* the next hop: hears it even under `Privacy: id` */
	bool record_route;
	bool add_path;         /* a Path with the flow that it came by [RFC3327] [RFC5626 5.1] */
	struct rt_side caller; /* for the token of the Record-Route */
	uint32_t breadth;      /* Max-Breadth to write, 0: leave */
};

/* What a routing policy writes into the request; each may be empty. */
struct fwd_headers {
	struct str diversion; /* a line, above those that are there [RFC5806 4] */
	struct str asserted; /* P-Asserted-Identity's line, in place of what is there [RFC3325 5] */
	struct str lines;    /* further lines */
	struct str remove;   /* names of headers that go no further, separated by commas */
	/* Where the call goes in two dialogs: names of further headers that cross, by commas; the
	 * user part of From. */
	struct str pass, caller;
};

struct fwd_history { /* of the way so far */
	struct str lines;
	bool is_whole;   /* they stand in place of those that came, else behind them */
	bool is_outside; /* `history` in Privacy has been done */
};

struct fwd_target {
	struct str ruri; /* request-URI to write; empty: that of the plan */
	struct str path; /* Route values to put on top (the binding's Path), or empty */
	struct rt_side callee;
	struct fwd_headers headers;
	struct fwd_history history;
};

/* Appends the request with `via` on top. */
enum err fwd_compose(const struct fwd_plan *p, const struct fwd_target *t, struct str via,
		     const struct tp_dst *dst, struct buf *out);
/* Appends the response without our Via: what goes back. `more` (n_more messages): their challenges
 * are added to those of a 401 or 407. `h` NULL: History-Info is left as it is. [RFC3261 16.7
 * steps 3, 7] */
enum err fwd_response(const struct sip_msg *resp, struct tp_rx *const *more, size_t n_more,
		      const struct fwd_history *h, struct buf *out);

/* Loop detection: a keyed hash over all that decides where the request goes; it is written into our
 * Via as a parameter and looked for in the Vias of what arrives. [RFC3261 16.3 step 4]
 * [RFC5393 4.2] */
uint64_t fwd_loop_hash(const struct rt_self *self, const struct sip_msg *m);
/* A target as request-URI, at `out`, which has room for all of it: without what may not stand
 * there. [RFC3261 16.6 step 2] */
struct str fwd_copy_ruri(struct str text, char *out);
bool fwd_is_loop(const struct rt_self *self, const struct sip_msg *m);
