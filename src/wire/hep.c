/* HEP packets, read and written.
 *
 *	version 3:  "HEP3" length:16 { vendor:16 type:16 length:16 value }...
 *	version 1:  1:8 header's length:8 family:8 protocol:8 ports:16+16 addresses 4+4 or 16+16
 *	version 2:  the same, then seconds:32 µs:32 agent:16 and two bytes of padding
 *
 * Numbers are in network order, but version 2's time is in the agent's own, which is little-endian
 * wherever an agent still runs. Chunks of a vendor (not 0) are passed over, as are unknown types; a
 * chunk whose value is too short for its type is as if it were not there, because agents differ in
 * what they send.
 *
 * Invariants: nothing beyond p[0..n) is read; a packet that wire_hep_put made is read back alike.
 */
#include "wire/hep.h"

enum chunk {
	FAMILY = 1,
	PROTO = 2,
	V4_SRC = 3,
	V4_DST = 4,
	V6_SRC = 5,
	V6_DST = 6,
	SRC_PORT = 7,
	DST_PORT = 8,
	SECONDS = 9,
	MICROS = 10,
	TYPE = 11,
	AGENT = 12,
	KEY = 14,
	PAYLOAD = 15,
	PACKED = 16,
	CORRELATION = 17,
	VLAN = 18,
	NODE = 19,
};
enum { HEAD = 6, CHUNK_HEAD = 6, V12_HEAD = 8, V2_TIME = 12 };
enum { FAMILY_V4 = 2, FAMILY_V6 = 10 };

static uint32_t be(const uint8_t *p, size_t n)
{
	uint32_t v = 0;
	while (n--)
		v = v << 8 | *p++;
	return v;
}

static void set_ip(struct addr *a, const uint8_t *p, size_t n)
{
	a->family = n == 4 ? ADDR_V4 : ADDR_V6;
	memcpy(a->ip, p, n);
}

/* --- versions 1 and 2 ------------------------------------------------------------------------ */

/* Bytes before the payload, or 0. */
static size_t old_head(const uint8_t *p, size_t n)
{
	if (n < V12_HEAD || (p[0] != 1 && p[0] != 2) || (p[2] != FAMILY_V4 && p[2] != FAMILY_V6))
		return 0;
	size_t base = V12_HEAD + (p[2] == FAMILY_V4 ? 8u : 32u);
	size_t all = base + (p[0] == 2 ? (size_t)V2_TIME : 0);
	bool is_length = p[1] == base || p[1] == all;
	bool is_proto = p[3] == 6 || p[3] == 17 || p[3] == 132;
	return is_length && is_proto && n > all ? all : 0;
}

static bool is_letter(uint8_t c)
{
	return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static enum err parse_old(const uint8_t *p, size_t n, struct wire_hep *out)
{
	size_t head = old_head(p, n), ip = p[2] == FAMILY_V4 ? 4 : 16;
	*out = (struct wire_hep){.version = p[0], .ip_proto = p[3], .type = WIRE_HEP_SIP};
	set_ip(&out->from, p + V12_HEAD, ip);
	set_ip(&out->to, p + V12_HEAD + ip, ip);
	out->from.port = (uint16_t)be(p + 4, 2);
	out->to.port = (uint16_t)be(p + 6, 2);
	if (p[0] == 2) {
		const uint8_t *t = p + V12_HEAD + 2 * ip;
		uint32_t s = __builtin_bswap32(be(t, 4)), us = __builtin_bswap32(be(t + 4, 4));
		out->at_us = us < 1'000'000 ? s * (uint64_t)1'000'000 + us : 0;
		out->agent = __builtin_bswap16((uint16_t)be(t + 8, 2));
	}
	out->payload = str_of((const char *)p + head, n - head);
	return OK;
}

bool wire_hep_is_head(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	if (n >= HEAD && memcmp(p, "HEP3", 4) == 0)
		return be(p + 4, 2) > HEAD;
	size_t head = old_head(p, n);
	return head && is_letter(p[head]);
}

/* --- version 3 ------------------------------------------------------------------------------- */

struct times {
	uint32_t s, us;
};

static void take_text(struct wire_hep *h, unsigned type, struct str s)
{
	switch (type) {
	case KEY:
		h->key = s;
		break;
	case PAYLOAD:
	case PACKED:
		h->payload = s;
		h->is_packed = type == PACKED;
		break;
	case CORRELATION:
		h->correlation = s;
		break;
	case NODE:
		h->node = s;
		break;
	default:
		break;
	}
}

/* Values of a fixed size: nothing that is shorter comes here. */
static void take_number(struct wire_hep *h, struct times *t, unsigned type, const uint8_t *v)
{
	switch (type) {
	case PROTO:
		h->ip_proto = v[0];
		break;
	case V4_SRC:
	case V4_DST:
		set_ip(type == V4_SRC ? &h->from : &h->to, v, 4);
		break;
	case V6_SRC:
	case V6_DST:
		set_ip(type == V6_SRC ? &h->from : &h->to, v, 16);
		break;
	case SRC_PORT:
	case DST_PORT:
		*(type == SRC_PORT ? &h->from.port : &h->to.port) = (uint16_t)be(v, 2);
		break;
	case SECONDS:
		t->s = be(v, 4);
		break;
	case MICROS:
		t->us = be(v, 4);
		break;
	case TYPE:
		h->type = v[0];
		break;
	case AGENT:
		h->agent = be(v, 4);
		break;
	case VLAN:
		h->vlan = (uint16_t)be(v, 2);
		break;
	default:
		break;
	}
}

static const uint8_t sizes[NODE + 1] = {
	[PROTO] = 1,    [V4_SRC] = 4,  [V4_DST] = 4, [V6_SRC] = 16, [V6_DST] = 16, [SRC_PORT] = 2,
	[DST_PORT] = 2, [SECONDS] = 4, [MICROS] = 4, [TYPE] = 1,    [AGENT] = 4,   [VLAN] = 2,
};

enum err wire_hep_parse(const void *bytes, size_t n, struct wire_hep *out, size_t *used)
{
	const uint8_t *p = bytes;
	struct times t = {0};
	*used = n;
	if (n && p[0] != 'H')
		return old_head(p, n) ? parse_old(p, n, out) : ERR_SYNTAX;
	if (memcmp(p, "HEP3", n < 4 ? n : 4) != 0)
		return ERR_SYNTAX;
	if (n < HEAD)
		return ERR_MORE;
	size_t len = be(p + 4, 2);
	if (len < HEAD)
		return ERR_SYNTAX;
	if (len > n)
		return ERR_MORE;
	*used = len;
	*out = (struct wire_hep){.version = 3};
	for (size_t at = HEAD; at < len;) {
		size_t chunk = len - at >= CHUNK_HEAD ? be(p + at + 4, 2) : 0;
		if (chunk < CHUNK_HEAD || chunk > len - at)
			return ERR_SYNTAX;
		unsigned vendor = be(p + at, 2), type = be(p + at + 2, 2);
		const uint8_t *v = p + at + CHUNK_HEAD;
		size_t vn = chunk - CHUNK_HEAD;
		if (!vendor && type <= NODE && sizes[type] && vn >= sizes[type])
			take_number(out, &t, type, v);
		else if (!vendor && type <= NODE && !sizes[type])
			take_text(out, type, str_of((const char *)v, vn));
		at += chunk;
	}
	out->at_us = t.s * (uint64_t)1'000'000 + (t.us < 1'000'000 ? t.us : 0);
	return OK;
}

static void put_be(struct buf *b, uint32_t v, unsigned n)
{
	while (n--)
		buf_chr(b, (char)(v >> (8 * n)));
}

static void put_chunk(struct buf *b, enum chunk type, const void *p, size_t n)
{
	put_be(b, 0, 2);
	put_be(b, type, 2);
	put_be(b, (uint32_t)n + CHUNK_HEAD, 2);
	buf_put(b, p, n);
}

static void put_number(struct buf *b, enum chunk type, uint32_t v, unsigned n)
{
	const uint8_t be4[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
				(uint8_t)v};
	put_chunk(b, type, be4 + 4 - n, n);
}

static void put_text(struct buf *b, enum chunk type, struct str s)
{
	if (s.n)
		put_chunk(b, type, s.p, s.n);
}

enum err wire_hep_put(struct buf *b, const struct wire_hep *h)
{
	size_t at = b->n;
	bool is_v6 = h->from.family == ADDR_V6;
	if (h->payload.n + h->key.n + h->correlation.n + h->node.n > WIRE_HEP_MAX - 256)
		b->err = b->err ? b->err : ERR_LIMIT; /* 256: all that is not text */
	buf_str(b, STR("HEP3"));
	put_be(b, 0, 2);
	put_number(b, FAMILY, is_v6 ? FAMILY_V6 : FAMILY_V4, 1);
	put_number(b, PROTO, h->ip_proto, 1);
	put_chunk(b, is_v6 ? V6_SRC : V4_SRC, h->from.ip, is_v6 ? 16 : 4);
	put_chunk(b, is_v6 ? V6_DST : V4_DST, h->to.ip, is_v6 ? 16 : 4);
	put_number(b, SRC_PORT, h->from.port, 2);
	put_number(b, DST_PORT, h->to.port, 2);
	put_number(b, SECONDS, (uint32_t)(h->at_us / 1'000'000), 4);
	put_number(b, MICROS, (uint32_t)(h->at_us % 1'000'000), 4);
	put_number(b, TYPE, h->type, 1);
	put_number(b, AGENT, h->agent, 4);
	put_text(b, KEY, h->key);
	put_text(b, CORRELATION, h->correlation);
	if (h->vlan)
		put_number(b, VLAN, h->vlan, 2);
	put_text(b, NODE, h->node);
	put_chunk(b, h->is_packed ? PACKED : PAYLOAD, h->payload.p, h->payload.n);
	if (b->err)
		return b->err;
	size_t len = b->n - at;
	b->p[at + 4] = (char)(len >> 8);
	b->p[at + 5] = (char)len;
	return OK;
}
