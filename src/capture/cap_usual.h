#pragma once
/* What nearly all frames with media are: Ethernet, IPv4 without options or fragments, UDP, all of
 * it there. Their headers stand at fixed places. */

#include "base/cut.h"
#include "capture/cap_pkt.h"

#include <string.h>

static inline bool cap_is_usual(const struct cap_rec *r)
{
	enum { ETH = 14, HEADERS = 28 };
	const uint8_t *ip = r->p + ETH;
	return r->link == CAP_LINK_ETHERNET && r->n >= ETH + HEADERS && be16(ip - 2) == 0x0800 &&
	       ip[0] == 0x45 && ip[9] == CAP_UDP && !(be16(ip + 6) & 0x3fff) &&
	       be16(ip + 2) >= HEADERS && be16(ip + 2) <= r->n - ETH;
}

/* In the pieces in which addresses are compared: who reads others would have to wait. */
static inline void cap_set_ipv4(struct addr *a, const uint8_t *p)
{
	uint64_t ip = 0;
	memcpy(&ip, p, 4);
	memcpy(a->ip, &ip, sizeof ip);
	memset(a->ip + sizeof ip, 0, sizeof a->ip - sizeof ip);
	a->family = ADDR_V4;
	a->scope = 0;
	a->port = 0;
}

struct cap_datagram {
	struct addr src, dst;
	const uint8_t *p; /* borrows the record */
	uint32_t n;
};
/* The datagram of a usual frame, as cap_pkt_decode finds it, when its first byte is one of RTP's or
 * RTCP's: neither SIP nor HEP nor a tunnel begins with it. Else false. */
static inline bool cap_usual_media(const struct cap_rec *r, struct cap_datagram *out)
{
	enum { IP = 14, UDP = 34, PAYLOAD = 42 };
	if (r->n <= PAYLOAD || r->p[PAYLOAD] < 128 || !cap_is_usual(r))
		return false;
	const uint8_t *ip = r->p + IP, *udp = r->p + UDP;
	unsigned n = be16(ip + 2) - (PAYLOAD - IP), n_udp = be16(udp + 4);
	cap_set_ipv4(&out->src, ip + 12);
	cap_set_ipv4(&out->dst, ip + 16);
	out->src.port = be16(udp);
	out->dst.port = be16(udp + 2);
	out->p = r->p + PAYLOAD;
	out->n = n_udp >= 8 && n_udp - 8 < n ? n_udp - 8 : n;
	return out->n;
}
