/* Tags of exported PDUs, written; cap_pkt.c reads them. A tag is {type:16 length:16 value}, padded
 * to four bytes; an empty one ends them. [Wireshark epan/exported_pdu.h] */
#include "capture/cap_pdu.h"

static void put_be(struct buf *b, uint32_t v, unsigned n)
{
	while (n--)
		buf_chr(b, (char)(v >> (8 * n)));
}

static void put_tag(struct buf *b, uint16_t type, const void *p, size_t n)
{
	put_be(b, type, 2);
	put_be(b, (uint32_t)((n + 3) & ~(size_t)3), 2);
	buf_put(b, p, n);
	buf_fill(b, 0, -n & 3);
}

static void put_endpoint(struct buf *b, const struct addr *a, bool is_source)
{
	enum {
		IPV4_SRC = 20,
		IPV4_DST = 21,
		IPV6_SRC = 22,
		IPV6_DST = 23,
		SRC_PORT = 25,
		DST_PORT = 26
	};
	uint8_t port[4] = {0, 0, (uint8_t)(a->port >> 8), (uint8_t)a->port};
	if (a->family == ADDR_V6)
		put_tag(b, is_source ? IPV6_SRC : IPV6_DST, a->ip, 16);
	else
		put_tag(b, is_source ? IPV4_SRC : IPV4_DST, a->ip, 4);
	put_tag(b, is_source ? SRC_PORT : DST_PORT, port, 4);
}

void cap_pdu_put(struct buf *b, struct str dissector, const struct addr *from,
		 const struct addr *to, enum trk_transport over)
{
	enum { DISSECTOR = 12, PORT_TYPE = 24, COLUMN = 33, PORT_TCP = 2, PORT_UDP = 3 };
	uint8_t port_type[4] = {0, 0, 0, over == TRK_UDP ? PORT_UDP : PORT_TCP};
	struct str name = trk_transport_name(over);
	put_tag(b, DISSECTOR, dissector.p, dissector.n);
	put_endpoint(b, from, true);
	put_endpoint(b, to, false);
	put_tag(b, PORT_TYPE, port_type, 4);
	if (over != TRK_UDP)
		put_tag(b, COLUMN, name.p, name.n);
	put_be(b, 0, 4);
}
