#pragma once
/* Memory of one lifetime: allocated piece by piece, freed whole. One arena per transaction, dialog,
 * call. The first block may be part of the owner (arena_init_in), so that small owners need no
 * further allocation. With AddressSanitizer every allocation is a separate heap block, so that
 * overruns and use after reset are seen. */

#include "base/buf.h"

struct arena_block;
struct arena {
	struct arena_block *blocks; /* newest first */
	char *at, *end;             /* free space in the newest block */
	char *own;                  /* the owner's memory, or NULL */
	size_t own_n, total;
};

void arena_init(struct arena *a);
void arena_init_in(struct arena *a, void *mem,
		   size_t n);      /* starts in memory of the owner, 16-byte aligned */
void arena_reset(struct arena *a); /* frees all, ready for use again */
void arena_fini(struct arena *a);
[[nodiscard]] void *arena_alloc(struct arena *a,
				size_t n); /* zeroed, 16-byte aligned, NULL when refused */
[[nodiscard]] void *arena_bytes(struct arena *a, size_t n); /* not zeroed, unaligned */
struct str arena_str(struct arena *a, struct str s); /* a copy; STR_NONE when refused (or empty) */
char *arena_cstr(struct arena *a, struct str s);     /* a NUL-terminated copy, NULL when refused */
[[gnu::format(printf, 2, 3)]] struct str arena_fmt(struct arena *a, const char *fmt, ...);
