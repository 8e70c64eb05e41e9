#pragma once
/* The hash under the perfect tables: shared by the generator (gen_tables.c), which searches for
 * multipliers without collision, and by tables.c. It looks at the first and the last four bytes and
 * the length, so it costs the same for every name; the generator proves that this is enough to tell
 * all our names apart. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct name_key {
	uint32_t head, tail; /* first and last four bytes (fewer: zero-extended), maybe folded */
	uint32_t n;
};

/* `fold` is 0x20202020 to make letters lower case (it maps some other bytes together too, which the
 * comparison after a hit undoes), or 0. */
static inline struct name_key name_key(const char *p, size_t n, uint32_t fold)
{
	struct name_key k = {0, 0, (uint32_t)n};
	if (n >= 4) {
		memcpy(&k.head, p, 4);
		memcpy(&k.tail, p + n - 4, 4);
	} else {
		for (size_t i = 0; i < n; i++)
			k.head |= (uint32_t)(unsigned char)p[i] << (8 * i);
	}
	k.head |= fold;
	k.tail |= fold;
	return k;
}

static inline uint32_t name_slot(struct name_key k, uint32_t mul_head, uint32_t mul_tail,
				 unsigned bits)
{
	return (k.head * mul_head + k.tail * mul_tail + k.n * 0x9e3779b1u) >> (32 - bits);
}
