#pragma once
/* RTCP extended reports: blocks in a packet of type 207 [RFC3611]. Opened: receiver reference time,
 * DLRR, VoIP metrics; the others can be walked over. */

#include "rtp/rtcp.h"

enum xr_type { XR_REFERENCE_TIME = 4, XR_DLRR = 5, XR_STATISTICS = 6, XR_VOIP = 7 };

struct xr_block {
	uint8_t type, specific; /* enum xr_type or another; the type's own byte */
	struct str body;        /* after the 4-byte head; borrows the packet */
};
/* Walks: size_t at = 0; while ((e = xr_next(&pkt, &at, &block)) == OK) ... ERR_MORE at the end,
 * ERR_SYNTAX when the rest cannot be read or the packet is no XR. */
enum err xr_next(const struct rtcp_pkt *p, size_t *at, struct xr_block *out);

#define XR_UNKNOWN 127                         /* of levels, R and MOS [RFC3611 4.7] */
struct xr_voip {                               /* [RFC3611 4.7] */
	uint32_t ssrc;                         /* of the stream it is about */
	uint8_t loss, discard;                 /* rates, in 1/256 */
	uint8_t burst_density, gap_density;    /* in 1/256 */
	uint16_t burst_ms, gap_ms;             /* mean duration */
	uint16_t round_trip_ms, end_system_ms; /* 0 unknown */
	int8_t signal_dbm, noise_dbm;          /* XR_UNKNOWN */
	uint8_t echo_db, gmin;
	uint8_t r, external_r;  /* 0..100, XR_UNKNOWN */
	uint8_t mos_lq, mos_cq; /* tenths, 10..50, XR_UNKNOWN */
	uint8_t config;
	uint16_t buffer_ms, buffer_max_ms, buffer_abs_max_ms;
};
/* ERR_SYNTAX: another type or too short. */
enum err xr_voip_parse(const struct xr_block *b, struct xr_voip *out);
/* NTP time of a reference time block. */
enum err xr_reference_time(const struct xr_block *b, uint64_t *ntp);
/* Sub-block i of a DLRR; ERR_NOTFOUND past the last. Only ssrc, lsr and dlsr of *out are set. */
enum err xr_dlrr(const struct xr_block *b, unsigned i, struct rtcp_block *out);
/* Writes an XR packet with one VoIP metrics block. */
void xr_put_voip(struct buf *b, uint32_t sender, const struct xr_voip *v);
