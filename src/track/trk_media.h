#pragma once
/* What the tracker takes besides SIP messages: RTP, RTCP and what else runs between the addresses
 * that SDP named, and ICMP errors about it or about messages. [RFC3550] [RFC8866] [RFC792] */

#include "track/trk.h"

struct trk_datagram {      /* one that is no SIP */
	int64_t at_ns;     /* since 1970 */
	uint32_t frame_no; /* as in trk_packet */
	const struct addr *from, *to;
	struct str bytes;
};
static inline struct trk_datagram trk_datagram_of(const struct trk_packet *p) /* borrows it */
{
	return (struct trk_datagram){.at_ns = (int64_t)(p->at_us * 1'000 + p->at_ns),
				     .frame_no = p->frame_no,
				     .from = &p->from,
				     .to = &p->to,
				     .bytes = p->bytes};
}

/* A datagram that is no SIP: what it is, when it goes to or from a media address that an SDP body
 * named, or, with finds_media, looks like RTP for long enough; else, and without has_media,
 * RTP_UNKNOWN. RTP is counted into its stream, *rtp (may be NULL) filled. */
enum rtp_kind trk_media(struct trk *t, const struct trk_datagram *p, struct rtp_hdr *rtp);
/* The same for a datagram that an ICMP error quotes: nothing is counted. */
enum rtp_kind trk_media_quoted(struct trk *t, const struct trk_datagram *p, struct rtp_hdr *rtp);
/* Whether what goes between these addresses is SRTP, as far as SDP said. [RFC3711] */
bool trk_is_secure(struct trk *t, const struct addr *from, const struct addr *to);
/* Whether RTP of that payload type between these addresses carries telephone events, as far as SDP
 * said. [RFC4733] */
bool trk_is_event(struct trk *t, const struct addr *from, const struct addr *to, uint8_t pt);
/* An ICMP error: a datagram from `from` could not be delivered to `to`. */
void trk_unreachable(struct trk *t, const struct addr *from, const struct addr *to);
/* Whose media run from one address to another, as trk_media knows it; NULL: nobody's. */
struct trk_call *trk_media_call(struct trk *t, const struct addr *from, const struct addr *to);
struct trk_icmp { /* an error about a datagram that somebody sent */
	uint64_t at_us;
	uint32_t frame_no;
	struct addr by;       /* who complains; port 0 */
	struct addr from, to; /* of the datagram */
	uint8_t type, code;
	bool is_v6;
	uint16_t ip_id;   /* of the datagram, 0 in IPv6 */
	uint32_t n_bytes; /* its payload was so long */
	struct str bytes; /* what is quoted of that */
};
/* Kept with the message that it is about, or, when it is about media, with the call's last one.
 * What is about neither is ignored. [RFC792] [RFC4443 3] */
void trk_icmp(struct trk *t, const struct trk_icmp *p);
