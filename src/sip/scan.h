#pragma once
/* The inner loop of the index: a vector scan for line ends, and header lines cut with it. Private
 * to this folder: sip_msg_index, sip_peek_call_id and the multipart walk share it, so that they
 * cannot disagree about what a header is. */

#include "sip/chars.h"
#include "sip/find.h"
#include "sip/msg.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include <string.h>

#define SCAN_BLOCK 64

/* Inlined whatever the compiler thinks of it: the state then lives in registers. */
#define SCAN_INLINE [[gnu::always_inline]] static inline

struct scan {
	const char *block, *end; /* [block, block + 64) is what the masks are about */
	const char *readable;    /* memory may be read up to here, at or behind end */
	uint64_t lf;             /* line feeds of the block not handed out yet */
	uint64_t odd;            /* control characters of the block that are not CRLF pairs */
	uint64_t carry;          /* 1: the block before ended with a control character, maybe CR */
	bool is_odd;             /* something odd in earlier blocks */
};

struct scan_masks {
	uint64_t lf;  /* LF */
	uint64_t low; /* any byte up to CR: NUL, HTAB, LF, CR and a few that never occur */
};

#if defined(__SSE2__)
static inline uint64_t scan_bits(__m128i a, __m128i b, __m128i c, __m128i d)
{
	uint64_t lo = (uint32_t)_mm_movemask_epi8(a) | (uint32_t)_mm_movemask_epi8(b) << 16;
	uint64_t hi = (uint32_t)_mm_movemask_epi8(c) | (uint32_t)_mm_movemask_epi8(d) << 16;
	return lo | hi << 32;
}

static inline struct scan_masks scan_masks(const char *p)
{
	const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');
	__m128i a = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + 16));
	__m128i c = _mm_loadu_si128((const __m128i *)(const void *)(p + 32));
	__m128i d = _mm_loadu_si128((const __m128i *)(const void *)(p + 48));
	return (struct scan_masks){
		.lf = scan_bits(_mm_cmpeq_epi8(a, lf), _mm_cmpeq_epi8(b, lf), _mm_cmpeq_epi8(c, lf),
				_mm_cmpeq_epi8(d, lf)),
		.low = scan_bits(_mm_cmpeq_epi8(_mm_min_epu8(a, cr), a),
				 _mm_cmpeq_epi8(_mm_min_epu8(b, cr), b),
				 _mm_cmpeq_epi8(_mm_min_epu8(c, cr), c),
				 _mm_cmpeq_epi8(_mm_min_epu8(d, cr), d)),
	};
}
#else
#define SCAN_HIGH 0x8080808080808080ull

/* The top bits of the bytes of w as eight bits. */
static inline uint64_t scan_bits8(uint64_t w)
{
	return (((w & SCAN_HIGH) >> 7) * 0x0102040810204080ull) >> 56;
}

static inline struct scan_masks scan_masks(const char *p)
{
	struct scan_masks m = {0, 0};
	for (unsigned i = 0; i < 8; i++) {
		uint64_t w, x;
		memcpy(&w, p + 8 * i, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		w = __builtin_bswap64(w);
#endif
		x = w ^ 0x0101010101010101ull * '\n';
		/* no carry leaves its byte, since the top bits are taken out first */
		m.lf |= scan_bits8(~(((x & ~SCAN_HIGH) + ~SCAN_HIGH) | x)) << (8 * i);
		m.low |= scan_bits8(
				 ~(((w & ~SCAN_HIGH) + 0x0101010101010101ull * (0x7f - '\r')) | w))
			 << (8 * i);
	}
	return m;
}
#endif

/* In a decent message LF and the CR before it are the only control characters: anything else is
 * noted as odd, and looked at closely afterwards. */
SCAN_INLINE void scan_load(struct scan *s)
{
	char copy[SCAN_BLOCK];
	const char *p = s->block;
	size_t left = (size_t)(s->end - p);
	if (__builtin_expect(s->readable - p < SCAN_BLOCK, 0)) {
		memcpy(copy, p, left);
		p = copy;
	}
	struct scan_masks m = scan_masks(p);
	if (left < SCAN_BLOCK) { /* whatever is behind the end does not count */
		m.lf &= (1ull << left) - 1;
		m.low &= (1ull << left) - 1;
	}
	const uint64_t top = 1ull << 63;
	s->lf = m.lf;
	s->odd = ((m.low ^ (m.lf | m.lf >> 1)) & ~top) | (s->carry ^ (m.lf & 1));
	s->carry = (m.low & ~m.lf) >> 63;
}

static inline void scan_init(struct scan *s, const char *p, const char *end, const char *readable)
{
	*s = (struct scan){.block = p, .end = end, .readable = readable};
	scan_load(s);
}

/* The next line feed, or NULL when there is none. */
SCAN_INLINE const char *scan_lf(struct scan *s)
{
	while (!s->lf) {
		if (s->end - s->block <= SCAN_BLOCK)
			return NULL;
		s->is_odd |= s->odd != 0;
		s->block += SCAN_BLOCK;
		scan_load(s);
	}
	const char *p = s->block + __builtin_ctzll(s->lf);
	s->lf &= s->lf - 1;
	return p;
}

/* False when every line before p ends with CRLF and holds no NUL, HTAB or lone CR. p must be in or
 * right after the current block. */
static inline bool scan_is_odd(const struct scan *s, const char *p)
{
	size_t n = (size_t)(p - s->block);
	uint64_t before = n >= 64 ? ~0ull : (1ull << n) - 1;
	return s->is_odd || (s->odd & before);
}

SCAN_INLINE const char *scan_colon(const char *p, const char *lf, const char *end)
{
#if defined(__SSE2__)
	const __m128i colon = _mm_set1_epi8(':');
	while (p < lf && end - p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		unsigned hits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, colon));
		if (hits) {
			p += __builtin_ctz(hits);
			return p < lf ? p : NULL;
		}
		p += 16;
	}
#endif
	return p < lf ? memchr(p, ':', (size_t)(lf - p)) : NULL;
}

enum scan_kind {
	SCAN_HEADER,
	SCAN_JUNK,  /* a line that is no header: name is empty, value the whole line */
	SCAN_BLANK, /* the empty line after the last header */
	SCAN_END,   /* no line feed any more: value is what is left (maybe nothing) */
};

struct scan_line {
	struct str name, value; /* value trimmed */
	enum sip_hdr_id id;
	bool is_folded;
	bool is_cut;      /* the bytes end before the line does */
	const char *next; /* where the next line begins */
};

/* Cuts [p, eol) at its colon. */
SCAN_INLINE enum scan_kind scan_split(struct scan_line *l, const char *p, const char *eol,
				      const char *end)
{
	const char *colon = scan_colon(p, eol, end);
	if (!colon) {
		l->value = str_of(p, (size_t)(cc_trim_end(p, eol) - p));
		return SCAN_JUNK;
	}
	const char *name_end = colon, *v = colon + 1;
	while (name_end > p && __builtin_expect(name_end[-1] == ' ' || name_end[-1] == '\t', 0))
		name_end--;
	l->name = str_of(p, (size_t)(name_end - p));
	l->id = sip_hdr_find_inline(l->name);
	if (__builtin_expect(eol - v > 2 && *v == ' ' && eol[-1] == '\r' && !cc_is(v[1], CC_WS) &&
				     !cc_is(eol[-2], CC_WS),
			     1)) { /* as nearly always */
		v++;
		eol--;
	} else {
		v = cc_skip_ws(v, eol);
		eol = cc_trim_end(v, eol);
	}
	l->value = str_of(v, (size_t)(eol - v));
	return SCAN_HEADER;
}

/* Cuts the line that begins at p. */
SCAN_INLINE enum scan_kind scan_line(struct scan *s, const char *p, struct scan_line *l)
{
	const char *lf = scan_lf(s);
	l->is_folded = l->is_cut = false;
	if (!lf) {
		l->is_cut = true;
		l->next = lf = s->end;
		return p == lf ? SCAN_END : scan_split(l, p, lf, lf);
	}
	/* here and in the next the first comparison is for speed: it settles nearly all lines */
	if (__builtin_expect(*p <= '\r', 0) && lf - p < 2 && (lf == p || *p == '\r')) {
		l->next = lf + 1;
		return SCAN_BLANK;
	}
	while (lf + 1 < s->end && lf[1] <= ' ' && (lf[1] == ' ' || lf[1] == '\t')) {
		l->is_folded = true;
		lf = scan_lf(s);
		if (!lf) {
			l->is_cut = true;
			l->next = lf = s->end;
			return scan_split(l, p, lf, lf);
		}
	}
	l->next = lf + 1;
	return scan_split(l, p, lf, s->end);
}
