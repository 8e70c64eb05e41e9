/* Fields of SIP that say what other message this one belongs to: which request a response or an ACK
 * answers and after how long, what it repeats; of RTP, which call agreed on it.
 *
 * The tracker knows the messages of a call. [RFC3261 17]
 */
#include "filter/flt_args.h"

#include "sip/hdr.h"
#include "track/trk_info.h"
#include "track/trk_stream.h"

static bool is_copy(const struct trk_ev *e)
{
	return e->flags & (TRK_EV_RETRANS | TRK_EV_DUPLICATE);
}

/* Whole seconds, and what is beyond them cut to milliseconds: so does Wireshark, which therefore
 * rounds up where a second ends in between. */
static uint64_t ms_between(uint64_t from_us, uint64_t to_us)
{
	enum { SECOND = 1'000'000, MS = 1'000 };
	int64_t s = (int64_t)(to_us / SECOND) - (int64_t)(from_us / SECOND);
	int64_t us = (int64_t)(to_us % SECOND) - (int64_t)(from_us % SECOND);
	int64_t ms = s * 1'000 + us / MS;
	return ms > 0 ? (uint64_t)ms : 0;
}

unsigned flt_get_answer(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; fr->trk && i < fr->n_msgs; i++) {
		const struct trk_ev *e = trk_ev(fr->trk, fr->msgs[i].no);
		const struct trk_ev *r = e ? trk_request_of(fr->trk, e) : NULL;
		o.layer = flt_msg_layer(fr, i);
		if (!r)
			continue;
		if (f->arg == RS_REQUEST)
			put_u(&o, r->frame_no);
		else if (f->arg == RS_TIME || (e->status && e->method == SIP_BYE))
			put_u(&o, ms_between(r->at_us, e->at_us));
	}
	return o.n;
}

/* sip.resend: the same message on the same hop, again [RFC3261 17]. */
unsigned flt_get_resend(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; fr->trk && i < fr->n_msgs; i++) {
		const struct trk_ev *e = trk_ev(fr->trk, fr->msgs[i].no);
		o.layer = flt_msg_layer(fr, i);
		if (!e)
			continue;
		if (f->arg == RS_RESEND)
			put_u(&o, is_copy(e));
		else if (is_copy(e) && trk_ev(fr->trk, trk_copy_of(e)))
			put_u(&o, trk_ev(fr->trk, trk_copy_of(e))->frame_no);
	}
	return o.n;
}

static bool has_sdp(const struct sip_msg *m)
{
	struct str rest, type = str_trim(str_cut(sip_value(m, SIP_HDR_CONTENT_TYPE), ';', &rest));
	return m->body.n && str_ieq(type, STR("application/sdp"));
}

/* The Call-ID of a message, once more with its SDP; of RTP that of its call. */
unsigned flt_get_call_id(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	(void)f;
	for (size_t i = 0; i < fr->n_msgs + fr->n_quoted; i++) {
		const struct sip_msg *m = cap_index(fr, i);
		o.layer = flt_msg_layer(fr, i);
		if (m->call_id.n)
			put_s(&o, m->call_id);
		if (m->call_id.n && has_sdp(m))
			put_s(&o, m->call_id);
	}
	o.layer = 1;
	if (fr->media == RTP_RTP && fr->stream && fr->stream->call)
		put_s(&o, fr->stream->call->call_id);
	return o.n;
}
