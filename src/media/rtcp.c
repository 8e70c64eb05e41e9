/* RTCP of a session: what we report, what we learn.
 *
 * Reports go out every 5 s, spread by a random factor of 0.5..1.5 and divided by e - 3/2 as the RFC
 * wants it [RFC3550 6.2, 6.3.1]; the first after about a second, so that short calls have a round
 * trip too. SR when something was sent since the report before the last, else RR; each with SDES
 * CNAME. With rtcp-mux they leave from the RTP port [RFC5761].
 *
 * Round trip: our SR's time comes back in the peer's report block (LSR) with the time that the peer
 * kept it (DLSR); what is left is the way there and back [RFC3550 6.4.1].
 *
 * A compound is believed when it comes from the stream's IP address or from the one that SDP named
 * for RTCP. With latching the port of the first such one is answered to, since a NAT maps it too.
 */

#include "media/session_priv.h"

#include "rtp/rtcp.h"

#define INTERVAL_US  5'000'000
#define FIRST_US     1'000'000
#define COMPENSATION 1.21828
#define COMPOUND_MAX 512
#define RATE_PER_MS  (MD_RATE / 1000)

static uint64_t spread(struct md_session *s, uint64_t us)
{
	double factor = 0.5 + (double)(env_random_u64(s->loop->env) >> 11) * 0x1p-53;
	return (uint64_t)((double)us * factor / COMPENSATION);
}

static uint64_t ntp_now(const struct md_session *s)
{
	return rtcp_ntp(env_wall_us(s->loop->env));
}

/* --- what we report ------------------------------------------------------------------------- */

/* The block about the peer's stream; 0 when there is nothing new to say. */
static unsigned make_block(struct md_session *s, struct rtcp_block *b)
{
	if (!s->has_remote || s->in.received == s->received_at_report)
		return 0;
	uint64_t kept_us = ev_now_us(s->loop) - s->last_sr_us;
	s->received_at_report = s->in.received;
	*b = (struct rtcp_block){
		.ssrc = s->remote_ssrc,
		.fraction = rtp_stats_fraction(&s->in),
		.lost = rtp_stats_lost_rtcp(&s->in),
		.ext_seq = rtp_stats_ext_seq(&s->in),
		.jitter = rtp_stats_jitter(&s->in),
		.lsr = s->last_sr,
		.dlsr = s->last_sr ? (uint32_t)((kept_us << 16) / 1'000'000) : 0,
	};
	return 1;
}

/* The RTP timestamp of this moment: the next sample's, less the time until it is due. */
static uint32_t ts_now(const struct md_session *s)
{
	int64_t ahead_us = (int64_t)(s->ts_us - ev_now_us(s->loop));
	return s->ts - (uint32_t)(int32_t)(ahead_us * RATE_PER_MS / 1000);
}

static void put_report(struct md_session *s, struct buf *b)
{
	struct rtcp_block block;
	unsigned n = make_block(s, &block);
	if (s->sent_packets != s->sent_at_report[0]) {
		struct rtcp_sr sr = {
			.ssrc = s->ssrc,
			.ntp = ntp_now(s),
			.rtp_ts = ts_now(s),
			.packets = (uint32_t)s->sent_packets,
			.octets = (uint32_t)s->sent_bytes,
		};
		rtcp_put_sr(b, &sr, &block, n);
	} else {
		rtcp_put_rr(b, s->ssrc, &block, n);
	}
	s->sent_at_report[0] = s->sent_at_report[1];
	s->sent_at_report[1] = s->sent_packets;
	rtcp_put_sdes_cname(b, s->ssrc, str_c(s->cname));
}

static void send_compound(struct md_session *s, const struct buf *b)
{
	const struct addr *to = s->has_rtcp_mux ? &s->to_rtp : &s->to_rtcp;
	if (b->err || to->family == ADDR_NONE || to->port == 0 || addr_is_any(to))
		return;
	if (env_send(s->has_rtcp_mux ? s->rtp : s->rtcp, b->p, b->n, to, NULL) == OK)
		s->rtcp_sent++;
}

static void on_report(struct tmr *t)
{
	struct md_session *s = CONTAINER_OF(t, struct md_session, report);
	char mem[COMPOUND_MAX];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	put_report(s, &b);
	send_compound(s, &b);
	ev_timer(s->loop, t, spread(s, INTERVAL_US), on_report);
}

void md_rtcp_start(struct md_session *s)
{
	ev_timer(s->loop, &s->report, spread(s, FIRST_US), on_report);
}

void md_rtcp_bye(struct md_session *s)
{
	char mem[COMPOUND_MAX];
	struct buf b;
	if (s->sent_packets == 0)
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	put_report(s, &b);
	rtcp_put_bye(&b, s->ssrc, STR_NONE);
	send_compound(s, &b);
}

/* --- what we learn -------------------------------------------------------------------------- */

static void take_blocks(struct md_session *s, const struct rtcp_pkt *p)
{
	struct rtcp_block b;
	for (unsigned i = 0; rtcp_block_parse(p, i, &b) == OK; i++) {
		if (b.ssrc != s->ssrc)
			continue;
		uint32_t trip = rtcp_round_trip_us(&b, ntp_now(s));
		if (trip)
			s->round_trip_us = trip;
		s->has_remote_report = true;
		s->remote_fraction = b.fraction;
		s->remote_lost = b.lost;
		s->remote_jitter = b.jitter;
	}
}

static void take_bye(struct md_session *s, const struct rtcp_pkt *p)
{
	uint32_t ssrc;
	for (unsigned i = 0; rtcp_bye_source(p, i, &ssrc) == OK; i++)
		if (s->has_remote && ssrc == s->remote_ssrc)
			md_tell(s, (struct md_event){.type = MD_BYE});
}

static void take_packet(struct md_session *s, const struct rtcp_pkt *p)
{
	struct rtcp_sr sr;
	if (rtcp_sr_parse(p, &sr) == OK && s->has_remote && sr.ssrc == s->remote_ssrc) {
		s->last_sr = rtcp_ntp_mid(sr.ntp);
		s->last_sr_us = ev_now_us(s->loop);
	}
	if (p->type == RTCP_SR || p->type == RTCP_RR)
		take_blocks(s, p);
	else if (p->type == RTCP_BYE)
		take_bye(s, p);
}

void md_rtcp_take(struct md_session *s, const void *p, size_t n, const struct addr *from)
{
	struct rtcp_pkt pkt;
	size_t at = 0;
	bool is_peer =
		addr_ip_eq(from, &s->said_rtcp) || (s->has_remote && addr_ip_eq(from, &s->from));
	if (!is_peer) {
		s->foreign++;
		return;
	}
	s->rtcp_received++;
	if (s->is_latched && !s->has_rtcp_mux)
		s->to_rtcp = *from;
	while (rtcp_next(p, n, &at, &pkt) == OK)
		take_packet(s, &pkt);
}
