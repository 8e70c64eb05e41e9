/* Listings of media streams, and the statistics of a whole capture. */
#include "scope/view.h"

#include "base/assert.h"

void view_stream_head(struct buf *b, const struct view_opts *o)
{
	if (!o->is_json)
		buf_str(b,
			STR("     Start  Source                  Destination            SSRC       "
			    "Codec     Packets   Lost         Jitter  Max gap  Call\n"));
}

static double ms(uint64_t us)
{
	return (double)us / 1e3;
}

static void stream_json(struct buf *b, const struct trk_stream *s, uint64_t expected, int64_t lost)
{
	buf_str(b, STR("{\"from\":\""));
	addr_put(b, &s->from);
	buf_str(b, STR("\",\"to\":\""));
	addr_put(b, &s->to);
	buf_fmt(b, "\",\"ssrc\":\"0x%08x\",\"payload_type\":%u,\"codec\":", s->ssrc, s->pt);
	buf_json(b, str_c(s->codec));
	buf_fmt(b,
		",\"clock\":%u,\"packets\":%llu,\"expected\":%llu,\"lost\":%lld,\"duplicates\":%u,"
		"\"reordered\":%u,\"jitter_ms\":%.3f,\"max_jitter_ms\":%.3f,\"max_gap_ms\":%.3f,"
		"\"bytes\":%llu,\"first_frame\":%u,\"last_frame\":%u,\"paths\":%u",
		s->stats.clock, (unsigned long long)s->stats.received, (unsigned long long)expected,
		(long long)lost, s->stats.dup, s->stats.reordered, rtp_stats_jitter_ms(&s->stats),
		rtp_stats_max_jitter_ms(&s->stats), ms(s->stats.max_delta_us),
		(unsigned long long)s->stats.bytes, s->first_frame, s->last_frame, s->n_paths);
	if (s->digits[0]) {
		buf_str(b, STR(",\"dtmf\":"));
		buf_json(b, str_c(s->digits));
	}
	buf_str(b, STR(",\"call_id\":"));
	buf_json(b, s->call->call_id);
	buf_str(b, STR("}\n"));
}

void view_stream(struct buf *b, const struct trk *t, const struct trk_stream *s,
		 const struct view_opts *o)
{
	uint64_t expected = rtp_stats_expected(&s->stats);
	int64_t lost = rtp_stats_lost(&s->stats);
	if (o->is_json) {
		stream_json(b, s, expected, lost);
		return;
	}
	uint64_t first = trk_stats(t)->first_us;
	size_t at = b->n;
	char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	buf_fmt(b, "%10.3f  %-22s  %-21s  0x%08x %-9s %7llu %6lld (%4.1f %%) %5.2f ms %5.0f ms  ",
		s->stats.first_us > first ? ms(s->stats.first_us - first) / 1e3 : 0.0,
		addr_text(&s->from, from), addr_text(&s->to, to), s->ssrc,
		s->codec[0] ? s->codec : "?", (unsigned long long)s->stats.received,
		(long long)lost,
		expected && lost > 0 ? 100.0 * (double)lost / (double)expected : 0.0,
		rtp_stats_jitter_ms(&s->stats), ms(s->stats.max_delta_us));
	vrd_put_parties(b, s->call, o->is_ascii);
	if (s->digits[0])
		buf_fmt(b, "  DTMF %s", s->digits);
	buf_mask(b, at, false); /* the codec's name is the SDP's */
	buf_chr(b, '\n');
}

static void stats_json(struct buf *b, const struct trk_stats *s)
{
	buf_fmt(b,
		"{\"messages\":%llu,\"bytes\":%llu,\"retransmissions\":%llu,\"duplicates\":%llu,"
		"\"rtp_packets\":%llu,\"seconds\":%.6f,\"requests\":{",
		(unsigned long long)s->n_messages, (unsigned long long)s->n_bytes,
		(unsigned long long)s->n_retrans, (unsigned long long)s->n_duplicate,
		(unsigned long long)s->n_rtp, (double)(s->last_us - s->first_us) / 1e6);
	const char *comma = "";
	for (unsigned i = 0; i < SIP_METHOD__N; i++)
		if (s->n_requests[i]) {
			struct str name = sip_method_name((enum sip_method)i);
			buf_fmt(b, "%s\"" STR_FMT "\":%llu", comma,
				STR_ARG(name.n ? name : STR("other")),
				(unsigned long long)s->n_requests[i]);
			comma = ",";
		}
	buf_str(b, STR("},\"responses\":{"));
	comma = "";
	for (unsigned i = 0; i < ARRAY_LEN(s->n_statuses); i++)
		if (s->n_statuses[i]) {
			buf_fmt(b, "%s\"%u\":%llu", comma, i, (unsigned long long)s->n_statuses[i]);
			comma = ",";
		}
	buf_str(b, STR("},\"dialogs\":{"));
	for (unsigned i = 0; i < TRK__KINDS; i++)
		buf_fmt(b, "%s\"" STR_FMT "\":%llu", i ? "," : "",
			STR_ARG(trk_kind_name((enum trk_kind)i)),
			(unsigned long long)s->n_calls[i]);
	buf_str(b, STR("}}\n"));
}

void view_stats(struct buf *b, const struct trk *t, const struct view_opts *o)
{
	const struct trk_stats *s = trk_stats(t);
	if (o->is_json) {
		stats_json(b, s);
		return;
	}
	buf_fmt(b, "%10llu  SIP messages, %llu bytes, in %.3f s\n",
		(unsigned long long)s->n_messages, (unsigned long long)s->n_bytes,
		(double)(s->last_us - s->first_us) / 1e6);
	buf_fmt(b, "%10llu  of them retransmissions\n", (unsigned long long)s->n_retrans);
	if (s->n_duplicate)
		buf_fmt(b, "%10llu  of them captured twice\n", (unsigned long long)s->n_duplicate);
	if (s->n_without_call_id)
		buf_fmt(b, "%10llu  of them without a Call-ID\n",
			(unsigned long long)s->n_without_call_id);
	if (s->n_rtp)
		buf_fmt(b, "%10llu  RTP packets\n", (unsigned long long)s->n_rtp);
	buf_str(b, STR("\nrequests\n"));
	for (unsigned i = 0; i < SIP_METHOD__N; i++)
		if (s->n_requests[i]) {
			struct str name = sip_method_name((enum sip_method)i);
			buf_fmt(b, "%10llu  " STR_FMT "\n", (unsigned long long)s->n_requests[i],
				STR_ARG(name.n ? name : STR("other methods")));
		}
	buf_str(b, STR("\nresponses\n"));
	for (unsigned i = 0; i < ARRAY_LEN(s->n_statuses); i++)
		if (s->n_statuses[i])
			buf_fmt(b, "%10llu  %u " STR_FMT "\n", (unsigned long long)s->n_statuses[i],
				i, STR_ARG(sip_status_reason(i)));
	buf_str(b, STR("\nwhat they were for\n"));
	for (unsigned i = 0; i < TRK__KINDS; i++)
		if (s->n_calls[i])
			buf_fmt(b, "%10llu  " STR_FMT "\n", (unsigned long long)s->n_calls[i],
				STR_ARG(trk_kind_name((enum trk_kind)i)));
}
