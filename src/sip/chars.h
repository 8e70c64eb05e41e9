#pragma once
/* Character classes of the grammar, one byte per character. [RFC3261 25.1] */

#include "base/str.h"

enum {
	CC_ALPHA = 1,
	CC_DIGIT = 2,
	CC_TOKEN = 4,  /* token */
	CC_WORD = 8,   /* word, as in Call-ID */
	CC_WS = 16,    /* SP HTAB CR LF: what LWS is made of */
	CC_USER = 32,  /* user: unreserved and user-unreserved */
	CC_PARAM = 64, /* paramchar: unreserved and param-unreserved */
	CC_URI = 128, /* whatever may stand in a URI as phones write them: visible, or beyond ASCII,
			 but none of < > " which end one */
};

extern const uint8_t sip_cc[256];

static inline bool cc_is(char c, unsigned classes)
{
	return sip_cc[(unsigned char)c] & classes;
}

/* First position in [p, end) whose class is none of these, or end. */
static inline const char *cc_span(const char *p, const char *end, unsigned classes)
{
	while (p < end && cc_is(*p, classes))
		p++;
	return p;
}

static inline const char *cc_skip_ws(const char *p, const char *end)
{
	return cc_span(p, end, CC_WS);
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
	return s.n && cc_span(s.p, s.p + s.n, classes) == s.p + s.n;
}

static inline int cc_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* p stands on the opening quote: the position of the closing one, or end when there is none.
 * [RFC3261 25.1 quoted-string] */
static inline const char *cc_quote_end(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < end)
			p++;
	return p;
}
