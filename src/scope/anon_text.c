/* Runs of text: what is an address, what is a word, what stands between.
 *
 * Addresses are known by their shape, wherever they stand. An IPv6 address is looked for where a
 * run of hexadecimal digits and colons has at least two colons.
 */
#include "scope/anon_priv.h"

#include <string.h>

#define MAX_SHORT 6 /* digits: clock rates, bit rates */

static bool is_word_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (uint8_t)c >= 0x80;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_number(struct str w)
{
	for (size_t i = 0; i < w.n; i++)
		if (w.p[i] < '0' || w.p[i] > '9')
			return false;
	return w.n > 0;
}

/* Length of the run of bytes at `at` that an address of that family may be made of. */
static size_t run_of(struct str s, size_t at, bool is_v6)
{
	size_t end = at;
	while (end < s.n && (is_v6 ? is_hex(s.p[end]) || s.p[end] == ':' || s.p[end] == '.'
				   : (s.p[end] >= '0' && s.p[end] <= '9') || s.p[end] == '.'))
		end++;
	return end - at;
}

static unsigned count(struct str s, char c)
{
	unsigned n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

/* Whether an address begins at `at`; then its length. */
static size_t address_at(struct str s, size_t at, struct addr *x)
{
	if (at && (is_word_byte(s.p[at - 1]) || s.p[at - 1] == '.'))
		return 0;
	size_t n = run_of(s, at, false);
	while (n && s.p[at + n - 1] == '.') /* the end of a sentence */
		n--;
	struct str t = str_sub(s, at, n);
	bool ends = at + n == s.n || !is_word_byte(s.p[at + n]);
	if (ends && count(t, '.') == 3 && addr_parse(t, 0, x))
		return n;
	n = run_of(s, at, true);
	t = str_sub(s, at, n);
	ends = at + n == s.n || !is_word_byte(s.p[at + n]);
	return ends && count(t, ':') >= 2 && addr_parse(t, 0, x) ? n : 0;
}

static size_t put_address(struct anon *a, struct buf *out, const struct addr *x, size_t n)
{
	struct addr to = anon_addr(a, x);
	addr_put_ip(out, &to);
	return n;
}

static size_t put_word(struct anon *a, struct buf *out, struct str s, enum anon_mode mode)
{
	size_t n = 0;
	bool is_ascii = true;
	for (; n < s.n && is_word_byte(s.p[n]); n++)
		is_ascii = is_ascii && (uint8_t)s.p[n] < 0x80;
	if (!is_ascii) { /* letters of the world */
		for (n = 0; n < s.n && is_word_byte(s.p[n]); n++)
			buf_chr(out, 'x');
		return n;
	}
	struct str w = str_sub(s, 0, n), magic = STR("z9hG4bK");
	bool is_kept =
		is_number(w) && (mode == ANON_WORDS || (mode == ANON_SHORT && w.n <= MAX_SHORT));
	if (is_kept || (mode != ANON_MASK && anon_is_known(a, w))) {
		buf_str(out, w);
	} else if (str_starts(w, magic)) { /* what a branch is known by [RFC3261 8.1.1.7] */
		buf_str(out, magic);
		if (w.n > magic.n)
			anon_word(a, out, str_skip(w, magic.n));
	} else {
		anon_word(a, out, w);
	}
	return n;
}

void anon_text(struct anon *a, struct buf *out, struct str s, enum anon_mode mode)
{
	struct addr x;
	for (size_t at = 0; at < s.n;) {
		char c = s.p[at];
		size_t n = is_hex(c) || c == ':' ? address_at(s, at, &x) : 0;
		if (n) {
			at += put_address(a, out, &x, n);
		} else if (c == '%' && at + 2 < s.n && is_hex(s.p[at + 1]) && is_hex(s.p[at + 2])) {
			/* an escape could spell a letter */
			bool is_sign =
				s.p[at + 1] == '2' || (s.p[at + 1] == '3' && s.p[at + 2] > '9');
			buf_str(out, is_sign ? str_sub(s, at, 3) : STR("%5F"));
			at += 3;
		} else if (is_word_byte(c)) {
			at += put_word(a, out, str_skip(s, at), mode);
		} else {
			buf_chr(out,
				(uint8_t)c >= ' ' || c == '\r' || c == '\n' || c == '\t' ? c : '.');
			at++;
		}
	}
}
