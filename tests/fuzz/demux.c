/* A media port: whatever arrives is told apart and opened by the parser of its kind within its
 * bounds; what we read can be written again and reads the same. The same bytes, taken as a row of
 * sequence numbers, must leave the statistics consistent. */

#include "rtp/loss.h"
#include "rtp/rtcp.h"
#include "rtp/rtp.h"
#include "rtp/stats.h"
#include "rtp/stun.h"
#include "rtp/trace.h"
#include "rtp/xr.h"

#include "base/assert.h"

#include <string.h>

static void check_rtp(const uint8_t *p, size_t n)
{
	struct rtp_hdr h, again;
	struct rtp_event ev, back;
	uint8_t q[RTP_HDR_MIN], payload[RTP_EVENT_SIZE];
	if (rtp_parse(p, n, &h))
		return;
	ASSERT((const uint8_t *)h.payload.p + h.payload.n + h.n_pad == p + n);
	if (h.ext.p)
		ASSERT((const uint8_t *)h.ext.p + h.ext.n <= (const uint8_t *)h.payload.p);
	rtp_put(q, h.pt, h.has_marker, h.seq, h.ts, h.ssrc);
	ASSERT(rtp_parse(q, sizeof(q), &again) == OK);
	ASSERT(again.pt == h.pt && again.has_marker == h.has_marker && again.seq == h.seq &&
	       again.ts == h.ts && again.ssrc == h.ssrc && again.payload.n == 0);
	if (rtp_event_parse(h.payload, &ev) == OK) {
		rtp_event_put(payload, &ev);
		ASSERT(rtp_event_parse(str_of((char *)payload, sizeof(payload)), &back) == OK);
		ASSERT(ev.event == back.event && ev.is_end == back.is_end &&
		       ev.volume == back.volume && ev.duration == back.duration);
	}
}

static void check_report(const struct rtcp_pkt *p)
{
	char mem[2048];
	struct buf b;
	struct rtcp_block blocks[31], back;
	struct rtcp_pkt again;
	unsigned n = 0;
	size_t at = 0;
	while (n < 31 && rtcp_block_parse(p, n, &blocks[n]) == OK)
		n++;
	ASSERT(n <= p->count);
	buf_init_fixed(&b, mem, sizeof(mem));
	rtcp_put_rr(&b, p->ssrc, blocks, n);
	ASSERT(rtcp_next(b.p, b.n, &at, &again) == OK && at == b.n && again.count == n);
	for (unsigned i = 0; i < n; i++) {
		ASSERT(rtcp_block_parse(&again, i, &back) == OK);
		ASSERT(back.ssrc == blocks[i].ssrc && back.fraction == blocks[i].fraction &&
		       back.lost == blocks[i].lost && back.ext_seq == blocks[i].ext_seq &&
		       back.jitter == blocks[i].jitter && back.lsr == blocks[i].lsr &&
		       back.dlsr == blocks[i].dlsr);
		ASSERT(rtcp_round_trip_us(&back, 0x123456789abcdef0) <= 60'000'000);
	}
}

static void check_extended(const struct rtcp_pkt *p)
{
	char mem[64];
	struct buf b;
	struct xr_block k, again_k;
	struct xr_voip v, again;
	struct rtcp_block d;
	struct rtcp_pkt pkt;
	uint64_t ntp;
	size_t at = 0, before = 0;
	while (xr_next(p, &at, &k) == OK) {
		ASSERT(at > before && at <= p->body.n);
		before = at;
		ASSERT(k.body.p >= p->body.p && k.body.p + k.body.n <= p->body.p + p->body.n);
		for (unsigned i = 0; xr_dlrr(&k, i, &d) == OK; i++)
			ASSERT(12 * i < k.body.n);
		if (xr_reference_time(&k, &ntp) == OK)
			ASSERT(k.type == XR_REFERENCE_TIME);
		if (xr_voip_parse(&k, &v))
			continue;
		size_t pos = 0, in = 0;
		buf_init_fixed(&b, mem, sizeof(mem));
		xr_put_voip(&b, p->ssrc, &v);
		ASSERT(rtcp_next(b.p, b.n, &pos, &pkt) == OK && pos == b.n);
		ASSERT(xr_next(&pkt, &in, &again_k) == OK && !xr_voip_parse(&again_k, &again));
		ASSERT(again.ssrc == v.ssrc && again.r == v.r && again.buffer_ms == v.buffer_ms);
	}
}

static void check_rtcp(const uint8_t *p, size_t n)
{
	struct rtcp_pkt pkt;
	struct rtcp_sr sr;
	struct str s;
	uint32_t ssrc;
	size_t at = 0, before = 0;
	while (rtcp_next(p, n, &at, &pkt) == OK) {
		ASSERT(at > before && at <= n);
		before = at;
		ASSERT((const uint8_t *)pkt.body.p + pkt.body.n <= p + n);
		check_report(&pkt);
		check_extended(&pkt);
		if (rtcp_sr_parse(&pkt, &sr) == OK)
			ASSERT(sr.ssrc == pkt.ssrc);
		if (rtcp_sdes_find(&pkt, pkt.ssrc, RTCP_CNAME, &s) == OK)
			ASSERT(s.p >= pkt.body.p && s.p + s.n <= pkt.body.p + pkt.body.n);
		for (unsigned i = 0; rtcp_bye_source(&pkt, i, &ssrc) == OK; i++)
			ASSERT(i < pkt.count);
		s = rtcp_bye_reason(&pkt);
		ASSERT(s.n == 0 || s.p + s.n <= pkt.body.p + pkt.body.n);
	}
}

static void check_stun(const uint8_t *p, size_t n)
{
	char mem[256];
	struct buf b;
	struct stun_msg m, again;
	if (stun_parse(p, n, &m) || m.mapped.family == ADDR_NONE)
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	stun_put_response(&b, m.txid, &m.mapped, str_sub(m.software, 0, 100));
	ASSERT(stun_parse(b.p, b.n, &again) == OK && again.has_fingerprint);
	ASSERT(addr_eq(&again.mapped, &m.mapped) && memcmp(again.txid, m.txid, 12) == 0);
	ASSERT(rtp_demux(b.p, b.n) == RTP_STUN);
}

/* Three bytes a packet: sequence number as a step from the last, time as a step. */
static void check_stats(const uint8_t *p, size_t n)
{
	struct rtp_stats s;
	struct rtp_loss l = {0};
	struct rtp_loss_sum sum;
	struct rtp_trace t = {0};
	uint64_t now = 1, added = 0, dubious = 0;
	uint16_t seq = 0;
	rtp_stats_init(&s, 8000);
	rtp_trace_clock(&t, 8000);
	for (size_t i = 0; i + 3 <= n; i += 3) {
		seq = (uint16_t)(seq + (p[i] < 200 ? p[i] % 8 - 2 : p[i] << 8 | p[i + 1]));
		now += p[i + 2] * 1000u;
		uint64_t window = s.seen;
		uint32_t top = rtp_stats_ext_seq(&s);
		enum rtp_seen seen = rtp_stats_add(&s, seq, seq * 160u, p[i + 1], now);
		if (added)
			rtp_loss_follow(&l, &s, window, top, seen);
		rtp_trace_add(&t, seq * 160u, p[i + 1] & 15, (int64_t)now * 1000);
		dubious += seen == RTP_DUBIOUS;
		added++;
		ASSERT(s.dup < s.received && s.received + dubious >= added);
		/* repeats older than the window count as late */
		ASSERT(s.received <= added &&
		       rtp_stats_expected(&s) + s.dup + s.reordered >= s.received);
		ASSERT(rtp_stats_lost(&s) <= rtp_stats_expected(&s));
		ASSERT(s.seen & 1);
	}
	rtp_loss_sum(&l, &s, &sum);
	ASSERT(sum.lost <= l.packets + 64 && sum.burst_r >= 1 && sum.n_runs <= sum.lost);
	ASSERT(sum.longest <= sum.lost && sum.burst_density <= 1 && sum.gap_density <= 1);
	ASSERT(t.jitter >= 0 && t.max_jitter >= 0 && t.n == added && t.n_discarded <= added);
	uint8_t f = rtp_stats_fraction(&s);
	ASSERT(rtp_stats_fraction(&s) == 0 && (f == 0 || rtp_stats_expected(&s) > s.received));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum rtp_kind kind = rtp_demux(data, size);
	struct stun_msg m;
	if (stun_parse(data, size, &m) == OK)
		ASSERT(kind == RTP_STUN);
	check_rtp(data, size);
	check_rtcp(data, size);
	check_stun(data, size);
	check_stats(data, size);
	return 0;
}
