/* DTMF as telephone events [RFC4733].
 *
 * Sending: a digit is a row of packets, one per tick, in place of audio. All bear the timestamp at
 * which the key went down; the duration grows; the first has the marker. When the time is over the
 * last one goes out three times with the end bit [RFC4733 2.5.1.4]. PAUSE ms of audio part two
 * digits; ',' is a pause of a second.
 *
 * Receiving: packets with one timestamp are one key press, told once: at its end bit, or when the
 * next one begins, or when nothing has come for LOST_US (all three ends lost). */

#include "media/session_priv.h"

#include <string.h>

#define RATE_PER_MS     (MD_RATE / 1000)
#define DURATION_MS     160
#define DURATION_MIN_MS 40
#define DURATION_MAX_MS 6'000 /* the field holds 8 s at 8 kHz */
#define PAUSE_MS        80
#define COMMA_MS        1'000
#define ENDS            3
#define VOLUME          10 /* -10 dBm0 */
#define LOST_US         150'000

/* --- sending -------------------------------------------------------------------------------- */

enum err md_session_dtmf(struct md_session *s, struct str digits, uint32_t duration_ms)
{
	struct md_dtmf_out *d = &s->dtmf_out;
	uint32_t ms = duration_ms ? duration_ms : DURATION_MS;
	ms = ms < DURATION_MIN_MS ? DURATION_MIN_MS : ms > DURATION_MAX_MS ? DURATION_MAX_MS : ms;
	if (!s->player || (s->is_running && s->dtmf_send == SDP_PT_NONE))
		return ERR_UNSUPPORTED;
	for (size_t i = 0; i < digits.n; i++)
		if (digits.p[i] != ',' && rtp_event_of_digit(digits.p[i]) < 0)
			return ERR_UNSUPPORTED;
	if (digits.n > MD_DIGITS - d->n)
		return ERR_LIMIT;
	for (size_t i = 0; i < digits.n; i++) {
		d->queue[d->n] = digits.p[i];
		d->duration[d->n++] = ms * RATE_PER_MS;
	}
	return OK;
}

static void send_event(struct md_session *s, bool is_first)
{
	struct md_dtmf_out *d = &s->dtmf_out;
	uint8_t payload[RTP_EVENT_SIZE];
	struct rtp_event ev = {
		.event = d->event,
		.is_end = d->ends_left > 0,
		.volume = VOLUME,
		.duration = (uint16_t)d->sent,
	};
	rtp_event_put(payload, &ev);
	md_send_rtp(s, s->dtmf_send, is_first, d->ts, payload, sizeof(payload));
}

static void digit_done(struct md_session *s, uint32_t pause)
{
	struct md_dtmf_out *d = &s->dtmf_out;
	d->is_sending = false;
	d->pause = pause;
	d->n--;
	memmove(d->queue, d->queue + 1, d->n);
	memmove(d->duration, d->duration + 1, d->n * sizeof(d->duration[0]));
	if (d->n == 0)
		md_tell(s, (struct md_event){.type = MD_DTMF_SENT});
}

/* The first digit of the queue begins with the tick at ts. */
static void begin_digit(struct md_session *s, uint32_t ts, uint32_t n)
{
	struct md_dtmf_out *d = &s->dtmf_out;
	d->is_sending = true;
	d->event = (uint8_t)rtp_event_of_digit(d->queue[0]);
	d->ends_left = 0;
	d->ts = ts;
	d->sent = n;
	send_event(s, true);
}

bool md_dtmf_tick(struct md_session *s, uint32_t ts, uint32_t n)
{
	struct md_dtmf_out *d = &s->dtmf_out;
	if (d->pause) {
		d->pause = d->pause > n ? d->pause - n : 0;
		return false;
	}
	if (d->n == 0)
		return false;
	if (d->queue[0] == ',' || s->dtmf_send == SDP_PT_NONE) {
		digit_done(s, d->queue[0] == ',' ? COMMA_MS * RATE_PER_MS : 0);
		return false;
	}
	if (!d->is_sending) {
		begin_digit(s, ts, n);
		return true;
	}
	if (d->ends_left == 0) {
		d->sent += n;
		if (d->sent >= d->duration[0])
			d->ends_left = ENDS;
	}
	send_event(s, false);
	if (d->ends_left && --d->ends_left == 0)
		digit_done(s, PAUSE_MS * RATE_PER_MS);
	return true;
}

/* --- receiving ------------------------------------------------------------------------------ */

static void tell_digit(struct md_session *s)
{
	struct md_dtmf_in *d = &s->dtmf_in;
	char digit = rtp_event_digit(d->event);
	size_t n = strlen(d->heard);
	d->is_open = false;
	if (!digit)
		return;
	if (n + 1 < sizeof(d->heard)) {
		d->heard[n] = digit;
		d->heard[n + 1] = 0;
	}
	md_tell(s, (struct md_event){
			   .type = MD_DTMF,
			   .digit = digit,
			   .duration_ms = d->duration / RATE_PER_MS,
		   });
}

void md_dtmf_take(struct md_session *s, uint32_t ts, struct str payload)
{
	struct md_dtmf_in *d = &s->dtmf_in;
	struct rtp_event ev;
	if (rtp_event_parse(payload, &ev))
		return;
	if (s->player)
		md_jitter_excuse(&s->player->jitter);
	if (!d->is_known || (int32_t)(ts - d->ts) > 0) {
		if (d->is_open)
			tell_digit(s);
		d->is_known = d->is_open = true;
		d->event = ev.event;
		d->ts = ts;
		d->duration = 0;
	} else if (ts != d->ts || !d->is_open) {
		return; /* of an event that is told already */
	}
	if (ev.duration > d->duration)
		d->duration = ev.duration;
	d->last_us = ev_now_us(s->loop);
	if (ev.is_end)
		tell_digit(s);
}

void md_dtmf_check(struct md_session *s)
{
	if (s->dtmf_in.is_open && ev_now_us(s->loop) - s->dtmf_in.last_us > LOST_US)
		tell_digit(s);
}
