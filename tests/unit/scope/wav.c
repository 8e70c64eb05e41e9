/* Audio out of captures: the tones that were sent are in the right channel, at their pitch and
 * level, and nothing else is; SRTP opens with the key of the SDP, over the roll-over of its
 * numbers, in each suite, and with the new key after a re-INVITE. */

#include "scope/wav.h"

#include "codec/codec.h"
#include "codec/tone.h"
#include "fixture.h"
#include "track/trk_media_priv.h"
#include "track/trk_srtp.h"

#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool put(void *arg, const void *p, size_t n)
{
	buf_put(arg, p, n);
	return ((struct buf *)arg)->err == OK;
}

static struct wav *collect(const char *name, uint32_t no)
{
	char path[512];
	struct buf why;
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	struct wav *x = wav_new(no);
	struct trk *t = trk_new(&(struct trk_cfg){.has_media = true});
	buf_init(&why);
	snprintf(path, sizeof path, "%s/captures/%s.pcap", getenv("RUNG_TEST_DATA"), name);
	CHECK(x && t);
	CHECK_EQ(cap_open(path, &c, &why), OK);
	CHECK_EQ(cap_walk_new(c, t, &w), OK);
	const struct cap_frame *fr;
	while ((fr = cap_walk_next(w)))
		CHECK_EQ(wav_add(x, fr), OK);
	cap_walk_free(w);
	trk_free(t);
	cap_close(c);
	buf_fini(&why);
	return x;
}

static uint32_t le32(const char *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

/* The middle of a channel. */
static void check_channel(const struct buf *file, unsigned channel, double hz, double other_hz,
			  const char *name)
{
	static int16_t v[96'000];
	uint32_t rate = le32(file->p + 24);
	size_t frames = (file->n - 44) / 4, n = 0;
	for (size_t i = frames / 3; i < frames * 2 / 3 && n < 96'000; i++)
		memcpy(&v[n++], file->p + 44 + 4 * i + 2 * channel, 2);
	double tone = cdc_goertzel_dbm0(v, n, hz, rate), all = cdc_level_dbm0(v, n);
	double other = cdc_goertzel_dbm0(v, n, other_hz, rate);
	/* -12 dB of full scale, and what Opus and G.722 make of it in those clients */
	if (!(tone > -17 && tone < -5 && all - tone < 0.5 && other < tone - 40))
		test_fail(__FILE__, __LINE__, "%s, channel %u: %.1f of %.1f dBm0, other tone %.1f",
			  name, channel, tone, all, other);
}

static void check_capture_tones(const char *name, uint32_t rate, const char *codecs)
{
	struct wav *x = collect(name, 3);
	struct buf file;
	buf_init(&file);
	CHECK_EQ(wav_rate(x), rate);
	CHECK_EQ(wav_put(x, put, &file), OK);
	CHECK_EQ(file.n, 44 + 4 * wav_length(x));
	CHECK(!memcmp(file.p, "RIFF", 4) && le32(file.p + 4) == file.n - 8);
	CHECK(le32(file.p + 24) == rate && le32(file.p + 40) == file.n - 44);
	for (int side = 0; side < 2; side++) {
		const struct wav_side *s = wav_side(x, (enum trk_side)side);
		CHECK(s->n_packets > 50 && !s->n_bad && !s->problem && s->seconds > 2);
		CHECK(strcmp(s->codecs, codecs) == 0);
	}
	check_channel(&file, 0, 440, 660, name);
	check_channel(&file, 1, 660, 440, name);
	buf_fini(&file);
	wav_free(x);
}

TEST_NO_OOM(tones_of_each_codec_in_their_channels)
{
	check_capture_tones("call-answered", 8'000, "PCMU");
	check_capture_tones("call-pcma", 8'000, "PCMA");
	check_capture_tones("call-g722", 16'000, "G722");
	check_capture_tones("call-opus", 48'000, "opus");
	check_capture_tones("call-srtp-sdes", 8'000, "PCMU");
	check_capture_tones("call-dtmf-rfc4733", 8'000, "PCMU");
}

TEST_NO_OOM(what_cannot_be_had_is_said)
{
	struct wav *x = collect("call-jssip-ws-dtls", 3);
	struct buf file;
	buf_init(&file);
	CHECK_EQ(wav_length(x), 0);
	CHECK_EQ(wav_put(x, put, &file), ERR_NOTFOUND);
	CHECK(wav_side(x, TRK_SIDE_CALLER)->problem && wav_side(x, TRK_SIDE_CALLER)->n_bad > 50);
	wav_free(x);
	x = collect("call-busy-486", 3);
	CHECK(!wav_length(x) && !wav_side(x, TRK_SIDE_CALLER)->problem);
	buf_init_fixed(&file, NULL, 0);
	wav_free(x);
	x = collect("call-pcma", 3);
	CHECK_EQ(wav_put(x, put, &file), ERR_IO); /* the disk is full */
	wav_free(x);
}

/* --- a call made here ------------------------------------------------------------------------- */

static const char *packet_from = "192.0.2.43:5000", *packet_to = "192.0.2.21:4000";

static struct trk_stream *packet(struct play *p, struct wav *x, double at_s, uint16_t seq,
				 uint32_t ts, const uint8_t *bytes, size_t n)
{
	struct cap_frame fr = {.media = RTP_UNKNOWN};
	struct trk_packet k = {.at_us = p->base_us + (uint64_t)(at_s * 1e6 + 0.5),
			       .frame_no = ++p->n,
			       .bytes = str_of((const char *)bytes, n)};
	CHECK(addr_parse(str_c(packet_from), 0, &k.from) && addr_parse(str_c(packet_to), 0, &k.to));
	struct trk_datagram d = trk_datagram_of(&k);
	fr.media = trk_media(p->t, &d, &fr.rtp);
	fr.stream = trk_media_stream(p->t);
	fr.rec.at_ns = (int64_t)k.at_us * 1'000;
	fr.pkt.p = bytes;
	fr.pkt.n = (uint32_t)n;
	CHECK(fr.media == RTP_RTP && fr.rtp.seq == seq && fr.rtp.ts == ts);
	enum err e = wav_add(x, &fr);
	CHECK(e == OK || e == ERR_NOMEM);
	return fr.stream;
}

static const int16_t *left_or_right(struct buf *file, unsigned channel, size_t frame)
{
	static int16_t v;
	memcpy(&v, file->p + 44 + 4 * frame + 2 * channel, 2);
	return &v;
}

TEST_NO_OOM(placed_by_timestamps_with_silence_between)
{
	struct play p;
	struct buf file;
	uint8_t bytes[RTP_HDR_MIN + 160];
	play_begin(&p, NULL);
	buf_init(&file);
	msg(&p, 0, "A>P", "INVITE 1 a", SDP("192.0.2.21", "4000"));
	struct wav *x = wav_new(1);
	memset(bytes, 0x00, sizeof bytes); /* the loudest code of µ-law */
	/* jitter of 15 ms, two lost, one late, one twice */
	static const struct {
		double at_s;
		uint16_t seq;
	} row[] = {
		{0,     1},
                {0.035, 2},
                {0.1,   6},
                {0.101, 5},
                {0.102, 5},
                {0.12,  7}
        };
	for (unsigned i = 0; i < 6; i++) {
		rtp_put(bytes, 0, false, row[i].seq, row[i].seq * 160u, 7);
		packet(&p, x, 1 + row[i].at_s, row[i].seq, row[i].seq * 160u, bytes, sizeof bytes);
	}
	CHECK_EQ(wav_put(x, put, &file), OK);
	CHECK_EQ(wav_length(x), 7 * 160);
	for (size_t i = 0; i < 7 * 160; i++) {
		bool is_lost = i >= 2 * 160 && i < 4 * 160;
		CHECK(*left_or_right(&file, 1, i) == (is_lost ? 0 : -32'124));
		CHECK(*left_or_right(&file, 0, i) == 0);
	}
	buf_fini(&file);
	wav_free(x);
	play_end(&p);
}

/* A relay sends each packet on: it is heard once. */
TEST_NO_OOM(one_leg_of_a_relayed_stream)
{
	struct play p;
	uint8_t bytes[RTP_HDR_MIN + 160] = {0};
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "INVITE 1 a", SDP("192.0.2.21", "4000"));
	msg(&p, 0, "P>B", "INVITE 1 b", SDP("192.0.2.57", "6000"));
	struct wav *x = wav_new(1);
	for (unsigned i = 0; i < 50; i++) {
		rtp_put(bytes, 0, false, (uint16_t)i, i * 160, 7);
		packet_to = "192.0.2.57:6000";
		packet(&p, x, 1 + i * 0.02, (uint16_t)i, i * 160, bytes, sizeof bytes);
		packet_from = "192.0.2.57:6002";
		packet_to = "192.0.2.21:4000";
		packet(&p, x, 1.003 + i * 0.02, (uint16_t)i, i * 160, bytes, sizeof bytes);
		packet_from = "192.0.2.43:5000";
	}
	CHECK_EQ(wav_side(x, TRK_SIDE_CALLER)->n_packets, 50);
	CHECK_EQ(wav_length(x), 50 * 160);
	wav_free(x);
	play_end(&p);
}

/* The caller hears G.711, the callee G.722: the file has the higher rate, both tones their pitch.
 * And in mid-stream the codec changes. */
TEST_NO_OOM(rates_are_brought_together)
{
	struct play p;
	struct buf file;
	struct cdc_tone tone;
	uint8_t bytes[RTP_HDR_MIN + 640];
	int16_t v[320];
	play_begin(&p, NULL);
	buf_init(&file);
	msg(&p, 0, "A>P", "INVITE 1 a",
	    "Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.21\r\ns=-\r\n"
	    "c=IN IP4 192.0.2.21\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 96\r\n"
	    "a=rtpmap:96 L16/16000\r\n");
	struct wav *x = wav_new(1);
	for (unsigned i = 0; i < 200; i++) { /* 8 kHz, then 16 kHz into a track of 8 kHz */
		bool is_wide = i >= 100;
		uint32_t rate = is_wide ? 16'000 : 8'000;
		unsigned n = rate / 50;
		if (i == 0 || i == 100)
			cdc_tone_init(&tone, 660, -9, rate);
		cdc_tone_put(&tone, v, n);
		for (unsigned k = 0; k < n; k++)
			if (is_wide) {
				bytes[RTP_HDR_MIN + 2 * k] = (uint8_t)(v[k] >> 8);
				bytes[RTP_HDR_MIN + 2 * k + 1] = (uint8_t)v[k];
			} else {
				bytes[RTP_HDR_MIN + k] = cdc_ulaw_of(v[k]);
			}
		uint32_t ts = is_wide ? 16'000 + i * n : i * n;
		rtp_put(bytes, is_wide ? 96 : 0, false, (uint16_t)i, ts, 7);
		packet(&p, x, 1 + i * 0.02, (uint16_t)i, ts, bytes,
		       RTP_HDR_MIN + (is_wide ? 2 * n : n));
	}
	CHECK_EQ(wav_rate(x), 8'000);
	CHECK_EQ(wav_length(x), 200 * 160);
	CHECK_EQ(wav_put(x, put, &file), OK);
	static int16_t out[12'000];
	for (unsigned half = 0; half < 2; half++) {
		for (size_t i = 0; i < 12'000; i++)
			out[i] = *left_or_right(&file, 1, half * 16'000 + 2'000 + i);
		double hz = cdc_goertzel_dbm0(out, 12'000, 660, 8'000);
		double all = cdc_level_dbm0(out, 12'000);
		if (!(hz > -9.5 && hz < -8.5 && all - hz < 0.5))
			test_fail(__FILE__, __LINE__, "half %u: %.1f of %.1f", half, hz, all);
	}
	buf_fini(&file);
	wav_free(x);
	play_end(&p);
}

/* --- SRTP ------------------------------------------------------------------------------------- */

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void key_text(char out[80], unsigned n, unsigned seed, uint8_t key[46])
{
	unsigned at = 0;
	for (unsigned i = 0; i < 46; i++)
		key[i] = (uint8_t)(i < n ? i * 7 + seed : 0);
	for (unsigned i = 0; i < n; i += 3) {
		uint32_t w = (uint32_t)key[i] << 16 | (uint32_t)(i + 1 < n ? key[i + 1] : 0) << 8 |
			     (i + 2 < n ? key[i + 2] : 0);
		for (int k = 3; k >= 0; k--)
			out[at++] = b64[w >> (6 * k) & 63];
		for (unsigned k = n - i; k < 3; k++)
			out[at - 3 + k] = '=';
	}
	out[at] = 0;
}

struct sender {
	srtp_t session;
	struct play *p;
	struct wav *x;
	double at_s;
};

static void answer_with_key(struct sender *s, const char *suite, const char *key, unsigned cseq)
{
	char more[700], line[40];
	snprintf(line, sizeof line, "INVITE %u a%u", cseq, cseq);
	msg(s->p, s->at_s, "A>P", line, SDP("192.0.2.21", "4000"));
	snprintf(more, sizeof more,
		 "To-tag: t\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"
		 "o=- 1 %u IN IP4 192.0.2.43\r\ns=-\r\nc=IN IP4 192.0.2.43\r\nt=0 0\r\n"
		 "m=audio 5000 RTP/SAVP 0\r\na=crypto:1 %s inline:%s|2^20|1:4\r\n",
		 cseq, suite, key);
	snprintf(line, sizeof line, "200 OK %u INVITE a%u", cseq, cseq);
	msg(s->p, s->at_s, "P>A", line, more);
}

/* libsrtp's struct wants the key writable */
/* NOLINTNEXTLINE(readability-non-const-parameter) */
static void open_sender(struct sender *s, void (*policy)(srtp_crypto_policy_t *), uint8_t *key)
{
	unsigned char mki[4] = {0, 0, 0, 1};
	srtp_master_key_t master = {.key = key, .mki_id = mki, .mki_size = 4};
	srtp_master_key_t *masters[] = {&master};
	srtp_policy_t o = {.ssrc = {.type = ssrc_any_outbound},
			   .window_size = 128,
			   .keys = masters,
			   .num_master_keys = 1};
	policy(&o.rtp);
	policy(&o.rtcp);
	if (s->session)
		srtp_dealloc(s->session);
	CHECK(srtp_create(&s->session, &o) == srtp_err_status_ok);
}

static void send_secret(struct sender *s, uint16_t seq, unsigned n)
{
	for (unsigned i = 0; i < n; i++, seq++, s->at_s += 0.02) {
		uint8_t bytes[RTP_HDR_MIN + 160 + SRTP_MAX_TRAILER_LEN];
		int len = RTP_HDR_MIN + 160;
		memset(bytes, 0x00, sizeof bytes);
		uint32_t ts = (uint32_t)(s->at_s * 8'000 + 0.5);
		rtp_put(bytes, 0, false, seq, ts, 7);
		CHECK(srtp_protect_mki(s->session, bytes, &len, 1, 0) == srtp_err_status_ok);
		packet(s->p, s->x, s->at_s, seq, ts, bytes, (size_t)len);
	}
}

static void check_suite(const char *suite, void (*policy)(srtp_crypto_policy_t *), unsigned n)
{
	struct play p;
	char text[80];
	uint8_t key[46];
	play_begin(&p, NULL);
	struct sender s = {.p = &p, .x = wav_new(1)};
	/* both sides must say that they encrypt: the receiver's description has a key, too */
	char more[600];
	snprintf(more, sizeof more,
		 "Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.21\r\ns=-\r\n"
		 "c=IN IP4 192.0.2.21\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"
		 "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
		 "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n");
	msg(&p, 0, "A>P", "INVITE 1 a", more);
	key_text(text, n, 1, key);
	s.at_s = 1;
	answer_with_key(&s, suite, text, 1);
	open_sender(&s, policy, key);
	send_secret(&s, 65'500, 100); /* the numbers roll over */
	key_text(text, n, 99, key);
	s.at_s = 4;
	answer_with_key(&s, suite, text, 2);
	open_sender(&s, policy, key);
	srtp_set_stream_roc(s.session, 7, 1);
	send_secret(&s, 64, 40);
	const struct wav_side *side = wav_side(s.x, TRK_SIDE_CALLER);
	if (side->n_packets != 140 || side->n_bad)
		test_fail(__FILE__, __LINE__, "%s: %u opened, %u not", suite, side->n_packets,
			  side->n_bad);
	srtp_dealloc(s.session);
	wav_free(s.x);
	play_end(&p);
}

TEST_NO_OOM(srtp_in_each_suite_over_the_roll_over)
{
	trk_srtp_free(trk_srtp_new()); /* makes the library ready */
	check_suite("AES_CM_128_HMAC_SHA1_80", srtp_crypto_policy_set_rtp_default, 30);
	check_suite("AES_CM_128_HMAC_SHA1_32", srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32, 30);
	check_suite("AES_256_CM_HMAC_SHA1_80", srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80, 46);
	check_suite("AES_256_CM_HMAC_SHA1_32", srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32, 46);
	check_suite("AEAD_AES_128_GCM", srtp_crypto_policy_set_aes_gcm_128_16_auth, 28);
	check_suite("AEAD_AES_256_GCM", srtp_crypto_policy_set_aes_gcm_256_16_auth, 44);
}
