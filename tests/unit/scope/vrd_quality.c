/* The verdict's rules about how good the audio was: each with a call that asks for it, and one like
 * it that must not. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#define A "192.0.2.21:4000"
#define B "192.0.2.43:5000"
#define R "192.0.2.57:7000" /* a relay at P */

struct sound { /* packets of one stream; what is 0 is as usual */
	const char *from, *to;
	uint8_t pt, fill; /* fill: each byte of the payload */
	unsigned n, first, step_ms;
	double at_s;
	unsigned late_every, late_ms; /* each so many-th comes later */
	double drift;                 /* of the sender's clock: 0.001 is 0.1 % too slow */
	uint32_t ssrc;
};

static void sound(struct play *p, const struct sound *s)
{
	uint8_t bytes[RTP_HDR_MIN + 160];
	unsigned step = s->step_ms ? s->step_ms : 20;
	struct addr from, to;
	CHECK(addr_parse(str_c(s->from), 0, &from) && addr_parse(str_c(s->to), 0, &to));
	memset(bytes, s->fill, sizeof bytes);
	for (unsigned i = s->first; i < s->first + s->n; i++) {
		double at = (s->at_s ? s->at_s : 2.1) * 1e6 + i * step * 1e3 * (1 + s->drift);
		if (s->late_every && i % s->late_every == s->late_every - 1)
			at += s->late_ms * 1e3;
		rtp_put(bytes, s->pt, i == 0, (uint16_t)(100 + i), 8 * step * i,
			s->ssrc ? s->ssrc : from.port);
		struct trk_packet k = {.at_us = p->base_us + (uint64_t)at,
				       .frame_no = ++p->n,
				       .from = from,
				       .to = to,
				       .bytes = str_of((const char *)bytes, sizeof bytes)};
		struct trk_datagram d = trk_datagram_of(&k);
		trk_media(p->t, &d, NULL);
	}
}
#define SOUND(...) sound(&p, &(struct sound){__VA_ARGS__})

static void up(struct play *p)
{
	setup(p);
	ring(p);
	answer(p);
	ack(p);
}

static bool says(const struct play *p, enum vrd_rule rule, const char *part)
{
	for (unsigned i = 0; i < p->v.n; i++)
		if (p->v.f[i].rule == rule && str_find(p->v.f[i].text, str_c(part)) != SIZE_MAX)
			return true;
	return false;
}
#define SAYS(rule, part) CHECK(says(&p, VRD_##rule, part))

TEST_NO_OOM(jitter_that_a_buffer_does_not_take)
{
	static const unsigned late[] = {200, 30};
	for (int i = 0; i < 2; i++) {
		struct play p;
		up(&p);
		SOUND(A, B, .n = 500, .late_every = 20, .late_ms = late[i]);
		SOUND(B, A, .n = 500);
		bye_from_callee(&p, 12.5);
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_RTP_JITTER), i == 0);
		WITHOUT(RTP_LOSS);
		play_end(&p);
	}
}

TEST_NO_OOM(packets_in_another_order)
{
	static const unsigned late[] = {30, 10}; /* two packets, or not one */
	for (int i = 0; i < 2; i++) {
		struct play p;
		up(&p);
		for (unsigned k = 0; k < 400; k += 20) { /* the last of 20 comes behind its next */
			SOUND(A, B, .first = k, .n = 19);
			if (late[i] > 20)
				SOUND(A, B, .first = k + 20, .n = 1);
			SOUND(A, B, .first = k + 19, .n = 1);
		}
		SOUND(B, A, .n = 400);
		bye_from_callee(&p, 12.5);
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_RTP_REORDERED), i == 0);
		play_end(&p);
	}
}

TEST_NO_OOM(a_clock_that_drifts)
{
	static const double drift[] = {0.001, 0.00005};
	for (int i = 0; i < 2; i++) {
		struct play p;
		up(&p);
		SOUND(A, B, .n = 2'000, .drift = drift[i]);
		SOUND(B, A, .n = 2'000);
		bye_from_callee(&p, 43);
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_CLOCK_DRIFT), i == 0);
		if (!i)
			SAYS(CLOCK_DRIFT,
			     "the sender to the callee runs 0.10 % too slow: its receiver "
			     "must make up a packet every 20 s");
		play_end(&p);
	}
}

/* Sent at another rate than its payload type says; a pause is none, nor is a slow clock. */
TEST_NO_OOM(a_clock_of_another_codec)
{
	for (int i = 0; i < 3; i++) {
		struct play p;
		up(&p);
		SOUND(A, B, .n = 400, .drift = i == 0 ? 0.25 : i == 1 ? 0.01 : 0);
		if (i == 2) /* what it held back comes with the next timestamps */
			SOUND(A, B, .first = 400, .n = 400, .at_s = 6.1);
		SOUND(B, A, .n = 400);
		bye_from_callee(&p, 23);
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_CLOCK_WRONG), i == 0);
		if (!i)
			SAYS(CLOCK_WRONG, "the timestamps of the RTP to the callee count about "
					  "6400 a second, where PCMU has 8000");
		play_end(&p);
	}
}

/* --- silence ---------------------------------------------------------------------------------- */

TEST_NO_OOM(a_muted_microphone)
{
	static const uint8_t fill[] = {0xff, 0x40, 0xff}; /* PCMU: silence, sound */
	for (int i = 0; i < 3; i++) {
		struct play p;
		up(&p);
		SOUND(A, B, .n = 500, .fill = fill[i]);
		SOUND(B, A, .n = 500, .fill = i == 2 ? 0xff : 0x40);
		bye_from_callee(&p, 12.5);
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_AUDIO_MUTED),
			 i == 0); /* i == 2: a test tone generator */
		if (!i)
			SAYS(AUDIO_MUTED,
			     "the RTP to the callee flows, but it is silence (100 % of "
			     "its packets in 10.0 s)");
		play_end(&p);
	}
}

TEST_NO_OOM(hold_is_not_muted)
{
	struct play p;
	up(&p);
	msg(&p, 2.05, "A>P", "INVITE 2 h",
	    "To-tag: t\r\n" SDP("192.0.2.21", "4000") "a=sendonly\r\n");
	SOUND(A, B, .n = 500, .fill = 0x40);
	SOUND(B, A, .n = 500, .fill = 0xff);
	bye_from_callee(&p, 12.5);
	judge(&p);
	WITHOUT(AUDIO_MUTED);
	play_end(&p);
}

TEST_NO_OOM(a_relay_that_cuts_the_first_words_off)
{
	static const unsigned cut[] = {40, 0};
	for (int i = 0; i < 2; i++) {
		struct play p;
		play_begin(&p, NULL);
		msg(&p, 0, "A>P", "INVITE 1 a", SDP("192.0.2.21", "4000"));
		msg(&p, 0.1, "P>B", "INVITE 1 b", SDP("192.0.2.57", "7000"));
		msg(&p, 2, "B>P", "200 OK 1 INVITE b", "To-tag: t\r\n" SDP("192.0.2.43", "5000"));
		msg(&p, 2.01, "P>A", "200 OK 1 INVITE a",
		    "To-tag: t\r\n" SDP("192.0.2.57", "7002"));
		ack(&p);
		SOUND(B, R, .n = 500, .ssrc = 9);
		SOUND("192.0.2.57:7002", A, .first = cut[i], .n = 500 - cut[i], .ssrc = 9);
		bye_from_callee(&p, 12.5);
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_AUDIO_CLIPPED), i == 0);
		if (!i)
			SAYS(AUDIO_CLIPPED,
			     "192.0.2.57 had the audio for the caller and passed it on "
			     "only from the 41th packet: the first 0.8 s were cut off");
		play_end(&p);
	}
}

/* --- what was agreed -------------------------------------------------------------------------- */

TEST_NO_OOM(a_payload_type_that_nobody_explains)
{
	static const uint8_t pts[] = {111, 0};
	for (int i = 0; i < 2; i++) {
		struct play p;
		up(&p);
		SOUND(A, B, .n = 500, .pt = pts[i]);
		SOUND(B, A, .n = 500);
		bye_from_callee(&p, 12.5);
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_TYPE_UNKNOWN), i == 0);
		play_end(&p);
	}
}

TEST_NO_OOM(another_packet_length_than_was_asked_for)
{
	static const struct {
		const char *attr;
		enum vrd_severity severity;
	} rows[] = {
		{"a=ptime:30\r\n",                  VRD_NOTE},
		{"a=ptime:20\r\n",                  VRD_OK  },
		{"",				VRD_OK  },
		{"a=ptime:10\r\na=maxptime:10\r\n", VRD_WARN},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct play p;
		char more[400];
		setup(&p);
		snprintf(more, sizeof more, "To-tag: t\r\n%s%s", SDP("192.0.2.43", "5000"),
			 rows[i].attr);
		msg(&p, 2.00, "B>P", "200 OK 1 INVITE b", more);
		msg(&p, 2.01, "P>A", "200 OK 1 INVITE a", more);
		ack(&p);
		SOUND(A, B, .n = 500);
		SOUND(B, A, .n = 500);
		bye_from_callee(&p, 12.5);
		judge(&p);
		unsigned got = VRD_OK;
		for (unsigned k = 0; k < p.v.n; k++)
			if (p.v.f[k].rule == VRD_PTIME)
				got = p.v.f[k].severity;
		CHECK_EQ(got, rows[i].severity);
		play_end(&p);
	}
}

/* --- DTLS ------------------------------------------------------------------------------------- */

#define DTLS_BODY(ip, port)                                                                        \
	"Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 " ip "\r\ns=-\r\nc=IN IP4 " ip \
	"\r\nt=0 0\r\nm=audio " port " UDP/TLS/RTP/SAVPF 0\r\na=setup:actpass\r\n"                 \
	"a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:" \
	"66:77:88:99:AA:BB:CC:DD:EE:FF\r\n"

static void record(struct play *p, double at_s, const char *from, const char *to, uint8_t type,
		   uint8_t epoch, uint8_t first)
{
	uint8_t bytes[13 + 40] = {type, 0xfe, 0xfd, 0, epoch, [12] = 40, [13] = first, 40};
	struct trk_packet k = {.at_us = p->base_us + (uint64_t)(at_s * 1e6),
			       .frame_no = ++p->n,
			       .bytes = str_of((const char *)bytes, sizeof bytes)};
	CHECK(addr_parse(str_c(from), 0, &k.from) && addr_parse(str_c(to), 0, &k.to));
	struct trk_datagram d = trk_datagram_of(&k);
	trk_media(p->t, &d, NULL);
}

TEST_NO_OOM(dtls_that_is_never_finished)
{
	enum { HELLO = 22, ALERT = 21 };
	static const char *const texts[] = {"the caller never answered", "neither came to its end",
					    "the caller refused it (alert 40)", NULL};
	for (int i = 0; i < 4; i++) {
		struct play p;
		play_begin(&p, NULL);
		msg(&p, 0, "A>B", "INVITE 1 a", DTLS_BODY("192.0.2.21", "4000"));
		msg(&p, 2, "B>A", "200 OK 1 INVITE a",
		    "To-tag: t\r\n" DTLS_BODY("192.0.2.43", "5000"));
		msg(&p, 2.1, "A>B", "ACK 1 c", "To-tag: t\r\n");
		record(&p, 2.2, B, A, HELLO, 0, 1);
		if (i == 1 || i == 3)
			record(&p, 2.3, A, B, HELLO, 0, 2);
		if (i == 2)
			record(&p, 2.3, A, B, ALERT, 0, 2);
		if (i == 3) {
			record(&p, 2.4, B, A, HELLO, 1, 0);
			record(&p, 2.5, A, B, HELLO, 1, 0);
		}
		msg(&p, 9, "A>B", "BYE 2 e", "To-tag: t\r\n");
		msg(&p, 9.1, "B>A", "200 OK 2 BYE e", "To-tag: t\r\n");
		judge(&p);
		CHECK_EQ(has_rule(&p.v, VRD_DTLS_UNFINISHED), texts[i] != NULL);
		CHECK(!texts[i] || says(&p, VRD_DTLS_UNFINISHED, texts[i]));
		play_end(&p);
	}
}

/* --- the grade -------------------------------------------------------------------------------- */

TEST_NO_OOM(a_poor_grade_says_why)
{
	struct play p;
	up(&p);
	talk(&p, 2.1, 500, (struct gap){40, 12, TALK_TO_CALLER});
	bye_from_callee(&p, 12.5);
	judge(&p);
	SAYS(POOR, "PCMU, 12.0 % lost in runs of up to 12, delay unknown (taken as 50 ms)");
	play_end(&p);

	up(&p); /* a sniffer's loss is not graded */
	talk(&p, 2.1, 500, (struct gap){40, 12, TALK_BOTH});
	bye_from_callee(&p, 12.5);
	judge(&p);
	WITHOUT(POOR);
	play_end(&p);
}
