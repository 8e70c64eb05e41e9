#pragma once
/* Two calls compared: it worked on Monday, why not today? Also two legs of one call: what did the
 * B2BUA change? Text for people. */

#include "scope/book.h"

struct diff_call {
	struct book *book;
	struct trk_call *call;
	const char *file; /* named in the heading; NULL: not */
};
struct diff_opts {
	bool is_ascii;
	bool is_json; /* one object, see diff.c */
	bool is_legs; /* two legs of one call: only what each exchanged with its neighbour */
};

/* Appends: both verdicts, the first divergence, the messages side by side, then what differs in
 * headers, SDP, timing. Left out is what must differ: Via, tags, Call-ID, CSeq, nonces, dates,
 * ports, lengths. Longer calls than DIFF_MAX messages are compared as far as that. ERR_NOMEM,
 * ERR_IO. The books may be the same. */
#define DIFF_MAX 400
enum err diff_calls(struct buf *b, const struct diff_call *x, const struct diff_call *y,
		    const struct diff_opts *o);
