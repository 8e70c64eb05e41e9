#pragma once
/* Bytes that are left to read, and numbers in network byte order, for those who take packets
 * apart. */

#include <stdbool.h>
#include <stdint.h>

struct cut {
	const uint8_t *p;
	uint32_t n;
};

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Not beyond the end. */
static inline void cut_skip(struct cut *c, uint32_t n)
{
	if (n > c->n)
		n = c->n;
	c->p += n;
	c->n -= n;
}
