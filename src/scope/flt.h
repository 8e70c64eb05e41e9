#pragma once
/* Wireshark's display filter language, for the fields of fields.def and every SIP header: compiled
 * once, then asked per frame. Meaning as in Wireshark 4: fields have several values; `==` and its
 * like hold when any value fits, `!=` when the field is there and no value is equal. */

#include "scope/cap_walk.h"

enum flt_type {
	FLT_PROTO, /* presence; its value are its bytes */
	FLT_UINT,
	FLT_BOOL,
	FLT_ADDR,
	FLT_STR,
	FLT_TIME, /* ns */
};

struct flt_val {
	uint64_t u;       /* FLT_UINT, FLT_BOOL; FLT_TIME: ns, signed */
	struct str s;     /* FLT_STR, FLT_PROTO; borrows the frame */
	struct addr addr; /* FLT_ADDR, port 0 */
};

#define FLT_MAX_VALUES 64 /* of one field in one frame; more are left out */

struct flt_field;
typedef unsigned flt_get_fn(const struct flt_field *f, const struct cap_frame *fr,
			    struct flt_val *out);
struct flt_field {
	struct str name;
	uint8_t type; /* enum flt_type */
	bool is_hex;  /* printed as 0x... */
	uint16_t arg; /* of get */
	flt_get_fn *get;
	bool needs_media; /* the walk must have a tracker with has_media */
};

struct flt;
/* ERR_SYNTAX with *why (appended): the filter, a caret under the place, what was expected, the
 * nearest field name. ERR_NOMEM. */
enum err flt_compile(struct str text, struct flt **out, struct buf *why);
void flt_free(struct flt *f);
bool flt_match(struct flt *f, const struct cap_frame *fr);
bool flt_needs_media(const struct flt *f);

/* NULL when there is no such field; *near (may be NULL) is then the nearest name, if any. */
const struct flt_field *flt_field_find(struct str name, struct str *near);
/* Up to FLT_MAX_VALUES values of the field in this frame; returns how many. */
static inline unsigned flt_field_get(const struct flt_field *f, const struct cap_frame *fr,
				     struct flt_val *out)
{
	return f->get(f, fr, out);
}
/* As `tshark -T fields` prints it. */
void flt_val_put(struct buf *b, const struct flt_field *f, const struct flt_val *v);
/* All names with their types, a line each. */
void flt_fields_put(struct buf *b);
