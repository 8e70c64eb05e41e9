/* STUN: a 20-byte header and attributes of type, length, value padded to words [RFC8489 5, 14].
 *
 * The first two bits are zero; the message type interleaves class and method:
 *
 *	0 0 M11..M7 C1 M6 M5 M4 C0 M3..M0
 *
 * Methods above 0xff are reserved, so that the first byte is 0..3 and STUN can share a port with
 *what begins otherwise [RFC8489 18.2] [RFC7983 7].
 *
 * The parser walks the attributes once and takes what this program asks for; unknown ones stay
 * reachable by stun_attr_next. A FINGERPRINT, when there is one, must be the last attribute and be
 * right: that is how STUN is told from media with certainty [RFC8489 14.7]. MESSAGE-INTEGRITY is
 * recognised but needs the password of its owner, so it is not checked here. What follows
 * MESSAGE-INTEGRITY, other than FINGERPRINT, does not count [RFC8489 14.5].
 *
 * The writers patch the header's length as they append; FINGERPRINT covers the length that includes
 * itself. */

#include "rtp/stun.h"

#include "rtp/bytes_priv.h"

#include <string.h>

#define FINGERPRINT_XOR 0x5354554eu

uint32_t stun_crc32(const void *p, size_t n)
{
	/* A table of 16 entries, a nibble at a time: STUN is rare, caches are small. */
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *b = p;
	uint32_t crc = 0xffffffffu;
	for (size_t i = 0; i < n; i++) {
		crc = crc >> 4 ^ table[(crc ^ b[i]) & 15];
		crc = crc >> 4 ^ table[(crc ^ b[i] >> 4) & 15];
	}
	return ~crc;
}

bool stun_attr_next(const struct stun_msg *m, size_t *at, uint16_t *type, struct str *value)
{
	if (*at + 4 > m->attrs.n)
		return false;
	const uint8_t *b = (const uint8_t *)m->attrs.p + *at;
	size_t n = get16(b + 2);
	if (*at + 4 + n > m->attrs.n)
		return false;
	*type = get16(b);
	*value = str_of((const char *)b + 4, n);
	*at += 4 + ((n + 3) & ~(size_t)3);
	return true;
}

/* (XOR-)MAPPED-ADDRESS [RFC8489 14.1, 14.2]. */
static bool read_addr(struct str v, const uint8_t txid[12], bool is_xor, struct addr *out)
{
	const uint8_t *b = (const uint8_t *)v.p;
	if (v.n < 8 || (b[1] != 1 && b[1] != 2) || (b[1] == 2 && v.n < 20))
		return false;
	uint8_t mask[16];
	put32(mask, STUN_COOKIE);
	memcpy(mask + 4, txid, 12);
	*out = (struct addr){
		.family = b[1] == 1 ? ADDR_V4 : ADDR_V6,
		.port = (uint16_t)(get16(b + 2) ^ (is_xor ? STUN_COOKIE >> 16 : 0)),
	};
	for (int i = 0; i < (b[1] == 1 ? 4 : 16); i++)
		out->ip[i] = (uint8_t)(b[4 + i] ^ (is_xor ? mask[i] : 0));
	return true;
}

/* False: the attribute makes the message invalid. */
static bool take_attr(struct stun_msg *m, uint16_t type, struct str v)
{
	const uint8_t *b = (const uint8_t *)v.p;
	struct addr a;
	switch (type) {
	case STUN_A_XOR_MAPPED_ADDRESS:
		return read_addr(v, m->txid, true, &m->mapped);
	case STUN_A_MAPPED_ADDRESS:
		if (!read_addr(v, m->txid, false, &a))
			return false;
		if (m->mapped.family == ADDR_NONE)
			m->mapped = a;
		return true;
	case STUN_A_USERNAME:
		m->username = v;
		return true;
	case STUN_A_SOFTWARE:
		m->software = v;
		return true;
	case STUN_A_PRIORITY:
		m->priority = v.n == 4 ? get32(b) : 0;
		return v.n == 4;
	case STUN_A_ERROR_CODE:
		m->error = v.n >= 4 ? (uint16_t)((b[2] & 7) * 100 + b[3]) : 0;
		return v.n >= 4;
	case STUN_A_USE_CANDIDATE:
		m->is_use_candidate = true;
		return true;
	case STUN_A_MESSAGE_INTEGRITY:
		m->has_integrity = true;
		return v.n == 20;
	default:
		return true;
	}
}

enum err stun_parse(const void *p, size_t n, struct stun_msg *out)
{
	const uint8_t *b = p;
	if (n < STUN_HDR || b[0] > 3 || get32(b + 4) != STUN_COOKIE || get16(b + 2) % 4 ||
	    n != STUN_HDR + (size_t)get16(b + 2))
		return ERR_SYNTAX;
	uint16_t t = get16(b);
	*out = (struct stun_msg){
		.cls = (enum stun_class)((t >> 4 & 1) | (t >> 7 & 2)),
		.method = (uint16_t)((t & 0xf) | (t >> 1 & 0x70) | (t >> 2 & 0xf80)),
		.attrs = str_of((const char *)b + STUN_HDR, n - STUN_HDR),
	};
	memcpy(out->txid, b + 8, 12);
	size_t at = 0, start = 0;
	uint16_t type;
	struct str v;
	while (stun_attr_next(out, &at, &type, &v)) {
		if (type == STUN_A_FINGERPRINT) {
			uint32_t want = stun_crc32(b, STUN_HDR + start) ^ FINGERPRINT_XOR;
			if (v.n != 4 || at != out->attrs.n || get32((const uint8_t *)v.p) != want)
				return ERR_SYNTAX;
			out->has_fingerprint = true;
		} else if (!out->has_integrity && !take_attr(out, type, v)) {
			return ERR_SYNTAX;
		}
		start = at;
	}
	return at == out->attrs.n ? OK : ERR_SYNTAX;
}

/* --- writing -------------------------------------------------------------------------------- */

static void put_attr(struct buf *b, uint16_t type, const void *p, size_t n)
{
	uint8_t head[4];
	put16(head, type);
	put16(head + 2, (uint32_t)n);
	buf_put(b, head, sizeof(head));
	buf_put(b, p, n);
	buf_fill(b, 0, (4 - n % 4) % 4);
}

static void put_head(struct buf *b, uint16_t type, const uint8_t txid[12])
{
	uint8_t head[8] = {0};
	put16(head, type);
	put32(head + 4, STUN_COOKIE);
	buf_put(b, head, sizeof(head));
	buf_put(b, txid, 12);
}

/* SOFTWARE and FINGERPRINT, and the length of the message that began at `start`. */
static void put_tail(struct buf *b, size_t start, struct str software)
{
	if (software.n)
		put_attr(b, STUN_A_SOFTWARE, software.p, software.n > 127 ? 127 : software.n);
	if (b->err)
		return;
	uint8_t *m = (uint8_t *)b->p + start, crc[4];
	put16(m + 2, (uint32_t)(b->n - start - STUN_HDR + 8));
	put32(crc, stun_crc32(m, b->n - start) ^ FINGERPRINT_XOR);
	put_attr(b, STUN_A_FINGERPRINT, crc, sizeof(crc));
}

void stun_put_request(struct buf *b, const uint8_t txid[12], struct str software)
{
	size_t start = b->n;
	put_head(b, 0x0001, txid);
	put_tail(b, start, software);
}

void stun_put_response(struct buf *b, const uint8_t txid[12], const struct addr *mapped,
		       struct str software)
{
	size_t start = b->n, n = mapped->family == ADDR_V6 ? 16 : 4;
	uint8_t v[20] = {0}, mask[16];
	put32(mask, STUN_COOKIE);
	memcpy(mask + 4, txid, 12);
	v[1] = mapped->family == ADDR_V6 ? 2 : 1;
	put16(v + 2, mapped->port ^ (STUN_COOKIE >> 16));
	for (size_t i = 0; i < n; i++)
		v[4 + i] = (uint8_t)(mapped->ip[i] ^ mask[i]);
	put_head(b, 0x0101, txid);
	put_attr(b, STUN_A_XOR_MAPPED_ADDRESS, v, 4 + n);
	put_tail(b, start, software);
}
