/* Byte buffers with a sticky error.
 *
 * Composing text is straight-line code here: append, append, append, then one look at `err`. The
 * first failure is kept and everything after it is ignored, so a half-written text is never taken
 * for a whole one as long as the caller looks.
 *
 * Invariants:
 * 1. n <= cap; bytes n..cap are undefined.
 * 2. Once err is not OK, n and the bytes do not change any more (until buf_clear).
 * 3. A fixed buffer never allocates, moves or frees.
 *
 * Growth is by doubling from 64 bytes; a text of typical size costs three to five reallocations
 * once, and none when the buffer is kept and cleared.
 */

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 64

void buf_init(struct buf *b)
{
	*b = (struct buf){0};
}

void buf_init_fixed(struct buf *b, void *mem, size_t cap)
{
	*b = (struct buf){.p = mem, .cap = cap, .is_fixed = true};
}

void buf_fini(struct buf *b)
{
	if (!b->is_fixed)
		free(b->p);
	*b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->err = OK;
}

enum err buf_reserve(struct buf *b, size_t more)
{
	if (b->err)
		return b->err;
	if (more <= b->cap - b->n)
		return OK;
	if (b->is_fixed || more > SIZE_MAX / 4 - b->n)
		return b->err = ERR_LIMIT;
	size_t cap = b->cap ? b->cap : BUF_FIRST;
	while (cap < b->n + more)
		cap *= 2;
	char *p = realloc(b->p, cap);
	if (!p)
		return b->err = ERR_NOMEM;
	b->p = p;
	b->cap = cap;
	return OK;
}

void buf_put_more(struct buf *b, const void *p, size_t n)
{
	if (n == 0 || buf_reserve(b, n) != OK)
		return;
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void buf_fill(struct buf *b, char c, size_t times)
{
	if (times == 0 || buf_reserve(b, times) != OK)
		return;
	memset(b->p + b->n, c, times);
	b->n += times;
}

void buf_u64(struct buf *b, uint64_t v)
{
	char text[20];
	size_t at = sizeof(text);
	if (v < 10) {
		buf_chr(b, (char)('0' + v));
		return;
	}
	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf_put(b, text + at, sizeof(text) - at);
}

/* A double is a whole number over a power of two, so what is rounded off is known to the bit. */
void buf_real(struct buf *b, double v, unsigned digits)
{
	static const unsigned tens[] = {1, 10, 100};
	enum { FRACTION = 52, BIAS = 1'023, SHIFT_MAX = 63 };
	uint64_t bits;
	memcpy(&bits, &v, sizeof bits);
	unsigned shift = BIAS + FRACTION - (unsigned)(bits >> FRACTION); /* huge when negative */
	if (digits >= sizeof tens / sizeof tens[0] || shift - 1 >= BIAS + FRACTION) {
		buf_fmt(b, "%.*f", (int)digits, v);
		return;
	}
	uint64_t q = 0; /* in units of the last digit */
	if (shift <= SHIFT_MAX) {
		uint64_t whole = UINT64_C(1) << FRACTION, half = UINT64_C(1) << (shift - 1);
		uint64_t x = (whole | (bits & (whole - 1))) * tens[digits];
		uint64_t rest = x & (2 * half - 1);
		q = x >> shift;
		q += rest > half || (rest == half && q % 2);
	}
	buf_u64(b, q / tens[digits]);
	if (digits)
		buf_chr(b, '.');
	for (unsigned i = digits; i-- > 0;)
		buf_chr(b, (char)('0' + q / tens[i] % 10));
}

void buf_hex(struct buf *b, const void *p, size_t n)
{
	static const char digit[] = "0123456789abcdef";
	const unsigned char *in = p;
	if (n == 0)
		return;
	if (n > SIZE_MAX / 8) {
		if (b->err == OK)
			b->err = ERR_LIMIT;
		return;
	}
	if (buf_reserve(b, 2 * n) != OK)
		return;
	char *out = b->p + b->n;
	for (size_t i = 0; i < n; i++) {
		*out++ = digit[in[i] >> 4];
		*out++ = digit[in[i] & 15];
	}
	b->n += 2 * n;
}

/* The conversions that messages are made of, for which vsnprintf is the long way round. False: the
 * format has another one, and what was appended does not count. */
static bool put_plain_fmt(struct buf *b, const char *fmt, va_list ap)
{
	for (const char *p; *(p = strchrnul(fmt, '%')); fmt = p + 2) {
		buf_put(b, fmt, (size_t)(p - fmt));
		if (p[1] == 's') {
			const char *text = va_arg(ap, const char *);
			if (!text)
				return false;
			buf_put(b, text, strlen(text));
		} else if (p[1] == '.' && p[2] == '*' && p[3] == 's') {
			int n = va_arg(ap, int);
			const char *text = va_arg(ap, const char *);
			if (n < 0)
				return false;
			buf_put(b, text, strnlen(text, (size_t)n));
			p += 2;
		} else if (p[1] == 'u') {
			buf_u64(b, va_arg(ap, unsigned));
		} else {
			return false;
		}
	}
	buf_put(b, fmt, strlen(fmt));
	return true;
}

void buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
	if (b->err)
		return;
	size_t before = b->n;
	va_list again;
	va_copy(again, ap);
	bool is_plain = put_plain_fmt(b, fmt, again);
	va_end(again);
	if (is_plain && buf_reserve(b, 1) == OK) /* as if there were a NUL */
		return;
	b->n = before;
	if (b->err)
		return;
	va_copy(again, ap);
	size_t room = b->cap - b->n;
	int n = vsnprintf(room ? b->p + b->n : NULL, room, fmt, ap);
	if (n < 0) {
		b->err = ERR_LIMIT;
	} else if ((size_t)n < room) {
		b->n += (size_t)n;
	} else if (buf_reserve(b, (size_t)n + 1) == OK) {
		vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(b, fmt, ap);
	va_end(ap);
}

void buf_drop(struct buf *b, size_t n)
{
	if (n > b->n)
		n = b->n;
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

void buf_plain(struct buf *b, struct str s)
{
	size_t from = b->n;
	buf_str(b, s);
	buf_mask(b, from, false);
}

struct str buf_view(const struct buf *b)
{
	return str_of(b->p, b->n);
}

char *buf_cstr(struct buf *b)
{
	if (buf_reserve(b, 1) != OK)
		return NULL;
	b->p[b->n] = '\0';
	return b->p;
}

/* Length of the well-formed UTF-8 sequence at p (1..4), or 0. Refuses overlong forms, surrogates
 * and what lies beyond U+10FFFF. [RFC3629 4] */
static size_t utf8_len(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char lo, hi, len, second_lo, second_hi;
	} rows[] = {
		{0x00, 0x7f, 1, 0,    0   },
                {0xc2, 0xdf, 2, 0x80, 0xbf},
		{0xe0, 0xe0, 3, 0xa0, 0xbf},
                {0xe1, 0xec, 3, 0x80, 0xbf},
		{0xed, 0xed, 3, 0x80, 0x9f},
                {0xee, 0xef, 3, 0x80, 0xbf},
		{0xf0, 0xf0, 4, 0x90, 0xbf},
                {0xf1, 0xf3, 4, 0x80, 0xbf},
		{0xf4, 0xf4, 4, 0x80, 0x8f},
	};
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		if (p[0] < rows[r].lo || p[0] > rows[r].hi)
			continue;
		if (n < rows[r].len)
			return 0;
		if (rows[r].len > 1 && (p[1] < rows[r].second_lo || p[1] > rows[r].second_hi))
			return 0;
		for (size_t i = 2; i < rows[r].len; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
		}
		return rows[r].len;
	}
	return 0;
}

bool str_is_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	for (size_t i = 0; i < s.n;) {
		uint64_t ahead[4]; /* of ASCII at once: SIP is hardly anything else */
		if (i + sizeof(ahead) <= s.n) {
			memcpy(ahead, p + i, sizeof(ahead));
			if (!((ahead[0] | ahead[1] | ahead[2] | ahead[3]) & 0x8080808080808080u)) {
				i += sizeof(ahead);
				continue;
			}
		}
		size_t n = p[i] < 0x80 ? 1 : utf8_len(p + i, s.n - i);
		if (!n)
			return false;
		i += n;
	}
	return true;
}

/* What moves a terminal or turns the direction of writing (so that a reader takes one text for
 * another): C0, DEL, C1 [ECMA-48], and the explicit directions [UAX 9]. */
static bool is_control(const unsigned char *p, size_t n)
{
	if (n == 1)
		return p[0] < ' ' || p[0] == 0x7f;
	if (n == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	return n == 3 && p[0] == 0xe2 &&
	       ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
		(p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

/* Eight bytes of ASCII, none of them a control character. */
static bool is_printable8(const unsigned char *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof w);
	return !((w | (w - 0x2020202020202020u) | (w + 0x0101010101010101u)) & 0x8080808080808080u);
}

void buf_mask(struct buf *b, size_t from, bool keep_lines)
{
	if (b->err)
		return;
	for (size_t i = from, n; i < b->n; i += n) {
		unsigned char *p = (unsigned char *)b->p + i;
		if (b->n - i >= 8 && is_printable8(p)) {
			n = 8;
			continue;
		}
		bool is_line =
			*p == '\n' || *p == '\t' || (*p == '\r' && i + 1 < b->n && p[1] == '\n');
		size_t whole = *p < 0x80 ? 1 : utf8_len(p, b->n - i);
		n = whole ? whole : 1;
		if (!whole || (is_control(p, n) && !(keep_lines && is_line)))
			memset(p, '?', n);
	}
}

static void json_escape(struct buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		buf_str(b, STR("\\\""));
		break;
	case '\\':
		buf_str(b, STR("\\\\"));
		break;
	case '\n':
		buf_str(b, STR("\\n"));
		break;
	case '\r':
		buf_str(b, STR("\\r"));
		break;
	case '\t':
		buf_str(b, STR("\\t"));
		break;
	default:
		buf_str(b, STR("\\u00"));
		buf_hex(b, &c, 1);
	}
}

void buf_json(struct buf *b, struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t plain = 0, i = 0; /* plain..i: bytes that go out as they are */
	buf_chr(b, '"');
	while (i < s.n) {
		unsigned char c = p[i];
		size_t len = c < 0x80 ? 1 : utf8_len(p + i, s.n - i);
		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && len) {
			i += len;
			continue;
		}
		buf_put(b, p + plain, i - plain);
		if (len == 0)
			buf_str(b, STR("\xef\xbf\xbd")); /* U+FFFD */
		else
			json_escape(b, c);
		plain = ++i;
	}
	if (plain < s.n)
		buf_put(b, p + plain, s.n - plain);
	buf_chr(b, '"');
}
