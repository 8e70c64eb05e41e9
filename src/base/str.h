#pragma once
/* Byte strings by value: a borrowed pointer and a length. Never NUL-terminated by contract; p may
 * be NULL when n is 0. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){("" lit), sizeof(lit) - 1})
#define STR_INIT(lit)                                                                              \
	{                                                                                          \
		("" lit), sizeof(lit) - 1                                                          \
	}
#define STR_NONE   ((struct str){NULL, 0})
#define STR_FMT    "%.*s"
#define STR_ARG(s) (int)(s).n, (s).n ? (s).p : ""

static inline struct str str_of(const char *p, size_t n)
{
	return (struct str){p, n};
}

/* What every message asks a hundred times costs no call. */
static inline bool str_eq(struct str a, struct str b) /* byte for byte */
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline struct str str_skip(struct str s, size_t n) /* without its first n bytes (clamped) */
{
	if (n > s.n)
		n = s.n;
	return n ? str_of(s.p + n, s.n - n) : s;
}
static inline struct str str_sub(struct str s, size_t off, size_t n) /* clamped to s */
{
	s = str_skip(s, off);
	return str_of(s.p, n < s.n ? n : s.n);
}

struct str str_c(const char *c);          /* of a C string; NULL gives STR_NONE */
bool str_ieq(struct str a, struct str b); /* ASCII letters without case */
int str_cmp(struct str a, struct str b);  /* memcmp order, shorter first */
bool str_starts(struct str s, struct str prefix);
bool str_istarts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
size_t str_find(struct str s, struct str needle);  /* offset, or SIZE_MAX */
size_t str_ifind(struct str s, struct str needle); /* the same without ASCII case */
size_t str_chr(struct str s, char c);              /* offset of the first c, or SIZE_MAX */
struct str str_trim(struct str s);                 /* without SP HTAB CR LF at both ends */

/* Cuts `s` at the first `sep`: returns the part before it and leaves the part after it in *rest
 * (empty when there was none). Iteration: while (rest.n) item = str_cut(rest, ',', &rest). `rest`
 * may alias &s. */
struct str str_cut(struct str s, char sep, struct str *rest);

/* Decimal digits only, all of s, no sign, no overflow; false leaves *out alone. */
bool str_u32(struct str s, uint32_t *out);
bool str_u64(struct str s, uint64_t *out);

/* Copies at most cap-1 bytes and a NUL; returns false when it was cut. */
bool str_copy(char *dst, size_t cap, struct str s);

/* Edit distance, two neighbours exchanged being one edit (Damerau), for "did you mean"; strings
 * over 64 bytes count as unrelated (returns 64). */
unsigned str_distance(struct str a, struct str b);
/* The candidate nearest to s, or STR_NONE when none is near enough to be worth a suggestion. */
struct str str_nearest(struct str s, const struct str *cands, size_t n);
