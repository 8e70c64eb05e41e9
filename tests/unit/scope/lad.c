/* Ladders: against golden text, and their properties at any width. */
#include "fixture.h"

#include <string.h>

static void check_text(const char *file, int line, const struct buf *b, const char *want)
{
	char got[4'000];
	str_copy(got, sizeof got, buf_view(b));
	if (b->err || strcmp(got, want) != 0)
		test_fail(file, line, "got:\n%s\nwant:\n%s", got, want);
}
#define CHECK_TEXT(b, want) check_text(__FILE__, __LINE__, &(b), want)

static void busy_call(struct play *p)
{
	play_begin(p, NULL);
	msg(p, 0, "A>P", "INVITE 1 a", SDP("192.0.2.21", "4000"));
	msg(p, 0.02, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
	msg(p, 0.52, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
	msg(p, 1.52, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
	msg(p, 1.6, "B>P", "486 Busy_Here 1 INVITE b", "To-tag: t\r\n");
	msg(p, 1.601, "P>B", "ACK 1 b", "To-tag: t\r\n");
	msg(p, 1.602, "P>A", "486 Busy_Here 1 INVITE a", "To-tag: t\r\n");
}

static void draw(struct play *p, struct buf *b, const struct lad_opts *o)
{
	const struct vrd *v = judge(p);
	buf_clear(b);
	lad_put(b, p->t, trk_find(p->t, str_c(p->call_id)), v, o);
}

TEST(ladder_of_a_busy_call)
{
	struct play p;
	struct buf b;
	buf_init(&b);
	busy_call(&p);
	draw(&p, &b, &(struct lad_opts){.is_ascii = true});
	CHECK_TEXT(
		b,
		"1001 -> 1002: 1002 is busy: 486 Busy Here from 192.0.2.43\n"
		"  warning: INVITE was sent 3 times from 192.0.2.57 to 192.0.2.43 (at 0, 0.5, 1.5\n"
		"  s); the first answer came after 1.6 s\n"
		"Call-ID call-1\n"
		"            192.0.2.21                    192.0.2.57                  192.0.2.43\n"
		"                 |                             |                             |\n"
		"    0.000     1  |------- INVITE (SDP) ------->|                             |\n"
		"   +0.020     2  |                             |- INVITE (SDP) x3 in 1.5 s ->|\n"
		"   +1.580     5  |                             |<------ 486 Busy Here -------|\n"
		"   +0.001     6  |                             |------------ ACK ----------->|\n"
		"   +0.001     7  |<------ 486 Busy Here -------|                             |\n");
	buf_fini(&b);
	play_end(&p);
}

TEST(no_text_lets_a_peer_steer_the_terminal)
{
	struct play p;
	struct buf b;
	buf_init(&b);
	play_begin(&p, NULL);
	p.call_id = "x\033[2Jy";
	p.to = "\"\033]0;e\007\" <sip:10\033[5m02@192.0.2.57>";
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	msg(&p, 1, "P>A", "486 Bu\033[1msy 1 INVITE a", "To-tag: t\r\n");
	draw(&p, &b, &(struct lad_opts){.is_ascii = true});
	const struct vrd *v = judge(&p);
	const struct trk_call *c = trk_find(p.t, str_c(p.call_id));
	view_call(&b, p.t, c, v, &(struct view_opts){.is_ascii = true});
	vrd_put_text(&b, p.t, c, v, true);
	CHECK(str_find(buf_view(&b), STR("x?[2Jy")) != SIZE_MAX);
	CHECK(str_find(buf_view(&b), STR("486 Bu?[1msy")) != SIZE_MAX);
	CHECK_EQ(str_chr(buf_view(&b), '\033'), SIZE_MAX);
	CHECK_EQ(str_chr(buf_view(&b), '\007'), SIZE_MAX);
	buf_fini(&b);
	play_end(&p);
}

TEST_NO_OOM(ladder_with_media_and_its_absence)
{
	struct play p;
	struct buf b;
	buf_init(&b);
	play_begin(&p, NULL);
	msg(&p, 0, "A>B", "INVITE 1 a", SDP("192.0.2.21", "4000"));
	msg(&p, 1, "B>A", "200 OK 1 INVITE a", "To-tag: t\r\n" SDP("192.0.2.43", "5000"));
	msg(&p, 1.1, "A>B", "ACK 1 c", "To-tag: t\r\n");
	rtp(&p, 1.2, "192.0.2.21:4000", "192.0.2.43:5000", 1, 101, 50);
	msg(&p, 9, "A>B", "BYE 2 e", "To-tag: t\r\n");
	msg(&p, 9.1, "B>A", "200 OK 2 BYE e", "To-tag: t\r\n");
	draw(&p, &b, &(struct lad_opts){.hide_time = true});
	struct str ladder = str_skip(buf_view(&b), str_find(buf_view(&b), STR("Call-ID")));
	struct buf tail = {.p = (char *)ladder.p, .n = ladder.n};
	CHECK_TEXT(tail, "Call-ID call-1\n"
			 "            192.0.2.21                              192.0.2.43\n"
			 "                 │                                       │\n"
			 "                 │──────────── INVITE (SDP) ────────────►│\n"
			 "                 │◄─────────── 200 OK (SDP) ─────────────│\n"
			 "                 │───────────────── ACK ────────────────►│\n"
			 "                 │════ RTP PCMU, 99 packets, 2 lost ════►│\n"
			 "                 │◄╌╌╌╌╌╌╌╌╌╌╌╌ no RTP seen ╌╌╌╌╌╌╌╌╌╌╌╌╌│\n"
			 "                 │───────────────── BYE ────────────────►│\n"
			 "                 │◄────────────── 200 OK ────────────────│\n");
	buf_fini(&b);
	play_end(&p);
}

static int columns(struct str line)
{
	int n = 0;
	for (size_t i = 0; i < line.n; i++)
		n += ((unsigned char)line.p[i] & 0xc0) != 0x80;
	return n;
}

/* No row is wider than asked for, and no reason is cut, however narrow it gets. */
TEST_NO_OOM(ladders_of_any_width)
{
	struct play p;
	struct buf b;
	buf_init(&b);
	busy_call(&p);
	msg(&p, 2, "P>C", "INVITE 1 c", "");
	msg(&p, 3, "C>P", "407 Proxy_Authentication_Required 1 INVITE c", "To-tag: x\r\n");
	msg(&p, 4, "P>N", "INVITE 1 n", "");
	for (uint16_t w = 60; w <= 200; w += 7) {
		draw(&p, &b, &(struct lad_opts){.width = w, .is_ascii = w % 2});
		CHECK_EQ(b.err, OK);
		struct str rest = buf_view(&b);
		rest = str_skip(rest, str_find(rest, STR("Call-ID")));
		while (rest.n)
			CHECK(columns(str_cut(rest, '\n', &rest)) <= (int)w);
		CHECK(str_find(buf_view(&b), STR("Authentication")) != SIZE_MAX);
		CHECK(str_find(buf_view(&b), STR("Required")) != SIZE_MAX);
	}
	buf_fini(&b);
	play_end(&p);
}

/* Two phones on one machine, and a proxy that sends from another port than it listens on. */
TEST_NO_OOM(ports_where_a_host_has_two_roles)
{
	struct play p;
	struct buf b, m;
	buf_init(&b);
	buf_init(&m);
	play_begin(&p, NULL);
	static const struct {
		const char *from, *to, *start;
		unsigned branch;
	} steps[] = {
		{"192.0.2.1:5060",  "192.0.2.57:5060", "MESSAGE sip:b@x SIP/2.0", 1},
		{"192.0.2.57:4711", "192.0.2.1:5070",  "MESSAGE sip:b@x SIP/2.0", 2},
		{"192.0.2.1:5070",  "192.0.2.57:4711", "SIP/2.0 200 OK",          2},
		{"192.0.2.57:5060", "192.0.2.1:5060",  "SIP/2.0 200 OK",          1},
	};
	for (unsigned i = 0; i < 4; i++) {
		buf_clear(&m);
		buf_fmt(&m,
			"%s\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u\r\nFrom: <sip:a@x>;tag=f\r\n"
			"To: <sip:b@x>\r\nCall-ID: call-1\r\nCSeq: 1 MESSAGE\r\n\r\n",
			steps[i].start, steps[i].branch);
		struct trk_packet k = {
			.at_us = p.base_us + i, .frame_no = i + 1, .bytes = buf_view(&m)};
		CHECK(addr_parse(str_c(steps[i].from), 0, &k.from));
		CHECK(addr_parse(str_c(steps[i].to), 0, &k.to));
		CHECK_EQ(trk_message(p.t, &k, NULL), OK);
	}
	draw(&p, &b, &(struct lad_opts){.hide_time = true});
	struct str text = buf_view(&b);
	CHECK(str_find(text, STR("192.0.2.1:5060")) != SIZE_MAX);
	CHECK(str_find(text, STR("192.0.2.1:5070")) != SIZE_MAX);
	CHECK(str_find(text, STR("192.0.2.57:")) == SIZE_MAX);
	buf_fini(&b);
	buf_fini(&m);
	play_end(&p);
}

TEST_NO_OOM(colours_are_balanced)
{
	struct play p;
	struct buf b;
	buf_init(&b);
	busy_call(&p);
	draw(&p, &b, &(struct lad_opts){.is_colour = true});
	struct str rest = buf_view(&b);
	unsigned on = 0, off = 0;
	for (size_t at; (at = str_find(rest, STR("\033["))) != SIZE_MAX;) {
		rest = str_skip(rest, at + 2);
		*(str_starts(rest, STR("0m")) ? &off : &on) += 1;
	}
	CHECK_EQ(on, 5);
	CHECK_EQ(off, 5);
	buf_fini(&b);
	play_end(&p);
}

static struct str name_of(void *arg, const struct addr *a)
{
	return a->ip[3] == 57 ? STR("proxy") : STR_NONE;
}

TEST_NO_OOM(names_above_addresses)
{
	struct play p;
	struct buf b;
	buf_init(&b);
	busy_call(&p);
	draw(&p, &b, &(struct lad_opts){.alias = name_of});
	CHECK(str_find(buf_view(&b), STR("            proxy\n")) != SIZE_MAX);
	draw(&p, &b, &(struct lad_opts){.alias = name_of, .width = 60}); /* narrow? still there */
	CHECK(str_find(buf_view(&b), STR("proxy")) != SIZE_MAX);
	buf_fini(&b);
	play_end(&p);
}
