/* Blocks of a pcapng, composed. Each carries its length in front and behind, options are padded to
 * four bytes, and all is in this machine's byte order, as a section says.
 *
 * Format: draft-ietf-opsawg-pcapng.
 */
#include "capture/cap_block.h"

#include "capture/pcapng.h"

#include <string.h>

static void put_u16(struct buf *b, uint16_t v)
{
	buf_put(b, &v, sizeof v);
}

static void put_u32(struct buf *b, uint32_t v)
{
	buf_put(b, &v, sizeof v);
}

static void put_padded(struct buf *b, const void *p, size_t n)
{
	buf_put(b, p, n);
	buf_fill(b, 0, -n & 3);
}

static void put_option(struct buf *b, uint16_t code, const void *p, size_t n)
{
	if (n > UINT16_MAX)
		n = UINT16_MAX;
	put_u16(b, code);
	put_u16(b, (uint16_t)n);
	put_padded(b, p, n);
}

/* Returns where the block begins, for end_block. */
static size_t begin_block(struct buf *b, uint32_t type)
{
	size_t at = b->n;
	put_u32(b, type);
	put_u32(b, 0);
	return at;
}

static void end_block(struct buf *b, size_t at)
{
	uint32_t len = (uint32_t)(b->n + 4 - at);
	put_u32(b, len);
	if (!b->err)
		memcpy(b->p + at + 4, &len, sizeof len);
}

void cap_block_section(struct buf *b)
{
	size_t at = begin_block(b, BLOCK_SHB);
	put_u32(b, 0x1a2b3c4d);
	put_u32(b, 1); /* version 1.0 */
	buf_fill(b, (char)0xff, 8);
	put_option(b, OPT_USERAPPL, "rung scope", 10);
	put_u32(b, OPT_END);
	end_block(b, at);
}

void cap_block_iface(struct buf *b, const struct cap_rec *r)
{
	size_t at = begin_block(b, BLOCK_IDB);
	uint8_t resol = r->is_ns ? 9 : 6;
	put_u16(b, r->link);
	put_u16(b, 0);
	put_u32(b, r->snaplen);
	if (r->if_name && r->if_name[0])
		put_option(b, OPT_IF_NAME, r->if_name, strlen(r->if_name));
	put_option(b, OPT_IF_TSRESOL, &resol, 1);
	put_u32(b, OPT_END);
	end_block(b, at);
}

static void put_ticks(struct buf *b, uint64_t ticks)
{
	put_u32(b, (uint32_t)(ticks >> 32));
	put_u32(b, (uint32_t)ticks);
}

void cap_block_packet(struct buf *b, uint32_t iface, uint64_t ticks, const struct cap_rec *r,
		      struct str comment)
{
	size_t at = begin_block(b, BLOCK_EPB);
	put_u32(b, iface);
	put_ticks(b, ticks);
	put_u32(b, r->n);
	put_u32(b, r->n_wire);
	put_padded(b, r->p, r->n);
	bool has_comment = comment.n;
	for (struct str next; comment.n; comment = next) {
		struct str one = str_cut(comment, '\0', &next);
		put_option(b, OPT_COMMENT, one.p, one.n);
	}
	if (has_comment)
		put_u32(b, OPT_END);
	end_block(b, at);
}

void cap_block_secrets(struct buf *b, uint32_t type, struct str secrets)
{
	size_t at = begin_block(b, BLOCK_DSB);
	put_u32(b, type);
	put_u32(b, (uint32_t)secrets.n);
	put_padded(b, secrets.p, secrets.n);
	end_block(b, at);
}

void cap_block_counts(struct buf *b, uint32_t iface, uint64_t ticks, const struct cap_counts *c)
{
	size_t at = begin_block(b, BLOCK_ISB);
	put_u32(b, iface);
	put_ticks(b, ticks);
	put_option(b, OPT_ISB_RECV, &c->n_received, 8);
	put_option(b, OPT_ISB_IFDROP, &c->n_dropped_iface, 8);
	put_option(b, OPT_ISB_OSDROP, &c->n_dropped_kernel, 8);
	put_u32(b, OPT_END);
	end_block(b, at);
}
