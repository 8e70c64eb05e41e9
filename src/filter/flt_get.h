#pragma once
/* What the getters of fields share (flt_pkt.c, flt_sip.c ...): the array that is being filled, and
 * the meaning of flt_field.arg. Included by fields' files only. */

#include "base/cut.h"
#include "filter/flt.h"

#include <string.h>

struct outlet { /* an array being filled */
	struct flt_val *v;
	unsigned n;
	uint8_t layer; /* of what comes next */
};

/* Of message i of a frame: what a datagram or a TCP segment holds is one layer however many
 * messages it is; each frame of a WebSocket and each record of TLS begins another. */
static inline uint8_t flt_msg_layer(const struct cap_frame *fr, size_t i)
{
	return (uint8_t)(!fr->is_ws && !fr->tls ? 1 : i < 254 ? i + 1 : 255);
}

/* The next value, or NULL when there is no room; s and layer are set. */
static inline struct flt_val *flt_out(struct outlet *o)
{
	if (o->n == FLT_MAX_VALUES)
		return NULL;
	struct flt_val *v = &o->v[o->n++];
	v->layer = o->layer;
	return v;
}

static inline void put_u(struct outlet *o, uint64_t u)
{
	struct flt_val *v = flt_out(o);
	if (v)
		v->u = u;
}

static inline void put_i(struct outlet *o, int64_t i)
{
	put_u(o, (uint64_t)i);
}

static inline void put_s(struct outlet *o, struct str s)
{
	struct flt_val *v = flt_out(o);
	if (v)
		v->s = s;
}

static inline void put_bytes(struct outlet *o, const void *p, size_t n)
{
	put_s(o, str_of(p, n));
}

/* A protocol: its header of n bytes, and `all` bytes from there to the end of what it carries. */
static inline void put_proto(struct outlet *o, const void *p, size_t n, size_t all)
{
	struct flt_val *v = flt_out(o);
	if (v) {
		v->s = str_of(p, n);
		v->u = all;
	}
}

static inline void put_ip(struct outlet *o, const void *p, size_t n)
{
	struct flt_val *v = flt_out(o);
	if (v)
		memcpy(v->ip, p, n);
}

#define FLT_GETTERS(X)                                                                             \
	X(frame)                                                                                   \
	X(bits)                                                                                    \
	X(link)                                                                                    \
	X(ip)                                                                                      \
	X(frag)                                                                                    \
	X(ext6)                                                                                    \
	X(port)                                                                                    \
	X(tcp)                                                                                     \
	X(icmp)                                                                                    \
	X(sll)                                                                                     \
	X(tail)                                                                                    \
	X(eth)                                                                                     \
	X(arp)                                                                                     \
	X(tls)                                                                                     \
	X(ws)                                                                                      \
	X(sip)                                                                                     \
	X(header)                                                                                  \
	X(other)                                                                                   \
	X(hdr_num)                                                                                 \
	X(uri)                                                                                     \
	X(via)                                                                                     \
	X(auth)                                                                                    \
	X(reason)                                                                                  \
	X(value)                                                                                   \
	X(session)                                                                                 \
	X(sec)                                                                                     \
	X(resend)                                                                                  \
	X(sdp)                                                                                     \
	X(sdp_part)                                                                                \
	X(rtp)                                                                                     \
	X(rtp_ext)                                                                                 \
	X(feedback)                                                                                \
	X(rtcp)                                                                                    \
	X(event)                                                                                   \
	X(stun)                                                                                    \
	X(stun_att)                                                                                \
	X(media)                                                                                   \
	X(call)                                                                                    \
	X(protocols)                                                                               \
	X(encap)                                                                                   \
	X(host)                                                                                    \
	X(conv)                                                                                    \
	X(seq)                                                                                     \
	X(analysis)                                                                                \
	X(tcp_opt)                                                                                 \
	X(tcp_flags)                                                                               \
	X(answer)                                                                                  \
	X(call_id)                                                                                 \
	X(setup)                                                                                   \
	X(xr)
#define X(name) flt_get_fn flt_get_##name;
FLT_GETTERS(X)
#undef X

/* --- flt_field.arg, by getter ------------------------------------------------------------------
 */

/* `bits`: a piece of a header, in network order. */
enum flt_header {
	HD_ETH,
	HD_VLAN,
	HD_VLAN_AD,
	HD_IP,
	HD_IP6,
	HD_UDP,
	HD_TCP,
	HD_ICMP,
	HD_ICMP6,
	HD_RTP
};
#define FLT_BITS(header, off, size, shift, n)                                                      \
	((uint32_t)HD_##header << 24 | (uint32_t)(off) << 16 | (uint32_t)(size) << 12 |            \
	 (uint32_t)(shift) << 6 | (n))
#define FLT_WORD(header, off, size) FLT_BITS(header, off, (size)&15, 0, 0)

enum {
	FR_BYTES,
	FR_NUMBER,
	FR_LEN,
	FR_CAP_LEN,
	FR_EPOCH,
	FR_RELATIVE,
	FR_DELTA,
	FR_DELTA_SHOWN,
	FR_IFACE,
	FR_IFACE_NAME,
	FR_IFACE_DESC,
	FR_QUEUE,
	FR_SECTION,
	FR_FLAGS,
	FR_DIRECTION,
	FR_RECEPTION,
	FR_FCS_LENGTH,
	FR_ID,
	FR_COMMENT,
	FR_ZERO, /* frame.marked, frame.ignored: nobody does that here */
};
enum {
	LK_ETH,
	LK_HEP,
	LK_VLAN,
	LK_VLAN_AD,
	LK_GRE,
	LK_ERSPAN,
	LK_VXLAN,
	LK_GTP,
	LK_GENEVE,
	LK_MPLS,
	LK_PPPOE,
	LK_PPP
};
enum { TA_PADDING, TA_TRAILER };
enum { EA_ADDR, EA_LG, EA_IG, EA_OUI, EA_LEN, EA_TYPE };
enum {
	IP_PROTO,
	IP_ADDR,
	IP_SRC,
	IP_DST,
	IP_NEXT,
	IP_HDR_LEN,
	IP_VERSION,
	IP_CHECK,
	IP_V6 = 0x100
};
enum { PG_ANY, PG_FRAMES, PG_COUNT, PG_DATA, PG_LENGTH, PG_V6 = 0x100 };
/* `ext6`: of an IPv6 extension header, whose protocol number comes above */
#define FLT_EXT6(proto, what) ((proto) << 8 | E6_##what)
enum { E6_HEADER, E6_NEXT, E6_LEN, E6_OCTETS, E6_TYPE, E6_LEFT, E6_OFFSET, E6_MORE, E6_IDENT };
enum { PT_PROTO, PT_ANY, PT_PAYLOAD, PT_LEN, PT_CHECK, PT_UDP = 0x100 };
enum { TC_HDR_LEN, TC_SYN, TC_SYNACK, TC_FIN, TC_RST, TC_ACK_NONZERO, TC_RESET_CAUSE };
enum { CO_STREAM, CO_RELATIVE, CO_DELTA, CO_COMPLETE, CO_FIN_FIRST, CO_FIN_SECOND, CO_UDP = 0x100 };
enum { SQ_SEQ, SQ_ACK, SQ_NEXT, SQ_WINDOW, SQ_SCALE };
enum { TO_ALL, TO_KIND, TO_LEN, TO_MSS, TO_SHIFT, TO_MULTIPLIER, TO_SACKS, TO_TSVAL, TO_TSECR };
enum {
	AN_ANY,
	AN_FLAGS,
	AN_ACKS_FRAME,
	AN_RTT,
	AN_IRTT,
	AN_RTO,
	AN_RTO_FRAME,
	AN_IN_FLIGHT,
	AN_PUSHED,
	AN_DUP_NO,
	AN_DUP_FRAME,
};
#define AN_FLAG            0x80000000u
#define FLT_ANALYSIS(name) (AN_FLAG | (uint32_t)CAP_SEQ_##name)
/* the special kinds are retransmissions too */
#define FLT_ANALYSIS_RETRANSMISSION                                                                \
	(FLT_ANALYSIS(RETRANSMISSION) | FLT_ANALYSIS(FAST_RETRANSMISSION) |                        \
	 FLT_ANALYSIS(SPURIOUS_RETRANSMISSION))
enum { IC_PROTO, IC_IDENT, IC_SEQ, IC_MTU, IC_V6 = 0x100 };
enum { SL_PROTO, SL_PKTTYPE, SL_HATYPE, SL_HALEN, SL_SRC_ETH, SL_ETYPE, SL_IFINDEX };
enum { AR_PROTO, AR_OPCODE, AR_SRC_IP, AR_DST_IP, AR_SRC_HW, AR_DST_HW };
enum {
	TL_PROTO,
	TL_TYPE,
	TL_OPAQUE,
	TL_HANDSHAKE,
	TL_RECORD_VERSION,
	TL_RECORD_LENGTH,
	TL_VERSION,
	TL_RANDOM,
	TL_SESSION,
	TL_SUITE,
	TL_EXT_TYPE, /* this and what follows: of extensions */
	TL_SERVER_NAME,
	TL_ALPN,
	TL_EXT_VERSION,
};
enum {
	WS_PROTO,
	WS_FIN,
	WS_OPCODE,
	WS_MASK,
	WS_LENGTH,
	WS_LENGTH_16,
	WS_LENGTH_64,
	WS_KEY,
	WS_PAYLOAD,
	WS_MASKED,
	WS_CLOSED,
	WS_STATUS
};
