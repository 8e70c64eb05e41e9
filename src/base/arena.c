/* Memory of one lifetime.
 *
 * A transaction, dialog or call takes what it needs piece by piece and gives all of it back in one
 * step; nothing is ever freed singly, so there is no double free, no leak by a forgotten path, and
 * no free list to walk. Allocation is a pointer bump. Blocks double from 1 kB up to 16 kB, so a
 * call's arena costs one or two mallocs in all; a request too large for a block gets one of its
 * own.
 *
 * Invariants:
 * 1. at..end is free space in the newest block (or in the owner's memory before the first block).
 * 2. Block headers are 16 bytes, so that payloads keep malloc's alignment.
 * 3. `total` counts the bytes asked from malloc since the last reset.
 *
 * With AddressSanitizer each allocation is a block of its own and the owner's memory is not used:
 * overruns hit a red zone, and use after reset hits freed memory.
 */

#include "base/arena.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_TWIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_TWIN 1
#endif
#endif
#ifndef ARENA_TWIN
#define ARENA_TWIN 0
#endif

#define BLOCK_FIRST 1'024
#define BLOCK_MAX   16'384

struct arena_block {
	_Alignas(16) struct arena_block *next;
	char mem[];
};

#define BLOCK_HEAD 16 /* offset of the payload, 16-byte aligned; see invariant 2 */

static char *payload(struct arena_block *k)
{
	return (char *)k + BLOCK_HEAD;
}

void arena_init(struct arena *a)
{
	*a = (struct arena){0};
}

void arena_init_in(struct arena *a, void *mem, size_t n)
{
	*a = (struct arena){0};
	if (ARENA_TWIN)
		return;
	a->own = mem;
	a->own_n = n;
	a->at = mem;
	a->end = a->at + n;
}

void arena_reset(struct arena *a)
{
	struct arena_block *next;
	for (struct arena_block *k = a->blocks; k; k = next) {
		next = k->next;
		free(k);
	}
	a->blocks = NULL;
	a->total = 0;
	a->at = a->own;
	a->end = a->own ? a->own + a->own_n : NULL;
}

void arena_fini(struct arena *a)
{
	arena_reset(a);
	*a = (struct arena){0};
}

/* A block with room for n bytes, first in the list; NULL when memory is refused. */
static struct arena_block *block_new(struct arena *a, size_t n)
{
	if (n > LIMIT_ARENA_PIECE)
		return NULL;
	struct arena_block *k = malloc(BLOCK_HEAD + n);
	if (!k)
		return NULL;
	k->next = a->blocks;
	a->blocks = k;
	a->total += BLOCK_HEAD + n;
	return k;
}

/* n bytes that the present block has no room for. */
static char *take_slow(struct arena *a, size_t n)
{
	if (ARENA_TWIN || n > BLOCK_MAX / 4) { /* alone; the present block stays in use */
		struct arena_block *k = block_new(a, n);
		return k ? payload(k) : NULL;
	}
	size_t size = BLOCK_FIRST;
	while (size < BLOCK_MAX && (size < a->total || size < 2 * n))
		size *= 2;
	struct arena_block *k = block_new(a, size - BLOCK_HEAD);
	if (!k)
		return NULL;
	a->at = payload(k) + n;
	a->end = payload(k) + (size - BLOCK_HEAD);
	return payload(k);
}

void *arena_bytes(struct arena *a, size_t n)
{
	if (n == 0)
		n = 1;
	if (n <= (size_t)(a->end - a->at)) {
		char *p = a->at;
		a->at += n;
		return p;
	}
	return take_slow(a, n);
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t pad = -(uintptr_t)a->at & 15;
	char *p;
	if (n == 0)
		n = 1;
	if (a->at && pad < (size_t)(a->end - a->at) && n <= (size_t)(a->end - a->at) - pad) {
		p = a->at + pad;
		a->at = p + n;
	} else {
		p = take_slow(a, n);
	}
	return p ? memset(p, 0, n) : NULL;
}

struct str arena_str(struct arena *a, struct str s)
{
	char *p = s.n ? arena_bytes(a, s.n) : NULL;
	if (!p)
		return STR_NONE;
	memcpy(p, s.p, s.n);
	return str_of(p, s.n);
}

char *arena_cstr(struct arena *a, struct str s)
{
	char *p = s.n < SIZE_MAX ? arena_bytes(a, s.n + 1) : NULL;
	if (!p)
		return NULL;
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

struct str arena_fmt(struct arena *a, const char *fmt, ...)
{
	char mem[512]; /* nearly always enough */
	struct buf b;
	va_list ap;
	buf_init_fixed(&b, mem, sizeof(mem));
	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	if (b.err == OK) {
		char *p = b.n ? arena_cstr(a, buf_view(&b)) : NULL;
		return p ? str_of(p, b.n) : STR_NONE;
	}
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *p = n > 0 ? arena_bytes(a, (size_t)n + 1) : NULL;
	if (!p)
		return STR_NONE;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return str_of(p, (size_t)n);
}
