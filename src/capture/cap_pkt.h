#pragma once
/* One frame taken apart down to its transport payload. Pure: no state, no allocation. */

#include "base/addr.h"
#include "capture/cap.h"

#define CAP_MAX_IPS                                                                                \
	4 /* IP headers in one frame: tunnels, and the packet that an ICMP error quotes */
#define CAP_MAX_VLANS 3
#define CAP_MAX_ETHS  3

enum cap_proto { /* IANA protocol numbers that we look into */
		 CAP_ICMP = 1,
		 CAP_IPIP = 4,
		 CAP_TCP = 6,
		 CAP_UDP = 17,
		 CAP_IPV6 = 41,
		 CAP_GRE = 47,
		 CAP_ICMP6 = 58,
};

struct cap_hdr { /* a header as it stands in the frame; p NULL when there is none */
	const uint8_t *p;
	uint32_t n; /* bytes from there to the end of what encloses it */
};

enum cap_layer { /* what else was passed on the way in */
		 CAP_L_GRE = 1,
		 CAP_L_ERSPAN = 2,
		 CAP_L_VXLAN = 4,
		 CAP_L_GTP = 8,
		 CAP_L_MPLS = 16,
		 CAP_L_PPPOE = 32,
		 CAP_L_PPP = 64,
		 CAP_L_GENEVE = 128,
};

struct cap_ip {
	struct addr src, dst; /* ports 0 */
	struct cap_hdr hdr;
	uint32_t id; /* IPv4, or of an IPv6 fragment header */
	uint16_t n;  /* total length as the header says */
	uint8_t proto, ttl;
};

struct cap_ports {
	struct cap_hdr hdr;   /* of UDP at least 8 bytes, of TCP 8 when quoted, else 20 */
	uint16_t src, dst, n; /* n: UDP length */
	uint8_t proto;        /* CAP_UDP, CAP_TCP */
};

struct cap_frag {     /* a piece of a datagram */
	uint32_t off; /* bytes */
	bool is_last;
	/* when it made the datagram whole: of that; frames in the order of the pieces' places */
	bool is_v6;
	uint32_t n, n_pieces;
	/* both are borrowed until the next cap_frags_add; frames: CAP_MAX_PIECES at most */
	const uint32_t *frames;
	const uint8_t *p;
};
#define CAP_MAX_PIECES 64

struct cap_pkt {
	uint16_t vlans[CAP_MAX_VLANS];      /* VLAN ids, outermost first */
	struct cap_hdr tags[CAP_MAX_VLANS]; /* of each VLAN, 4 bytes: from its id on */
	struct cap_hdr eths[CAP_MAX_ETHS];  /* Ethernet headers, outermost first */
	struct cap_hdr icmp;                /* at least 8 bytes */
	struct cap_hdr arp;
	uint8_t n_vlans, n_eths, n_ips, n_ports, n_tunnels;
	uint8_t ad_tags; /* bit i: tag i is of 802.1ad */
	uint8_t layers;  /* enum cap_layer */
	bool is_eth, is_sll, is_arp;
	bool is_fragment; /* payload is a piece; proto is what it is a piece of */
	bool is_quoted;   /* payload is quoted by an ICMP error: nobody sent it */
	bool is_cut;      /* the capture does not hold all of it */
	bool is_pdu;      /* payload is one whole message, whatever proto carried it */
	bool is_hep;      /* ... or would be: an agent of Homer sent it */
	uint8_t proto;    /* enum cap_proto of the payload, 0 when there is none that we know */
	uint8_t icmp_type, icmp_code;
	bool has_icmp, has_icmp6;
	uint8_t tcp_flags;
	uint32_t tcp_seq, tcp_ack;
	struct cap_frag frag;
	struct addr src, dst; /* of the payload, with ports */
	struct cap_ip ips[CAP_MAX_IPS];
	struct cap_ports ports[CAP_MAX_IPS];
	uint8_t told[8];   /* a PDU: the ports, as a header would begin */
	uint8_t over;      /* a PDU: enum trk_transport */
	const uint8_t *l4; /* the UDP or TCP header before it */
	const uint8_t *p;  /* payload of UDP or TCP, or of the fragment; borrows the record */
	uint32_t n;
};
enum { CAP_TCP_FIN = 1, CAP_TCP_SYN = 2, CAP_TCP_RST = 4, CAP_TCP_ACK = 16 };

/* Never fails: what cannot be read is left out (proto 0). ERR_UNSUPPORTED: an unknown link type. */
enum err cap_pkt_decode(const struct cap_rec *r, struct cap_pkt *out);
/* The transport header of a datagram put together from its fragments: fills ports, payload, proto
 * of a packet that cap_pkt_decode called a fragment. */
void cap_pkt_transport(struct cap_pkt *k, const uint8_t *p, uint32_t n);
