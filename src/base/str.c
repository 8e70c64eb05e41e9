/* Byte strings by value.
 *
 * A `struct str` borrows; nothing here allocates. Searching leans on memchr and memmem, which libc
 * has in vector form: on the header lines of a SIP message (20 to 200 bytes) they beat any loop of
 * ours from about 16 bytes on.
 *
 * Invariants:
 * 1. s.p may be NULL only when s.n is 0; so every call into libc is guarded where libc's functions
 *    are declared nonnull.
 * 2. Case folding is ASCII only, whatever the locale: protocol tokens are ASCII, and 'I' must not
 *    become something else in a Turkish locale.
 * 3. Offsets "not found" are SIZE_MAX, so that `str_sub(s, 0, str_chr(s, c))` means "up to c or
 *    all".
 */

#include "base/str.h"

#include <string.h>

#define DISTANCE_MAX 64 /* longer strings are nobody's misspelt keyword */

struct str str_c(const char *c)
{
	return c ? str_of(c, strlen(c)) : STR_NONE;
}

static inline unsigned char lower(char c)
{
	unsigned char u = (unsigned char)c;
	return (unsigned)(u - 'A') < 26 ? u | 0x20 : u;
}

/* Eight bytes at once: bit 5 is set in each byte that is an ASCII capital. */
static inline uint64_t lower8(const char *p)
{
	const uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
	uint64_t w;
	memcpy(&w, p, 8);
	uint64_t low7 = w & ~high;
	uint64_t ge_a = low7 + (0x80 - 'A') * ones;
	uint64_t gt_z = low7 + (0x7f - 'Z') * ones;
	return w | ((ge_a ^ gt_z) & ~w & high) >> 2;
}

static bool ieq_bytes(const char *a, const char *b, size_t n)
{
	for (; n >= 8; n -= 8, a += 8, b += 8) {
		if (lower8(a) != lower8(b))
			return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (lower(a[i]) != lower(b[i]))
			return false;
	}
	return true;
}

bool str_ieq(struct str a, struct str b)
{
	return str_eq(a, b) || (a.n == b.n && ieq_bytes(a.p, b.p, a.n)); /* mostly written alike */
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_of(s.p, prefix.n), prefix);
}

bool str_istarts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && ieq_bytes(s.p, prefix.p, prefix.n);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

size_t str_find(struct str s, struct str needle)
{
	if (needle.n == 0)
		return 0;
	if (s.n < needle.n)
		return SIZE_MAX;
	const char *hit = memmem(s.p, s.n, needle.p, needle.n);
	return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

size_t str_ifind(struct str s, struct str needle)
{
	if (needle.n == 0)
		return 0;
	if (s.n < needle.n)
		return SIZE_MAX;
	unsigned char first = lower(needle.p[0]);
	for (size_t i = 0; i <= s.n - needle.n; i++) {
		if (lower(s.p[i]) == first && ieq_bytes(s.p + i, needle.p, needle.n))
			return i;
	}
	return SIZE_MAX;
}

size_t str_chr(struct str s, char c)
{
	const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
	return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

static inline bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.n && is_space(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str str_cut(struct str s, char sep, struct str *rest)
{
	size_t at = str_chr(s, sep);
	if (at == SIZE_MAX) {
		*rest = s.n ? str_of(s.p + s.n, 0) : STR_NONE;
		return s;
	}
	*rest = str_skip(s, at + 1);
	return str_of(s.p, at);
}

bool str_u64(struct str s, uint64_t *out)
{
	uint64_t v = 0;
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned char)s.p[i] - (unsigned)'0';
		if (d > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d, &v))
			return false;
	}
	*out = v;
	return true;
}

bool str_u32(struct str s, uint32_t *out)
{
	uint64_t v;
	if (!str_u64(s, &v) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

bool str_copy(char *dst, size_t cap, struct str s)
{
	if (cap == 0)
		return false;
	size_t n = s.n < cap - 1 ? s.n : cap - 1;
	if (n)
		memcpy(dst, s.p, n);
	dst[n] = '\0';
	return n == s.n;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned str_distance(struct str a, struct str b)
{
	/* rows[i % 3][j]: distance of a's first i bytes to b's first j */
	unsigned rows[3][DISTANCE_MAX + 1];
	if (a.n > DISTANCE_MAX || b.n > DISTANCE_MAX)
		return DISTANCE_MAX;
	for (unsigned j = 0; j <= b.n; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *row = rows[i % 3], *up = rows[(i - 1) % 3], *up2 = rows[(i + 1) % 3];
		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned change = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);
			row[j] = least(change, least(up[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				row[j] = least(row[j], up2[j - 2] + 1);
		}
	}
	return rows[a.n % 3][b.n];
}

struct str str_nearest(struct str s, const struct str *cands, size_t n)
{
	/* A third of the letters may be wrong, at least one, so that "aor" finds "aors" but not
	 * "cert". */
	unsigned best = (unsigned)(s.n / 3 > 1 ? s.n / 3 : 1) + 1;
	struct str hit = STR_NONE;
	for (size_t i = 0; i < n; i++) {
		unsigned d = str_distance(s, cands[i]);
		if (d < best) {
			best = d;
			hit = cands[i];
		}
	}
	return hit;
}
