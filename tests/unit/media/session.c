/* Sessions over a simulated network: what one plays the other hears; loss, hold, latching, DTMF,
 * RTCP, all in virtual time. Long calls are not rerun with failing allocations (the simulation
 * allocates per datagram, a session only when it begins); short ones are. [RFC3550] [RFC4733]
 * [RFC4961] */

#include "media/session.h"

#include "codec/tone.h"
#include "media/file.h"
#include "rig.h"
#include "rtp/rtcp.h"
#include "rtp/rtp.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TEST(a_short_call)
{
	const char *why;
	char out[200];
	snprintf(out, sizeof(out), "%s", rig_path("short.wav"));
	rig_open(1, NULL);
	rig_connect();
	md_session_play_tone(rig_a.s, 440, -10, 0);
	enum err e = md_session_record(rig_b.s, out, &why);
	unlink(out);
	CHECK_EQ(e, OK);
	rig_run(100);
	CHECK(rig_stats(&rig_b).received >= 4);
	rig_close();
}

TEST_NO_OOM(both_hear_the_other)
{
	rig_open(1, NULL);
	rig_connect();
	md_session_play_tone(rig_a.s, 440, -10, 0);
	md_session_play_tone(rig_b.s, 880, -20, 0);
	rig_run(10'000);
	struct md_stats a = rig_stats(&rig_a), b = rig_stats(&rig_b);
	CHECK(rig_told(&rig_b, "first 192.0.2.1:") && rig_told(&rig_b, "tone 44 -10;"));
	CHECK(rig_told(&rig_a, "first 192.0.2.2:") && rig_told(&rig_a, "tone 88 -20;"));
	CHECK(!rig_told(&rig_a, "end") && !rig_told(&rig_a, "latched"));
	CHECK(fabs(a.tone_hz - 880) < 2 && fabs(a.tone_dbm0 + 20) < 0.5);
	CHECK(a.tone_total_ms > 9000 && a.tone_total_ms <= 10'000);
	/* 20 ms exactly, for ten seconds: no drift, no burst */
	CHECK(a.sent_packets >= 500 && a.sent_packets <= 501);
	CHECK_EQ(a.sent_bytes, a.sent_packets * 160);
	CHECK(b.received >= 499 && b.received <= 500);
	CHECK(llabs((long long)(b.last_sent_us - b.first_sent_us) -
		    (long long)(b.sent_packets - 1) * 20'000) <= 1'000);
	CHECK(b.lost == 0 && b.dup == 0 && b.reordered == 0 && b.wrong_pt == 0 && b.foreign == 0);
	CHECK(b.jitter_ms < 1 && b.max_gap_ms <= 21 && b.discarded == 0);
	CHECK_EQ(b.remote_ssrc, a.ssrc);
	/* RTCP: about one in 5 s, the first early; the way there and back is 20 ms */
	CHECK(a.rtcp_sent >= 2 && a.rtcp_received >= 2 && a.has_remote_report);
	CHECK(a.round_trip_us > 19'000 && a.round_trip_us < 22'000);
	CHECK(a.remote_lost == 0 && a.remote_fraction_lost == 0);
	rig_close();
}

static struct md_stats lossy_run(uint64_t seed)
{
	struct sim_link bad = {
		.delay_us = 20'000, .jitter_us = 30'000, .loss = 0.1, .duplicate = 0.05};
	rig_open(seed, &bad);
	rig_connect();
	md_session_play_tone(rig_a.s, 1000, -10, 0);
	rig_run(20'000);
	struct md_stats st = rig_stats(&rig_b);
	struct md_stats a = rig_stats(&rig_a);
	CHECK(rig_told(&rig_b, "tone 100 "));
	CHECK(a.has_remote_report && a.remote_lost > 0);
	rig_close();
	return st;
}

TEST_NO_OOM(loss_jitter_and_duplicates)
{
	struct md_stats x = lossy_run(5), y = lossy_run(5);
	CHECK(x.lost > 60 && x.lost < 140);
	CHECK(x.dup > 20 && x.dup < 90);
	CHECK(x.reordered > 20);
	CHECK(x.jitter_ms > 5 && x.jitter_ms < 30);
	CHECK_EQ(x.expected, x.received - x.dup + (uint64_t)x.lost);
	CHECK(x.expected >= 980 && x.expected <= 1001);
	CHECK(x.concealed >= (uint64_t)x.lost / 2 && x.concealed <= (uint64_t)x.lost + 20);
	CHECK(x.discarded <= 5); /* 30 ms of jitter fit into 60 */
	/* one seed, one history */
	CHECK(x.received == y.received && x.lost == y.lost && x.dup == y.dup &&
	      x.reordered == y.reordered && x.jitter_ms == y.jitter_ms && x.ssrc == y.ssrc &&
	      x.last_received_us == y.last_received_us && x.concealed == y.concealed &&
	      x.rtcp_received == y.rtcp_received && x.tone_hz == y.tone_hz);
}

TEST_NO_OOM(files_played_and_recorded)
{
	char in[200], out[200];
	const char *why;
	int16_t pcm[16'000];
	struct md_writer *w;
	struct md_reader *r;
	struct cdc_tone t;
	snprintf(in, sizeof(in), "%s", rig_path("in.wav"));
	snprintf(out, sizeof(out), "%s", rig_path("out.wav"));
	CHECK_EQ(md_writer_open(in, 8000, &w, &why), OK);
	cdc_tone_init(&t, 600, -12, 8000);
	cdc_tone_put(&t, pcm, 16'000);
	CHECK_EQ(md_writer_put(w, pcm, 16'000), OK);
	CHECK_EQ(md_writer_close(w), OK);

	rig_open(1, NULL);
	rig_connect();
	CHECK_EQ(md_session_record(rig_b.s, out, &why), OK);
	CHECK_EQ(md_session_play_file(rig_a.s, in, false, &why), OK);
	rig_run(1'990);
	CHECK(!rig_told(&rig_a, "played"));
	rig_run(1'010);
	CHECK(rig_told(&rig_a, "played;"));
	CHECK_EQ(md_session_record_end(rig_b.s), OK);
	CHECK_EQ(md_session_record_end(rig_b.s), OK);
	rig_close();
	CHECK_EQ(md_reader_open(out, 8000, &r, &why), OK);
	unlink(in);
	unlink(out);
	int16_t heard[32'000];
	size_t n = md_reader_read(r, heard, 32'000);
	md_reader_close(r);
	CHECK(n >= 23'800 && n <= 24'200); /* 3 s */
	/* 70..100 ms of network and buffer, 2 s of tone, silence */
	CHECK(cdc_level_dbm0(heard, 480) < -60);
	CHECK(fabs(cdc_goertzel_dbm0(heard + 1600, 14'000, 600, 8000) + 12) < 0.3);
	CHECK(cdc_level_dbm0(heard + 17'000, 6'000) < -60);
}

TEST_NO_OOM(file_in_a_loop)
{
	char in[200];
	const char *why;
	int16_t pcm[1'234];
	struct md_writer *w;
	struct cdc_tone t;
	snprintf(in, sizeof(in), "%s", rig_path("loop.wav"));
	CHECK_EQ(md_writer_open(in, 8000, &w, &why), OK);
	cdc_tone_init(&t, 1000, -12, 8000);
	cdc_tone_put(&t, pcm, 1'232); /* whole periods */
	CHECK_EQ(md_writer_put(w, pcm, 1'232), OK);
	CHECK_EQ(md_writer_close(w), OK);
	rig_open(1, NULL);
	rig_connect();
	CHECK_EQ(md_session_play_file(rig_a.s, in, true, &why), OK);
	unlink(in);
	rig_run(5'000);
	struct md_stats b = rig_stats(&rig_b);
	CHECK(!rig_told(&rig_a, "played") && b.tone_total_ms > 4500);
	rig_close();
}

TEST_NO_OOM(files_that_do_not_work)
{
	const char *why = "";
	rig_open(1, NULL);
	rig_connect();
	CHECK_EQ(md_session_play_file(rig_a.s, "/nonexistent.wav", false, &why), ERR_IO);
	CHECK(strlen(why) > 5);
	CHECK_EQ(md_session_record(rig_a.s, "/nonexistent/x.wav", &why), ERR_IO);
	md_session_play_tone(rig_a.s, 500, -10, 300);
	rig_run(1'000);
	CHECK(rig_told(&rig_a, "played;") && rig_told(&rig_b, "tone 50") &&
	      rig_told(&rig_b, "end;"));
	rig_close();
}

TEST_NO_OOM(dtmf)
{
	rig_open(1, NULL);
	rig_connect();
	md_session_play_tone(rig_a.s, 440, -10, 0);
	CHECK_EQ(md_session_dtmf(rig_a.s, STR("1x"), 0), ERR_UNSUPPORTED);
	CHECK_EQ(md_session_dtmf(rig_a.s, STR("19,#"), 0), OK);
	CHECK_EQ(md_session_dtmf(rig_a.s, STR("D"), 400), OK);
	rig_run(1'000);
	CHECK(rig_told(&rig_b, "dtmf 1 160;") && rig_told(&rig_b, "dtmf 9 160;"));
	CHECK(!rig_told(&rig_b, "dtmf #"));
	CHECK_EQ(md_session_dtmf(rig_a.s, STR_NONE, 0), OK);
	rig_run(2'000);
	CHECK(rig_told(&rig_b, "dtmf # 160;dtmf D 400;"));
	CHECK(rig_told(&rig_a, "sent;"));
	struct md_stats b = rig_stats(&rig_b);
	CHECK_STR_EQ(str_c(b.digits), str_c("19#D"));
	CHECK_EQ(b.lost, 0);
	CHECK(b.jitter_ms < 1 && b.concealed == 0); /* events are neither jitter nor loss */
	char many[66];
	memset(many, '5', sizeof(many));
	CHECK_EQ(md_session_dtmf(rig_a.s, str_of(many, 65), 0), ERR_LIMIT);
	rig_a.st.dtmf_send = SDP_PT_NONE;
	struct addr to = md_session_rtp(rig_b.s);
	rig_apply(&rig_a, SDP_SENDRECV, &to);
	CHECK_EQ(md_session_dtmf(rig_a.s, STR("1"), 0), ERR_UNSUPPORTED);
	rig_close();
}

/* A third of the packets lost: each key press is still told once, in order. */
TEST_NO_OOM(dtmf_with_loss)
{
	struct sim_link bad = {.delay_us = 20'000, .loss = 0.3, .duplicate = 0.1};
	rig_open(3, &bad);
	rig_connect();
	CHECK_EQ(md_session_dtmf(rig_a.s, STR("1234567890*#ABCD!"), 0), OK);
	rig_run(8'000);
	CHECK_STR_EQ(str_c(rig_stats(&rig_b).digits), str_c("1234567890*#ABCD!"));
	rig_close();
}

TEST_NO_OOM(hold_and_resume)
{
	rig_open(1, NULL);
	rig_connect();
	struct addr a = md_session_rtp(rig_a.s), b = md_session_rtp(rig_b.s);
	md_session_play_tone(rig_a.s, 440, -10, 0);
	md_session_play_tone(rig_b.s, 880, -10, 0);
	rig_run(1'000);
	rig_apply(&rig_a, SDP_SENDONLY, &b);
	rig_apply(&rig_b, SDP_RECVONLY, &a);
	rig_run(100);
	struct md_stats before = rig_stats(&rig_a);
	rig_run(3'000);
	struct md_stats after = rig_stats(&rig_a);
	CHECK_EQ(after.received, before.received);
	CHECK_EQ(after.sent_packets, before.sent_packets + 150);
	CHECK(rig_told(&rig_a, "tone 88") && rig_told(&rig_a, "end;"));
	CHECK(!rig_told(&rig_b, "end;"));
	rig_apply(&rig_a, SDP_INACTIVE, &b);
	rig_run(1'000);
	CHECK(rig_stats(&rig_a).sent_packets - after.sent_packets <= 1);
	rig_apply(&rig_a, SDP_SENDRECV, &b);
	rig_apply(&rig_b, SDP_SENDRECV, &a);
	rig_a.told[0] = 0;
	rig_run(1'000);
	CHECK(rig_told(&rig_a, "tone 88"));
	after = rig_stats(&rig_a);
	CHECK(after.lost == 0 && after.max_gap_ms < 50 && after.max_jitter_ms < 2);
	CHECK_EQ(rig_stats(&rig_b).lost, 0);
	rig_close();
}

/* Reports go on where no media do: who only receives, and who is inactive from the start.
 * [RFC8866 6.7.1, 6.7.4] */
TEST_NO_OOM(reports_without_media)
{
	rig_open(1, NULL);
	rig_session(&rig_a, NULL);
	rig_session(&rig_b, NULL);
	struct addr a = md_session_rtp(rig_a.s), b = md_session_rtp(rig_b.s);
	rig_apply(&rig_a, SDP_RECVONLY, &b);
	rig_apply(&rig_b, SDP_INACTIVE, &a);
	rig_run(20'000);
	struct md_stats at_a = rig_stats(&rig_a), at_b = rig_stats(&rig_b);
	CHECK(at_a.sent_packets == 0 && at_b.sent_packets == 0);
	CHECK(at_a.rtcp_sent >= 3 && at_b.rtcp_sent >= 3);
	CHECK(at_a.rtcp_received == at_b.rtcp_sent && at_b.rtcp_received == at_a.rtcp_sent);
	rig_close();
}

/* What was in the buffer when a hold began must not delay what comes after it. */
TEST_NO_OOM(a_short_hold_adds_no_delay)
{
	char out[200];
	const char *why;
	struct md_reader *r;
	int16_t heard[4'000];
	size_t quiet = 0;
	snprintf(out, sizeof(out), "%s", rig_path("delay.wav"));
	rig_open(1, NULL);
	rig_connect();
	struct addr a = md_session_rtp(rig_a.s);
	rig_run(500);
	rig_apply(&rig_b, SDP_SENDONLY, &a);
	rig_run(300);
	rig_apply(&rig_b, SDP_SENDRECV, &a);
	rig_run(300);
	md_session_play_tone(rig_a.s, 1000, -10, 0);
	CHECK_EQ(md_session_record(rig_b.s, out, &why), OK);
	rig_run(500);
	CHECK_EQ(md_session_record_end(rig_b.s), OK);
	rig_close();
	CHECK_EQ(md_reader_open(out, 8000, &r, &why), OK);
	unlink(out);
	CHECK(md_reader_read(r, heard, 4'000) > 3'800);
	md_reader_close(r);
	while (quiet < 3'800 && abs(heard[quiet]) < 100)
		quiet++;
	/* 10 ms of network, 60 of buffer, a tick of each side */
	CHECK(quiet >= 60 * 8 && quiet <= 120 * 8);
}

TEST_NO_OOM(other_packet_sizes)
{
	static const uint16_t sizes[] = {10, 20, 30, 40, 60, 65, 5, 1000};
	static const uint16_t real[] = {10, 20, 30, 40, 60, 60, 10, 60};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		rig_open(1, NULL);
		rig_session(&rig_a, NULL);
		rig_session(&rig_b, NULL);
		rig_a.st.ptime_ms = sizes[i];
		rig_connect();
		md_session_play_tone(rig_a.s, 440, -10, 0);
		rig_run(3'000);
		struct md_stats a = rig_stats(&rig_a), b = rig_stats(&rig_b);
		CHECK(a.sent_packets - 3'000 / real[i] <= 1);
		CHECK_EQ(a.sent_bytes, a.sent_packets * real[i] * 8);
		CHECK(rig_told(&rig_b, "tone 44") && !rig_told(&rig_b, "end"));
		CHECK(b.discarded == 0 && b.lost == 0);
		rig_close();
	}
}

TEST_NO_OOM(alaw_and_unknown_codecs)
{
	rig_open(1, NULL);
	rig_session(&rig_a, NULL);
	rig_session(&rig_b, NULL);
	struct sdp_codec alaw = {.name = "pcma", .pt = 97, .channels = 1, .clock = 8000};
	rig_a.st.codec = rig_b.st.codec = rig_a.st.recv[0] = rig_b.st.recv[0] = alaw;
	rig_a.st.pt_recv = rig_b.st.pt_recv = 97;
	rig_connect();
	md_session_play_tone(rig_a.s, 440, -10, 0);
	rig_run(1'000);
	CHECK(rig_told(&rig_b, "tone 44 -10;"));
	/* b now knows only PCMU: what comes is not of its payload types */
	struct sdp_stream st = rig_b.st;
	st.codec = (struct sdp_codec){.name = "PCMU", .pt = 0, .channels = 1, .clock = 8000};
	st.pt_recv = 0;
	st.n_recv = 0;
	CHECK_EQ(md_session_apply(rig_b.s, &st), OK);
	rig_run(1'000);
	CHECK(rig_stats(&rig_b).wrong_pt >= 49);
	snprintf(st.codec.name, sizeof(st.codec.name), "opus");
	CHECK_EQ(md_session_apply(rig_b.s, &st), ERR_UNSUPPORTED);
	st.is_active = false;
	CHECK_EQ(md_session_apply(rig_b.s, &st), OK);
	uint64_t sent = rig_stats(&rig_b).sent_packets;
	rig_run(1'000);
	CHECK_EQ(rig_stats(&rig_b).sent_packets, sent);
	rig_close();
}

TEST_NO_OOM(reflector_gives_back)
{
	struct md_config echo = {.is_latching = true, .is_reflector = true};
	const char *why;
	rig_open(1, NULL);
	rig_session(&rig_b, &echo);
	rig_b.st.ptime_ms = 30; /* of no matter */
	rig_connect();
	md_session_play_tone(rig_a.s, 700, -10, 0);
	CHECK_EQ(md_session_dtmf(rig_a.s, STR("42"), 0), OK);
	rig_run(10'000);
	struct md_stats a = rig_stats(&rig_a), b = rig_stats(&rig_b);
	CHECK(rig_told(&rig_a, "tone 70 -10;") && rig_told(&rig_a, "dtmf 4 160;dtmf 2 160;"));
	CHECK_STR_EQ(str_c(b.digits), str_c("42"));
	CHECK(a.received + 2 >= a.sent_packets && b.sent_packets == b.received);
	CHECK(a.lost == 0 && a.ssrc != a.remote_ssrc && a.remote_ssrc == b.ssrc);
	CHECK(a.rtcp_received >= 2 && a.round_trip_us > 19'000 && a.round_trip_us < 22'000);
	CHECK_EQ(md_session_play_file(rig_b.s, "x", false, &why), ERR_STATE);
	CHECK_EQ(md_session_record(rig_b.s, "x", &why), ERR_STATE);
	CHECK_EQ(md_session_record_end(rig_b.s), OK);
	CHECK_EQ(md_session_dtmf(rig_b.s, STR("1"), 0), ERR_UNSUPPORTED);
	md_session_play_echo(rig_b.s);
	md_session_play_tone(rig_b.s, 1, 1, 1);
	/* on hold it is silent */
	struct addr to = md_session_rtp(rig_a.s);
	rig_apply(&rig_b, SDP_RECVONLY, &to);
	rig_run(1'000);
	CHECK_EQ(rig_stats(&rig_b).sent_packets, b.sent_packets);
	rig_close();
}

TEST_NO_OOM(echo_of_what_is_heard)
{
	rig_open(1, NULL);
	rig_connect();
	md_session_play_tone(rig_a.s, 1234, -10, 0);
	md_session_play_echo(rig_b.s);
	rig_run(2'000);
	CHECK(rig_told(&rig_a, "tone 123 -10;"));
	md_session_play_silence(rig_b.s);
	rig_run(1'000);
	CHECK(rig_told(&rig_a, "end;"));
	rig_close();
}

/* b's SDP names an address where nobody is (NAT): it is answered to where its packets come from. */
TEST_NO_OOM(latching)
{
	rig_open(1, NULL);
	rig_session(&rig_a, NULL);
	rig_session(&rig_b, NULL);
	struct addr a = md_session_rtp(rig_a.s), b = md_session_rtp(rig_b.s);
	struct addr wrong = rig_addr("10.0.0.1:4000");
	rig_apply(&rig_a, SDP_SENDRECV, &wrong);
	rig_apply(&rig_b, SDP_SENDRECV, &a);
	md_session_play_tone(rig_a.s, 440, -10, 0);
	rig_run(10'000);
	CHECK(rig_told(&rig_a, "latched 192.0.2.2:"));
	CHECK(rig_told(&rig_b, "tone 44"));
	CHECK(rig_stats(&rig_b).rtcp_received >= 1);
	/* the same SDP again (session refresh) does not unlatch */
	rig_apply(&rig_a, SDP_SENDRECV, &wrong);
	uint64_t got = rig_stats(&rig_b).received;
	rig_run(1'000);
	CHECK(rig_stats(&rig_b).received >= got + 49);
	rig_apply(&rig_a, SDP_SENDRECV, &b);
	rig_run(1'000);
	CHECK(rig_stats(&rig_b).received >= got + 98);
	rig_close();
}

TEST_NO_OOM(without_latching_strangers_are_not_heard)
{
	struct md_config strict = {0};
	rig_open(1, NULL);
	rig_session(&rig_a, &strict);
	rig_session(&rig_b, NULL);
	struct addr a = md_session_rtp(rig_a.s), other = rig_addr("192.0.2.9:4000");
	rig_apply(&rig_a, SDP_SENDRECV, &other);
	rig_apply(&rig_b, SDP_SENDRECV, &a);
	rig_run(2'000);
	struct md_stats st = rig_stats(&rig_a);
	CHECK(st.received == 0 && st.foreign >= 99 && st.rtcp_received == 0);
	/* another port of the right address is fine */
	other = md_session_rtp(rig_b.s);
	other.port += 10;
	rig_apply(&rig_a, SDP_SENDRECV, &other);
	rig_run(1'000);
	CHECK(rig_stats(&rig_a).received >= 49);
	rig_close();
}

/* --- packets made by hand ------------------------------------------------------------------- */

static struct env_sock *raw;
static uint8_t last[2000];
static struct env_rx last_rx;
static unsigned n_raw;

static void on_raw(void *arg, unsigned events)
{
	while (env_recv(raw, last, sizeof(last), &last_rx) == OK)
		n_raw++;
}

static void raw_open(const char *addr)
{
	struct addr at = rig_addr(addr);
	const char *why;
	n_raw = 0;
	CHECK_EQ(env_udp_open(rig_b.env, &at, 0, on_raw, NULL, &raw, &why), OK);
}

static void raw_send(const struct addr *to, uint8_t pt, uint16_t seq, uint32_t ssrc)
{
	uint8_t p[RTP_HDR_MIN + 160];
	memset(p, 0xff, sizeof(p));
	rtp_put(p, pt, false, seq, seq * 160u, ssrc);
	CHECK_EQ(env_send(raw, p, sizeof(p), to, NULL), OK);
	rig_run(20);
}

static void raw_rig(void)
{
	rig_open(1, NULL);
	rig_session(&rig_a, NULL);
	raw_open("192.0.2.2:7000");
	struct addr to = rig_addr("192.0.2.2:7000");
	rig_apply(&rig_a, SDP_SENDRECV, &to);
}

TEST(a_change_of_ssrc_is_believed_at_the_second_packet)
{
	raw_rig();
	struct addr a = md_session_rtp(rig_a.s);
	for (uint16_t i = 1; i <= 10; i++)
		raw_send(&a, 0, i, 77);
	raw_send(&a, 0, 5000, 78); /* a stray */
	raw_send(&a, 0, 11, 77);
	CHECK_EQ(rig_stats(&rig_a).remote_ssrc, 77);
	for (uint16_t i = 9000; i < 9010; i++)
		raw_send(&a, 0, i, 79);
	struct md_stats st = rig_stats(&rig_a);
	CHECK_EQ(st.remote_ssrc, 79);
	CHECK(st.ssrc_changes == 1 && st.lost == 0);
	CHECK_EQ(st.received, 11 + 9);
	rig_run(1'000);
	raw_send(&a, 0, 1, 80); /* after a second of nothing: at once */
	CHECK_EQ(rig_stats(&rig_a).remote_ssrc, 80);
	raw_send(&a, 13, 2, 80); /* comfort noise is no wrong payload type */
	raw_send(&a, 99, 3, 80);
	CHECK_EQ(rig_stats(&rig_a).wrong_pt, 1);
	env_close(raw);
	rig_close();
}

TEST(ssrc_collision)
{
	raw_rig();
	struct addr a = md_session_rtp(rig_a.s);
	uint32_t ssrc = rig_stats(&rig_a).ssrc;
	rig_run(100);
	raw_send(&a, 0, 1, ssrc);
	struct md_stats st = rig_stats(&rig_a);
	CHECK(st.ssrc != ssrc && st.ssrc_collisions == 1 && st.received == 0);
	/* an echo that keeps our headers: its second try is played */
	for (uint16_t i = 2; i < 12; i++)
		raw_send(&a, 0, i, st.ssrc);
	CHECK_EQ(rig_stats(&rig_a).ssrc_collisions, 1);
	CHECK_EQ(rig_stats(&rig_a).received, 10);
	env_close(raw);
	rig_close();
}

/* A phone changes its path in mid-call: same SSRC, sequence goes on. A stranger with neither is not
 * heard while the peer is. */
TEST_NO_OOM(path_changes)
{
	raw_rig();
	struct addr a = md_session_rtp(rig_a.s);
	for (uint16_t i = 1; i <= 10; i++)
		raw_send(&a, 0, i, 77);
	env_close(raw);
	raw_open("192.0.2.2:7100");
	raw_send(&a, 0, 500, 99);
	CHECK_EQ(rig_stats(&rig_a).foreign, 1);
	CHECK(!rig_told(&rig_a, "latched"));
	raw_send(&a, 0, 11, 77);
	CHECK(rig_told(&rig_a, "latched 192.0.2.2:7100;"));
	CHECK_EQ(rig_stats(&rig_a).received, 11);
	unsigned got = n_raw;
	rig_run(100);
	CHECK(n_raw >= got + 4);
	env_close(raw);
	raw_open("192.0.2.2:7200");
	rig_run(2'100); /* nothing from anybody: whoever comes is the peer */
	raw_send(&a, 0, 1, 99);
	CHECK(rig_told(&rig_a, "latched 192.0.2.2:7200;"));
	env_close(raw);
	rig_close();
}

TEST(strange_datagrams)
{
	static const char *const junk[] = {"", "\x80", "\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n",
					   "\x80\xc8\x00\x01\x00\x00\x00\x00"};
	raw_rig();
	struct addr a = md_session_rtp(rig_a.s), rtcp = a;
	rtcp.port = md_session_rtcp_port(rig_a.s);
	CHECK_EQ(rtcp.port, a.port + 1);
	static uint8_t large[3000] = {0x80};
	CHECK_EQ(env_send(raw, large, sizeof(large), &a, NULL), OK);
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		size_t n = i == 4 ? 8 : strlen(junk[i]);
		CHECK_EQ(env_send(raw, junk[i], n, &a, NULL), OK);
		CHECK_EQ(env_send(raw, junk[i], n, &rtcp, NULL), OK);
	}
	rig_run(100);
	struct md_stats st = rig_stats(&rig_a);
	CHECK_EQ(st.received, 0);
	CHECK_EQ(st.foreign, 5); /* the large one and four that are nothing */
	CHECK_EQ(st.rtcp_received, 2);
	env_close(raw);
	rig_close();
}

TEST_NO_OOM(rtcp_on_the_rtp_port)
{
	rig_open(1, NULL);
	rig_session(&rig_a, NULL);
	rig_session(&rig_b, NULL);
	rig_a.st.has_rtcp_mux = rig_b.st.has_rtcp_mux = true;
	rig_connect();
	rig_run(10'000);
	CHECK(rig_stats(&rig_a).rtcp_received >= 2 && rig_stats(&rig_a).round_trip_us > 0);
	CHECK(rig_stats(&rig_b).rtcp_received >= 2);
	rig_close();
}

TEST(bye_is_told)
{
	rig_open(1, NULL);
	rig_connect();
	rig_run(500);
	md_session_free(rig_a.s);
	rig_a.s = NULL;
	rig_run(100);
	CHECK(rig_told(&rig_b, "bye;"));
	rig_close();
}

TEST_NO_OOM(silence_is_told_once)
{
	struct md_config c = {.is_latching = true, .silent_ms = 1'000};
	rig_open(1, NULL);
	rig_session(&rig_a, &c);
	rig_session(&rig_b, NULL);
	struct addr a = md_session_rtp(rig_a.s), b = md_session_rtp(rig_b.s);
	rig_apply(&rig_a, SDP_SENDRECV, &b);
	rig_run(990);
	CHECK_STR_EQ(str_c(rig_a.told), str_c(""));
	rig_run(3'000);
	CHECK_STR_EQ(str_c(rig_a.told), str_c("silent;"));
	CHECK_EQ(rig_stats(&rig_a).silent_us / 1'000, 3'990);
	rig_apply(&rig_b, SDP_SENDRECV, &a);
	rig_run(2'000);
	md_session_stop(rig_b.s);
	rig_run(3'000);
	CHECK(rig_told(&rig_a, "silent;first 192.0.2.2:"));
	CHECK(strstr(rig_a.told, ";silent;") && !strstr(rig_a.told, "silent;silent;"));
	rig_a.told[0] = 0;
	rig_apply(&rig_a, SDP_SENDONLY, &b); /* nothing is expected now */
	rig_run(5'000);
	CHECK_STR_EQ(str_c(rig_a.told), str_c(""));
	rig_close();
}

static void free_at_tone(struct party *p, const struct md_event *ev)
{
	if (ev->type == MD_FIRST_PACKET) {
		md_session_free(p->s);
		p->s = NULL;
	}
}

TEST_NO_OOM(a_listener_may_free_the_session)
{
	rig_open(1, NULL);
	rig_connect();
	rig_b.hook = free_at_tone;
	rig_run(2'000);
	CHECK(rig_b.s == NULL);
	CHECK(rig_stats(&rig_a).sent_packets >= 100); /* and nobody else minds */
	rig_close();
}

TEST(ports)
{
	struct md_config c = {.port_min = 5001, .port_max = 5005};
	const char *why = "";
	rig_open(1, NULL);
	struct md_session *s[3] = {0};
	c.local = rig_addr("192.0.2.1");
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(md_session_new(&rig_a.loop, &c, &s[i], &why), OK);
		struct addr at = md_session_rtp(s[i]);
		CHECK(at.port == 5002 || at.port == 5004);
		CHECK_EQ(md_session_rtcp_port(s[i]), at.port + 1);
	}
	CHECK_EQ(md_session_new(&rig_a.loop, &c, &s[2], &why), ERR_NET);
	CHECK(strlen(why) > 5);
	md_session_free(s[0]);
	CHECK_EQ(md_session_new(&rig_a.loop, &c, &s[0], &why), OK);
	md_session_free(s[0]);
	md_session_free(s[1]);
	c.port_min = c.port_max = 5001;
	CHECK_EQ(md_session_new(&rig_a.loop, &c, &s[0], &why), ERR_NET);
	c.local.port = 6000;
	CHECK_EQ(md_session_new(&rig_a.loop, &c, &s[0], &why), OK);
	CHECK_EQ(md_session_rtp(s[0]).port, 6000);
	CHECK_EQ(md_session_new(&rig_a.loop, &c, &s[1], &why), ERR_NET);
	md_session_free(s[0]);
	md_session_free(NULL);
	rig_close();
}

/* A loop that was away for a second goes on in the present: no burst, time does not stand. */
TEST_NO_OOM(a_loop_that_was_away)
{
	rig_open(1, NULL);
	rig_connect();
	rig_run(1'000);
	sim_del_loop(rig_sim, &rig_a.loop);
	rig_run(1'000);
	sim_add_loop(rig_sim, &rig_a.loop);
	env_wake(rig_a.env);
	uint64_t sent = rig_stats(&rig_a).sent_packets;
	rig_run(1'000);
	uint64_t now_sent = rig_stats(&rig_a).sent_packets;
	CHECK(now_sent - sent >= 49 && now_sent - sent <= 62);
	CHECK_EQ(rig_stats(&rig_b).lost, 0);
	rig_close();
}
