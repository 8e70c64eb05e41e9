/* The statistics of a whole capture. */
#include "scope/view.h"

#include "base/assert.h"

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
