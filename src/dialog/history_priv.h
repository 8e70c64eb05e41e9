#pragma once
/* Seen only by history.c (the cache) and history_put.c (what of it is told to whom). */

#include "dialog/history.h"

struct hist_row {
	struct hist_row *next; /* in the order in which they are told */
	struct hist_row *up;   /* of ours: where it was found from */
	struct str value;      /* of others: as it came, until it is changed */
	struct str index, uri, headers,
		params;   /* headers: of the URI; params: with index and all */
	unsigned n_below; /* number of its newest branch */
	uint16_t cause;
	uint8_t by;
	bool is_mine;     /* made here */
	bool has_come;    /* with the request */
	bool is_kept;     /* in the cache; else it is told to its own target only */
	bool is_outside;  /* the target, not its URI, is of another domain */
	bool is_forward;  /* somebody's forward led to it */
	bool is_answered; /* finally: its Reason is there */
};

struct hist {
	struct arena mem;
	const struct sip_msg *m;
	struct hist_row *first, *root; /* root: the request-URI as it came */
	struct hist_row **ways;
	size_t n_ways, n_rows;
	bool (*is_ours)(void *ctx, const struct sip_uri *u);
	void *ctx;
	bool is_told; /* the sender hears of it */
	bool is_open; /* targets do, even without a forward */
	bool is_private, is_from_inside;
	char own[]; /* where the arena begins */
};

/* hname=hvalue of a URI's headers, one after the other. */
bool hist_header_next(struct str *rest, struct str *name, struct str *value);
