/* What comes in: which packets are the peer's, and where they go.
 *
 * A datagram passes four questions. What is it (RTP, RTCP by rtcp-mux, something else)? Is it from
 * the peer (address)? Is it of the stream (SSRC)? What does it carry (payload type)? Then it counts
 * in the statistics and goes to the jitter buffer, to the DTMF reader, or straight back
 * (reflector).
 *
 * Addresses: without latching, packets must come from the IP address that SDP named. With latching
 * (symmetric RTP [RFC4961], for peers behind NAT) we follow the stream: to the source of the first
 * good packet, and later to another source when the same SSRC goes on there (a phone changes its
 * path in mid-call) or when nothing came from the old one for RELATCH_US. An attacker who guesses a
 * port of a call that runs therefore hears nothing: he needs the SSRC and sequence numbers too.
 *
 * SSRC: another SSRC from the peer is believed at its second packet, or at once when the old one
 * has been quiet [RFC3550 A.1]. Our own SSRC coming in is a collision: we say BYE, take another,
 * once. If that comes back too, it is our own stream in a loop (an echo that keeps headers), and
 * the best to do is to play it [RFC3550 8.2].
 *
 * Invariants: 1. `in` are the statistics of remote_ssrc alone, `before` the sum of those before it.
 * 2. from is set exactly when has_remote. */

#include "media/session_priv.h"

#include "base/limits.h"

#include <string.h>

#define RELATCH_US 2'000'000
#define QUIET_US   500'000
#define PT_CN      13 /* comfort noise [RFC3389]: silence to us */
#define PER_TURN   LIMIT_DATAGRAMS_PER_TURN

/* --- whose packet --------------------------------------------------------------------------- */

static void latch(struct md_session *s, const struct addr *from)
{
	bool is_new = !addr_eq(&s->to_rtp, from);
	s->from = *from;
	if (!s->cfg.is_latching || !is_new)
		return;
	s->is_latched = true;
	s->to_rtp = *from;
	s->to_rtcp = *from;
	if (!s->has_rtcp_mux)
		s->to_rtcp.port = addr_ip_eq(from, &s->said_rtp) && s->said_rtcp.port
					  ? s->said_rtcp.port
					  : (uint16_t)(from->port + 1);
	s->is_marker_due = true;
	md_tell(s, (struct md_event){.type = MD_LATCHED, .addr = *from});
}

static bool is_quiet(const struct md_session *s, uint64_t for_us)
{
	return ev_now_us(s->loop) - s->last_received_us > for_us;
}

/* Whether a packet from there may be the peer's. The stream's own source always may. */
static bool is_from_peer(const struct md_session *s, const struct addr *from, uint32_t ssrc,
			 uint16_t seq)
{
	if (s->has_remote && addr_eq(from, &s->from))
		return true;
	if (!s->cfg.is_latching)
		return addr_ip_eq(from, &s->said_rtp);
	if (!s->has_remote || addr_eq(from, &s->said_rtp) || is_quiet(s, RELATCH_US))
		return true;
	return ssrc == s->remote_ssrc && (uint16_t)(seq - s->in.max_seq) < 500;
}

static void begin_source(struct md_session *s, uint32_t ssrc)
{
	if (s->has_remote) {
		struct md_totals *b = &s->before;
		double jitter = rtp_stats_max_jitter_ms(&s->in);
		s->ssrc_changes++;
		b->received += s->in.received;
		b->bytes += s->in.bytes;
		b->expected += rtp_stats_expected(&s->in);
		b->lost += rtp_stats_lost(&s->in);
		b->dup += s->in.dup;
		b->reordered += s->in.reordered;
		if (jitter > b->max_jitter_ms)
			b->max_jitter_ms = jitter;
		if (s->in.max_delta_us > b->max_delta_us)
			b->max_delta_us = s->in.max_delta_us;
	}
	rtp_stats_init(&s->in, MD_RATE);
	s->has_remote = true;
	s->remote_ssrc = ssrc;
	s->last_sr = 0;
	s->received_at_report = 0;
	s->dtmf_in.is_known = s->dtmf_in.is_open = false;
	if (s->player)
		md_jitter_reset(&s->player->jitter);
}

static void collide(struct md_session *s)
{
	md_rtcp_bye(s);
	s->ssrc_collisions++;
	s->ssrc = (uint32_t)env_random_u64(s->loop->env);
	s->is_marker_due = true;
}

static bool is_of_stream(struct md_session *s, uint32_t ssrc)
{
	if (ssrc == s->ssrc && s->ssrc_collisions == 0) {
		collide(s);
		return false;
	}
	if (s->has_remote && ssrc == s->remote_ssrc)
		return true;
	if (s->has_remote && ssrc != s->candidate && !is_quiet(s, QUIET_US)) {
		s->candidate = ssrc;
		return false;
	}
	begin_source(s, ssrc);
	return true;
}

/* --- where it goes -------------------------------------------------------------------------- */

/* Back to where it came from, with the peer's own numbers. [RFC3550 7: a translator] */
static void reflect(struct md_session *s, const struct rtp_hdr *h)
{
	uint8_t packet[MD_PACKET_MAX];
	size_t n = h->payload.n;
	uint8_t pt = s->pt_send;
	if (h->pt == s->dtmf_recv)
		pt = s->dtmf_send;
	else if (s->codec_of_pt[h->pt] != s->codec)
		return;
	if (!md_may_send(s) || pt > 127 || n > sizeof(packet) - RTP_HDR_MIN)
		return;
	rtp_put(packet, pt, h->has_marker, h->seq, h->ts, s->ssrc);
	memcpy(packet + RTP_HDR_MIN, h->payload.p, n);
	s->last_sent_us = ev_now_us(s->loop);
	if (s->sent_packets == 0)
		s->first_sent_us = s->last_sent_us;
	s->sent_packets++;
	s->sent_bytes += n;
	s->ts = h->ts; /* of our reports: the reflected clock */
	s->ts_us = s->last_sent_us;
	enum err e = env_send(s->rtp, packet, RTP_HDR_MIN + n, &s->to_rtp, NULL);
	(void)e; /* what cannot be sent now is lost, as on any network */
}

static void play(struct md_session *s, const struct rtp_hdr *h)
{
	int16_t pcm[MD_PAYLOAD_MAX];
	enum cdc_id codec = (enum cdc_id)s->codec_of_pt[h->pt];
	if (h->payload.n > MD_PAYLOAD_MAX || !md_may_receive(s))
		return;
	size_t n = cdc_decode(codec, (const uint8_t *)h->payload.p, h->payload.n, pcm);
	md_jitter_put(&s->player->jitter, h->ts, pcm, n);
}

static void note_packet(struct md_session *s, const struct rtp_hdr *h, bool is_event,
			const struct addr *from)
{
	uint64_t now = ev_now_us(s->loop);
	if (is_event)
		rtp_stats_add_untimed(&s->in, h->seq, (uint32_t)h->payload.n, now);
	else
		rtp_stats_add(&s->in, h->seq, h->ts, (uint32_t)h->payload.n, now);
	s->last_received_us = now;
	if (s->first_received_us == 0) {
		s->first_received_us = now;
		md_tell(s, (struct md_event){.type = MD_FIRST_PACKET, .addr = *from});
	}
}

static void take_rtp(struct md_session *s, const void *p, size_t n, const struct addr *from)
{
	struct rtp_hdr h;
	if (rtp_parse(p, n, &h) || !is_from_peer(s, from, h.ssrc, h.seq)) {
		s->foreign++;
		return;
	}
	bool is_event = h.pt == s->dtmf_recv;
	bool is_audio = s->codec_of_pt[h.pt] != CDC_NONE;
	if (!is_event && !is_audio && h.pt != PT_CN) {
		s->wrong_pt++;
		return;
	}
	if (!is_of_stream(s, h.ssrc))
		return;
	if (!addr_eq(from, &s->from))
		latch(s, from);
	note_packet(s, &h, is_event, from);
	if (s->cfg.is_reflector)
		reflect(s, &h);
	if (is_event)
		md_dtmf_take(s, h.ts, h.payload);
	else if (is_audio && s->player)
		play(s, &h);
}

/* --- sockets -------------------------------------------------------------------------------- */

/* Reads the sockets' errors (ICMP) away: a peer that is not there is seen by its silence. */
static bool is_readable(struct env_sock *sock, enum err e)
{
	struct env_icmp icmp;
	if (e != ERR_NET)
		return e == OK;
	return env_icmp_next(sock, &icmp) == OK;
}

void md_on_rtp(void *arg, unsigned events)
{
	struct md_session *s = arg;
	uint8_t packet[MD_PACKET_MAX];
	struct env_rx rx;
	for (int i = 0; i < PER_TURN; i++) {
		enum err e = env_recv(s->rtp, packet, sizeof(packet), &rx);
		if (!is_readable(s->rtp, e))
			return;
		if (e || !s->is_running)
			continue;
		enum rtp_kind kind = rx.is_truncated ? RTP_UNKNOWN : rtp_demux(packet, rx.n);
		if (kind == RTP_RTP)
			take_rtp(s, packet, rx.n, &rx.from);
		else if (kind == RTP_RTCP)
			md_rtcp_take(s, packet, rx.n, &rx.from);
		else if (kind != RTP_STUN) /* NAT keep-alives are nobody's fault */
			s->foreign++;
	}
}

void md_on_rtcp(void *arg, unsigned events)
{
	struct md_session *s = arg;
	uint8_t packet[MD_PACKET_MAX];
	struct env_rx rx;
	for (int i = 0; i < PER_TURN; i++) {
		enum err e = env_recv(s->rtcp, packet, sizeof(packet), &rx);
		if (!is_readable(s->rtcp, e))
			return;
		if (e == OK && s->is_running && rtp_demux(packet, rx.n) == RTP_RTCP)
			md_rtcp_take(s, packet, rx.n, &rx.from);
	}
}

/* --- silence -------------------------------------------------------------------------------- */

static void on_silence(struct tmr *t)
{
	struct md_session *s = CONTAINER_OF(t, struct md_session, silence);
	uint64_t limit = (uint64_t)s->cfg.silent_ms * 1000, now = ev_now_us(s->loop);
	uint64_t since = s->last_received_us > s->started_us ? s->last_received_us : s->started_us;
	if (now - since < limit) {
		ev_timer(s->loop, t, limit - (now - since), on_silence);
		return;
	}
	if (s->silence_told_us != since)
		md_tell(s, (struct md_event){.type = MD_SILENT});
	s->silence_told_us = since;
	ev_timer(s->loop, t, limit, on_silence);
}

void md_receive_start(struct md_session *s, bool was_receiving)
{
	if (!was_receiving) { /* a hold is neither a gap nor jitter */
		s->in.last_us = ev_now_us(s->loop);
		s->in.is_timed = false;
		if (s->player)
			md_jitter_reset(&s->player->jitter);
	}
	/* a peer that may send anew is given its time anew */
	if (!md_may_receive(s)) {
		ev_timer_stop(s->loop, &s->silence);
		return;
	}
	if (s->cfg.silent_ms && !tmr_is_running(&s->silence)) {
		s->started_us = ev_now_us(s->loop);
		ev_timer(s->loop, &s->silence, (uint64_t)s->cfg.silent_ms * 1000, on_silence);
	}
}
