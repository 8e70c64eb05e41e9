/* What packets cost in user space: telling them apart, counting them, relaying one through the echo
 * test's reflector (demultiplex, parse, statistics, header, send), and the phone's 20 ms tick; then
 * SDP, stream framing and the audio primitives. The network is a socket that always has the next
 * packet of one stream. */

#include "bench.h"

#include "codec/codec.h"
#include "codec/tone.h"
#include "event/env_priv.h"
#include "media/session.h"
#include "null_env.h"
#include "rtp/rtp.h"
#include "rtp/stats.h"
#include "sdp/oa.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

static const char body[] =
	"v=0\r\no=- 3911 3911 IN IP4 192.0.2.21\r\ns=-\r\nc=IN IP4 192.0.2.21\r\nt=0 0\r\n"
	"m=audio 40376 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
	"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
	"a=rtcp:40377 IN IP4 192.0.2.21\r\n";

/* --- pure parts ----------------------------------------------------------------------------- */

static void count(void *arg, uint64_t n)
{
	struct rtp_stats s;
	rtp_stats_init(&s, 8000);
	for (uint64_t i = 0; i < n; i++) {
		enum rtp_seen seen = rtp_stats_add(&s, (uint16_t)i, (uint32_t)i * 160, 160,
						   1'000'000 + i * 20'000 + i % 7 * 100);
		BENCH_KEEP(seen);
	}
}

static void demux(void *arg, uint64_t n)
{
	uint8_t p[172] = {0};
	struct rtp_hdr h;
	while (n--) {
		rtp_put(p, 0, false, (uint16_t)n, (uint32_t)n, 5);
		if (rtp_demux(p, sizeof(p)) != RTP_RTP || rtp_parse(p, sizeof(p), &h))
			abort();
		BENCH_KEEP(h.payload.p);
	}
}

static void read_sdp(void *arg, uint64_t n)
{
	static struct sdp s;
	while (n--) {
		if (sdp_parse(str_of(body, sizeof(body) - 1), &s) || s.n_diags)
			abort();
		BENCH_KEEP(s.n_lines);
	}
}

static void answer(void *arg, uint64_t n)
{
	static struct sdp s;
	struct sdp_local l = {
		.rtp = {.family = ADDR_V4, .port = 4000, .ip = {192, 0, 2, 1}},
		.n_codecs = 2,
		.codecs = {{"PCMU", 0, 1, 8000, ""},                 {"telephone-event", 101, 1, 8000, "0-16"}     },
	};
	char mem[2000];
	while (n--) {
		struct sdp_oa oa;
		struct sdp_why why;
		struct buf b;
		buf_init_fixed(&b, mem, sizeof(mem));
		sdp_oa_init(&oa, n);
		if (sdp_parse(str_of(body, sizeof(body) - 1), &s) ||
		    sdp_oa_answer(&oa, &l, &s, SDP_SENDRECV, &b, &why))
			abort();
	}
}

/* A 1 kB message, in pieces of `step`. */
static void frame(void *arg, uint64_t n)
{
	const size_t *step = arg;
	static char text[1024];
	struct buf b;
	buf_init_fixed(&b, text, sizeof(text));
	buf_str(&b, STR("INVITE sip:a@example.com SIP/2.0\r\n"));
	for (int i = 0; i < 14; i++)
		buf_fmt(&b, "Header-%02d: %048d\r\n", i, i);
	buf_str(&b, STR("Content-Length: 50\r\n\r\n"));
	buf_fill(&b, 'x', 50);
	while (n--) {
		struct wire_frame f;
		enum wire_event ev = WIRE_MORE;
		size_t len, have = 0;
		wire_frame_init(&f, 65536);
		while (ev == WIRE_MORE) {
			have = have + *step < b.n ? have + *step : b.n;
			ev = wire_frame_next(&f, b.p, have, &len);
		}
		if (ev != WIRE_MESSAGE || len != b.n)
			abort();
	}
}

static void transcode(void *arg, uint64_t n)
{
	int16_t pcm[160];
	uint8_t code[160];
	for (int i = 0; i < 160; i++)
		code[i] = (uint8_t)(i * 7);
	while (n--) {
		cdc_decode(CDC_PCMU, code, 160, pcm);
		BENCH_KEEP(pcm);
		cdc_encode(CDC_PCMA, pcm, 160, code);
		BENCH_KEEP(code);
	}
}

static void detect(void *arg, uint64_t n)
{
	static struct cdc_detect d;
	struct cdc_tone t;
	int16_t pcm[CDC_DETECT_BLOCK];
	cdc_tone_init(&t, 1234, -10, 8000);
	cdc_tone_put(&t, pcm, CDC_DETECT_BLOCK);
	cdc_detect_init(&d);
	while (n--)
		cdc_detect_add(&d, pcm, CDC_DETECT_BLOCK);
}

/* --- a session over a socket that always has more -------------------------------------------- */

static struct env_ops ops;
static enum err (*null_udp_open)(struct env *e, const struct addr *local, unsigned flags,
				 env_ready_fn *fn, void *arg, struct env_sock **out,
				 const char **why);
static struct env_sock *rtp_sock; /* the first that was opened */
static uint64_t left;             /* packets that it still has */
static uint32_t number;

static enum err open_and_note(struct env *e, const struct addr *local, unsigned flags,
			      env_ready_fn *fn, void *arg, struct env_sock **out, const char **why)
{
	enum err err = null_udp_open(e, local, flags, fn, arg, out, why);
	if (!err && !rtp_sock)
		rtp_sock = *out;
	return err;
}

static enum err next_packet(struct env_sock *s, void *p, size_t cap, struct env_rx *rx)
{
	if (s != rtp_sock || left == 0)
		return ERR_MORE;
	left--;
	number++;
	rtp_put(p, 0, false, (uint16_t)number, number * 160, 77);
	memset((uint8_t *)p + RTP_HDR_MIN, 0xff, 160);
	*rx = (struct env_rx){
		.n = RTP_HDR_MIN + 160,
		.from = {.family = ADDR_V4, .port = 5000, .ip = {192, 0, 2, 9}}
        };
	return OK;
}

static struct md_session *open_session(struct env **env, struct ev_loop *l, bool is_reflector)
{
	struct md_config c = {.is_reflector = is_reflector, .is_latching = true};
	struct md_session *s;
	const char *why;
	struct sdp_stream st = {
		.is_active = true,
		.dir = SDP_SENDRECV,
		.ptime_ms = 20,
		.rtp = {.family = ADDR_V4, .port = 5000, .ip = {192, 0, 2, 9}},
		.codec = { "PCMU", 0,                        1,                   8000, ""},
		.dtmf_send = SDP_PT_NONE,
		.dtmf_recv = SDP_PT_NONE,
	};
	*env = null_env_new();
	if (!*env)
		abort();
	ops = *(*env)->ops;
	null_udp_open = ops.udp_open;
	ops.udp_open = open_and_note;
	ops.recv = next_packet;
	(*env)->ops = &ops;
	rtp_sock = NULL;
	ev_loop_init(l, *env);
	if (md_session_new(l, &c, &s, &why) || md_session_apply(s, &st))
		abort();
	return s;
}

static void relay(void *arg, uint64_t n)
{
	for (left = n; left;)
		rtp_sock->fn(rtp_sock->arg, ENV_READ);
}

/* One packet in, one tick: decoded, played out, the source encoded and sent. */
static void tick(void *arg, uint64_t n)
{
	struct ev_loop *l = arg;
	while (n--) {
		left = 1;
		rtp_sock->fn(rtp_sock->arg, ENV_READ);
		null_env_advance(l->env, 20'000);
		ev_turn(l);
	}
}

static void bench_sessions(void)
{
	static struct ev_loop l;
	struct env *e;
	struct md_session *s = open_session(&e, &l, true);
	struct md_stats st;
	bench_run(&(struct bench){"relay an RTP packet", relay, NULL, 300, 0, 1});
	md_session_stats(s, &st);
	if (st.sent_packets != st.received || st.received < 1000)
		abort();
	md_session_free(s);
	ev_loop_fini(&l);
	env_free(e);
	s = open_session(&e, &l, false);
	md_session_play_tone(s, 440, -10, 0);
	bench_run(&(struct bench){"phone: packet in, tick out", tick, &l, 0, 0, 1});
	md_session_stats(s, &st);
	if (st.discarded || st.sent_packets + 2 < st.received)
		abort();
	md_session_free(s);
	ev_loop_fini(&l);
	env_free(e);
}

void bench_main(void)
{
	size_t whole = 4096, byte = 1;
	bench_run(&(struct bench){"RTP statistics, a packet", count, NULL, 80, 0, 1});
	bench_run(&(struct bench){"RTP demultiplex and parse", demux, NULL, 0, 0, 1});
	bench_sessions();
	bench_run(&(struct bench){"SDP parse, 0.35 kB", read_sdp, NULL, 0, 0, 1});
	bench_run(&(struct bench){"SDP parse and answer", answer, NULL, 0, 0, 1});
	bench_run(&(struct bench){"frame a 1 kB message, whole", frame, &whole, 0, 0, 1});
	bench_run(&(struct bench){"frame it byte by byte", frame, &byte, 0, 0, 1});
	bench_run(&(struct bench){"G.711 decode and encode, 20 ms", transcode, NULL, 0, 0, 1});
	bench_run(&(struct bench){"tone detector, 80 ms", detect, NULL, 0, 0, 1});
}
