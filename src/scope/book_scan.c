/* Text in a file: its blocks are searched as they are, with no regard to what they hold, and the
 * places are told apart afterwards by the offsets of the messages. That is several times faster
 * than going from message to message, since most texts stand nowhere near most of them.
 *
 * A text is found by its first and its last byte, sixteen places at a time; only where both are
 * right is it compared.
 *
 * Invariant: blocks overlap by one byte less than the text, so that no place is missed.
 */
#include "scope/book_scan.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BLOCK (256u << 10)

struct places { /* goes along the rows while offsets rise */
	const struct trk *t;
	uint32_t row, n;
	bool is_of_frame;
	uint64_t *rows;
};

static const struct trk_ev *in_file(const struct places *x)
{
	const struct trk_ev *e = trk_ev(x->t, x->row + 1);
	return e->file_off && !(e->file_off & TRK_SPOOLED) ? e : NULL;
}

static void on_place(struct places *x, uint64_t off, size_t n)
{
	for (; x->row < x->n; x->row++) {
		const struct trk_ev *e = in_file(x);
		if (!e || e->file_off + e->n_bytes <= off)
			continue;
		if (x->is_of_frame || (off >= e->file_off && off + n <= e->file_off + e->n_bytes))
			x->rows[x->row / 64] |= 1ull << x->row % 64;
		return;
	}
}

static bool is_same(char a, char b, bool is_caseless)
{
	char low = (char)(b | 0x20);
	bool is_letter = is_caseless && low >= 'a' && low <= 'z';
	return is_letter ? (char)(a | 0x20) == low : a == b;
}

static bool is_there(const char *p, struct str text, bool is_caseless)
{
	if (!is_caseless)
		return memcmp(p, text.p, text.n) == 0;
	for (size_t i = 0; i < text.n; i++)
		if (!is_same(p[i], text.p[i], true))
			return false;
	return true;
}

#if defined(__SSE2__)
#define PLACES 32 /* looked at at once */

struct ends { /* the first and the last byte of a text, sixteen times; mask: 0x20 where any case
		 will do */
	__m128i first, last, first_mask, last_mask;
};

static struct ends ends_of(struct str text, bool is_caseless)
{
	char a = text.p[0], b = text.p[text.n - 1];
	bool folds_a = is_same(a ^ 0x20, a, is_caseless),
	     folds_b = is_same(b ^ 0x20, b, is_caseless);
	return (struct ends){_mm_set1_epi8(folds_a ? (char)(a | 0x20) : a),
			     _mm_set1_epi8(folds_b ? (char)(b | 0x20) : b),
			     _mm_set1_epi8(folds_a ? 0x20 : 0), _mm_set1_epi8(folds_b ? 0x20 : 0)};
}

static inline uint32_t hits16(const struct ends *e, const char *p, size_t to_last)
{
	__m128i a = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + to_last));
	a = _mm_cmpeq_epi8(e->first, _mm_or_si128(a, e->first_mask));
	b = _mm_cmpeq_epi8(e->last, _mm_or_si128(b, e->last_mask));
	return (uint32_t)_mm_movemask_epi8(_mm_and_si128(a, b));
}

/* Of PLACES places from p on, a bit each, those where both ends are right. */
static inline uint32_t hits(const struct ends *e, const char *p, size_t to_last)
{
	return hits16(e, p, to_last) | hits16(e, p + 16, to_last) << 16;
}

/* The first of them where the whole text is. */
[[gnu::noinline]] static const char *among(uint32_t bits, const char *p, struct str text,
					   bool is_caseless)
{
	for (; bits; bits &= bits - 1) {
		const char *at = p + __builtin_ctz(bits);
		if (is_there(at, text, is_caseless))
			return at;
	}
	return NULL;
}
#endif

const char *book_text_find(const char *p, const char *end, struct str text, bool is_caseless)
{
	if ((size_t)(end - p) < text.n)
		return NULL;
	const char *last = end - text.n; /* the last place there may be */
	const char *at = NULL;
#if defined(__SSE2__)
	if (last - p >= PLACES - 1) {
		const struct ends e = ends_of(text, is_caseless);
		uint32_t bits;
		for (; last - p >= PLACES - 1 && !at; p += PLACES)
			if ((bits = hits(&e, p, text.n - 1)))
				at = among(bits, p, text, is_caseless);
		if (at || p > last)
			return at;
		p = last - (PLACES - 1); /* the rest, after places that were looked at before */
		return among(hits(&e, p, text.n - 1), p, text, is_caseless);
	}
#endif
	for (; p <= last && !at; p++)
		at = is_there(p, text, is_caseless) ? p : NULL;
	return at;
}

#if defined(__SSE2__)
struct begin { /* of a line: the first byte of a name, with 0x20 as mask where any case will do */
	__m128i first, mask;
};

/* Of 16 places from p on those with a line feed before that byte, or before a CR. */
static inline uint32_t lines16(const struct begin *e, const char *p)
{
	__m128i a = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
	__m128i begins = _mm_or_si128(_mm_cmpeq_epi8(_mm_or_si128(b, e->mask), e->first),
				      _mm_cmpeq_epi8(b, _mm_set1_epi8('\r')));
	a = _mm_and_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8('\n')), begins);
	return (uint32_t)_mm_movemask_epi8(a);
}
#endif

/* Two lines that may interest begin so: that of the name, and the empty one behind the header. One
 * pass looks for both, and what is behind the header is not looked at. */
const char *book_line_find(const char *p, const char *end, struct str name)
{
#if defined(__SSE2__)
	bool is_letter = is_same(name.p[1] ^ 0x20, name.p[1], true);
	const struct begin e = {_mm_set1_epi8(is_letter ? (char)(name.p[1] | 0x20) : name.p[1]),
				_mm_set1_epi8(is_letter ? 0x20 : 0)};
	for (; end - p > PLACES; p += PLACES) {
		uint32_t bits = lines16(&e, p) | lines16(&e, p + 16) << 16;
		for (; bits; bits &= bits - 1) {
			const char *at = p + __builtin_ctz(bits);
			if (at[1] == '\r')
				return NULL;
			if ((size_t)(end - at) >= name.n && is_there(at, name, true))
				return at;
		}
	}
#endif
	for (; end - p > 1; p++) {
		if (*p != '\n')
			continue;
		if (p[1] == '\r')
			return NULL;
		if ((size_t)(end - p) >= name.n && is_there(p, name, true))
			return p;
	}
	return NULL;
}

/* rows is written through x. NOLINTNEXTLINE(readability-non-const-parameter) */
enum err book_scan(struct book *b, struct str text, bool is_of_frame, uint32_t n, uint64_t *rows)
{
	struct places x = {.t = b->trk, .n = n, .is_of_frame = is_of_frame, .rows = rows};
	uint64_t at = 0, end = 0;
	for (uint32_t i = n; i-- > 0 && !end;) {
		x.row = i;
		const struct trk_ev *e = in_file(&x);
		end = e ? e->file_off + e->n_bytes : 0;
	}
	x.row = 0;
	size_t cap = BLOCK + text.n;
	char *block = malloc(cap);
	if (!block)
		return ERR_NOMEM;
	enum err err = OK;
	while (at < end && !err) {
		size_t size = end - at < cap ? (size_t)(end - at) : cap;
		err = cap_reread(b->cap, at, block, size);
		for (const char *p = block;
		     !err && (p = book_text_find(p, block + size, text, false)); p++)
			on_place(&x, at + (uint64_t)(p - block), text.n);
		if (size < cap)
			break;
		at += size - (text.n - 1);
	}
	free(block);
	return err;
}
