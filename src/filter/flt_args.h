#pragma once
/* flt_field.arg of what is in SIP, SDP and media, by getter: see flt_get.h. */

#include "filter/flt_get.h"

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
enum { RS_RESEND, RS_ORIGINAL, RS_REQUEST, RS_TIME, RS_RELEASE };
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
	RT_EXTS,
	RT_EXT_SEQ,
};
enum { SU_TEXT, SU_FRAME, SU_METHOD, SU_RTCP = 0x100 };
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
	RC_DISCARDED,
};
/* xr: bits of a block of one type, or below 256 what more types have */
#define FLT_XR(type, off, size, shift, n)                                                          \
	((uint32_t)(type) << 24 | (uint32_t)(off) << 16 | (uint32_t)(size) << 12 |                 \
	 (uint32_t)(shift) << 6 | (n))
enum {
	XB_LENGTH,
	XB_SPECIFIC,
	XB_THINNING,
	XB_BEGIN,
	XB_END,
	XB_RUN,
	XB_VECTOR,
	XB_RECEIPT,
	XB_LRR,
	XB_DLRR,
	XB_TIME,
};
/* flt_rtp.c: whether it is SRTCP, of which but the first header can be read. */
bool flt_is_srtcp(const struct cap_frame *fr);
/* ns since 1970 of an NTP timestamp. */
int64_t flt_ntp_ns(uint64_t ntp);
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
	ST_ASSIGNMENT,
	ST_CHANNEL,
	ST_RESPONSE_IN,
	ST_RESPONSE_TO,
	ST_TIME,
	ST_DUPLICATE,
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
	SA_ASSIGNMENT,
	SA_COMPREHENSION,
	SA_NO_TYPE,
	SA_RESERVED,
	SA_PADDING,
	SA_VALUE,
	SA_PORT_RAW,
	SA_IPV4_RAW,
	SA_IPV6_RAW,
	SA_UNKNOWN,
	SA_TRANSPORT,
	SA_RESERVE_NEXT,
	SA_CACHE_TIMEOUT,
	SA_NETWORK_ID,
	SA_NETWORK_COST,
	SA_CRC_STATUS,
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
	CL_MOS,
	CL_JITTER,
	CL_LOST,
	CL_LEGS,
	CL_HANGUP,
	CL_REASON,
};
