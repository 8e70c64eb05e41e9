/* The ladder as JSON: the sheet as it is, for programs and for the HTML page, which draws from it.
 *
 *	first      seconds since 1970 of the first message       duration   seconds, media included
 *	hosts      [{address, name?}]; rows name them by index
 *	calls      [what --calls --json says of each call]; rows name them by index
 *	rows       in order of time; times are seconds, `time` since `first`
 *	  both       kind ("message", "media"), call, from, to, time, delta (since the row before;
 *of a copy: since its original), tone ("request", "1xx" ... "error", "media") message    frame,
 *transport, bytes, label, method or status, cseq; original: the row that this one repeats; sends
 *and span: how often in all, and over how long; expected: of a retransmission, seconds after the
 *original; marks ["retransmission", "duplicate", "tls", "against-rfc"]; diagnostics [texts];
 *findings [indexes in its call's verdict] media      seen (false: agreed upon, but nothing came),
 *until, media, codec, packets, expected, lost, jitter_ms, max_jitter_ms, max_gap_ms, streams, dtmf
 *
 * A key without something to say is left out.
 */
#include "scope/lad_priv.h"

#include "scope/view.h"
#include "sdp/sdp.h"

static double seconds(uint64_t us)
{
	return (double)us / 1e6;
}

static double since(const struct sheet *s, uint64_t at_us)
{
	return at_us > s->first_us ? seconds(at_us - s->first_us) : 0;
}

static void put_marks(struct buf *b, unsigned marks)
{
	static const char *const names[] = {"retransmission", "duplicate", "tls", "against-rfc"};
	const char *comma = "";
	if (!marks)
		return;
	buf_str(b, STR(",\"marks\":["));
	for (unsigned i = 0; i < 4; i++)
		if (marks & 1u << i) {
			buf_fmt(b, "%s\"%s\"", comma, names[i]);
			comma = ",";
		}
	buf_chr(b, ']');
}

static void put_diags(struct buf *b, struct str lines)
{
	const char *comma = "";
	if (!lines.n)
		return;
	buf_str(b, STR(",\"diagnostics\":["));
	while (lines.n) {
		buf_str(b, str_c(comma));
		buf_json(b, str_cut(lines, '\n', &lines));
		comma = ",";
	}
	buf_chr(b, ']');
}

static void put_findings(struct buf *b, unsigned findings)
{
	const char *comma = "";
	if (!findings)
		return;
	buf_str(b, STR(",\"findings\":["));
	for (unsigned i = 0; i < VRD_MAX; i++)
		if (findings & 1u << i) {
			buf_fmt(b, "%s%u", comma, i);
			comma = ",";
		}
	buf_chr(b, ']');
}

static void put_message(struct buf *b, const struct sheet *s, const struct sheet_row *r)
{
	const struct trk_ev *e = r->ev;
	buf_fmt(b, ",\"frame\":%u,\"transport\":", e->frame_no);
	buf_json(b, trk_transport_name(r->call->peers[e->from].transport));
	buf_fmt(b, ",\"bytes\":%u,\"label\":", e->n_bytes);
	buf_json(b, sheet_label(s, r));
	if (e->status) {
		buf_fmt(b, ",\"status\":%u", e->status);
	} else if (e->method) {
		buf_str(b, STR(",\"method\":"));
		buf_json(b, sip_method_name((enum sip_method)e->method));
	}
	buf_fmt(b, ",\"cseq\":%u", e->cseq);
	if (r->original)
		buf_fmt(b, ",\"original\":%u", r->original - 1);
	if (r->n_sends > 1)
		buf_fmt(b, ",\"sends\":%u,\"span\":%.6f", r->n_sends, seconds(r->span_us));
	if (r->expected_us)
		buf_fmt(b, ",\"expected\":%.6f", seconds(r->expected_us));
	put_marks(b, r->marks);
	put_diags(b, sheet_row_diags(s, r));
	put_findings(b, r->findings);
}

static void put_media(struct buf *b, const struct sheet *s, const struct sheet_band *d)
{
	static const char *const kinds[] = {
		[SDP_AUDIO] = "audio", [SDP_VIDEO] = "video", [SDP_IMAGE] = "image"};
	buf_fmt(b, ",\"seen\":%s,\"until\":%.6f", d->is_absent ? "false" : "true",
		since(s, d->end_us));
	if (d->media < sizeof kinds / sizeof kinds[0] && kinds[d->media])
		buf_fmt(b, ",\"media\":\"%s\"", kinds[d->media]);
	if (d->is_absent)
		return;
	if (d->codec[0]) {
		buf_str(b, STR(",\"codec\":"));
		buf_json(b, str_c(d->codec));
	}
	buf_fmt(b,
		",\"packets\":%llu,\"expected\":%llu,\"lost\":%llu,\"jitter_ms\":%.3f,"
		"\"max_jitter_ms\":%.3f,\"max_gap_ms\":%.3f,\"streams\":%u,\"frame\":%u",
		(unsigned long long)d->received, (unsigned long long)d->expected,
		(unsigned long long)(d->expected > d->received ? d->expected - d->received : 0),
		d->jitter_ms, d->max_jitter_ms, (double)d->max_gap_us / 1e3, d->n_streams,
		d->first_frame);
	if (d->digits[0]) {
		buf_str(b, STR(",\"dtmf\":"));
		buf_json(b, str_c(d->digits));
	}
}

static void put_row(struct buf *b, const struct sheet *s, const struct sheet_row *r)
{
	static const char *const tones[] = {"plain", "request", "1xx",  "2xx",
					    "3xx",   "error",   "media"};
	buf_fmt(b,
		"{\"kind\":\"%s\",\"from\":%u,\"to\":%u,\"time\":%.6f,\"delta\":%.6f,\"tone\":\"%"
		"s\"",
		r->ev ? "message" : "media", r->from, r->to, since(s, r->at_us),
		seconds(r->delta_us), tones[r->tone]);
	if (r->leg < s->n_legs)
		buf_fmt(b, ",\"call\":%u", r->leg);
	if (r->ev)
		put_message(b, s, r);
	else
		put_media(b, s, r->band);
	buf_chr(b, '}');
}

void lad_put_json(struct buf *b, struct trk *t, const struct sheet *s)
{
	buf_fmt(b, "{\"first\":%.6f,\"duration\":%.6f,\"hosts\":[", seconds(s->first_us),
		seconds(s->last_us - s->first_us));
	for (unsigned i = 0; i < s->n_lanes; i++) {
		buf_str(b, i ? STR(",{\"address\":\"") : STR("{\"address\":\""));
		sheet_put_host(b, &s->lanes[i]);
		buf_chr(b, '"');
		if (s->lanes[i].name.n) {
			buf_str(b, STR(",\"name\":"));
			buf_json(b, s->lanes[i].name);
		}
		buf_chr(b, '}');
	}
	buf_str(b, STR("],\"calls\":["));
	for (size_t i = 0; i < s->n_legs; i++) {
		buf_str(b, i ? STR(",") : STR_NONE);
		view_call(b, t, s->legs[i].call, s->legs[i].v,
			  &(struct view_opts){.is_json = true});
		b->n -= b->err ? 0 : 1; /* its line end */
	}
	buf_str(b, STR("],\"rows\":["));
	for (size_t i = 0; i < s->n_rows; i++) {
		buf_str(b, i ? STR(",") : STR_NONE);
		put_row(b, s, &s->rows[i]);
	}
	buf_str(b, STR("]}"));
}
