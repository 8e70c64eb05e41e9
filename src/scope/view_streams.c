/* Listings of media streams: a line each, a paragraph each, or JSON with every figure.
 *
 * What is not known is left out, never shown as 0: no jitter without a clock, no silence without a
 * look at the samples, no grade without its inputs. In JSON the units stand in the keys.
 * A line of the list is put together by hand, as in view.c: there are thousands.
 */
#include "scope/view_priv.h"

#include "base/assert.h"

void view_stream_head(struct buf *b, const struct view_opts *o)
{
	if (!o->is_json && !o->is_detailed)
		buf_str(b,
			STR("  No Call  From                    To                     Codec     "
			    "Packets   Lost           Jitter   MOS\n"));
}

static double per_cent(double share)
{
	return 100 * share;
}

static double from_256(unsigned n)
{
	return 100.0 * n / 256;
}

static double clock_ms(const struct trk_stream *s, uint32_t ticks)
{
	return s->stats.clock ? 1e3 * ticks / s->stats.clock : 0;
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_identity(struct buf *b, const struct trk_stream *s)
{
	static const char *const kinds[] = {"audio",   "video", "text", "application",
					    "message", "image", "other"};
	buf_fmt(b, "{\"no\":%u,\"from\":\"", s->no);
	addr_put(b, &s->from);
	buf_str(b, STR("\",\"to\":\""));
	addr_put(b, &s->to);
	buf_fmt(b, "\",\"protocol\":\"%s\",\"ssrc\":\"0x%08x\",\"payload_type\":%u,\"codec\":",
		s->is_t38 ? "T.38" : "RTP", s->ssrc, s->pt);
	buf_json(b, str_c(s->codec));
	buf_str(b, STR(",\"payload_types\":["));
	const char *comma = "";
	for (unsigned pt = 0; pt < 128; pt++)
		if (s->pts[pt >> 6] >> (pt & 63) & 1) {
			buf_fmt(b, "%s%u", comma, pt);
			comma = ",";
		}
	buf_str(b, STR("],\"found_by\":"));
	buf_json(b, str_c(trk_found_text((enum trk_found)s->found)));
	buf_str(b, STR(",\"encryption\":"));
	buf_json(b, str_c(trk_crypt_text((enum trk_crypt)s->crypt)));
	if (s->call) {
		buf_fmt(b, ",\"media\":\"%s\",\"call\":%u,\"receiver\":\"%s\",\"call_id\":",
			kinds[s->media], s->call->no,
			s->side == TRK_SIDE_CALLER ? "caller" : "callee");
		buf_json(b, s->call->call_id);
		if (trk_av(s->call)->info_digits[0])
			buf_fmt(b, ",\"info_dtmf\":\"%s\"", trk_av(s->call)->info_digits);
	}
	if (s->after_ssrc)
		buf_fmt(b, ",\"after_ssrc\":\"0x%08x\"", s->after_ssrc);
	buf_fmt(b, ",\"paths\":%u,\"first_frame\":%u,\"last_frame\":%u", s->n_paths, s->first_frame,
		s->last_frame);
}

static void json_loss(struct buf *b, const struct trk_stream *s, const struct trk_figures *f)
{
	const struct rtp_loss_sum *l = &f->spread;
	buf_fmt(b,
		",\"packets\":%llu,\"expected\":%llu,\"lost\":%llu,\"lost_percent\":%.3f,"
		"\"lost_rtcp\":%d,\"duplicates\":%u,\"reordered\":%u,\"restarts\":%u,"
		"\"discarded\":%u,\"discard_buffer_ms\":%u",
		(unsigned long long)f->packets, (unsigned long long)f->expected,
		(unsigned long long)f->lost, f->lost_percent, rtp_stats_lost_rtcp(&s->stats),
		s->stats.dup, s->stats.reordered, s->stats.restarts, f->discarded, RTP_BUFFER_MS);
	buf_fmt(b,
		",\"loss_runs\":%u,\"longest_loss_packets\":%u,\"mean_loss_packets\":%.3f,"
		"\"burst_ratio\":%.3f,\"bursts\":%u,\"burst_density_percent\":%.2f,"
		"\"mean_burst_packets\":%.2f,\"gap_density_percent\":%.3f,"
		"\"mean_gap_packets\":%.2f,\"capture_lost_packets\":%llu",
		l->n_runs, l->longest, l->mean_run, l->burst_r, l->n_bursts,
		per_cent(l->burst_density), l->mean_burst, per_cent(l->gap_density), l->mean_gap,
		(unsigned long long)f->sniffer_lost);
}

static void json_timing(struct buf *b, const struct trk_stream *s, const struct trk_figures *f)
{
	buf_fmt(b,
		",\"start\":%llu.%06llu,\"duration_s\":%.6f,\"max_delta_ms\":%.3f,"
		"\"mean_delta_ms\":%.3f,\"max_gap_ms\":%.3f",
		(unsigned long long)(s->stats.first_us / 1'000'000),
		(unsigned long long)(s->stats.first_us % 1'000'000), f->seconds, f->max_delta_ms,
		f->mean_delta_ms, (double)s->stats.max_delta_us / 1e3);
	if (f->has_jitter)
		buf_fmt(b,
			",\"clock_hz\":%u,\"jitter_ms\":%.4f,\"max_jitter_ms\":%.4f,"
			"\"mean_jitter_ms\":%.4f,\"max_skew_ms\":%.3f",
			s->stats.clock, f->jitter_ms, f->max_jitter_ms, f->mean_jitter_ms,
			f->skew_ms);
	if (f->has_drift)
		buf_fmt(b, ",\"clock_drift_ppm\":%.1f", f->drift_ppm);
	if (f->packet_ms > 0)
		buf_fmt(b, ",\"packet_ms\":%.3f", f->packet_ms);
	buf_fmt(b, ",\"payload_bytes\":%llu,\"payload_bits_per_s\":%.0f,\"markers\":%u",
		(unsigned long long)s->stats.bytes, f->bit_rate, s->n_markers);
	buf_fmt(b, ",\"comfort_noise_packets\":%u,\"icmp_unreachable\":%u", s->n_cn,
		s->n_unreachable);
	if (f->has_silence)
		buf_fmt(b, ",\"silence_percent\":%.1f", per_cent(f->silence));
	if (s->n_events) {
		buf_fmt(b, ",\"events\":%u,\"dtmf\":\"%s\",\"dtmf_ms\":[", s->n_events, s->digits);
		for (unsigned i = 0; i < s->n_digits; i++)
			buf_fmt(b, "%s%u", i ? "," : "", s->digit_ms[i]);
		buf_chr(b, ']');
	}
}

static void json_rtcp(struct buf *b, const struct trk_stream *s)
{
	const struct trk_rtcp *x = s->rtcp;
	if (!x)
		return;
	buf_fmt(b, ",\"rtcp\":{\"sender_reports\":%u,\"receiver_reports\":%u,\"bye\":%s", x->n_sr,
		x->n_reports, x->has_bye ? "true" : "false");
	if (x->n_sr)
		buf_fmt(b, ",\"sent_packets\":%u,\"sent_bytes\":%u", x->sr_packets, x->sr_octets);
	if (x->n_reports)
		buf_fmt(b,
			",\"lost\":%d,\"lost_percent\":%.2f,\"max_lost_percent\":%.2f,"
			"\"jitter_ms\":%.3f,\"max_jitter_ms\":%.3f",
			x->lost, from_256(x->fraction), from_256(x->max_fraction),
			clock_ms(s, x->jitter), clock_ms(s, x->max_jitter));
	if (x->round_trip_us)
		buf_fmt(b, ",\"round_trip_to_receiver_ms\":%.3f,\"max_round_trip_ms\":%.3f",
			x->round_trip_us / 1e3, x->max_round_trip_us / 1e3);
	if (x->has_voip) {
		const struct xr_voip *v = &x->voip;
		buf_fmt(b,
			",\"xr\":{\"lost_percent\":%.2f,\"discarded_percent\":%.2f,"
			"\"burst_ms\":%u,\"gap_ms\":%u,\"round_trip_ms\":%u,\"end_system_ms\":%u,"
			"\"buffer_ms\":%u",
			from_256(v->loss), from_256(v->discard), v->burst_ms, v->gap_ms,
			v->round_trip_ms, v->end_system_ms, v->buffer_ms);
		if (v->r != XR_UNKNOWN)
			buf_fmt(b, ",\"r\":%u", v->r);
		if (v->mos_lq != XR_UNKNOWN)
			buf_fmt(b, ",\"mos_lq\":%.1f", v->mos_lq / 10.0);
		if (v->mos_cq != XR_UNKNOWN)
			buf_fmt(b, ",\"mos_cq\":%.1f", v->mos_cq / 10.0);
		buf_chr(b, '}');
	}
	buf_chr(b, '}');
}

static void json_grade(struct buf *b, const struct trk_figures *f)
{
	if (f->ungraded != TRK_GRADED) {
		buf_fmt(b, ",\"not_graded\":\"%s\"", trk_ungraded_text(f->ungraded));
		return;
	}
	const struct mos_in *in = &f->in;
	buf_fmt(b,
		",\"mos\":%.2f,\"e_model\":{\"r\":%.1f,\"ie_eff\":%.2f,\"id\":%.2f,\"ie\":%.1f,"
		"\"bpl\":%.1f,\"codec_values_assumed\":%s,\"wideband\":%s,\"ppl_percent\":%.3f,"
		"\"burst_r\":%.3f,\"delay_ms\":%.1f,\"network_ms\":%.1f,\"network_assumed\":%s}",
		f->out.mos, f->out.r, f->out.ie_eff, f->out.id, in->codec.ie, in->codec.bpl,
		in->codec.is_assumed ? "true" : "false", in->codec.is_wide ? "true" : "false",
		in->ppl, in->burst_r, in->delay_ms, f->one_way_ms,
		f->is_delay_known ? "false" : "true");
}

/* --- text ------------------------------------------------------------------------------------- */

static void text_notes(struct buf *b, const struct trk_stream *s)
{
	if (s->crypt != TRK_PLAIN)
		buf_str(b, s->crypt == TRK_DTLS ? STR("  DTLS-SRTP") : STR("  SRTP"));
	if (s->digits[0])
		buf_fmt(b, "  DTMF %s", s->digits);
	if (s->found == TRK_BY_NAT)
		buf_str(b, STR("  behind NAT"));
}

static void put_addr(struct buf *b, const struct addr *a)
{
	size_t column = b->n;
	addr_put(b, a);
	view_pad(b, column, 21);
}

/* Two digits after the point. */
static void put_real(struct buf *b, double v, size_t columns)
{
	size_t column = b->n;
	buf_real(b, v, 2);
	view_right(b, column, columns);
}

static void text_line(struct buf *b, const struct trk_stream *s, const struct trk_figures *f,
		      const struct view_opts *o)
{
	size_t at = b->n;
	view_put_right(b, s->no, 4);
	buf_chr(b, ' ');
	if (s->call)
		view_put_right(b, s->call->no, 4);
	else
		buf_str(b, STR("   -"));
	buf_str(b, STR("  "));
	put_addr(b, &s->from);
	buf_str(b, o->is_ascii ? STR(" -> ") : STR(" →  "));
	put_addr(b, &s->to);
	buf_str(b, STR("  "));
	size_t column = b->n;
	buf_str(b, s->codec[0] ? str_c(s->codec) : STR("?"));
	view_pad(b, column, 9);
	buf_chr(b, ' ');
	view_put_right(b, f->packets, 7);
	buf_chr(b, ' ');
	view_put_right(b, f->lost, 6);
	buf_chr(b, ' ');
	put_real(b, f->lost_percent, 6);
	buf_str(b, STR(" %"));
	if (f->has_jitter) {
		buf_chr(b, ' ');
		put_real(b, f->mean_jitter_ms, 8);
		buf_str(b, STR(" ms"));
	} else {
		buf_str(b, STR("         -  "));
	}
	if (f->ungraded == TRK_GRADED) {
		buf_str(b, STR("  "));
		put_real(b, f->out.mos, 4);
	} else {
		buf_str(b, f->ungraded == TRK_SNIFFER_LOST ? STR("  capture lost packets")
							   : STR("     -"));
	}
	text_notes(b, s);
	buf_mask(b, at, false); /* the codec's name is the SDP's */
	buf_chr(b, '\n');
}

static void detail_loss(struct buf *b, const struct trk_stream *s, const struct trk_figures *f)
{
	const struct rtp_loss_sum *l = &f->spread;
	buf_fmt(b, "  loss    %llu of %llu (%.2f %%)", (unsigned long long)f->lost,
		(unsigned long long)f->expected, f->lost_percent);
	if (f->lost)
		buf_fmt(b, " in %u runs, longest %u, burst ratio %.2f;\n          %u bursts",
			l->n_runs, l->longest, l->burst_r, l->n_bursts);
	if (l->n_bursts)
		buf_fmt(b, " of %.1f packets (%.0f %% lost), %.2f %% lost between", l->mean_burst,
			per_cent(l->burst_density), per_cent(l->gap_density));
	buf_fmt(b, "\n          %u duplicated, %u late, %u too late for a buffer of %u ms",
		s->stats.dup, s->stats.reordered, f->discarded, RTP_BUFFER_MS);
	if (s->stats.restarts)
		buf_fmt(b, ", %u restarts of the numbers", s->stats.restarts);
	buf_chr(b, '\n');
	if (f->sniffer_lost)
		buf_fmt(b,
			"          %llu of them in gaps that all streams have: the capture lost "
			"them\n",
			(unsigned long long)f->sniffer_lost);
	else if (f->is_sniffer_lost)
		buf_str(b, STR("          the capture lost packets: it says so itself, or the "
			       "receiver "
			       "reports\n          fewer losses\n"));
}

static void detail_timing(struct buf *b, const struct trk_stream *s, const struct trk_figures *f)
{
	buf_str(b, STR("  timing  "));
	if (f->has_jitter)
		buf_fmt(b, "jitter %.2f ms at the end, %.2f mean, %.2f max; ", f->jitter_ms,
			f->mean_jitter_ms, f->max_jitter_ms);
	else
		buf_str(b, STR("jitter unknown (no clock rate); "));
	buf_fmt(b, "delta %.1f ms mean, %.1f max", f->mean_delta_ms, f->max_delta_ms);
	if (f->has_jitter)
		buf_fmt(b, ";\n          skew %+.1f ms at most", f->skew_ms);
	if (f->has_drift)
		buf_fmt(b, ", clock %+.0f ppm", f->drift_ppm);
	buf_fmt(b, "\n  content %.1f kbit/s, marker in %u", f->bit_rate / 1e3, s->n_markers);
	if (f->has_silence)
		buf_fmt(b, ", %.0f %% silent", per_cent(f->silence));
	else if (s->crypt == TRK_PLAIN && !s->is_t38)
		buf_str(b, STR(", silence not measured for this codec"));
	if (s->n_cn)
		buf_fmt(b, ", %u packets of comfort noise", s->n_cn);
	if (s->n_unreachable)
		buf_fmt(b, ", %u times ICMP unreachable", s->n_unreachable);
	buf_chr(b, '\n');
	if (s->call && trk_av(s->call)->info_digits[0])
		buf_fmt(b, "  DTMF    in INFO requests of the call: %s\n",
			trk_av(s->call)->info_digits);
	if (!s->n_digits)
		return;
	buf_str(b, STR("  DTMF    "));
	for (unsigned i = 0; i < s->n_digits; i++)
		buf_fmt(b, "%s%c (%u ms)", i ? " " : "", s->digits[i], s->digit_ms[i]);
	buf_chr(b, '\n');
}

static void detail_rtcp(struct buf *b, const struct trk_stream *s)
{
	const struct trk_rtcp *x = s->rtcp;
	if (!x) {
		buf_fmt(b, "  RTCP    %s\n",
			s->crypt == TRK_PLAIN ? "nothing was reported" : "encrypted");
		return;
	}
	buf_str(b, STR("  RTCP    "));
	if (x->n_sr)
		buf_fmt(b, "the sender says it sent %u packets;\n          ", x->sr_packets);
	if (x->n_reports)
		buf_fmt(b, "the receiver lost %d (%.1f %% at worst), jitter %.2f ms", x->lost,
			from_256(x->max_fraction), clock_ms(s, x->jitter));
	else
		buf_str(b, STR("no report of the receiver"));
	if (x->round_trip_us)
		buf_fmt(b, ", %.1f ms from here to it and back", x->round_trip_us / 1e3);
	buf_chr(b, '\n');
	if (!x->has_voip)
		return;
	const struct xr_voip *v = &x->voip;
	buf_fmt(b, "  XR      lost %.1f %%, discarded %.1f %%", from_256(v->loss),
		from_256(v->discard));
	if (v->mos_lq != XR_UNKNOWN)
		buf_fmt(b, ", MOS %.1f", v->mos_lq / 10.0);
	if (v->r != XR_UNKNOWN)
		buf_fmt(b, ", R %u", v->r);
	buf_fmt(b, ", round trip %u ms, buffer %u ms\n", v->round_trip_ms, v->buffer_ms);
}

static void detail_grade(struct buf *b, const struct trk_figures *f)
{
	const struct mos_in *in = &f->in;
	if (f->ungraded != TRK_GRADED) {
		buf_fmt(b, "  MOS     not graded: %s\n", trk_ungraded_text(f->ungraded));
		return;
	}
	buf_fmt(b,
		"  MOS     %.2f: R %.1f = %s - Id %.1f - Ie-eff %.1f\n"
		"          Id of %.0f ms mouth to ear (network %.0f ms%s, buffer %u ms)\n"
		"          Ie-eff of Ie %.0f, Bpl %.1f%s, Ppl %.2f %%, BurstR %.2f\n",
		f->out.mos, f->out.r, in->codec.is_wide ? "129 (wideband)" : "93.2", f->out.id,
		f->out.ie_eff, in->delay_ms, f->one_way_ms,
		f->is_delay_known ? " by RTCP" : " assumed", RTP_BUFFER_MS, in->codec.ie,
		in->codec.bpl, in->codec.is_assumed ? " (assumed for this codec)" : "", in->ppl,
		in->burst_r);
}

static void text_detail(struct buf *b, const struct trk *t, const struct trk_stream *s,
			const struct trk_figures *f, const struct view_opts *o)
{
	uint64_t first = trk_stats(t)->first_us;
	size_t at = b->n;
	buf_fmt(b, "Stream %u: ", s->no);
	addr_put(b, &s->from);
	buf_str(b, o->is_ascii ? STR(" -> ") : STR(" → "));
	addr_put(b, &s->to);
	buf_fmt(b, ", %s", s->codec[0] ? s->codec : "codec unknown");
	buf_mask(b, at, false);
	buf_fmt(b, ", SSRC 0x%08x\n", s->ssrc);
	at = b->n;
	if (s->call) {
		buf_fmt(b, "  call %u, ", s->call->no);
		vrd_put_parties(b, s->call, o->is_ascii);
		buf_fmt(b, ", to the %s", s->side == TRK_SIDE_CALLER ? "caller" : "callee");
	} else {
		buf_str(b, STR("  of no call that was seen"));
	}
	buf_mask(b, at, false);
	buf_fmt(b, ";\n  found by %s; encryption: %s\n", trk_found_text((enum trk_found)s->found),
		trk_crypt_text((enum trk_crypt)s->crypt));
	buf_fmt(b, "  %llu packets in frames %u to %u, %.3f s", (unsigned long long)f->packets,
		s->first_frame, s->last_frame, f->seconds);
	if (first && s->stats.first_us >= first)
		buf_fmt(b, " from %.3f s on", (double)(s->stats.first_us - first) / 1e6);
	buf_str(b, STR("; payload types"));
	for (unsigned pt = 0; pt < 128; pt++)
		if (s->pts[pt >> 6] >> (pt & 63) & 1)
			buf_fmt(b, " %u", pt);
	if (s->n_paths > 1)
		buf_fmt(b, "; over %u paths", s->n_paths);
	if (s->after_ssrc)
		buf_fmt(b, "; after SSRC 0x%08x", s->after_ssrc);
	buf_chr(b, '\n');
	detail_loss(b, s, f);
	detail_timing(b, s, f);
	detail_rtcp(b, s);
	detail_grade(b, f);
	buf_chr(b, '\n');
}

void view_stream(struct buf *b, const struct trk *t, const struct trk_stream *s,
		 const struct view_opts *o)
{
	struct trk_figures f;
	trk_figures(t, s, &f);
	if (o->is_json) {
		json_identity(b, s);
		json_loss(b, s, &f);
		json_timing(b, s, &f);
		json_rtcp(b, s);
		json_grade(b, &f);
		buf_str(b, STR("}\n"));
	} else if (o->is_detailed) {
		text_detail(b, t, s, &f, o);
	} else {
		text_line(b, s, &f, o);
	}
}
