/* The ends of media, and when they were named: what a conversation between them is told of its
 * SDP. */
#include "capture/cap_ends.h"

#include "sdp/sdp.h"
#include "sip/hdr.h"
#include "track/trk_info.h"

/* The ends for media that SDP names, and those of their RTCP. */
static void name_ends(struct cap_convs *c, const struct sdp *s, uint32_t frame_no)
{
	for (unsigned i = 0; i < s->n_media; i++) {
		const struct sdp_media *m = &s->media[i];
		struct addr end = m->conn.addr;
		if (!m->port || end.family == ADDR_NONE)
			continue;
		end.port = m->port;
		cap_convs_name(c, &end, frame_no, false);
		if (sdp_proto_flags((enum sdp_proto)m->proto) & SDP_PF_RTP && !m->has_rtcp_mux &&
		    m->rtcp.family != ADDR_NONE)
			cap_convs_name(c, &m->rtcp, frame_no, true);
	}
}

/* An answer counts from the request that holds the offer, as far as Wireshark links them: over UDP,
 * when it is final, once. */
void cap_ends_name(struct cap_convs *c, const struct trk *t, const struct cap_frame *f, size_t i)
{
	const struct sip_msg *m = cap_index(f, i);
	const struct trk_ev *e = t ? trk_ev(t, f->msgs[i].no) : NULL, *r = NULL;
	bool is_copy = e && e->flags & (TRK_EV_RETRANS | TRK_EV_DUPLICATE);
	struct str body;
	struct sdp sdp;
	if ((is_copy && !e->status) || !sip_body_find(m, STR("application"), STR("sdp"), &body) ||
	    !body.n || sdp_parse(body, &sdp))
		return;
	if (e && e->status >= 200 && !is_copy && f->msgs[i].pkt.transport == TRK_UDP)
		r = trk_request_of(t, e);
	name_ends(c, &sdp, r && r->flags & TRK_EV_SDP ? r->frame_no : f->rec.no);
}
