#pragma once
/* The inner loop of the index: a vector scan for line ends, and header lines cut with it. Private
 * to this folder: sip_msg_index, sip_peek_call_id and the multipart walk share it, so that they
 * cannot disagree about what a header is. */

#include "sip/chars.h"
#include "sip/msg.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include <string.h>

#define SCAN_BLOCK 64

struct scan {
	const char *block, *end; /* [block, block + 64) is what the masks are about */
	uint64_t lf;             /* line feeds of the block not handed out yet */
	uint64_t odd;            /* NULs, and bytes after a CR that are no LF, of the block */
	uint64_t carry;          /* 1: the block before ended with CR */
	bool is_odd;             /* such bytes in earlier blocks */
};

struct scan_masks {
	uint64_t lf, cr, nul;
};

#if defined(__SSE2__)
static inline struct scan_masks scan_masks(const char *p)
{
	const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r'), nul = _mm_setzero_si128();
	struct scan_masks m = {0, 0, 0};
	for (unsigned i = 0; i < 4; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
		m.lf |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, lf)) << (16 * i);
		m.cr |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, cr)) << (16 * i);
		m.nul |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, nul)) << (16 * i);
	}
	return m;
}
#else
/* One bit per byte of w that equals c. */
static inline uint64_t scan_eq8(uint64_t w, unsigned char c)
{
	const uint64_t low7 = 0x7f7f7f7f7f7f7f7full;
	uint64_t x = w ^ (0x0101010101010101ull * c);
	uint64_t zero = ~(((x & low7) + low7) | x | low7); /* 0x80 in each byte that was zero */
	return ((zero >> 7) * 0x0102040810204080ull) >> 56;
}

static inline struct scan_masks scan_masks(const char *p)
{
	struct scan_masks m = {0, 0, 0};
	for (unsigned i = 0; i < 8; i++) {
		uint64_t w;
		memcpy(&w, p + 8 * i, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		w = __builtin_bswap64(w);
#endif
		m.lf |= scan_eq8(w, '\n') << (8 * i);
		m.cr |= scan_eq8(w, '\r') << (8 * i);
		m.nul |= scan_eq8(w, 0) << (8 * i);
	}
	return m;
}
#endif

static inline void scan_load(struct scan *s)
{
	char copy[SCAN_BLOCK];
	const char *p = s->block;
	uint64_t valid = ~0ull;
	size_t left = (size_t)(s->end - p);
	if (left < SCAN_BLOCK) { /* never read past the end */
		memset(copy, ' ', sizeof(copy));
		memcpy(copy, p, left);
		p = copy;
		valid = (1ull << left) - 1;
	}
	struct scan_masks m = scan_masks(p);
	s->lf = m.lf;
	s->odd = (m.nul | (((m.cr << 1) | s->carry) & ~m.lf)) & valid;
	s->carry = m.cr >> 63;
}

static inline void scan_init(struct scan *s, const char *p, const char *end)
{
	*s = (struct scan){.block = p, .end = end};
	scan_load(s);
}

/* The next line feed, or NULL when there is none. */
static inline const char *scan_lf(struct scan *s)
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

/* True when a NUL or a CR without LF stands somewhere before p, which must be in or right after the
 * current block. */
static inline bool scan_is_odd(const struct scan *s, const char *p)
{
	size_t n = (size_t)(p - s->block);
	uint64_t before = n >= 64 ? ~0ull : (1ull << n) - 1;
	return s->is_odd || (s->odd & before);
}

static inline const char *scan_colon(const char *p, const char *lf, const char *end)
{
#if defined(__SSE2__)
	const __m128i colon = _mm_set1_epi8(':');
	while (end - p >= 16 && p < lf) {
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
	bool is_folded, is_bare_lf, is_cut; /* is_cut: the bytes end before the line does */
	bool is_bad_name;
	const char *next; /* where the next line begins */
};

static inline void scan_split(struct scan_line *l, const char *p, const char *eol, const char *end,
			      enum scan_kind *kind)
{
	const char *colon = scan_colon(p, eol, end);
	if (!colon) {
		l->value = str_of(p, (size_t)(cc_trim_end(p, eol) - p));
		*kind = SCAN_JUNK;
		return;
	}
	const char *name_end = colon;
	while (name_end > p && (name_end[-1] == ' ' || name_end[-1] == '\t'))
		name_end--;
	l->name = str_of(p, (size_t)(name_end - p));
	l->id = sip_hdr_find(l->name);
	l->is_bad_name = l->id == SIP_HDR_OTHER && !cc_all(l->name, CC_TOKEN);
	const char *v = colon + 1;
	while (v < eol && cc_is(*v, CC_WS))
		v++;
	l->value = str_of(v, (size_t)(cc_trim_end(v, eol) - v));
	*kind = SCAN_HEADER;
}

/* Cuts the line that begins at p. */
static inline enum scan_kind scan_line(struct scan *s, const char *p, struct scan_line *l)
{
	l->is_folded = l->is_cut = l->is_bare_lf = false;
	const char *lf = scan_lf(s);
	if (!lf) {
		l->is_cut = true;
		l->next = lf = s->end;
	} else {
		l->next = lf + 1;
		l->is_bare_lf = lf == p || lf[-1] != '\r';
		if (lf == p || (lf == p + 1 && *p == '\r'))
			return SCAN_BLANK;
		while (l->next < s->end && (*l->next == ' ' || *l->next == '\t')) {
			l->is_folded = true;
			lf = scan_lf(s);
			if (!lf) {
				l->is_cut = true;
				l->next = lf = s->end;
				break;
			}
			l->is_bare_lf |= lf[-1] != '\r';
			l->next = lf + 1;
		}
	}
	if (p == s->end)
		return SCAN_END;
	enum scan_kind kind = SCAN_END;
	scan_split(l, p, lf, s->end, &kind);
	return kind;
}
