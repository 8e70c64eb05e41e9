/* The life of a session, its clock, and what it sends.
 *
 *	            +--------- tick, every 20 ms ----------------------------+
 *	sockets --> demux --> jitter buffer --> heard --> recorder, detector |
 *	                                          |                          |
 *	            source (sine, file, echo of heard, silence) --> encode --> RTP
 *
 * The clock: a timer started for absolute times next_us, next_us + tick, ... so it never drifts,
 * however late a single tick comes. A loop that was away for more than BEHIND_US does not send a
 * burst for the lost time: it goes on at the present, and the RTP timestamps jump by what was left
 * out, as time did. One tick reads the jitter buffer, then sends one packet; timestamps advance
 * while nothing is sent too (hold), so that they always mean time [RFC3550 5.1].
 *
 * A reflector (echo test) has no clock and no player: each packet goes back as it came, under our
 * SSRC with the peer's sequence numbers and timestamps, so that what the peer hears is what the
 * network did, and the exchange spends a fraction of a microsecond on it.
 *
 * Listeners are told from a deferred task, never from inside a call of theirs, and may free the
 * session: then all is closed at once, and the task frees the memory when it has come back.
 *
 * Invariants
 *  1. tick runs exactly while is_running and there is a player.
 *  2. next_us is the due time of the tick that runs next; ts is the timestamp of its first sample.
 *  3. The player's file is open exactly while source is MD_FILE.
 *
 * Ownership: the session owns sockets, files, player; it borrows the loop. */

#include "media/session_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEHIND_US     200'000
#define PORT_MIN      16384
#define PORT_MAX      32766
#define PORT_TRIES    1000
#define JITTER_MS     60
#define JITTER_MAX_MS 300
#define RATE_PER_MS   (MD_RATE / 1000)

/* --- ports ---------------------------------------------------------------------------------- */

static enum err open_pair(struct md_session *s, uint16_t port, const char **why)
{
	struct addr rtp = s->cfg.local, rtcp = s->cfg.local;
	rtp.port = port;
	rtcp.port = (uint16_t)(port + 1);
	enum err e = env_udp_open(s->loop->env, &rtp, 0, md_on_rtp, s, &s->rtp, why);
	if (e)
		return e;
	e = env_udp_open(s->loop->env, &rtcp, 0, md_on_rtcp, s, &s->rtcp, why);
	if (e) {
		env_close(s->rtp);
		s->rtp = NULL;
		return e;
	}
	s->local = env_local(s->rtp);
	return OK;
}

/* RTP on an even port, RTCP on the next [RFC3550 11]; from a random place in the range, so that
 * ports of calls that just ended rest for a while. */
static enum err open_ports(struct md_session *s, const char **why)
{
	const struct md_config *c = &s->cfg;
	if (c->local.port)
		return open_pair(s, c->local.port, why);
	unsigned lo = c->port_min ? c->port_min : PORT_MIN,
		 hi = c->port_max ? c->port_max : PORT_MAX;
	lo += lo & 1;
	if (hi < lo + 1) {
		*why = "the RTP port range has no even port with its neighbour";
		return ERR_NET;
	}
	unsigned pairs = (hi - lo + 1) / 2;
	unsigned at = (unsigned)(env_random_u64(s->loop->env) % pairs);
	enum err e = ERR_NET;
	for (unsigned i = 0; i < pairs && i < PORT_TRIES && e == ERR_NET; i++)
		e = open_pair(s, (uint16_t)(lo + 2 * ((at + i) % pairs)), why);
	return e;
}

/* --- life ----------------------------------------------------------------------------------- */

static void tell_all(struct ev_task *t);

static enum err make_player(struct md_session *s)
{
	unsigned ms = s->cfg.jitter_ms ? s->cfg.jitter_ms : JITTER_MS;
	s->player = calloc(1, sizeof(*s->player));
	if (!s->player)
		return ERR_NOMEM;
	ms = ms > JITTER_MAX_MS ? JITTER_MAX_MS : ms;
	md_jitter_init(&s->player->jitter, ms * RATE_PER_MS, 20 * RATE_PER_MS);
	cdc_detect_init(&s->player->detect);
	return OK;
}

static void draw_numbers(struct md_session *s)
{
	uint64_t r[2];
	env_random(s->loop->env, r, sizeof(r));
	s->ssrc = (uint32_t)r[0];
	s->ts = (uint32_t)(r[0] >> 32);
	s->seq = (uint16_t)(r[1] & 0x7fff); /* room before the first wrap helps simple peers */
	if (s->cfg.cname)
		snprintf(s->cname, sizeof(s->cname), "%s", s->cfg.cname);
	else
		snprintf(s->cname, sizeof(s->cname), "%012llx",
			 (unsigned long long)(r[1] >> 16)); /* [RFC7022 4.2] */
	s->cfg.cname = s->cname;
}

enum err md_session_new(struct ev_loop *l, const struct md_config *c, struct md_session **out,
			const char **why)
{
	struct md_session *s = calloc(1, sizeof(*s));
	enum err e = ERR_NOMEM;
	*why = "no memory";
	if (!s)
		return e;
	s->loop = l;
	s->cfg = *c;
	s->task.fn = tell_all;
	s->tick_samples = 20 * RATE_PER_MS;
	s->dtmf_send = s->dtmf_recv = SDP_PT_NONE;
	s->started_us = ev_now_us(l);
	rtp_stats_init(&s->in, MD_RATE);
	draw_numbers(s);
	if (!c->is_reflector && (e = make_player(s)))
		goto out;
	if ((e = open_ports(s, why)))
		goto out;
	*out = s;
	return OK;
out:
	free(s->player);
	free(s);
	return e;
}

static void close_file(struct md_player *p)
{
	md_reader_close(p->file);
	p->file = NULL;
}

void md_session_stop(struct md_session *s)
{
	s->is_running = false;
	ev_timer_stop(s->loop, &s->tick);
	ev_timer_stop(s->loop, &s->report);
	ev_timer_stop(s->loop, &s->silence);
}

void md_session_free(struct md_session *s)
{
	if (!s)
		return;
	md_rtcp_bye(s);
	md_session_stop(s);
	ev_defer_cancel(s->loop, &s->task);
	env_close(s->rtp);
	env_close(s->rtcp);
	if (s->player) {
		close_file(s->player);
		enum err e = md_writer_close(s->player->record);
		(void)e; /* who wants to know calls md_session_record_end */
	}
	free(s->player);
	s->player = NULL;
	if (s->is_telling)
		s->is_freed = true;
	else
		free(s);
}

struct addr md_session_rtp(const struct md_session *s)
{
	return s->local;
}

uint16_t md_session_rtcp_port(const struct md_session *s)
{
	return env_local(s->rtcp).port;
}

/* --- telling -------------------------------------------------------------------------------- */

void md_tell(struct md_session *s, struct md_event ev)
{
	if (!s->cfg.fn || s->n_events - s->n_told == MD_EVENTS)
		return;
	s->events[s->n_events++ % MD_EVENTS] = ev;
	ev_defer(s->loop, &s->task);
}

static void tell_all(struct ev_task *t)
{
	struct md_session *s = CONTAINER_OF(t, struct md_session, task);
	s->is_telling = true;
	while (!s->is_freed && s->n_told != s->n_events) {
		struct md_event ev = s->events[s->n_told++ % MD_EVENTS];
		s->cfg.fn(s->cfg.arg, s, &ev);
	}
	s->is_telling = false;
	if (s->is_freed)
		free(s);
}

/* --- what SDP agreed ------------------------------------------------------------------------ */

static void take_codecs(struct md_session *s, const struct sdp_stream *st)
{
	memset(s->codec_of_pt, CDC_NONE, sizeof(s->codec_of_pt));
	for (size_t i = 0; i < st->n_recv; i++) {
		const struct sdp_codec *c = &st->recv[i];
		if (c->pt < 128)
			s->codec_of_pt[c->pt] =
				(uint8_t)cdc_find(str_c(c->name), c->clock, c->channels);
	}
	if (st->pt_recv < 128)
		s->codec_of_pt[st->pt_recv] = (uint8_t)s->codec;
	s->pt_send = st->codec.pt;
	s->dtmf_send = st->dtmf_send;
	s->dtmf_recv = st->dtmf_recv;
}

/* Packets of 10 to 60 ms in steps of 10, whatever the peer wishes. */
static uint32_t samples_of(uint16_t ptime_ms)
{
	unsigned ms = ptime_ms < 10 ? 10 : ptime_ms > 60 ? 60 : ptime_ms / 10 * 10;
	return ms * RATE_PER_MS;
}

static void on_tick(struct tmr *t);

enum err md_session_apply(struct md_session *s, const struct sdp_stream *st)
{
	const struct sdp_codec *c = &st->codec;
	if (!st->is_active) {
		md_session_stop(s);
		return OK;
	}
	enum cdc_id codec = cdc_find(str_c(c->name), c->clock, c->channels);
	if (codec == CDC_NONE)
		return ERR_UNSUPPORTED;
	bool was_sending = md_may_send(s), was_receiving = md_may_receive(s);
	bool was_running = s->is_running;
	s->codec = codec;
	take_codecs(s, st);
	s->dir = st->dir;
	s->has_rtcp_mux = st->has_rtcp_mux;
	s->is_running = true;
	if (!addr_eq(&s->said_rtp, &st->rtp)) {
		s->is_latched = false;
		s->to_rtp = st->rtp;
	}
	if (!s->is_latched)
		s->to_rtcp = st->has_rtcp_mux ? s->to_rtp : st->rtcp;
	s->said_rtp = st->rtp;
	s->said_rtcp = st->rtcp;
	if (!was_sending)
		s->is_marker_due = true;
	md_receive_start(s, was_receiving);
	if (was_running && s->tick_samples == samples_of(st->ptime_ms))
		return OK;
	s->tick_samples = samples_of(st->ptime_ms);
	if (!was_running) {
		s->next_us = s->ts_us = ev_now_us(s->loop);
		md_rtcp_start(s);
	}
	if (s->player)
		tmr_start_at(&s->loop->wheel, &s->tick, s->next_us, on_tick);
	return OK;
}

/* --- sources -------------------------------------------------------------------------------- */

static void set_source(struct md_session *s, enum md_source source)
{
	if (!s->player)
		return;
	close_file(s->player);
	s->player->source = source;
}

void md_session_play_silence(struct md_session *s)
{
	set_source(s, MD_SILENCE);
}

void md_session_play_echo(struct md_session *s)
{
	set_source(s, MD_ECHO);
}

void md_session_play_tone(struct md_session *s, double freq_hz, double level_dbm0,
			  uint32_t duration_ms)
{
	set_source(s, MD_SINE);
	if (!s->player)
		return;
	cdc_tone_init(&s->player->tone, freq_hz, level_dbm0, MD_RATE);
	s->player->tone_left = (uint64_t)duration_ms * RATE_PER_MS;
}

enum err md_session_play_file(struct md_session *s, const char *path, bool is_loop,
			      const char **why)
{
	struct md_reader *r;
	*why = "a reflector plays nothing";
	if (!s->player)
		return ERR_STATE;
	enum err e = md_reader_open(path, MD_RATE, &r, why);
	if (e)
		return e;
	set_source(s, MD_FILE);
	s->player->file = r;
	s->player->is_loop = is_loop;
	return OK;
}

/* The source is at its end: silence from here on. */
static void source_done(struct md_session *s)
{
	set_source(s, MD_SILENCE);
	md_tell(s, (struct md_event){.type = MD_PLAYED});
}

static void take_tone(struct md_session *s, int16_t *pcm, size_t n)
{
	struct md_player *p = s->player;
	size_t part = p->tone_left && p->tone_left < n ? (size_t)p->tone_left : n;
	cdc_tone_put(&p->tone, pcm, part);
	memset(pcm + part, 0, (n - part) * sizeof(*pcm));
	if (p->tone_left && (p->tone_left -= part) == 0)
		source_done(s);
}

static void take_file(struct md_session *s, int16_t *pcm, size_t n)
{
	struct md_player *p = s->player;
	size_t got = md_reader_read(p->file, pcm, n);
	if (got < n && p->is_loop && md_reader_rewind(p->file) == OK)
		got += md_reader_read(p->file, pcm + got, n - got);
	memset(pcm + got, 0, (n - got) * sizeof(*pcm));
	if (got < n && !(p->is_loop && got))
		source_done(s);
}

static void take_source(struct md_session *s, int16_t *pcm, size_t n)
{
	switch (s->player->source) {
	case MD_SILENCE:
		memset(pcm, 0, n * sizeof(*pcm));
		break;
	case MD_SINE:
		take_tone(s, pcm, n);
		break;
	case MD_FILE:
		take_file(s, pcm, n);
		break;
	case MD_ECHO:
		memcpy(pcm, s->player->heard, n * sizeof(*pcm));
		break;
	}
}

/* --- sinks ---------------------------------------------------------------------------------- */

enum err md_session_record(struct md_session *s, const char *path, const char **why)
{
	struct md_writer *w;
	*why = "a reflector records nothing";
	if (!s->player)
		return ERR_STATE;
	enum err e = md_writer_open(path, MD_RATE, &w, why);
	if (e)
		return e;
	e = md_session_record_end(s);
	s->player->record = w;
	return e;
}

enum err md_session_record_end(struct md_session *s)
{
	if (!s->player)
		return OK;
	struct md_writer *w = s->player->record;
	s->player->record = NULL;
	return md_writer_close(w);
}

/* A tone is told when two blocks in a row have it, its end when one has not. */
static void judge_tone(struct md_session *s)
{
	struct md_player *p = s->player;
	const struct cdc_detect *d = &p->detect;
	double change = d->freq_hz - p->tone_hz;
	bool is_same = d->has_tone && p->tone_hz > 0 && change < 10 && change > -10;
	p->tone_hz = d->has_tone ? d->freq_hz : 0;
	p->tone_blocks += d->has_tone;
	if (p->has_tone && !is_same) {
		p->has_tone = false;
		md_tell(s, (struct md_event){.type = MD_TONE_END});
	} else if (!p->has_tone && is_same) {
		p->has_tone = true;
		md_tell(s, (struct md_event){.type = MD_TONE,
					     .freq_hz = d->freq_hz,
					     .level_dbm0 = d->level_dbm0});
	}
}

static void hear(struct md_session *s, size_t n)
{
	struct md_player *p = s->player;
	if (md_may_receive(s))
		md_jitter_get(&p->jitter, p->heard, n);
	else
		memset(p->heard, 0, n * sizeof(p->heard[0]));
	if (p->record && md_writer_put(p->record, p->heard, n)) {
		enum err e = md_session_record_end(s);
		(void)e; /* the file is lost already */
		md_tell(s, (struct md_event){.type = MD_FILE_ERROR,
					     .text = "the recording could not be written"});
	}
	if (s->cfg.has_detector && cdc_detect_add(&p->detect, p->heard, n))
		judge_tone(s);
}

/* --- the clock ------------------------------------------------------------------------------ */

void md_send_rtp(struct md_session *s, uint8_t pt, bool marker, uint32_t ts, const void *payload,
		 size_t n)
{
	uint8_t packet[RTP_HDR_MIN + MD_TICK_MAX];
	ASSERT(n <= MD_TICK_MAX);
	rtp_put(packet, pt, marker, s->seq++, ts, s->ssrc);
	memcpy(packet + RTP_HDR_MIN, payload, n);
	s->last_sent_us = ev_now_us(s->loop);
	if (s->sent_packets == 0)
		s->first_sent_us = s->last_sent_us;
	s->sent_packets++;
	s->sent_bytes += n;
	enum err e = env_send(s->rtp, packet, RTP_HDR_MIN + n, &s->to_rtp, NULL);
	(void)e; /* a full socket buffer or an unreachable peer is the network's loss */
}

static void one_tick(struct md_session *s)
{
	int16_t pcm[MD_TICK_MAX];
	uint8_t payload[MD_TICK_MAX];
	uint32_t n = s->tick_samples, ts = s->ts;
	hear(s, n);
	md_dtmf_check(s);
	take_source(s, pcm, n);
	s->ts += n;
	s->next_us += (uint64_t)n * 1000 / RATE_PER_MS;
	s->ts_us = s->next_us;
	if (!md_may_send(s)) {
		s->is_marker_due = true;
		return;
	}
	if (md_dtmf_tick(s, ts, n)) {
		s->is_marker_due = true;
		return;
	}
	size_t len = cdc_encode(s->codec, pcm, n, payload);
	md_send_rtp(s, s->pt_send, s->is_marker_due, ts, payload, len);
	s->is_marker_due = false;
}

/* The loop was away: what nobody could send or hear is left out. */
static void leave_out(struct md_session *s, uint64_t now)
{
	int16_t lost[MD_TICK_MAX];
	while (s->next_us + BEHIND_US < now) {
		s->next_us += (uint64_t)s->tick_samples * 1000 / RATE_PER_MS;
		s->ts += s->tick_samples;
		md_jitter_get(&s->player->jitter, lost, s->tick_samples);
	}
	s->ts_us = s->next_us;
}

static void on_tick(struct tmr *t)
{
	struct md_session *s = CONTAINER_OF(t, struct md_session, tick);
	uint64_t now = ev_now_us(s->loop);
	leave_out(s, now);
	one_tick(s);
	tmr_start_at(&s->loop->wheel, &s->tick, s->next_us, on_tick);
}

/* --- statistics ----------------------------------------------------------------------------- */

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static void stats_received(const struct md_session *s, struct md_stats *out)
{
	const struct rtp_stats *in = &s->in;
	uint64_t gap = in->max_delta_us > s->before.max_delta_us ? in->max_delta_us
								 : s->before.max_delta_us;
	out->received = s->before.received + in->received;
	out->received_bytes = s->before.bytes + in->bytes;
	out->expected = s->before.expected + rtp_stats_expected(in);
	out->lost = (int64_t)(s->before.lost + rtp_stats_lost(in));
	out->dup = s->before.dup + in->dup;
	out->reordered = s->before.reordered + in->reordered;
	out->jitter_ms = rtp_stats_jitter_ms(in);
	out->max_jitter_ms = larger(s->before.max_jitter_ms, rtp_stats_max_jitter_ms(in));
	out->max_gap_ms = gap / 1000;
}

static void stats_player(const struct md_session *s, struct md_stats *out)
{
	const struct md_player *p = s->player;
	out->discarded = p->jitter.discarded;
	out->concealed = p->jitter.concealed;
	out->has_tone = p->detect.has_tone;
	out->tone_hz = p->detect.freq_hz;
	out->tone_dbm0 = p->detect.level_dbm0;
	out->tone_total_ms = (double)p->tone_blocks * CDC_DETECT_BLOCK / RATE_PER_MS;
}

void md_session_stats(const struct md_session *s, struct md_stats *out)
{
	uint64_t heard_us = s->last_received_us ? s->last_received_us : s->started_us;
	*out = (struct md_stats){
		.sent_packets = s->sent_packets,
		.sent_bytes = s->sent_bytes,
		.foreign = s->foreign,
		.wrong_pt = s->wrong_pt,
		.first_sent_us = s->first_sent_us,
		.last_sent_us = s->last_sent_us,
		.first_received_us = s->first_received_us,
		.last_received_us = s->last_received_us,
		.silent_us = ev_now_us(s->loop) - heard_us,
		.ssrc = s->ssrc,
		.remote_ssrc = s->has_remote ? s->remote_ssrc : 0,
		.ssrc_changes = s->ssrc_changes,
		.ssrc_collisions = s->ssrc_collisions,
		.round_trip_us = s->round_trip_us,
		.has_remote_report = s->has_remote_report,
		.remote_fraction_lost = s->remote_fraction,
		.remote_lost = s->remote_lost,
		.remote_jitter_ms = (double)s->remote_jitter / RATE_PER_MS,
		.rtcp_sent = s->rtcp_sent,
		.rtcp_received = s->rtcp_received,
	};
	stats_received(s, out);
	str_copy(out->digits, sizeof(out->digits), str_c(s->dtmf_in.heard));
	if (s->player)
		stats_player(s, out);
}
