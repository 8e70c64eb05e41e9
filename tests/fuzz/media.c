/* The media part of the tracker: datagrams between the addresses of two calls (one in the clear
 * with T.38, one with SDES keys) and others that nobody named. Whatever comes: memory stays
 * bounded, the figures agree with each other, every view can be written, and audio comes out or
 * does not.
 *
 * A datagram is two bytes (length; low bits: which addresses, high bits: milliseconds until it
 * comes) and its bytes. A first byte of 255 repeats the datagram before with its numbers one
 * further, as heuristics want to see it. A first byte of 254 begins a piece of SDP from the other
 * side. */

#include "form.h"
#include "scope/view.h"
#include "scope/wav.h"
#include "track/trk_media.h"

#include "base/assert.h"

#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DATAGRAM 253
#define REPEAT       255
#define DESCRIBE     254
#define MAX_STREAMS  600

struct run {
	struct trk *t;
	struct wav *w;
	struct trk_packet p;
	uint8_t bytes[MAX_DATAGRAM];
	size_t n;
	unsigned cseq;
};

static struct addr addr_of(unsigned i, unsigned port)
{
	return (struct addr){
		.family = ADDR_V4, .port = (uint16_t)port, .ip = {192, 0, 2, (uint8_t)i}
        };
}

static void invite(struct run *r, const char *call, unsigned from, const char *sdp, size_t n)
{
	static char text[2'000];
	r->cseq++;
	int at = snprintf(text, sizeof text,
			  "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u\r\n"
			  "From: <sip:a@h>;tag=%u\r\nTo: <sip:b@h>;tag=%u\r\nCall-ID: %s\r\n"
			  "CSeq: %u INVITE\r\nContent-Type: application/sdp\r\n\r\n%.*s",
			  r->cseq, from, 3 - from, call, r->cseq, (int)n, sdp);
	if (at < 0 || (size_t)at >= sizeof text)
		return;
	struct trk_packet p = {.at_us = r->p.at_us,
			       .frame_no = ++r->p.frame_no,
			       .from = addr_of(from, 5060),
			       .to = addr_of(3 - from, 5060),
			       .bytes = str_of(text, (size_t)at)};
	(void)!trk_message(r->t, &p, NULL);
}

/* The plain call, the secret one, or both. */
static void describe(struct run *r, unsigned which)
{
	static const char plain[] =
		"v=0\r\no=- 1 1 IN IP4 192.0.2.%u\r\ns=-\r\nc=IN IP4 192.0.2.%u\r\nt=0 0\r\n"
		"m=audio %u RTP/AVP 0 8 9 3 96 97 101\r\na=rtpmap:96 opus/48000/2\r\n"
		"a=rtpmap:97 G726-32/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
		"m=image %u udptl t38\r\n";
	static const char secret[] =
		"v=0\r\no=- 1 1 IN IP4 192.0.2.%u\r\ns=-\r\nc=IN IP4 192.0.2.%u\r\nt=0 0\r\n"
		"m=audio %u RTP/SAVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
		"a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
		"inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r\n"
		"a=crypto:2 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==\r\n";
	static char sdp[2][2][900]; /* the same for every input */
	for (unsigned from = 1; from <= 2; from++) {
		char *a = sdp[0][from - 1], *b = sdp[1][from - 1];
		if (!*a) {
			snprintf(a, sizeof sdp[0][0], plain, from, from, 4'000u, 4'100u);
			snprintf(b, sizeof sdp[0][0], secret, from, from, 4'200u);
		}
		if (which & 1)
			invite(r, "plain", from, a, strlen(a));
		if (which & 2)
			invite(r, "secret", from, b, strlen(b));
	}
}

static void deliver(struct run *r, unsigned where)
{
	static const uint16_t ports[] = {4'000, 4'001, 4'100, 4'200, 4'201, 6'000, 6'001, 53};
	bool is_back = where & 8;
	struct cap_frame fr = {0};
	r->p.from = addr_of(is_back ? 2 : 1, ports[where & 7]);
	r->p.to = addr_of(is_back ? 1 : 2, ports[where & 7]);
	r->p.frame_no++;
	r->p.bytes = str_of((const char *)r->bytes, r->n);
	struct trk_datagram d = trk_datagram_of(&r->p);
	fr.media = trk_media(r->t, &d, &fr.rtp);
	fr.stream = trk_media_stream(r->t);
	fr.rec.at_ns = (int64_t)r->p.at_us * 1'000;
	fr.pkt.p = r->bytes;
	fr.pkt.n = (uint32_t)r->n;
	if (r->w && wav_add(r->w, &fr)) {
		wav_free(r->w);
		r->w = NULL;
	}
}

static void one_further(uint8_t *b)
{
	unsigned seq = (b[2] << 8 | b[3]) + 1u;
	uint32_t ts =
		((uint32_t)b[4] << 24 | (uint32_t)b[5] << 16 | (uint32_t)b[6] << 8 | b[7]) + 160;
	b[2] = (uint8_t)(seq >> 8);
	b[3] = (uint8_t)seq;
	for (unsigned i = 0; i < 4; i++)
		b[4 + i] = (uint8_t)(ts >> (24 - 8 * i));
}

static bool discard(void *arg, const void *p, size_t n)
{
	uint64_t *sum = arg;
	*sum += n;
	return p != NULL;
}

static void check_stream(struct trk *t, const struct trk_stream *s, const struct view_opts *o)
{
	struct trk_figures f;
	struct buf b;
	trk_figures(t, s, &f);
	ASSERT(f.lost <= f.expected && f.silence >= 0 && f.silence <= 1);
	ASSERT(f.spread.lost <= f.expected + 64 && f.spread.burst_r >= 1);
	ASSERT(f.ungraded != TRK_GRADED || (f.out.mos >= 1 && f.out.mos <= 4.5));
	ASSERT(s->n_digits <= TRK_MAX_DIGITS && strlen(s->digits) <= s->n_digits);
	buf_init(&b);
	view_stream(&b, t, s, o);
	FORM(o->is_json ? form_is_json_lines(buf_view(&b)) : form_is_text(buf_view(&b), false), &b);
	ASSERT(!b.err && b.n > 100);
	buf_fini(&b);
}

/* libsrtp begins and ends its crypto library (files, shared objects) with the first and the last
 * session: one that stays makes that once and not in every run. */
static void keep_crypto(void)
{
	static srtp_t session;
	static uint8_t key[SRTP_MAX_KEY_LEN];
	srtp_policy_t policy = {.ssrc = {.type = ssrc_any_inbound}, .key = key};
	if (session)
		return;
	srtp_crypto_policy_set_rtp_default(&policy.rtp);
	srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
	ASSERT(!srtp_init() && !srtp_create(&session, &policy));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trk_cfg cfg = {.has_media = true, .finds_media = true};
	/* audio costs more than all the rest: only an eighth of the inputs makes some */
	struct run r = {.t = trk_new(&cfg), .w = size & 14 ? NULL : wav_new(1 + (size & 1))};
	unsigned where = 0, n_streams = 0;
	/* one view of three a run */
	const struct view_opts look = {.is_json = size % 3 == 0, .is_detailed = size % 3 == 1};
	keep_crypto();
	ASSERT(r.t);
	r.p.at_us = 1'700'000'000'000'000;
	describe(&r, size % 5 ? 1 + (size & 1) : 3);
	while (size >= 2) {
		unsigned n = data[0];
		where = data[1];
		r.p.at_us += 1'000u * (where >> 4) + 1;
		data += 2;
		size -= 2;
		if (n == DESCRIBE) {
			size_t k = size < 400 ? size : 400;
			invite(&r, where & 1 ? "plain" : "secret", 1 + (where >> 1 & 1),
			       (const char *)data, k);
			data += k;
			size -= k;
			continue;
		}
		if (n == REPEAT) {
			for (unsigned i = 0; i < 9 && r.n >= 12; i++, r.p.at_us += 20'000) {
				one_further(r.bytes);
				deliver(&r, where);
			}
			continue;
		}
		r.n = n < size ? n : size;
		memcpy(r.bytes, data, r.n);
		data += r.n;
		size -= r.n;
		deliver(&r, where);
	}
	for (const struct trk_call *c = trk_first(r.t); c; c = trk_after(r.t, c))
		for (const struct trk_stream *s = trk_av(c)->streams; s; s = s->next, n_streams++)
			check_stream(r.t, s, &look);
	for (const struct trk_stream *s = trk_orphan_first(r.t); s; s = trk_orphan_next(r.t, s))
		check_stream(r.t, s, &look);
	ASSERT(n_streams <= MAX_STREAMS);
	uint64_t sum = 0;
	if (r.w && wav_length(r.w) && wav_length(r.w) < 20'000 && wav_rate(r.w) <= 8'000)
		ASSERT(wav_put(r.w, discard, &sum) == OK && sum == 44 + 4 * wav_length(r.w));
	wav_free(r.w);
	trk_free(r.t);
	return 0;
}
