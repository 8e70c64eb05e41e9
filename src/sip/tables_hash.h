#pragma once
/* The hash under the perfect tables: shared by the generator (gen_tables.c), which searches for
 * multipliers without collision, and by tables.c. It looks at the first and the last four bytes and
 * the length, so it costs the same for every name; the generator proves that this is enough to tell
 * all our names apart. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct name_key {
	uint32_t head,
		tail; /* first and last four bytes; fewer than four: all in head, tail is 0 */
	uint32_t n;
};

static inline uint32_t name_load4(const char *p)
{
	uint32_t v;
	memcpy(&v, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static inline struct name_key name_key(const char *p, size_t n)
{
	struct name_key k = {0, 0, (uint32_t)n};
	if (__builtin_expect(n >= 4, 1)) {
		k.head = name_load4(p);
		k.tail = name_load4(p + n - 4);
	} else {
		for (size_t i = n; i-- > 0;)
			k.head = k.head << 8 | (unsigned char)p[i];
	}
	return k;
}

/* `fold` is 0x20202020 to make letters lower case (it maps some other bytes together too, which the
 * comparison after a hit undoes), or 0. */
static inline uint32_t name_slot(struct name_key k, uint32_t fold, uint32_t mul_head,
				 uint32_t mul_tail, unsigned bits)
{
	return ((k.head | fold) * mul_head + ((k.tail | fold) ^ k.n) * mul_tail) >> (32 - bits);
}
