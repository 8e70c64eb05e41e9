#pragma once
/* Headers of tunnels: each function takes its tunnel's header off the front of *c and says what is
 * inside. Pure; nothing beyond *c is read. */

#include "base/cut.h"
#include "capture/cap_pkt.h"

#define CAP_PORT_VXLAN  4789
#define CAP_PORT_GTP_U  2152
#define CAP_PORT_GENEVE 6081

enum cap_inner {
	CAP_INNER_NONE, /* no such tunnel, or nothing in it that we know; *c may have moved */
	CAP_INNER_IP,
	CAP_INNER_ETH,  /* an Ethernet frame */
	CAP_INNER_TYPE, /* what *type, an Ethertype, says */
};

/* with ERSPAN [RFC2784] [RFC2890] [RFC2637] */
enum cap_inner cap_gre(struct cut *c, uint16_t *type, uint8_t *layers);
enum cap_inner cap_mpls(struct cut *c, uint8_t *layers);  /* [RFC3032] [RFC4385] */
enum cap_inner cap_pppoe(struct cut *c, uint8_t *layers); /* session stage [RFC2516] */
/* What UDP carries between these ports, by port and shape: VXLAN [RFC7348], Geneve [RFC8926],
 * GTP-U [3GPP TS 29.281] */
enum cap_inner cap_udp_tunnel(struct cut *c, uint16_t src_port, uint16_t dst_port, uint8_t *layers);
/* False: by its ports it is none. */
static inline bool cap_may_be_tunnel(uint16_t src_port, uint16_t dst_port)
{
	return dst_port == CAP_PORT_VXLAN || dst_port == CAP_PORT_GENEVE ||
	       dst_port == CAP_PORT_GTP_U || src_port == CAP_PORT_GTP_U;
}
