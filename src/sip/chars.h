#pragma once
/* Character classes of the grammar, one byte per character. [RFC3261 25.1] */

#include "base/str.h"

#include <string.h>

enum {
	CC_ALPHA = 1,
	CC_DIGIT = 2,
	CC_TOKEN = 4, /* token */
	CC_PLAIN = 8, /* a parameter's value up to its end: all but white space ; , " */
	CC_WS = 16,   /* SP HTAB CR LF: what LWS is made of */
	CC_USER = 32, /* user: unreserved and user-unreserved */
	CC_HOST =
		64, /* host names and IPv4 addresses; '_' is not in the grammar but in the world */
	CC_URI = 128, /* whatever may stand in a URI as phones write them: visible, or beyond ASCII,
			 but none of < > " which end one */
};

extern const uint8_t sip_cc[256];

static inline bool cc_is(char c, unsigned classes)
{
	return sip_cc[(unsigned char)c] & classes;
}

/* Behind the last byte; NULL for an empty string without a pointer, which must not be added to. */
static inline const char *cc_end(struct str s)
{
	return s.n ? s.p + s.n : s.p;
}

/* First position in [p, end) whose class is none of these, or end. */
static inline const char *cc_span(const char *p, const char *end, unsigned classes)
{
	for (; end - p >= 4; p += 4) {
		if (!cc_is(p[0], classes))
			return p;
		if (!cc_is(p[1], classes))
			return p + 1;
		if (!cc_is(p[2], classes))
			return p + 2;
		if (!cc_is(p[3], classes))
			return p + 3;
	}
	while (p < end && cc_is(*p, classes))
		p++;
	return p;
}

static inline const char *cc_skip_ws(const char *p, const char *end)
{
	while (p < end && cc_is(*p, CC_WS))
		p++;
	return p;
}

/* `end` moved back over white space, not before p. */
static inline const char *cc_trim_end(const char *p, const char *end)
{
	while (end > p && cc_is(end[-1], CC_WS))
		end--;
	return end;
}

static inline bool cc_all(struct str s, unsigned classes)
{
	return s.n && cc_span(s.p, cc_end(s), classes) == cc_end(s);
}

/* s is that word in any case; fast when it is written like the literal, as nearly always. A macro
 * because the comparison wants the literal's length at compile time. */
#define CC_IS_WORD(s, lit)                                                                         \
	((s).n == sizeof(lit) - 1 &&                                                               \
	 (memcmp((s).p, lit, sizeof(lit) - 1) == 0 || str_ieq(s, STR(lit))))

/* memset as a call: for sizes known to it the compiler would write "rep stos", whose start alone
 * costs more than the whole of memset. */
void cc_fill(void *p, int byte, size_t n);

static inline int cc_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* p stands on the opening quote: the position of the closing one, or end when there is none.
 * [RFC3261 25.1] */
static inline const char *cc_quote_end(const char *p, const char *end)
{
	const char *q = memchr(p + 1, '"', (size_t)(end - p - 1));
	if (q && q[-1] != '\\')
		return q;
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < end)
			p++;
	return p;
}
