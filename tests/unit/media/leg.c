/* Legs: SDP and streams joined. Two of them call each other over the simulated network; only the
 * bodies pass between them by hand. [RFC3264] */

#include "media/leg.h"

#include "rig.h"

#include <string.h>

static struct md_leg x, y;
static struct sdp_why why;
static char mem[2][4096];
static struct buf first, second;

static void on_event(void *arg, struct md_session *s, const struct md_event *ev)
{
	if (ev->type == MD_TONE)
		*(double *)arg = ev->freq_hz;
}

static double heard_x, heard_y;

static void open_leg(struct md_leg *leg, struct party *p, const char *ip, const char *codecs,
		     double *heard)
{
	struct md_leg_config cfg = {
		.media = {.local = rig_addr(ip),
			  .has_detector = true,
			  .fn = on_event,
			  .arg = heard},
		.codecs = codecs,
		.tool = "test",
		.id = 7,
	};
	const char *text;
	*heard = 0;
	CHECK_EQ(md_leg_open(leg, &p->loop, &cfg, &text), OK);
}

static void begin(const char *codecs_x, const char *codecs_y)
{
	buf_init_fixed(&first, mem[0], sizeof(mem[0]));
	buf_init_fixed(&second, mem[1], sizeof(mem[1]));
	rig_open(1, NULL);
	open_leg(&x, &rig_a, "192.0.2.1", codecs_x, &heard_x);
	open_leg(&y, &rig_b, "192.0.2.2", codecs_y, &heard_y);
}

static void end(void)
{
	md_leg_close(&x);
	md_leg_close(&y);
	md_leg_close(&y);
	rig_close();
}

static void exchange(enum sdp_dir dx, enum sdp_dir dy)
{
	buf_clear(&first);
	buf_clear(&second);
	CHECK_EQ(md_leg_offer(&x, dx, &first), OK);
	CHECK_EQ(md_leg_answer(&y, buf_view(&first), dy, &second, &why), 0);
	CHECK(md_leg_take(&x, buf_view(&second), false, &why));
}

TEST_NO_OOM(call_hold_resume)
{
	begin(NULL, "PCMA");
	exchange(SDP_SENDRECV, SDP_SENDRECV);
	md_session_play_tone(x.session, 500, -10, 0);
	md_session_play_tone(y.session, 900, -10, 0);
	rig_run(1'000);
	CHECK(heard_y > 498 && heard_y < 502 && heard_x > 898 && heard_x < 902);
	CHECK(strcmp(x.oa.stream.codec.name, "PCMA") == 0);
	exchange(SDP_SENDONLY, SDP_SENDRECV);
	rig_run(500);
	heard_x = heard_y = 0;
	rig_run(1'000);
	CHECK(heard_x == 0);
	exchange(SDP_SENDRECV, SDP_SENDRECV);
	rig_run(1'000);
	CHECK(heard_x > 898 && heard_x < 902);
	end();
}

/* An early answer plays already; the final one, of another fork, replaces it. */
TEST_NO_OOM(early_answer)
{
	begin(NULL, NULL);
	CHECK_EQ(md_leg_offer(&x, SDP_SENDRECV, &first), OK);
	CHECK_EQ(md_leg_answer(&y, buf_view(&first), SDP_SENDRECV, &second, &why), 0);
	CHECK(md_leg_take(&x, buf_view(&second), true, &why));
	md_session_play_tone(y.session, 425, -10, 0);
	rig_run(1'000);
	CHECK(heard_x > 423 && heard_x < 427);
	CHECK(md_leg_take(&x, buf_view(&second), false, &why));
	CHECK(x.oa.state == SDP_OA_STABLE);
	end();
}

TEST(refusals)
{
	begin("PCMU", "PCMA , pcma");
	CHECK_EQ(y.local.n_codecs, 2); /* named twice, and telephone-event */
	CHECK_EQ(md_leg_offer(&x, SDP_SENDRECV, &first), OK);
	CHECK_EQ(md_leg_answer(&y, buf_view(&first), SDP_SENDRECV, &second, &why), 488);
	CHECK(strstr(why.text, "no common codec: offered PCMU/8000, "));
	CHECK_EQ(md_leg_answer(&y, STR("hello"), SDP_SENDRECV, &second, &why), 400);
	CHECK(!md_leg_take(&x, STR("hello"), false, &why));
	CHECK(why.text[0]);
	CHECK(md_leg_offer(&x, SDP_SENDRECV, &first) == ERR_STATE);
	struct md_leg z;
	const char *text = "";
	struct md_leg_config cfg = {.media = {.local = rig_addr("192.0.2.1")}, .codecs = "G729"};
	CHECK_EQ(md_leg_open(&z, &rig_a.loop, &cfg, &text), ERR_UNSUPPORTED);
	CHECK(strlen(text) > 5);
	md_leg_close(&z);
	end();
}

TEST(another_address_is_shown)
{
	struct md_leg_config cfg = {.media = {.local = rig_addr("192.0.2.1:6000")},
				    .shown = rig_addr("203.0.113.5")};
	const char *text;
	struct sdp s;
	buf_init_fixed(&first, mem[0], sizeof(mem[0]));
	rig_open(1, NULL);
	CHECK_EQ(md_leg_open(&x, &rig_a.loop, &cfg, &text), OK);
	CHECK_EQ(md_leg_offer(&x, SDP_SENDRECV, &first), OK);
	CHECK_EQ(sdp_parse(buf_view(&first), &s), OK);
	CHECK_STR(s.media[0].conn.host, "203.0.113.5");
	CHECK_EQ(s.media[0].port, 6000);
	md_leg_close(&x);
	rig_close();
}

static unsigned n_wanted, n_unwanted;

/* Port 4444 is that of a stream that was refused, with its RTCP. */
static void count(void *arg, const struct sim_packet *p)
{
	bool is_unwanted = p->to.port == 4444 || p->to.port == 4445;
	n_unwanted += is_unwanted;
	n_wanted += !is_unwanted;
}

/* Neither RTP nor RTCP goes to a stream that an answer has refused, whether it was never taken or
 * is taken away [RFC3264 6] */
TEST(refused_stream_is_silent)
{
	begin(NULL, NULL);
	CHECK_EQ(md_leg_offer(&x, SDP_SENDRECV, &first), OK);
	buf_str(&first, STR("m=audio 4444 RTP/AVP 0\r\nm=video 4444 RTP/AVP 96\r\n"
			    "a=rtpmap:96 H264/90000\r\n"));
	CHECK_EQ(md_leg_answer(&y, buf_view(&first), SDP_SENDRECV, &second, &why), 0);
	CHECK(str_find(buf_view(&second), STR("m=audio 0 ")) != SIZE_MAX);
	CHECK(str_find(buf_view(&second), STR("m=video 0 ")) != SIZE_MAX);
	md_session_play_tone(y.session, 500, -10, 0);
	n_wanted = n_unwanted = 0;
	sim_tap(rig_sim, count, NULL);
	rig_run(12'000);
	CHECK(n_wanted > 500);
	CHECK_EQ(n_unwanted, 0);
	static const char gone[] = "v=0\r\no=- 7 9 IN IP4 192.0.2.1\r\ns=-\r\n"
				   "c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"
				   "m=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n";
	buf_clear(&second);
	CHECK_EQ(md_leg_answer(&y, str_c(gone), SDP_SENDRECV, &second, &why), 0);
	rig_run(100);
	n_wanted = 0;
	rig_run(12'000);
	CHECK_EQ(n_wanted, 0);
	end();
}
