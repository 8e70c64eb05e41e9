/* IP addresses: text to value and back.
 *
 * Reading is strict about structure (no missing or surplus groups, no host names) and lenient where
 * old stacks differ harmlessly: leading zeros in IPv4 are decimal, as RFC 3261's grammar has it
 * (1*3DIGIT), never octal. Printing is the canonical form of RFC 5952, so that equal addresses are
 * equal texts. IPv4-mapped IPv6 (::ffff:192.0.2.1) becomes IPv4 on the way in; so one peer has one
 * address, whichever socket it came through.
 *
 * Invariants:
 * 1. Unused bytes of ip[] are zero, and scope is 0 except for IPv6 with a zone, so values can be
 *    compared and hashed whole.
 * 2. A zone is a number here (an interface index); names of interfaces belong to the OS, and this
 *    folder does no I/O.
 *
 * Standards: [RFC4291 2.2] text forms, [RFC5952 4] canonical form, [RFC6874] zones,
 * [RFC1918 3] [RFC4193 3.1] [RFC3927] [RFC4291 2.5.6] private and link-local ranges.
 */

#include "base/addr.h"
#include "base/hash.h"

#include <string.h>

_Static_assert(sizeof(struct addr) == 20, "addr_hash takes the value without padding");

static bool read_octet(const char **p, const char *end, uint8_t *out)
{
	const char *q = *p;
	unsigned v, d;
	if (q == end || (v = (unsigned char)*q - '0') > 9)
		return false;
	if (++q < end && (d = (unsigned char)*q - '0') <= 9) {
		v = 10 * v + d;
		if (++q < end && (d = (unsigned char)*q - '0') <= 9) {
			v = 10 * v + d;
			q++;
		}
	}
	*p = q;
	*out = (uint8_t)v;
	return v <= 255;
}

/* In one pass: every host in every URI is tried as an address first. */
static bool parse_v4(struct str s, uint8_t ip[4])
{
	if (s.n < 7) /* "1.2.3.4" */
		return false;
	const char *p = s.p, *end = p + s.n;
	for (int i = 0; i < 3; i++)
		if (!read_octet(&p, end, &ip[i]) || p == end || *p++ != '.')
			return false;
	return read_octet(&p, end, &ip[3]) && p == end;
}

/* One group of up to four hex digits. */
static bool parse_group(struct str s, uint8_t ip[2])
{
	unsigned v = 0;
	if (s.n < 1 || s.n > 4)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned c = (unsigned char)s.p[i], d = c - '0';
		if (d > 9) {
			d = (c | 0x20) - 'a';
			if (d > 5)
				return false;
			d += 10;
		}
		v = v << 4 | d;
	}
	ip[0] = (uint8_t)(v >> 8);
	ip[1] = (uint8_t)v;
	return true;
}

/* Groups separated by ':', the last one may be an IPv4 address. Returns the bytes written, or -1.
 * An empty string is no group. */
static int parse_groups(struct str s, uint8_t *ip, int room)
{
	int n = 0;
	bool is_last = s.n == 0;
	while (!is_last) {
		size_t at = str_chr(s, ':');
		is_last = at == SIZE_MAX;
		struct str part = str_sub(s, 0, at);
		s = is_last ? STR_NONE : str_skip(s, at + 1);
		if (is_last && str_chr(part, '.') != SIZE_MAX) {
			if (room - n < 4 || !parse_v4(part, ip + n))
				return -1;
			return n + 4;
		}
		if (room - n < 2 || !parse_group(part, ip + n))
			return -1;
		n += 2;
	}
	return n;
}

/* [RFC4291 2.2] */
static bool parse_v6(struct str s, struct addr *a)
{
	uint8_t tail[16];
	uint32_t zone = 0;
	size_t at = str_chr(s, '%');
	if (at != SIZE_MAX) {
		if (!str_u32(str_skip(s, at + 1), &zone) || zone > 255)
			return false;
		s = str_sub(s, 0, at);
	}
	a->scope = (uint8_t)zone;
	at = str_find(s, STR("::"));
	if (at == SIZE_MAX)
		return parse_groups(s, a->ip, 16) == 16;
	struct str head = str_sub(s, 0, at), rest = str_skip(s, at + 2);
	if (str_chr(head, '.') != SIZE_MAX)
		return false;
	int n = parse_groups(head, a->ip, 14);
	int m = n < 0 ? -1 : parse_groups(rest, tail, 14 - n);
	if (m < 0)
		return false;
	memcpy(a->ip + 16 - m, tail, (size_t)m);
	return true;
}

static void unmap(struct addr *a)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (a->family != ADDR_V6 || memcmp(a->ip, mapped, 12) != 0)
		return;
	memmove(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
	a->family = ADDR_V4;
	a->scope = 0;
}

static bool parse_port(struct str s, uint16_t *port)
{
	uint32_t v;
	if (s.n > 5 || !str_u32(s, &v) || v > 65'535)
		return false;
	*port = (uint16_t)v;
	return true;
}

bool addr_parse(struct str s, uint16_t def_port, struct addr *out)
{
	struct addr a = {.port = def_port, .family = ADDR_V4};
	if (parse_v4(s, a.ip)) { /* as nearly always */
		*out = a;
		return true;
	}
	memset(a.ip, 0, sizeof(a.ip));
	size_t colon = str_chr(s, ':');
	if (s.n && s.p[0] == '[') {
		size_t close = str_chr(s, ']');
		if (close == SIZE_MAX)
			return false;
		struct str after = str_skip(s, close + 1);
		if (after.n && (after.p[0] != ':' || !parse_port(str_skip(after, 1), &a.port)))
			return false;
		a.family = ADDR_V6;
		if (!parse_v6(str_sub(s, 1, close - 1), &a))
			return false;
	} else if (colon != SIZE_MAX && str_chr(str_skip(s, colon + 1), ':') != SIZE_MAX) {
		a.family = ADDR_V6;
		if (!parse_v6(s, &a))
			return false;
	} else {
		a.family = ADDR_V4;
		if (colon != SIZE_MAX && !parse_port(str_skip(s, colon + 1), &a.port))
			return false;
		if (!parse_v4(str_sub(s, 0, colon), a.ip))
			return false;
	}
	unmap(&a);
	*out = a;
	return true;
}

/* Is a inside the net whose first `bits` bits are those of ip? */
static bool has_prefix(const struct addr *a, uint8_t family, const uint8_t *ip, unsigned bits)
{
	if (a->family != family || memcmp(a->ip, ip, bits / 8) != 0)
		return false;
	unsigned rest = bits % 8;
	return rest == 0 || (a->ip[bits / 8] ^ ip[bits / 8]) >> (8 - rest) == 0;
}

struct range {
	uint8_t family, bits, ip[2];
};

static bool in_ranges(const struct addr *a, const struct range *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (has_prefix(a, r[i].family, r[i].ip, r[i].bits))
			return true;
	}
	return false;
}

bool addr_is_any(const struct addr *a)
{
	static const uint8_t zero[16];
	return a->family != ADDR_NONE && memcmp(a->ip, zero, 16) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = {[15] = 1};
	if (a->family == ADDR_V4)
		return a->ip[0] == 127;
	return a->family == ADDR_V6 && memcmp(a->ip, one, 16) == 0;
}

bool addr_is_private(const struct addr *a)
{
	static const struct range ranges[] = {
		{ADDR_V4, 8,  {10}        }, /* [RFC1918 3] */
		{ADDR_V4, 12, {172, 16}   },
                {ADDR_V4, 16, {192, 168}  },
		{ADDR_V4, 16, {169, 254}  }, /* [RFC3927] */
		{ADDR_V6, 7,  {0xfc}      }, /* [RFC4193 3.1] */
		{ADDR_V6, 10, {0xfe, 0x80}}, /* [RFC4291 2.5.6] */
	};
	return in_ranges(a, ranges, sizeof(ranges) / sizeof(ranges[0]));
}

bool addr_is_multicast(const struct addr *a)
{
	static const struct range ranges[] = {
		{ADDR_V4, 4, {0xe0}},
                {ADDR_V6, 8, {0xff}}
        };
	return in_ranges(a, ranges, sizeof(ranges) / sizeof(ranges[0]));
}

uint64_t addr_hash(const uint8_t key[16], const struct addr *a)
{
	return siphash(key, a, sizeof(*a));
}

static void put_v4(struct buf *b, const uint8_t *ip)
{
	char text[16], *p = text;
	for (int i = 0; i < 4; i++) {
		unsigned v = ip[i];
		if (v > 99)
			*p++ = (char)('0' + v / 100);
		if (v > 9)
			*p++ = (char)('0' + v / 10 % 10);
		*p++ = (char)('0' + v % 10);
		*p++ = '.';
	}
	buf_put(b, text, (size_t)(p - 1 - text));
}

/* [RFC5952 4]: lower case, no leading zeros, the longest run of two or more zero groups becomes
 * "::", the first of equal runs. */
static void put_v6(struct buf *b, const struct addr *a)
{
	unsigned g[8];
	int best = 8, best_n = 1;
	for (int i = 0; i < 8; i++)
		g[i] = (unsigned)a->ip[2 * i] << 8 | a->ip[2 * i + 1];
	for (int i = 0, n; i < 8; i += n + 1) {
		for (n = 0; i + n < 8 && g[i + n] == 0; n++)
			;
		if (n > best_n) {
			best = i;
			best_n = n;
		}
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			buf_str(b, STR("::"));
			i += best_n - 1;
			continue;
		}
		if (i && i != best + best_n)
			buf_chr(b, ':');
		char digits[4];
		int n = 0;
		for (int shift = 12; shift >= 0; shift -= 4) {
			if (g[i] >> shift || shift == 0)
				digits[n++] = "0123456789abcdef"[g[i] >> shift & 15];
		}
		buf_put(b, digits, (size_t)n);
	}
	if (a->scope) {
		buf_chr(b, '%');
		buf_u64(b, a->scope);
	}
}

void addr_put_ip(struct buf *b, const struct addr *a)
{
	if (a->family == ADDR_V4)
		put_v4(b, a->ip);
	else if (a->family == ADDR_V6)
		put_v6(b, a);
	else
		buf_chr(b, '-');
}

void addr_put_host(struct buf *b, const struct addr *a)
{
	bool is_v6 = a->family == ADDR_V6;
	if (is_v6)
		buf_chr(b, '[');
	addr_put_ip(b, a);
	if (is_v6)
		buf_chr(b, ']');
}

void addr_put(struct buf *b, const struct addr *a)
{
	if (a->port == 0) {
		addr_put_ip(b, a);
		return;
	}
	addr_put_host(b, a);
	buf_chr(b, ':');
	buf_u64(b, a->port);
}

const char *addr_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	struct buf b;
	buf_init_fixed(&b, out, ADDR_TEXT_MAX - 1);
	addr_put(&b, a);
	out[b.n] = '\0';
	return out;
}

bool addr_net_parse(struct str s, struct addr_net *out)
{
	struct addr_net net;
	uint32_t bits;
	size_t slash = str_chr(s, '/');
	struct str host = str_sub(s, 0, slash);
	if (!addr_parse(host, 0, &net.base) || net.base.port)
		return false;
	unsigned all = net.base.family == ADDR_V4 ? 32 : 128;
	bits = all;
	if (slash != SIZE_MAX) {
		if (!str_u32(str_skip(s, slash + 1), &bits))
			return false;
		/* a mapped prefix counts the 96 bits before the IPv4 part */
		if (all == 32 && bits >= 96 && str_chr(host, ':') != SIZE_MAX)
			bits -= 96;
		if (bits > all)
			return false;
	}
	net.bits = (uint8_t)bits;
	*out = net;
	return true;
}

bool addr_net_has(const struct addr_net *net, const struct addr *a)
{
	return has_prefix(a, net->base.family, net->base.ip, net->bits);
}
