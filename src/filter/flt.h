#pragma once
/* Wireshark's display filter language, for the fields of fields.def and every SIP header: compiled
 * once, then asked per frame. Meaning as in Wireshark 4: fields have several values; `==` and its
 * like hold when any value fits, `!=` when the field is there and no value is equal. */

#include "capture/cap_walk.h"

enum flt_type {
	FLT_NONE,  /* presence, nothing else */
	FLT_PROTO, /* presence; its value are its bytes */
	FLT_UINT,
	FLT_INT,
	FLT_BOOL,
	FLT_IPV4,
	FLT_IPV6,
	FLT_ETHER,
	FLT_STR,
	FLT_BYTES,
	FLT_TIME, /* a duration, ns */
	FLT_DATE, /* ns since 1970 UTC */
	FLT_REAL,
	FLT__TYPES
};

struct flt_val {
	union {
		uint64_t u;     /* UINT, BOOL; PROTO: see s */
		int64_t i;      /* INT, TIME, DATE; what arithmetic gives */
		double f;       /* REAL */
		uint8_t ip[16]; /* IPV4, IPV6, ETHER: its 4, 16, 6 bytes in network order */
	};
	/* STR, BYTES; PROTO: its header, of which `u` bytes from s.p on are the whole of it.
	 * Borrows the frame. */
	struct str s;
	uint8_t layer; /* which of several headers of the protocol it is of, from 1 */
};

#define FLT_MAX_VALUES 256 /* of one field in one frame; more are left out */

enum flt_needs {
	FLT_NEEDS_TRK = 1,   /* the walk has a tracker */
	FLT_NEEDS_MEDIA = 2, /* ... with has_media */
	FLT_NEEDS_CALLS = 4, /* a second walk, when all calls are known: flt_calls_attach */
	FLT_NEEDS_CONV = 8,  /* the walk has conversations: cap_walk_conversations */
};
enum flt_base { FLT_DEC, FLT_HEX, FLT_LOCAL, FLT_UTC };

struct flt_field;
/* Up to FLT_MAX_VALUES values of the field in this frame; returns how many. */
typedef unsigned flt_get_fn(const struct flt_field *f, const struct cap_frame *fr,
			    struct flt_val *out);
struct flt_field {
	struct str name;
	uint8_t type;  /* enum flt_type */
	uint8_t width; /* bytes of a number */
	uint8_t base;  /* enum flt_base: how it is printed */
	uint8_t needs; /* enum flt_needs, or-ed */
	uint8_t cost;  /* 0 the least: what it takes to get, see flt_field.c */
	uint32_t arg;  /* of get */
	flt_get_fn *get;
};

struct flt;
/* ERR_SYNTAX with *why (appended): the filter, a caret under the place, what was expected, the
 * nearest field name. ERR_NOMEM. */
enum err flt_compile(struct str text, struct flt **out, struct buf *why);
void flt_free(struct flt *f);
bool flt_match(struct flt *f, const struct cap_frame *fr);
/* The same over values that come from elsewhere (an index of messages): get writes up to
 * FLT_MAX_VALUES values of a field into out and returns how many. Only fields of flt_uses are asked
 * for, the cheap ones first, those that cannot change the answer not at all. */
typedef unsigned flt_source_fn(void *arg, const struct flt_field *f, struct flt_val *out);
bool flt_match_from(struct flt *f, flt_source_fn *get, void *arg);
/* Field number i of those that the filter asks about, each once; NULL past the last. */
const struct flt_field *flt_uses(const struct flt *f, size_t i);
/* enum flt_needs of all its fields. */
unsigned flt_needs(const struct flt *f);

/* Field number i of the table, for lists; NULL past the last. A name may be there twice: the first
 * counts. */
const struct flt_field *flt_field_at(size_t i);
/* NULL when there is no such field; *near (may be NULL) is then the nearest name, if any. */
const struct flt_field *flt_field_find(struct str name, struct str *near);
/* Appends why there is no such field: what is near, and whether Wireshark has it. */
void flt_field_explain(struct buf *b, struct str name);
/* Whose lines, as they are, are the field's values; SIP_HDR_OTHER: it is no such field. */
enum sip_hdr_id flt_header_of(const struct flt_field *f);
static inline unsigned flt_field_get(const struct flt_field *f, const struct cap_frame *fr,
				     struct flt_val *out)
{
	return f->get(f, fr, out);
}
/* As `tshark -T fields` prints it; of a protocol its name. */
void flt_val_put(struct buf *b, const struct flt_field *f, const struct flt_val *v);
/* All names with their types, a line each. */
void flt_fields_put(struct buf *b);

/* --- call.*: what became of the call that a message belongs to -------------------------------- */

/* Calls of a tracker that has seen the whole capture, judged when first asked for. The tracker must
 * outlive it. NULL without memory. */
struct flt_calls *flt_calls_new(struct trk *t);
void flt_calls_free(struct flt_calls *c);
/* Gives each message of the frame its call, for the fields call.*. ERR_NOMEM. */
enum err flt_calls_attach(struct flt_calls *c, const struct cap_frame *fr);
/* The same of calls that go on: no field of flt_is_late has a value. */
enum err flt_calls_attach_early(struct flt_calls *c, const struct cap_frame *fr);
/* Forgets what was judged: calls may be gone, or have changed. No frame may have one any more. */
void flt_calls_clear(struct flt_calls *c);
bool flt_is_of_call(const struct flt_field *f); /* a field call.* */
/* ... that is known when the call is over; the others are settled with its first message. */
bool flt_is_late(const struct flt_field *f);

enum flt_said { FLT_NO, FLT_YES, FLT_OPEN };
/* What can be said of a frame when nothing is known of some fields. */
enum flt_said flt_match_so_far(struct flt *f, const struct cap_frame *fr,
			       bool (*is_open)(const struct flt_field *f));

/* --- `-T fields` and `-T json` --------------------------------------------------------------- */

struct flt_columns { /* as tshark's -e and -E */
	const struct flt_field *const *fields;
	size_t n;
	char separator, aggregator; /* '\t' and ',' */
	char quote;                 /* 0, '"' or '\'' */
	char occurrence;            /* 'a' all values, 'f' the first, 'l' the last */
	bool has_header;
};
/* One setting "name=value" of -E; false: *why (appended) says what is possible. */
bool flt_columns_set(struct flt_columns *c, struct str setting, struct buf *why);
void flt_columns_head(struct buf *b, const struct flt_columns *c); /* nothing without has_header */
void flt_columns_put(struct buf *b, const struct flt_columns *c, const struct cap_frame *fr);
/* {"name":["value", ...], ...} of the fields that are there, with a line end. */
void flt_columns_json(struct buf *b, const struct flt_columns *c, const struct cap_frame *fr);
/* The same as an element of the array that `tshark -T json -e` prints: put_array counts the
 * elements, and end_array closes it. */
void flt_columns_put_array(struct buf *b, const struct flt_columns *c, const struct cap_frame *fr,
			   uint32_t *n_put);
void flt_columns_end_array(struct buf *b, uint32_t n_put);
