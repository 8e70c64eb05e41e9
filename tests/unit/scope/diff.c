/* Two calls compared, two legs compared: what is told, and what is left out. */
#include "scope/diff.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct book *open_book(const char *name)
{
	const char *dir = getenv("RUNG_TEST_DATA");
	struct book_cfg cfg = {
		.trk = {.has_media = true, .has_join = true}
        };
	char path[512];
	struct buf why;
	struct cap *c = NULL;
	struct book *b = NULL;
	if (!dir)
		test_skip("RUNG_TEST_DATA does not say where tests/data is");
	snprintf(path, sizeof path, "%s/captures/%s", dir, name);
	buf_init(&why);
	enum err e = cap_open(path, &c, &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
	CHECK_EQ(book_new(c, &cfg, &b), OK);
	while (book_read(b, 1'000))
		continue;
	trk_join_settle(book_trk(b));
	return b;
}

static struct trk_call *call_no(struct book *b, uint32_t no)
{
	struct trk_call *c = trk_first(book_trk(b));
	while (c && c->no != no)
		c = trk_after(book_trk(b), c);
	CHECK(c);
	return c;
}

static void compare(struct buf *out, const char *a, uint32_t na, const char *b, uint32_t nb,
		    bool is_legs)
{
	struct book *x = open_book(a), *y = strcmp(a, b) == 0 ? x : open_book(b);
	struct diff_call cx = {x, call_no(x, na), NULL}, cy = {y, call_no(y, nb), NULL};
	enum err e = diff_calls(out, &cx, &cy,
				&(struct diff_opts){.is_ascii = true, .is_legs = is_legs});
	if (y != x)
		book_free(y);
	book_free(x);
	CHECK_EQ(e, OK);
}

static bool has(const struct buf *b, const char *text)
{
	return str_find(buf_view(b), str_c(text)) != SIZE_MAX;
}

TEST_NO_OOM(the_first_divergence)
{
	struct buf b;
	buf_init(&b);
	compare(&b, "call-answered.pcap", 3, "call-busy-486.pcap", 3, false);
	CHECK(has(&b, "\nFirst divergence, after the 100 Trying from 127.0.0.43:5060\n"
		      "  A: 180 Ringing from 127.0.0.43:5060, frame 16, after 0.012 s\n"
		      "  B: 486 Busy here from 127.0.0.43:5060, frame 16, after 0.013 s\n"));
	CHECK(has(&b, "\n       9       9    INVITE from 127.0.0.21:5060\n"));
	CHECK(has(&b, "\n      16       -  * 180 Ringing"));
	CHECK(has(&b, "\n       -      16  * 486 Busy here"));
	CHECK(has(&b, "\n      25       -  * ACK")); /* not the ACK of the refusal */
	CHECK(!has(&b, "Headers")); /* Contact's user, tags, nonces differ anyway */
	CHECK(!has(&b, "SDP\n"));
	buf_fini(&b);
}

TEST_NO_OOM(the_same_but_for_the_codecs)
{
	struct buf b;
	buf_init(&b);
	compare(&b, "call-pcma.pcap", 3, "call-opus.pcap", 3, false);
	CHECK(has(&b, "\nSDP\n  INVITE (A 9, B 9)\n"
		      "    A audio RTP/AVP: PCMA/8000, telephone-event/8000; sendrecv\n"
		      "    B audio RTP/AVP: opus/48000/2, telephone-event/48000; sendrecv\n"));
	CHECK(has(&b, "The same "));
	buf_fini(&b);
	buf_init(&b);
	compare(&b, "call-pcma.pcap", 3, "call-pcma.pcap", 3, false);
	CHECK(has(&b, "The same "));
	CHECK(!has(&b, "Headers") && !has(&b, "\nSDP") && !has(&b, "Time since") &&
	      !has(&b, " * "));
	buf_fini(&b);
}

TEST_NO_OOM(what_the_b2bua_changed)
{
	struct buf b;
	buf_init(&b);
	compare(&b, "made-b2bua.pcap", 1, "made-b2bua.pcap", 2, true);
	CHECK(has(&b, "\nFirst divergence, after the INVITE from 192.0.2.21:5060\n"
		      "  A: 100 Trying from 192.0.2.57:5060"));
	CHECK(has(&b, "    ~ From: sip:1001@example.com  |  sip:pbx@example.com\n"
		      "    ~ To: sip:1002@example.com  |  sip:trunk-7@example.com\n"));
	CHECK(!has(&b, "ACK (A")); /* From and To are told once */
	buf_fini(&b);
}

TEST_NO_OOM(a_comparison_without_memory)
{
	struct book *x = open_book("call-pcma.pcap");
	struct diff_call c = {x, call_no(x, 3), NULL};
	size_t k = 0;
	enum err e;
	do {
		struct buf b;
		buf_init(&b);
		test_fail_alloc(++k);
		e = diff_calls(&b, &c, &c, &(struct diff_opts){0});
		test_fail_alloc(0);
		buf_fini(&b);
		CHECK(e == OK || e == ERR_NOMEM);
	} while (e);
	book_free(x);
	CHECK(k > 60); /* none was passed over in silence */
}
