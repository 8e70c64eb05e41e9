#pragma once
/* The way of a request, as History-Info tells it: where it was sent so far, by whom, and why it
 * went on. One cache for each request that is sent on, for the proxy and the back-to-back user
 * agent alike. [RFC7044] */

#include "base/arena.h"
#include "base/block.h"
#include "sip/hdr.h"

enum hist_by {          /* how a target was found [RFC7044 10.4] */
	       HIST_RC, /* another URI of the same user: a binding, an alias, a trunk's host */
	       HIST_MP, /* another user */
	       HIST_NO, /* not known: a Contact of a 3xx that does not say */
};

/* A target inside, or the forward to it: 0 is the request-URI as it came. */
struct hist_way {
	struct str uri;
	uint8_t up;     /* the way that it was found from: one before it */
	uint8_t by;     /* enum hist_by */
	uint16_t cause; /* why `up` was left [RFC3326]; 0: it was not, this is what it means */
};

enum hist_mode {
	HIST_OFF,    /* entries pass as they are, like a header that nobody knows */
	HIST_ASKED,  /* told where the sender takes part, or where somebody's forward led */
	HIST_ALWAYS, /* wherever a request goes; the sender hears of it if he asked */
};

struct hist_ask { /* borrowed until hist_open has returned, but for is_ours */
	enum hist_mode mode;
	bool is_private;     /* entries of ours are nobody's business outside */
	bool is_from_inside; /* the sender: answers to him stay as they are */
	struct str domain;   /* in URIs made of tel: */
	bool (*is_ours)(void *ctx, const struct sip_uri *u);
	void *ctx;
	const struct hist_way *ways; /* ways[0] is left alone; NULL: there is but that one */
	size_t n_ways;
};

struct hist;     /* what is known of one request */
struct hist_row; /* one entry */

/* The sender has written entries, or wants them. */
bool hist_is_asked(const struct sip_msg *m);
/* *out: NULL where nothing is to be told, as with a request inside a dialog; borrows `m`. *is_ours:
 * entries of responses are ours to leave away. ERR_NOMEM. Free with hist_free. */
enum err hist_open(struct block_cache *blocks, const struct sip_msg *m, const struct hist_ask *ask,
		   struct hist **out, bool *is_ours);
/* Of a request that begins here: its targets have the indexes 1, 2, ... [RFC7044 6.1] NULL: no
 * memory. */
struct hist *hist_begin(struct block_cache *blocks);
void hist_free(struct block_cache *blocks, struct hist *h);
size_t hist_size(const struct hist *h); /* bytes that any of the texts below needs; h may be NULL */

/* An entry for a target of `way`; `uri` empty or that of the way: it is the way itself, or at the
 * first one the same once more (np). Its index comes with hist_start. NULL: no memory, or no cache;
 * all that follows takes a NULL entry and does nothing with it. */
struct hist_row *hist_target(struct hist *h, size_t way, struct str uri, enum hist_by by,
			     bool is_outside);
/* What a Contact of the 3xx to `from` leads to; `params`: the Contact's. [RFC7044 10.3 rule 4] */
struct hist_row *hist_redirected(struct hist *h, struct hist_row *from, struct str contact,
				 struct str params, bool is_outside);
/* A binding of what that leads to. */
struct hist_row *hist_below(struct hist *h, struct hist_row *up, struct str uri);
/* The request goes there now. */
void hist_start(struct hist *h, struct hist_row *r);
/* It was answered with m, or, m NULL, was not: `status` says how that counts. [RFC7044 9.3] */
void hist_hear(struct hist *h, struct hist_row *r, const struct sip_msg *m, unsigned status);

/* The lines for the request to r: `*is_whole` false: behind those that came, else in their place,
 * as they always are if it was true before. Empty where nothing is to be told.
 * [RFC7044 9.2, 10.1.2] */
void hist_put_request(const struct hist *h, const struct hist_row *r, bool is_outside,
		      struct buf *out, bool *is_whole);
/* The lines for a response, in place of those that came with it; `m`: the response, whose Privacy
 * counts; NULL: one of ours. [RFC7044 9.4] */
void hist_put_response(const struct hist *h, const struct sip_msg *m, struct buf *out);
bool hist_hides_from_sender(const struct hist *h); /* he is of another domain */
/* The line of Privacy without `history`, or nothing. [RFC7044 10.1.2] */
void hist_put_privacy(struct buf *out, const struct sip_msg *m);
bool hist_wants_privacy(const struct sip_msg *m, struct str kind); /* [RFC3323 4.2] */
/* For a Contact of a 3xx of ours: `;mp=1.1`. [RFC7044 8] */
void hist_put_param(const struct hist *h, enum hist_by by, struct buf *out);
