#pragma once
/* A byte buffer with a sticky error: append without checking, look at `err` once at the end. Either
 * growable on the heap (buf_init) or over memory of the caller (buf_init_fixed), which never grows
 * and fails with ERR_LIMIT. */

#include "base/err.h"
#include "base/str.h"

#include <stdarg.h>
#include <string.h>

struct buf {
	char *p;
	size_t n, cap;
	enum err err; /* the first failure; later appends do nothing */
	bool is_fixed;
};

void buf_init(struct buf *b); /* empty, heap, no allocation yet */
void buf_init_fixed(struct buf *b, void *mem, size_t cap);
void buf_fini(struct buf *b);                     /* frees heap memory; harmless on fixed ones */
void buf_clear(struct buf *b);                    /* n = 0, err = OK, capacity kept */
enum err buf_reserve(struct buf *b, size_t more); /* room for `more` further bytes */
void buf_put_more(struct buf *b, const void *p, size_t n); /* buf_put when there is no room yet */
static inline void buf_put(struct buf *b, const void *p, size_t n)
{
	if (b->err == OK && n - 1 < b->cap - b->n) { /* n of 0 is no pointer to look at */
		memcpy(b->p + b->n, p, n);
		b->n += n;
	} else {
		buf_put_more(b, p, n);
	}
}
static inline void buf_str(struct buf *b, struct str s)
{
	buf_put(b, s.p, s.n);
}
static inline void buf_chr(struct buf *b, char c)
{
	buf_put(b, &c, 1);
}
void buf_fill(struct buf *b, char c, size_t times);
void buf_u64(struct buf *b, uint64_t v);                 /* decimal */
void buf_real(struct buf *b, double v, unsigned digits); /* as "%.*f", digits up to 2 */
void buf_hex(struct buf *b, const void *p, size_t n);    /* lower case */
/* printf into the buffer; a fixed one needs one spare byte. */
[[gnu::format(printf, 2, 3)]] void buf_fmt(struct buf *b, const char *fmt, ...);
void buf_vfmt(struct buf *b, const char *fmt, va_list ap);
void buf_drop(struct buf *b, size_t n);   /* removes the first n bytes */
struct str buf_view(const struct buf *b); /* borrowed until the next change */
char *buf_cstr(struct buf *b);            /* adds a NUL (not counted); NULL after an error */
/* Makes what stands from `from` on safe for a terminal: control characters (also C1 and those that
 * turn the direction of writing) and what is not UTF-8 become '?'. keep_lines: but line ends and
 * tabs stay. */
void buf_mask(struct buf *b, size_t from, bool keep_lines);
/* Appends s, masked, as part of a line: for whatever came from outside. */
void buf_plain(struct buf *b, struct str s);
/* Well-formed UTF-8 all through, without surrogates and overlong forms. */
bool str_is_utf8(struct str s);
/* Appends s as a JSON string with quotes; invalid UTF-8 becomes U+FFFD. */
void buf_json(struct buf *b, struct str s);
