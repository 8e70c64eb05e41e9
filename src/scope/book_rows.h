#pragma once
/* Rows of the tracker as a filter sees them: columns, and the values of fields. Seen only by
 * book_find.c. */

#include "filter/flt_tree.h"
#include "scope/book_priv.h"

enum what_class { ABOUT_NOTHING, ABOUT_HOP, ABOUT_WHAT, ABOUT_ROW, ABOUT_CALL, ABOUT_MORE };

enum row_field {
	RF_SIP,
	RF_IP,
	RF_IP_ADDR,
	RF_IP_SRC,
	RF_IP_DST,
	RF_IP6,
	RF_IP6_ADDR,
	RF_IP6_SRC,
	RF_IP6_DST,
	RF_UDP,
	RF_UDP_PORT,
	RF_UDP_SRC,
	RF_UDP_DST,
	RF_TCP,
	RF_TCP_PORT,
	RF_METHOD,
	RF_STATUS,
	RF_CSEQ_METHOD,
	RF_CSEQ,
	RF_NUMBER,
	RF_EPOCH,
	RF_RELATIVE,
	RF_CALL_ID,
	RF__N
};
#define BOOK_WHATS (1u << 15) /* values of a row in book.whats */

struct finding {
	struct book *b;
	struct flt *f;
	const struct flt_field *fields[RF__N];
	uint32_t n;            /* rows */
	size_t n_words;        /* of a set */
	const uint64_t *plain; /* the rows that know all */
	int64_t first_ns;
	/* what a test is being asked about */
	const struct trk_ev *e;
	const struct trk_call *c;
	const struct addr *ends; /* of e: from, to; NULL: its call tells */
	int64_t late_ns;         /* 0, or 999: times have no nanoseconds in a row */
	const struct cap_frame *fr;
	bool has_missed; /* a field was asked for that is not known here */
};

/* Columns of the first n rows. False: no memory. */
bool book_columns(struct book *b, uint32_t n);
/* What a field is about, ABOUT_MORE when rows do not have it. */
enum what_class book_about(const struct finding *x, const struct flt_field *f);
void book_fields(struct finding *x); /* fills x->fields */
flt_source_fn book_row_get;          /* arg: struct finding */
