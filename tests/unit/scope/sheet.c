/* The ladder's model, and what is drawn of it: copies, evidence, legs, media; and that peers' words
 * stay words in every format. */
#include "fixture.h"

#include <stdlib.h>

static struct sheet *sheet_of(struct play *p)
{
	struct sheet *s;
	const struct vrd *v = judge(p);
	struct sheet_leg leg = {trk_find(p->t, str_c(p->call_id)), v};
	CHECK_EQ(sheet_new(p->t, &leg, 1, NULL, &s), OK);
	return s;
}

static void busy_call(struct play *p)
{
	play_begin(p, NULL);
	msg(p, 0, "A>P", "INVITE 1 a", SDP("192.0.2.21", "4000"));
	msg(p, 0.02, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
	msg(p, 0.53, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
	msg(p, 1.6, "P>B", "INVITE 1 b", SDP("192.0.2.21", "4000"));
	msg(p, 1.7, "B>P", "486 Busy_Here 1 INVITE b", "To-tag: t\r\n");
	msg(p, 1.702, "P>A", "486 Busy_Here 1 INVITE a", "To-tag: t\r\n");
}

TEST(copies_name_their_original)
{
	struct play p;
	busy_call(&p);
	struct sheet *s = sheet_of(&p);
	CHECK_EQ(s->n_rows, 6);
	CHECK_EQ(s->n_lanes, 3);
	const struct sheet_row *r = s->rows;
	CHECK_EQ(r[0].n_sends, 1);
	CHECK_EQ(r[1].n_sends, 3);
	CHECK_EQ(r[1].span_us, 1'580'000);
	CHECK_EQ(r[2].original, 2);
	CHECK_EQ(r[3].original, 2);
	CHECK_EQ(r[3].marks, SHEET_RETRANS);
	CHECK_EQ(r[2].expected_us, 500'000); /* [RFC3261 17.1.1.2]: 0.5, 1.5 s */
	CHECK_EQ(r[3].expected_us, 1'500'000);
	CHECK_EQ(r[3].delta_us, 1'580'000);
	CHECK(str_eq(sheet_label(s, &r[3]), STR("INVITE (SDP)")));
	CHECK_EQ(r[4].delta_us, 1'680'000); /* since the row before that is no copy */
	struct buf b;
	buf_init(&b);
	sheet_put_marks(&b, s, &r[3]);
	CHECK(str_eq(buf_view(&b),
		     STR("sent again, 3 of 3; expected at 1.500 s, seen at 1.580 s")));
	buf_fini(&b);
	sheet_free(s);
	play_end(&p);
}

/* What a mirror port shows twice was sent once. */
TEST(duplicates_are_no_sends)
{
	struct play p;
	play_begin(&p, NULL);
	p.ip_id = 7;
	msg(&p, 0, "A>B", "INVITE 1 a", "");
	msg(&p, 0.0001, "A>B", "INVITE 1 a", "");
	struct sheet *s = sheet_of(&p);
	CHECK_EQ(s->rows[0].n_sends, 1);
	CHECK_EQ(s->rows[1].original, 1);
	CHECK_EQ(s->rows[1].marks, SHEET_DUPLICATE);
	sheet_free(s);
	play_end(&p);
}

TEST(evidence_is_marked_in_its_rows)
{
	struct play p;
	busy_call(&p);
	struct sheet *s = sheet_of(&p);
	const struct vrd *v = s->legs[0].v;
	for (unsigned i = 0; i < v->n; i++)
		for (unsigned k = 0; k < v->f[i].n_evidence; k++) {
			unsigned n = 0;
			for (size_t r = 0; r < s->n_rows; r++)
				n += trk_ev_id(s->rows[r].ev) == v->f[i].evidence[k] &&
				     s->rows[r].findings & 1u << i;
			CHECK_EQ(n, 1);
		}
	sheet_free(s);
	play_end(&p);
}

/* Two Call-IDs on one sheet: in order of time, lanes shared, each row of its leg. */
TEST(legs_joined_on_one_sheet)
{
	struct play p;
	struct sheet *s;
	play_begin(&p, NULL);
	msg(&p, 0, "A>P", "INVITE 1 a", "");
	p.call_id = "call-2";
	msg(&p, 0.01, "P>B", "INVITE 1 b", "");
	msg(&p, 0.02, "B>P", "486 Busy_Here 1 INVITE b", "To-tag: t\r\n");
	p.call_id = "call-1";
	msg(&p, 0.03, "P>A", "486 Busy_Here 1 INVITE a", "To-tag: t\r\n");
	struct sheet_leg legs[2] = {
		{trk_find(p.t, STR("call-1")), NULL},
                {trk_find(p.t, STR("call-2")), NULL}
        };
	CHECK_EQ(sheet_new(p.t, legs, 2, NULL, &s), OK);
	CHECK_EQ(s->n_lanes, 3);
	CHECK_EQ(s->n_rows, 4);
	static const uint16_t want[4] = {0, 1, 1, 0};
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(s->rows[i].leg, want[i]);
	CHECK_EQ(s->rows[3].delta_us, 10'000);
	sheet_free(s);
	play_end(&p);
}

TEST_NO_OOM(media_and_its_absence)
{
	struct play p;
	play_begin(&p, NULL);
	msg(&p, 0, "A>B", "INVITE 1 a", SDP("192.0.2.21", "4000"));
	msg(&p, 1, "B>A", "200 OK 1 INVITE a", "To-tag: t\r\n" SDP("192.0.2.43", "5000"));
	msg(&p, 1.1, "A>B", "ACK 1 c", "To-tag: t\r\n");
	rtp(&p, 1.2, "192.0.2.21:4000", "192.0.2.43:5000", 1, 101, 50);
	msg(&p, 9, "A>B", "BYE 2 e", "To-tag: t\r\n");
	msg(&p, 9.1, "B>A", "200 OK 2 BYE e", "To-tag: t\r\n");
	struct sheet *s = sheet_of(&p);
	CHECK_EQ(s->n_bands, 2);
	CHECK_EQ(s->rows[3].band->received, 99);
	CHECK_EQ(s->rows[3].band->expected, 101);
	CHECK_EQ(s->rows[3].band->end_us - s->rows[3].at_us, 2'000'000);
	CHECK(s->rows[4].band->is_absent);
	CHECK_EQ(s->rows[4].from, s->rows[3].to);
	struct buf b;
	buf_init(&b);
	lad_put_svg(&b, s);
	CHECK(str_find(buf_view(&b), STR("<rect class=\"none\"")) != SIZE_MAX);
	buf_clear(&b);
	lad_put_mermaid(&b, s);
	CHECK(str_find(buf_view(&b), STR("Note over h0,h1: no RTP from 192.0.2.43\n")) != SIZE_MAX);
	buf_clear(&b);
	lad_put_json(&b, p.t, s);
	CHECK(str_find(buf_view(&b), STR("\"seen\":false")) != SIZE_MAX);
	buf_fini(&b);
	sheet_free(s);
	play_end(&p);
}

static void hostile_call(struct play *p)
{
	play_begin(p, NULL);
	p->call_id = "\"</script><b>&amp;x";
	p->from = "=1+2<script>alert(1)</script>";
	p->to = "-2;end#35;%%\xed\xa0\x80\xff\xef\xbf\xbe\xe2\x80\xae\xe2\x80\xac";
	msg(p, 0, "A>P", "INVITE 1 a", "");
	msg(p, 1, "P>A", "486 <img_onerror=x>;#59;_]]>\xe2\x80\xae\xe2\x80\xac 1 INVITE a",
	    "To-tag: t\r\n");
}

TEST_NO_OOM(peers_words_stay_words)
{
	static const char override[] = {'\xe2', '\x80',
					'\xae'}; /* U+202E: right to left from here */
	struct play p;
	struct buf b;
	buf_init(&b);
	hostile_call(&p);
	struct sheet *s = sheet_of(&p);
	lad_put_svg(&b, s);
	CHECK_EQ(b.err, OK);
	CHECK_EQ(str_find(buf_view(&b), STR("<script")), SIZE_MAX);
	CHECK_EQ(str_find(buf_view(&b), STR("<img")), SIZE_MAX);
	CHECK_EQ(str_find(buf_view(&b), STR("]]>")), SIZE_MAX);
	CHECK_EQ(str_find(buf_view(&b), str_of(override, 3)), SIZE_MAX);
	CHECK_EQ(str_chr(buf_view(&b), '\xff'), SIZE_MAX);
	CHECK_EQ(str_chr(buf_view(&b), '\xed'), SIZE_MAX); /* half of a surrogate pair */
	CHECK(str_find(buf_view(&b), STR("&#60;img onerror=x&#62;")) != SIZE_MAX);
	buf_clear(&b);
	lad_put_mermaid(&b, s);
	/* a line for each row, note and participant; nothing of a peer ends one, or an entity */
	struct str rest = buf_view(&b);
	unsigned n = 0;
	while (rest.n) {
		struct str line = str_cut(rest, '\n', &rest);
		CHECK_EQ(str_chr(line, '<'), SIZE_MAX);
		CHECK_EQ(str_chr(line, '%'), SIZE_MAX);
		for (size_t at; (at = str_chr(line, ';')) != SIZE_MAX;
		     line = str_skip(line, at + 1))
			CHECK(str_chr(str_sub(line, at > 6 ? at - 6 : 0, 6), '#') != SIZE_MAX);
		n++;
	}
	CHECK_EQ(n, 3 + s->legs[0].v->n + 2);
	sheet_free(s);
	buf_fini(&b);
	play_end(&p);
}

TEST(csv_fields)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{"plain",     "plain"            },
                {"",          ""                 },
		{"a,b",       "\"a,b\""          },
                {"say \"x\"", "\"say \"\"x\"\"\""},
		{"=1+2",      "'=1+2"            },
                {"+49",       "'+49"             },
		{"-1",        "'-1"              },
                {"@x",        "'@x"              },
		{"=a,b",      "\"'=a,b\""        },
                {"a\r\nb",    "a??b"             },
	};
	struct buf b;
	buf_init(&b);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		buf_clear(&b);
		view_csv_text(&b, str_c(rows[i].in));
		CHECK_EQ(b.err, OK);
		CHECK(str_eq(buf_view(&b), str_c(rows[i].want)));
	}
	buf_fini(&b);
}
