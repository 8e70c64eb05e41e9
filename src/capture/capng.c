/* The pcapng format: a chain of blocks {type, length, ..., length}. [draft-ietf-opsawg-pcapng]
 *
 * A section header sets the byte order and forgets the interfaces; interface descriptions give
 * link type and time resolution; enhanced, simple and (obsolete) packet blocks are the frames;
 * interface statistics tell what the sniffer lost; decryption secrets are kept until somebody asks
 * for them. All other blocks are skipped. Several sections
 * in one file (captures glued with cat) are one stream of frames.
 *
 * Invariant: a block is looked at only when all its bytes are there, and no option or packet is
 * read beyond its block.
 */
#include "capture/cap_priv.h"

#include "base/grow.h"
#include "capture/pcapng.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SECRETS (64u << 20) /* bytes that nobody has asked for yet */
#define MAX_IFACES  4'096       /* dumpcap makes a handful; thousands are a damaged file */

#define SECRETS_TLS 0x544c534b /* "TLSK": a key log as text */

__extension__ typedef unsigned __int128 u128;

static uint64_t u64_at(const struct cap *c, const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return c->is_swapped ? __builtin_bswap64(v) : v;
}

/* Finds option `code` in p[0..n); its value's length goes to *len. Further ones of that code lie
 * behind it. */
static const uint8_t *option(const struct cap *c, const uint8_t *p, size_t n, unsigned code,
			     size_t *len)
{
	while (n >= 4) {
		unsigned id = cap_u16(c, p);
		size_t l = cap_u16(c, p + 2), padded = (l + 3) & ~(size_t)3;
		if (id == OPT_END || padded > n - 4)
			return NULL;
		if (id == code) {
			*len = l;
			return p + 4;
		}
		p += 4 + padded;
		n -= 4 + padded;
	}
	return NULL;
}

/* Ticks of an interface as ns; 10^-6 is the default. */
static int64_t ticks_ns(uint64_t ticks, uint8_t resol)
{
	static const uint64_t pow10[] = {1,           10,           100,       1'000,
					 10'000,      100'000,      1'000'000, 10'000'000,
					 100'000'000, 1'000'000'000};
	unsigned exp = resol & 0x7f;
	if (resol & 0x80) {
		if (exp > 63)
			return 0;
		return (int64_t)(((u128)ticks * 1'000'000'000) >> exp);
	}
	if (exp <= 9)
		return (int64_t)(ticks * pow10[9 - exp]);
	return exp <= 18 ? (int64_t)(ticks / pow10[exp - 9]) : 0;
}

/* From 1970 to 2116, so that the difference of any two is a number too. */
static int64_t time_ns(uint64_t ticks, const struct cap_iface *i)
{
	const int64_t last = (int64_t)1 << 62;
	int64_t ns = (int64_t)((uint64_t)ticks_ns(ticks, i->tsresol) + (uint64_t)i->offset_ns);
	return ns < 0 ? 0 : ns > last ? last : ns;
}

static bool on_section(struct cap *c)
{
	if (!cap_need(c, 28, "a section header"))
		return false;
	uint32_t order;
	memcpy(&order, cap_here(c) + 8, sizeof order);
	if (order != 0x1a2b3c4d && order != 0x4d3c2b1a)
		return cap_fail(c,
				"after frame %u: a section without byte order: the file is damaged",
				c->no);
	c->is_swapped = order == 0x4d3c2b1a;
	c->drops = cap_sniffer_drops(c);
	c->n_ifaces_before += (uint32_t)c->n_ifaces;
	c->n_ifaces = 0;
	c->n_sections++;
	return true;
}

static bool on_interface(struct cap *c, const uint8_t *p, size_t n)
{
	if (n < 8 || c->n_ifaces >= MAX_IFACES)
		return cap_fail(c, "after frame %u: an interface that cannot be read", c->no);
	struct cap_iface *a = grow(c->ifaces, &c->cap_ifaces, c->n_ifaces, sizeof *a);
	if (!a)
		return cap_fail(c, "no memory");
	c->ifaces = a;
	struct cap_iface *i = &c->ifaces[c->n_ifaces++];
	*i = (struct cap_iface){.link = cap_u16(c, p), .snaplen = cap_u32(c, p + 4), .tsresol = 6};
	size_t len;
	const uint8_t *v = option(c, p + 8, n - 8, OPT_IF_TSRESOL, &len);
	if (v && len >= 1)
		i->tsresol = v[0];
	v = option(c, p + 8, n - 8, OPT_IF_NAME, &len);
	if (v)
		str_copy(i->name, sizeof i->name, str_of((const char *)v, len));
	v = option(c, p + 8, n - 8, OPT_IF_DESCRIPTION, &len);
	if (v)
		str_copy(i->desc, sizeof i->desc, str_of((const char *)v, len));
	v = option(c, p + 8, n - 8, OPT_IF_TSOFFSET, &len);
	if (v && len >= 8)
		i->offset_ns = (int64_t)(u64_at(c, v) * 1'000'000'000u);
	return true;
}

static void on_statistics(struct cap *c, const uint8_t *p, size_t n)
{
	if (n < 12)
		return;
	uint32_t iface = cap_u32(c, p);
	size_t len;
	const uint8_t *v = option(c, p + 12, n - 12, OPT_ISB_IFDROP, &len);
	if (v && len >= 8 && iface < c->n_ifaces)
		c->ifaces[iface].drops = u64_at(c, v); /* a running total */
}

static bool on_secrets(struct cap *c, const uint8_t *p, size_t n)
{
	if (n < 8 || cap_u32(c, p) != SECRETS_TLS)
		return true;
	uint32_t len = cap_u32(c, p + 4);
	if (len > n - 8)
		return cap_fail(c, "after frame %u: secrets that cannot be read", c->no);
	if (c->is_told)
		buf_clear(&c->secrets);
	c->is_told = false;
	if (c->secrets.n + len > MAX_SECRETS) /* of a packed file a few bytes may make many */
		return cap_fail(c, "after frame %u: more secrets than any capture has", c->no);
	buf_put(&c->secrets, p + 8, len);
	buf_chr(&c->secrets, '\n');
	return true;
}

/* The comments among a packet's options: one as it lies there, several joined. */
static struct str comment_of(struct cap *c, const uint8_t *p, size_t n)
{
	size_t len;
	const uint8_t *v = option(c, p, n, OPT_COMMENT, &len);
	struct str first = v ? str_of((const char *)v, len) : STR_NONE;
	buf_clear(&c->comments);
	while (v) {
		const uint8_t *behind = v + ((len + 3) & ~(size_t)3);
		v = option(c, behind, n - (size_t)(behind - p), OPT_COMMENT, &len);
		if (v && !c->comments.n)
			buf_str(&c->comments, first);
		if (v) {
			buf_chr(&c->comments, '\0');
			buf_put(&c->comments, v, len);
		}
	}
	return c->comments.n && !c->comments.err ? buf_view(&c->comments) : first;
}

static void read_options(const struct cap *c, const uint8_t *p, size_t n, struct cap_rec *r)
{
	size_t len;
	const uint8_t *v = option(c, p, n, OPT_EPB_FLAGS, &len);
	if (v && len == 4) {
		r->flags = cap_u32(c, v);
		r->options |= CAP_HAS_FLAGS;
	}
	v = option(c, p, n, OPT_EPB_QUEUE, &len);
	if (v && len == 4) {
		r->queue = cap_u32(c, v);
		r->options |= CAP_HAS_QUEUE;
	}
	v = option(c, p, n, OPT_EPB_PACKETID, &len);
	if (v && len == 8) {
		r->packet_id = u64_at(c, v);
		r->options |= CAP_HAS_ID;
	}
}

/* Enhanced and old packet blocks differ in their first eight bytes only. */
static bool on_packet(struct cap *c, const uint8_t *p, size_t n, uint32_t type, struct cap_rec *r)
{
	uint32_t iface, caplen, n_wire;
	uint64_t ticks = 0;
	size_t hdr = 20;
	if (n < (type == BLOCK_SPB ? 4u : 20u) || !c->n_ifaces)
		return cap_fail(c, "frame %u cannot be read: its block is too short", c->no + 1);
	if (type == BLOCK_SPB) {
		iface = 0;
		n_wire = cap_u32(c, p);
		caplen = n_wire;
		if (c->ifaces[0].snaplen && caplen > c->ifaces[0].snaplen)
			caplen = c->ifaces[0].snaplen;
		hdr = 4;
	} else {
		iface = type == BLOCK_PB ? cap_u16(c, p) : cap_u32(c, p);
		ticks = (uint64_t)cap_u32(c, p + 4) << 32 | cap_u32(c, p + 8);
		caplen = cap_u32(c, p + 12);
		n_wire = cap_u32(c, p + 16);
	}
	if (iface >= c->n_ifaces || caplen > n - hdr)
		return cap_fail(c, "frame %u is damaged (%s)", c->no + 1,
				iface >= c->n_ifaces ? "unknown interface" : "length");
	const struct cap_iface *i = &c->ifaces[iface];
	*r = (struct cap_rec){
		.no = ++c->no,
		.link = i->link,
		.iface = c->n_ifaces_before + iface,
		.snaplen = i->snaplen,
		.is_ns = i->tsresol > 6,
		.if_name = i->name,
		.if_desc = i->desc,
		.is_ng = true,
		.section = c->n_sections,
		.n = caplen,
		.n_wire = n_wire,
		.at_ns = time_ns(ticks, i),
		.off = c->off + 8 + hdr,
		.p = p + hdr,
	};
	size_t used = hdr + (((size_t)caplen + 3) & ~(size_t)3);
	if (type != BLOCK_SPB && used + 4 <= n)
		r->comment = comment_of(c, p + used, n - used);
	if (type == BLOCK_EPB && used + 4 <= n)
		read_options(c, p + used, n - used, r);
	return true;
}

static bool holds_packet(uint32_t type)
{
	return type == BLOCK_EPB || type == BLOCK_SPB || type == BLOCK_PB;
}

/* Whether the next block is in memory, all of it. Of a section the byte order is its own. */
static bool has_block(const struct cap *c)
{
	uint32_t head[3]; /* type, length, byte order of a section */
	size_t n = c->end - c->at;
	if (n < sizeof head)
		return false;
	memcpy(head, cap_here(c), sizeof head);
	bool is_swapped = head[0] == BLOCK_SHB ? head[2] == 0x4d3c2b1a : c->is_swapped;
	return n >= (is_swapped ? __builtin_bswap32(head[1]) : head[1]);
}

/* Goes over blocks to the next packet, which it takes into *r; r NULL: as far as they are in
 * memory, and leaves the packet. */
static bool to_packet(struct cap *c, struct cap_rec *r)
{
	for (;;) {
		if ((!r && !has_block(c)) || !cap_need(c, 12, NULL))
			return false;
		uint32_t type = cap_u32(c, cap_here(c));
		if (!r && holds_packet(type))
			return true;
		if (type == BLOCK_SHB && !on_section(c))
			return false;
		uint32_t len = cap_u32(c, cap_here(c) + 4);
		if (len < 12 || len % 4 || len > CAP_MAX_RECORD)
			return cap_fail(
				c, "after frame %u: a block of %u bytes: the file is damaged there",
				c->no, len);
		if (!cap_need(c, len, "a block"))
			return false;
		const uint8_t *p = cap_here(c) + 8;
		size_t n = len - 12;
		bool is_packet = holds_packet(type);
		if (is_packet && !on_packet(c, p, n, type, r))
			return false;
		if (type == BLOCK_IDB && !on_interface(c, p, n))
			return false;
		if (type == BLOCK_DSB && !on_secrets(c, p, n))
			return false;
		if (type == BLOCK_ISB)
			on_statistics(c, p, n);
		cap_skip(c, len);
		if (is_packet)
			return true;
	}
}

bool capng_next(struct cap *c, struct cap_rec *r)
{
	return to_packet(c, r);
}

bool capng_at_hand(struct cap *c)
{
	return to_packet(c, NULL);
}
