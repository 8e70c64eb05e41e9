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

/* The next place in [p, end), or NULL. */
static const char *find(const char *p, const char *end, struct str text)
{
	if ((size_t)(end - p) < text.n)
		return NULL;
	const char *last = end - text.n; /* the last place there may be */
#if defined(__SSE2__)
	const __m128i a = _mm_set1_epi8(text.p[0]), b = _mm_set1_epi8(text.p[text.n - 1]);
	for (; last - p >= 32; p += 32) {
		const char *q = p + text.n - 1;
		__m128i x = _mm_and_si128(
			_mm_cmpeq_epi8(a, _mm_loadu_si128((const __m128i *)(const void *)p)),
			_mm_cmpeq_epi8(b, _mm_loadu_si128((const __m128i *)(const void *)q)));
		__m128i y = _mm_and_si128(
			_mm_cmpeq_epi8(a, _mm_loadu_si128((const __m128i *)(const void *)(p + 16))),
			_mm_cmpeq_epi8(b,
				       _mm_loadu_si128((const __m128i *)(const void *)(q + 16))));
		uint32_t hits = (uint32_t)_mm_movemask_epi8(x) | (uint32_t)_mm_movemask_epi8(y)
									 << 16;
		for (; hits; hits &= hits - 1) {
			const char *at = p + __builtin_ctz(hits);
			if (memcmp(at, text.p, text.n) == 0)
				return at;
		}
	}
#endif
	return memmem(p, (size_t)(end - p), text.p, text.n);
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
		for (const char *p = block; !err && (p = find(p, block + size, text)); p++)
			on_place(&x, at + (uint64_t)(p - block), text.n);
		if (size < cap)
			break;
		at += size - (text.n - 1);
	}
	free(block);
	return err;
}
