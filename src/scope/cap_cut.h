#pragma once
/* Bytes that are left to read, for those who take a frame apart. Seen only by cap_pkt.c and
 * cap_tunnel.c. */

#include <stdbool.h>
#include <stdint.h>

struct cap_cut {
	const uint8_t *p;
	uint32_t n;
};

static inline uint16_t cap_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t cap_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Not beyond the end. */
static inline void cap_skip(struct cap_cut *c, uint32_t n)
{
	if (n > c->n)
		n = c->n;
	c->p += n;
	c->n -= n;
}
