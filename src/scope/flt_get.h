#pragma once
/* What the getters of fields share (flt_pkt.c, flt_sip.c ...): the array that is being filled, and
 * the meaning of flt_field.arg. Included by fields' files only. */

#include "scope/cap_cut.h"
#include "scope/flt.h"

#include <string.h>

struct outlet { /* an array being filled */
	struct flt_val *v;
	unsigned n;
	uint8_t layer; /* of what comes next */
};

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
	X(link) X(ip) X(port) X(tcp) X(icmp) X(sll) X(eth) X(arp) X(tls) X(ws) X(sip) X(header)    \
		X(hdr_num) X(uri) X(via) X(auth) X(reason) X(value) X(session) X(sec) X(resend)    \
			X(sdp) X(sdp_part) X(rtp) X(rtp_ext) X(rtcp) X(event) X(stun) X(stun_att)  \
				X(media) X(call)
#define X(name) flt_get_fn flt_get_##name;
FLT_GETTERS(X)
#undef X

/* --- flt_field.arg, by getter ------------------------------------------------------------------
 */

/* `bits`: a piece of a header, in network order. */
enum flt_header { HD_ETH, HD_VLAN, HD_IP, HD_IP6, HD_UDP, HD_TCP, HD_ICMP, HD_ICMP6, HD_RTP };
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
	FR_ZERO, /* frame.marked, frame.ignored: nobody does that here */
};
enum { LK_ETH, LK_HEP, LK_VLAN, LK_GRE, LK_ERSPAN, LK_VXLAN, LK_GTP, LK_MPLS, LK_PPPOE, LK_PPP };
enum { EA_ADDR, EA_LG, EA_IG, EA_OUI, EA_LEN, EA_TYPE };
enum { IP_PROTO, IP_ADDR, IP_SRC, IP_DST, IP_NEXT, IP_HDR_LEN, IP_VERSION, IP_V6 = 0x100 };
enum { PT_PROTO, PT_ANY, PT_PAYLOAD, PT_LEN, PT_UDP = 0x100 };
enum { TC_HDR_LEN };
enum { IC_PROTO, IC_IDENT, IC_SEQ, IC_MTU, IC_V6 = 0x100 };
enum { SL_PROTO, SL_PKTTYPE, SL_HATYPE, SL_HALEN, SL_SRC_ETH, SL_ETYPE, SL_IFINDEX };
enum { AR_PROTO, AR_OPCODE, AR_SRC_IP, AR_DST_IP, AR_SRC_HW, AR_DST_HW };
enum { TL_PROTO, TL_TYPE, TL_OPAQUE, TL_HANDSHAKE };
enum { WS_PROTO, WS_FIN, WS_OPCODE, WS_MASK, WS_LENGTH, WS_KEY };
enum {
	SP_BYTES,
	SP_REQUEST_LINE,
	SP_STATUS_LINE,
	SP_METHOD,
	SP_STATUS,
	SP_RURI,
	SP_CSEQ_SEQ,
	SP_CSEQ_METHOD,
	SP_BODY,
	SP_HEAD,
	SP_RACK_RSEQ,
	SP_RACK_CSEQ,
	SP_RACK_METHOD,
	SP_UNKNOWN,
};
/* uri: SIP_HDR_OTHER is the Request-URI */
enum { UR_URI, UR_DISPLAY, UR_USER, UR_HOST, UR_PORT, UR_PARAM, UR_TAG, UR_HDR_PARAM };
#define FLT_URI(header, part) ((uint32_t)SIP_HDR_##header | (uint32_t)UR_##part << 8)
/* From and To at once */
#define FLT_BOTH(part) (0xffu | (uint32_t)UR_##part << 8)
enum {
	VI_TRANSPORT,
	VI_HOST,
	VI_PORT,
	VI_BRANCH,
	VI_RECEIVED,
	VI_MADDR,
	VI_RPORT,
	VI_TTL,
	VI_COMP,
	VI_SIGCOMP,
	VI_OC,
	VI_OC_VALIDITY,
	VI_OC_SEQ,
	VI_OC_ALGO
};
enum {
	AU_SCHEME,
	AU_LINE,
	AU_USERNAME,
	AU_REALM,
	AU_NONCE,
	AU_URI,
	AU_RESPONSE,
	AU_ALGORITHM,
	AU_OPAQUE,
	AU_QOP,
	AU_NC,
	AU_CNONCE,
	AU_DOMAIN,
	AU_STALE,
	AU_AUTS,
	AU_RSPAUTH,
	AU_NEXTNONCE,
	AU_IK,
	AU_CK
};
enum { RE_PROTOCOLS, RE_Q850, RE_SIP, RE_OTHER, RE_TEXT };
enum { VA_ICID, VA_ICID_ADDR, VA_ACCESS, VA_CELL, VA_FEATURE };
enum { RS_RESEND, RS_ORIGINAL };
enum { SE_PARAM, SE_LOCAL, SE_REMOTE };
enum {
	SC_MECHANISM,
	SC_ALG,
	SC_EALG,
	SC_PROT,
	SC_SPI_C,
	SC_SPI_S,
	SC_PORT1,
	SC_PORT_C,
	SC_PORT2,
	SC_PORT_S
};
/* sdp: a whole line; session and media level apart where bit 8, 9 say so */
enum { SD_BYTES = 0, SD_SESSION = 0x100, SD_MEDIA = 0x200 };
/* sdp_part: word number `n` of a line, or more special ones */
#define FLT_SDP(line, n) ((uint32_t)(line) | (uint32_t)(n) << 8)
enum {
	SD_CONN_ADDR = 10,
	SD_CONN_TTL,
	SD_CONN_NUM,
	SD_BW_TYPE,
	SD_BW_VALUE,
	SD_ATTR_NAME,
	SD_ATTR_VALUE,
	SD_SESSION_ATTR_NAME,
	SD_SESSION_ATTR_VALUE,
	SD_PORT,
	SD_PORT_TEXT,
	SD_PORT_COUNT,
	SD_FORMAT,
	SD_MIME,
	SD_RATE,
	SD_FMTP,
	SD_CRYPTO_TAG,
	SD_CRYPTO_SUITE,
	SD_CRYPTO_LIFETIME,
	SD_CANDIDATE, /* + 0 ... 6 */
};
enum {
	RT_PROTO,
	RT_PAYLOAD,
	RT_CSRC,
	RT_CSRCS,
	RT_PAD_COUNT,
	RT_PAD_DATA,
	RT_EXT_PROFILE,
	RT_EXT_LEN,
	RT_EXT_WORD,
	RT_EXTS
};
enum { RX_ID, RX_LEN, RX_DATA };
enum {
	RC_PROTO,
	RC_VERSION,
	RC_PADDING,
	RC_RC,
	RC_SC,
	RC_PT,
	RC_LENGTH,
	RC_SENDER,
	RC_NTP_MSW,
	RC_NTP_LSW,
	RC_NTP,
	RC_RTP_TS,
	RC_PACKETS,
	RC_OCTETS,
	RC_SSRC,
	RC_FRACTION,
	RC_LOST,
	RC_EXT_HIGH,
	RC_HIGH_SEQ,
	RC_HIGH_CYCLES,
	RC_JITTER,
	RC_LSR,
	RC_DLSR,
	RC_SDES_TYPE,
	RC_SDES_LEN,
	RC_SDES_TEXT,
	RC_APP_SUBTYPE,
	RC_APP_NAME,
	RC_APP_DATA,
	RC_APP_TEXT,
	RC_MEDIA_SSRC,
	RC_RTPFB_FMT,
	RC_PSFB_FMT,
	RC_NACK_PID,
	RC_NACK_BLP,
	RC_XR_BT,
};
enum { EV_PROTO, EV_ID, EV_END, EV_RESERVED, EV_VOLUME, EV_DURATION };
enum {
	ST_PROTO,
	ST_TYPE,
	ST_CLASS,
	ST_METHOD,
	ST_LENGTH,
	ST_COOKIE,
	ST_ID,
	ST_ATTRS,
};
enum {
	SA_TYPE,
	SA_LENGTH,
	SA_FAMILY,
	SA_PORT,
	SA_IPV4,
	SA_IPV6,
	SA_USERNAME,
	SA_SOFTWARE,
	SA_REALM,
	SA_NONCE,
	SA_HMAC,
	SA_CRC,
	SA_PRIORITY,
	SA_TIE,
	SA_ERR_CLASS,
	SA_ERR_NUMBER,
	SA_ERR_REASON,
	SA_LIFETIME,
	SA_CHANGE_IP,
	SA_CHANGE_PORT,
	SA_CHANNEL,
};
enum {
	CL_NO,
	CL_ID,
	CL_KIND,
	CL_STATE,
	CL_DURATION,
	CL_SETUP,
	CL_PDD,
	CL_RING,
	CL_CODE,
	CL_VERDICT,
	CL_SEVERITY,
	CL_USER,
	CL_FROM,
	CL_TO,
	CL_HOST,
	CL_TRANSPORT,
	CL_MESSAGES,
	CL_STREAMS,
	CL_CODEC,
	CL_DIGITS,
};
