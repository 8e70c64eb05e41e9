/* Offer and answer: what two parties agree on, hold and resume, refusals, versions. [RFC3264] */

#include "sdp/oa.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

static struct sdp_oa a, b;
static struct sdp_local la, lb;
static struct sdp_why why;
static char mem[4096];
static struct buf body;
static struct sdp parsed;

static void add(struct sdp_local *l, const char *name, uint8_t pt, uint32_t clock, const char *fmtp)
{
	struct sdp_codec *c = &l->codecs[l->n_codecs++];
	*c = (struct sdp_codec){.pt = pt, .channels = 1, .clock = clock};
	snprintf(c->name, sizeof(c->name), "%s", name);
	snprintf(c->fmtp, sizeof(c->fmtp), "%s", fmtp);
}

static void begin(void)
{
	la = (struct sdp_local){.ptime_ms = 20};
	lb = (struct sdp_local){.tool = "rung"};
	CHECK(addr_parse(STR("192.0.2.1:4000"), 0, &la.rtp));
	CHECK(addr_parse(STR("[2001:db8::2]:5000"), 0, &lb.rtp));
	add(&la, "PCMU", 0, 8000, "");
	add(&la, "PCMA", 8, 8000, "");
	add(&la, "telephone-event", 101, 8000, "0-16");
	add(&lb, "pcma", 8, 8000, "");
	add(&lb, "PCMU", 0, 8000, "");
	add(&lb, "telephone-event", 96, 8000, "0-15");
	sdp_oa_init(&a, 0xffffffff00000005);
	sdp_oa_init(&b, 7);
	buf_init_fixed(&body, mem, sizeof(mem));
}

static const struct sdp *read(void)
{
	CHECK_EQ(sdp_parse(buf_view(&body), &parsed), OK);
	CHECK_EQ(parsed.n_diags, 0);
	return &parsed;
}

static const struct sdp *given(const char *text)
{
	CHECK_EQ(sdp_parse(str_c(text), &parsed), OK);
	return &parsed;
}

static void offer(struct sdp_oa *oa, const struct sdp_local *l, enum sdp_dir dir)
{
	buf_clear(&body);
	CHECK_EQ(sdp_oa_offer(oa, l, dir, &body), OK);
}

/* One exchange: x offers, y answers, x takes the answer. */
static void exchange(struct sdp_oa *x, const struct sdp_local *lx, enum sdp_dir dx,
		     struct sdp_oa *y, const struct sdp_local *ly, enum sdp_dir dy)
{
	char first[4096];
	struct sdp copy;
	offer(x, lx, dx);
	CHECK_EQ(x->state, SDP_OA_OFFERED);
	memcpy(first, mem, body.n);
	CHECK_EQ(sdp_parse(str_of(first, body.n), &copy), OK);
	buf_clear(&body);
	CHECK_EQ(sdp_oa_answer(y, ly, &copy, dy, &body, &why), OK);
	CHECK_EQ(read()->n_media, copy.n_media);
	CHECK_EQ(sdp_oa_take_answer(x, &parsed, &why), OK);
	CHECK(x->state == SDP_OA_STABLE && y->state == SDP_OA_STABLE);
	CHECK_EQ(sdp_dir_flip(x->stream.dir), y->stream.dir);
}

TEST(offer_text)
{
	begin();
	offer(&a, &la, SDP_SENDRECV);
	CHECK_STR_EQ(buf_view(&body),
		     str_c("v=0\r\no=- 5 5 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n"
			   "t=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n"
			   "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
			   "a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"));
	CHECK_EQ(sdp_oa_offer(&a, &la, SDP_SENDRECV, &body), ERR_STATE);
	read();
	CHECK_EQ(sdp_oa_answer(&b, &lb, &parsed, SDP_SENDRECV, &body, &why), OK);
	CHECK_EQ(test_allocs(), 0);
}

TEST(agreement)
{
	begin();
	exchange(&a, &la, SDP_SENDRECV, &b, &lb, SDP_SENDRECV);
	CHECK_STR_EQ(buf_view(&body),
		     str_c("v=0\r\no=- 7 7 IN IP6 2001:db8::2\r\ns=rung\r\n"
			   "c=IN IP6 2001:db8::2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0 101\r\n"
			   "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
			   "a=fmtp:101 0-15\r\na=sendrecv\r\n"));
	CHECK(a.stream.is_active && b.stream.is_active);
	CHECK_STR_EQ(str_c(a.stream.codec.name), str_c("PCMU"));
	CHECK(a.stream.codec.pt == 0 && a.stream.pt_recv == 0);
	CHECK(a.stream.dtmf_send == 101 && a.stream.dtmf_recv == 101);
	CHECK(b.stream.dtmf_send == 101 && b.stream.dtmf_recv == 101);
	CHECK(addr_eq(&a.stream.rtp, &lb.rtp) && addr_eq(&b.stream.rtp, &la.rtp));
	CHECK(b.stream.rtcp.port == 4001 && a.stream.rtcp.port == 5001);
	CHECK(a.stream.ptime_ms == 20 && b.stream.ptime_ms == 20);
	CHECK(a.stream.n_recv == 2 && b.stream.n_recv == 2);
	CHECK(!a.stream.is_remote_hold && a.stream.dir == SDP_SENDRECV);
}

TEST(hold_and_resume)
{
	begin();
	exchange(&a, &la, SDP_SENDRECV, &b, &lb, SDP_SENDRECV);
	exchange(&a, &la, SDP_SENDONLY, &b, &lb, SDP_SENDRECV);
	CHECK_EQ(a.stream.dir, SDP_SENDONLY);
	CHECK(b.stream.is_remote_hold);
	CHECK(a.version == 6 && b.version == 8);
	exchange(&b, &lb, SDP_SENDRECV, &a, &la, SDP_SENDONLY); /* the held one re-invites */
	CHECK_EQ(a.stream.dir, SDP_SENDONLY);
	exchange(&a, &la, SDP_INACTIVE, &b, &lb, SDP_SENDRECV);
	CHECK_EQ(b.stream.dir, SDP_INACTIVE);
	exchange(&a, &la, SDP_SENDRECV, &b, &lb, SDP_SENDRECV);
	CHECK_EQ(a.stream.dir, SDP_SENDRECV);
	CHECK(!b.stream.is_remote_hold);
}

TEST(version_grows_only_with_the_body)
{
	begin();
	exchange(&a, &la, SDP_SENDRECV, &b, &lb, SDP_SENDRECV);
	uint64_t va = a.version, vb = b.version;
	exchange(&a, &la, SDP_SENDRECV, &b, &lb, SDP_SENDRECV);
	CHECK(a.version == va && b.version == vb);
	offer(&b, &lb, SDP_SENDRECV); /* other codec lines than its answer had */
	CHECK_EQ(b.version, vb + 1);
	sdp_oa_drop_offer(&b);
	CHECK_EQ(b.state, SDP_OA_STABLE);
	CHECK(b.stream.is_active);
	CHECK_EQ(sdp_oa_take_answer(&b, read(), &why), ERR_STATE);
	sdp_oa_init(&a, 1);
	offer(&a, &la, SDP_SENDRECV);
	sdp_oa_drop_offer(&a);
	CHECK_EQ(a.state, SDP_OA_IDLE);
}

TEST(old_style_hold)
{
	begin();
	const struct sdp *o = given("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\n"
				    "t=0 0\r\nm=audio 4000 RTP/AVP 0\r\n");
	CHECK_EQ(sdp_oa_answer(&b, &lb, o, SDP_SENDRECV, &body, &why), OK);
	CHECK_EQ(b.stream.dir, SDP_RECVONLY);
	CHECK(b.stream.is_remote_hold && b.stream.is_active);
	CHECK_EQ(read()->media[0].dir, SDP_RECVONLY);
}

/* [RFC3264 6]: t= of the answer is the offer's; what nobody needs is passed over [RFC8866 5.8,
 * 5.12] */
TEST(time_is_that_of_the_offer)
{
	static const char *const times[] = {"2873397496 2873404696", "0 0"};
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		char text[400], line[64];
		begin();
		snprintf(text, sizeof(text),
			 "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\n"
			 "b=X-YZ:128\r\nt=%s\r\nk=clear:secret\r\nm=audio 4000 RTP/AVP 0\r\n"
			 "b=QQ:1\r\n",
			 times[i]);
		snprintf(line, sizeof(line), "\r\nt=%s\r\nm=", times[i]);
		CHECK_EQ(sdp_oa_answer(&b, &lb, given(text), SDP_SENDRECV, &body, &why), OK);
		CHECK(str_find(buf_view(&body), str_c(line)) != SIZE_MAX);
		CHECK(str_find(buf_view(&body), STR("\r\nk=")) == SIZE_MAX);
		CHECK(str_find(buf_view(&body), STR("\r\nb=")) == SIZE_MAX);
	}
	begin();
	const struct sdp *o = given("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 "
				    "192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\n");
	CHECK_EQ(sdp_oa_answer(&b, &lb, o, SDP_SENDRECV, &body, &why), OK);
	CHECK(str_find(buf_view(&body), STR("\r\nt=0 0\r\n")) != SIZE_MAX);
}

TEST(no_common_codec)
{
	begin();
	const struct sdp *o =
		given("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\n"
		      "t=0 0\r\nm=audio 4000 RTP/AVP 18 3 101\r\n"
		      "a=rtpmap:101 telephone-event/8000\r\n");
	struct sdp_oa before = b;
	CHECK_EQ(sdp_oa_answer(&b, &lb, o, SDP_SENDRECV, &body, &why), ERR_UNSUPPORTED);
	CHECK_EQ(why.status, 488);
	CHECK_EQ(why.warning, 305);
	CHECK_STR_EQ(str_c(why.text),
		     str_c("no common codec: offered G729/8000, GSM/8000, telephone-event/8000; "
			   "supported pcma/8000, PCMU/8000, telephone-event/8000"));
	CHECK_EQ(memcmp(&before, &b, sizeof(b)), 0);
	CHECK_EQ(body.n, 0);
}

TEST(refusals)
{
	static const struct {
		const char *media, *text;
		unsigned warning;
	} t[] = {
		{"",								  "no audio stream in the offer", 304},
		{"m=video 4000 RTP/AVP 34\r\n",                                       "no audio stream in the offer", 304},
		{"m=audio 0 RTP/AVP 0\r\n",                                           "no audio stream in the offer", 304},
		{"m=audio 4000 RTP/SAVP 0\r\n",
		 "audio over RTP/SAVP is not supported; supported RTP/AVP, RTP/AVPF",                                 302},
		{"m=audio 4000 RTP/SAVP 0\r\nm=audio 4000 RTP/AVP 9\r\n",
		 "no common codec: offered G722/8000; supported pcma/8000, PCMU/8000, "
		 "telephone-event/8000",									      305},
		{"m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n",
		 "no common codec: offered telephone-event/8000; supported pcma/8000, PCMU/8000, "
		 "telephone-event/8000",									      305},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char text[500];
		begin();
		snprintf(text, sizeof(text),
			 "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 "
			 "0\r\n%s",
			 t[i].media);
		CHECK_EQ(sdp_oa_answer(&b, &lb, given(text), SDP_SENDRECV, &body, &why),
			 ERR_UNSUPPORTED);
		CHECK_EQ(why.warning, t[i].warning);
		CHECK_STR_EQ(str_c(why.text), str_c(t[i].text));
	}
}

/* Video before audio, two audio streams, one of them secure: each keeps its place for ever. */
TEST(other_media_are_refused_in_place)
{
	begin();
	const struct sdp *o =
		given("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\n"
		      "t=0 0\r\nm=video 4000 RTP/AVP 34 96\r\na=rtpmap:96 VP8/90000\r\n"
		      "m=audio 4002 RTP/SAVP 0\r\nm=audio 4004 RTP/AVPF 0\r\n"
		      "a=rtcp-mux\r\nm=audio 4006 RTP/AVP 0\r\n"
		      "m=verylongmediatypename 1 udp 0\r\n");
	CHECK_EQ(sdp_oa_answer(&b, &lb, o, SDP_SENDRECV, &body, &why), OK);
	read();
	CHECK_EQ(parsed.n_media, 5);
	static const uint16_t ports[] = {0, 0, 5000, 0, 0};
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(parsed.media[i].port, ports[i]);
	CHECK_STR(parsed.media[0].fmts, "34");
	CHECK_STR(parsed.media[1].proto_text, "RTP/SAVP");
	CHECK_STR(parsed.media[2].proto_text, "RTP/AVPF");
	CHECK_EQ(b.own_slot, 2);
	CHECK(!b.stream.has_rtcp_mux && !parsed.media[2].has_rtcp_mux);
	offer(&b, &lb, SDP_SENDONLY);
	read();
	CHECK_EQ(parsed.n_media, 5);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(parsed.media[i].port, ports[i]);
	CHECK_STR(parsed.media[2].proto_text, "RTP/AVPF");
	CHECK_EQ(parsed.media[2].dir, SDP_SENDONLY);
}

TEST(rtcp_mux_needs_both)
{
	begin();
	la.has_rtcp_mux = true;
	exchange(&a, &la, SDP_SENDRECV, &b, &lb, SDP_SENDRECV);
	CHECK(!a.stream.has_rtcp_mux && !b.stream.has_rtcp_mux);
	CHECK_EQ(a.stream.rtcp.port, 5001);
	lb.has_rtcp_mux = true;
	exchange(&a, &la, SDP_SENDRECV, &b, &lb, SDP_SENDRECV);
	CHECK(a.stream.has_rtcp_mux && b.stream.has_rtcp_mux);
	CHECK(a.stream.rtcp.port == 5000 && b.stream.rtcp.port == 4000);
}

TEST(payload_numbers)
{
	begin();
	/* the peer's own dynamic numbers; telephone-event of another clock is not taken */
	const struct sdp *o =
		given("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\n"
		      "t=0 0\r\nm=audio 4000 RTP/AVP 97 98 99\r\na=ptime:30\r\n"
		      "a=rtpmap:97 PCMA/8000\r\na=rtpmap:98 telephone-event/16000\r\n"
		      "a=rtpmap:99 TELEPHONE-EVENT/8000\r\n");
	CHECK_EQ(sdp_oa_answer(&b, &lb, o, SDP_SENDRECV, &body, &why), OK);
	CHECK(b.stream.codec.pt == 97 && b.stream.pt_recv == 97);
	CHECK(b.stream.dtmf_send == 99 && b.stream.dtmf_recv == 99);
	CHECK_EQ(b.stream.ptime_ms, 30);
	CHECK_STR(read()->media[0].fmts, "97 99");
	/* our next offer keeps these numbers */
	offer(&b, &lb, SDP_SENDRECV);
	CHECK_STR(read()->media[0].fmts, "97 0 99");
	/* an answer may use other numbers than our offer [RFC3264 6.1] */
	o = given("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
		  "m=audio 4000 RTP/AVP 110 0 111 18\r\na=rtpmap:110 PCMA/8000\r\n"
		  "a=rtpmap:111 telephone-event/8000\r\na=maxptime:10\r\n");
	CHECK_EQ(sdp_oa_take_answer(&b, o, &why), OK);
	CHECK(b.stream.codec.pt == 110 && b.stream.pt_recv == 97);
	CHECK(b.stream.dtmf_send == 111 && b.stream.dtmf_recv == 99);
	CHECK_EQ(b.stream.n_recv, 3);
	CHECK_EQ(b.stream.ptime_ms, 10);
	/* our number for a new codec must not collide with one in use */
	add(&lb, "opus", 97, 48000, "");
	offer(&b, &lb, SDP_SENDRECV);
	CHECK_STR(read()->media[0].fmts, "97 0 99 96");
}

TEST(answers_that_do_not_work)
{
	static const struct {
		const char *media, *text;
		enum err e;
	} t[] = {
		{"",								  "the answer has 0 m= lines where the offer had 1", ERR_SYNTAX     },
		{"m=video 4000 RTP/AVP 0\r\n",                                        "the answer has 1 m= lines where the offer had 1",
		 ERR_SYNTAX															     },
		{"m=audio 0 RTP/AVP 0\r\n",                                           "the peer refused the audio stream",               ERR_UNSUPPORTED},
		{"m=audio 4000 RTP/SAVP 0\r\n",                                       "the answer changed the transport to RTP/SAVP",
		 ERR_UNSUPPORTED															},
		{"m=audio 4000 RTP/AVP 18\r\n",
		 "no common codec: answered G729/8000; supported PCMU/8000, PCMA/8000, "
		 "telephone-event/8000",												 ERR_UNSUPPORTED},
		{"m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n",
		 "no common codec: answered telephone-event/8000; supported PCMU/8000, PCMA/8000, "
		 "telephone-event/8000",												 ERR_UNSUPPORTED},
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char text[500];
		begin();
		offer(&a, &la, SDP_SENDRECV);
		snprintf(text, sizeof(text),
			 "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 "
			 "0\r\n%s",
			 t[i].media);
		CHECK_EQ(sdp_oa_take_answer(&a, given(text), &why), t[i].e);
		CHECK_STR_EQ(str_c(why.text), str_c(t[i].text));
		CHECK(!a.stream.is_active && a.state == SDP_OA_STABLE);
	}
}

/* Early answers of two forks and the final one, to one offer. */
TEST(an_answer_may_be_followed_by_another)
{
	begin();
	exchange(&a, &la, SDP_SENDRECV, &b, &lb, SDP_SENDRECV);
	const struct sdp *o =
		given("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\n"
		      "t=0 0\r\nm=audio 4000 RTP/AVP 8\r\n");
	CHECK_EQ(sdp_oa_take_answer(&a, o, &why), OK);
	CHECK_STR_EQ(str_c(a.stream.codec.name), str_c("PCMA"));
	CHECK_EQ(a.stream.dtmf_send, SDP_PT_NONE);
	exchange(&b, &lb, SDP_SENDRECV, &a, &la, SDP_SENDRECV);
	CHECK_EQ(sdp_oa_take_answer(&a, &parsed, &why), ERR_STATE);
}

TEST(stream_removed_and_back)
{
	begin();
	const char *head =
		"v=0\r\no=- 1 %d IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
		"m=audio %d RTP/AVP 0\r\n";
	char text[300];
	for (int i = 1; i <= 3; i++) {
		snprintf(text, sizeof(text), head, i, i == 2 ? 0 : 4000);
		buf_clear(&body);
		CHECK_EQ(sdp_oa_answer(&b, &lb, given(text), SDP_SENDRECV, &body, &why), OK);
		CHECK_EQ(b.stream.is_active, i != 2);
		CHECK_EQ(read()->media[0].port, i == 2 ? 0 : 5000);
	}
}

TEST(changes_of_the_peer)
{
	static const struct {
		const char *origin, *rest;
		enum sdp_change change;
	} t[] = {
		{"- 1 5 IN IP4 192.0.2.9", "0", SDP_SAME         },
		{"- 1 6 IN IP4 192.0.2.9", "0", SDP_CHANGED      },
		{"- 1 5 IN IP4 192.0.2.9", "8", SDP_VERSION_STUCK},
		{"- 1 4 IN IP4 192.0.2.9", "0", SDP_VERSION_BACK },
		{"- 1 7 IN IP4 192.0.2.9", "0", SDP_VERSION_JUMP },
		{"- 2 5 IN IP4 192.0.2.9", "0", SDP_OTHER_ORIGIN },
		{"x 1 5 IN IP4 192.0.2.9", "0", SDP_OTHER_ORIGIN },
		{"- 1 5 IN IP4 192.0.2.8", "0", SDP_OTHER_ORIGIN },
	};
	begin();
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char text[300];
		snprintf(text, sizeof(text),
			 "v=0\r\no=%s\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
			 "m=audio 4000 RTP/AVP %s\r\n",
			 t[i].origin, t[i].rest);
		given(text);
		if (i == 0) {
			CHECK_EQ(sdp_oa_change(&b, &parsed), SDP_FIRST);
			CHECK_EQ(sdp_oa_answer(&b, &lb, &parsed, SDP_SENDRECV, &body, &why), OK);
		}
		CHECK_EQ(sdp_oa_change(&b, &parsed), t[i].change);
		CHECK_EQ(sdp_oa_is_refresh(&b, &parsed), i == 0);
	}
}

TEST(refusal_of_everything)
{
	begin();
	const struct sdp *o = given("v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\n"
				    "m=audio 4000 RTP/AVP 0 8\r\nm=image 9 udptl t38\r\n");
	sdp_put_refusal(&body, o);
	read();
	CHECK_EQ(parsed.n_media, 2);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(parsed.media[i].port, 0);
	CHECK_STR(parsed.media[0].fmts, "0 8");
	CHECK_STR(parsed.media[1].proto_text, "udptl");
}

TEST(buffer_too_small)
{
	begin();
	struct sdp_oa before = a;
	for (size_t n = 0; n < 200; n += 13) {
		buf_init_fixed(&body, mem, n);
		CHECK_EQ(sdp_oa_offer(&a, &la, SDP_SENDRECV, &body), ERR_LIMIT);
		CHECK_EQ(memcmp(&before, &a, sizeof(a)), 0);
	}
}
