#pragma once
/* IP addresses with port, by value. 20 bytes; comparable field by field. */

#include "base/buf.h"

enum addr_family { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

struct addr {
	uint8_t family; /* enum addr_family */
	uint8_t scope;  /* IPv6 zone: interface index for link-local addresses, else 0 */
	uint16_t port;  /* host order, 0 = none */
	uint8_t ip[16]; /* network order; IPv4 uses the first four bytes, the rest is zero */
};

#define ADDR_TEXT_MAX 64 /* enough for "[ipv6%zone]:port" and a NUL */

/* "192.0.2.1", "2001:db8::1" or "[2001:db8::1]", with or without ":port" (IPv6 with a port needs
 * brackets). The port stays as in `def_port` when absent. Refuses host names. IPv4-mapped IPv6
 * becomes IPv4. */
bool addr_parse(struct str s, uint16_t def_port, struct addr *out);
static inline bool addr_ip_eq(const struct addr *a, const struct addr *b) /* address only */
{
	return a->family == b->family && a->scope == b->scope && memcmp(a->ip, b->ip, 16) == 0;
}
static inline bool addr_eq(const struct addr *a, const struct addr *b) /* address and port */
{
	return a->port == b->port && addr_ip_eq(a, b);
}
bool addr_is_any(const struct addr *a); /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a);
bool addr_is_private(const struct addr *a); /* RFC 1918, 4193, link-local; not loopback */
bool addr_is_multicast(const struct addr *a);
uint64_t addr_hash(const uint8_t key[16], const struct addr *a);
void addr_put(struct buf *b,
	      const struct addr *a); /* "192.0.2.1:5060", "[2001:db8::1]:5060"; no port when 0 */
void addr_put_ip(struct buf *b, const struct addr *a); /* "192.0.2.1", "2001:db8::1" (RFC 5952) */
void addr_put_host(struct buf *b,
		   const struct addr *a); /* as in a URI: IPv6 in brackets, no port */
const char *addr_text(const struct addr *a, char out[ADDR_TEXT_MAX]); /* addr_put as a C string */

struct addr_net { /* CIDR */
	struct addr base;
	uint8_t bits;
};
bool addr_net_parse(struct str s,
		    struct addr_net *out); /* "10.0.0.0/8", "::1", "192.0.2.7" (= /32) */
bool addr_net_has(const struct addr_net *net, const struct addr *a);
