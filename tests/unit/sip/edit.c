/* Edits and the splice. */

#include "sip/edit.h"

#include "fixture.h"

#include <string.h>

#define HEAD  "INVITE sip:bob@b.example SIP/2.0\r\n"
#define VIA   "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
#define ROUTE "Route: <sip:one;lr>, <sip:two;lr>,\r\n <sip:three;lr>\r\n"
#define REST                                                                                       \
	"Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\n"             \
	"CSeq: 1 INVITE\r\n"

static struct str spliced(const struct sip_edits *ed, struct buf *b)
{
	buf_clear(b);
	enum err e = sip_splice(ed, b);
	CHECK_EQ(e, OK);
	return buf_view(b);
}

TEST(no_edit_changes_nothing)
{
	char mem[1024];
	struct buf b;
	struct sip_edits ed;
	struct sip_msg *m = MSG(HEAD VIA ROUTE REST "X :\t y \r\nl:3\r\n\r\nabcEXTRA");
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_edits_init(&ed, m);
	CHECK_STR(spliced(&ed, &b), HEAD VIA ROUTE REST "X :\t y \r\nl:3\r\n\r\nabc");
	sip_msg_free(m);
}

TEST(edits_in_any_order)
{
	char mem[1024];
	struct buf b;
	struct sip_edits ed;
	struct sip_msg *m = MSG(HEAD VIA REST "\r\nbody");
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_edits_init(&ed, m);
	sip_edit_append(&ed, STR("Z: 1\r\n"));
	sip_edit_replace(&ed, sip_value(m, SIP_HDR_MAX_FORWARDS), STR("69"));
	sip_edit_insert_before(&ed, SIP_HDR_VIA, STR("Via: second\r\n"));
	sip_edit_ruri(&ed, STR("sip:x"));
	sip_edit_insert_before(&ed, SIP_HDR_RECORD_ROUTE, STR("Record-Route: <sip:p;lr>\r\n"));
	sip_edit_remove(&ed, SIP_HDR_TO);
	sip_edit_append(&ed, STR("Z: 2\r\n"));
	CHECK_STR(spliced(&ed, &b),
		  "INVITE sip:x SIP/2.0\r\nVia: second\r\nRecord-Route: <sip:p;lr>\r\n" VIA
		  "Max-Forwards: 69\r\nFrom: <sip:a@b>;tag=1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
		  "Z: 1\r\nZ: 2\r\n\r\nbody");
	sip_msg_free(m);
}

TEST(overlap_is_refused)
{
	char mem[1024];
	struct buf b;
	struct sip_edits ed;
	struct sip_msg *m = MSG(HEAD VIA REST "\r\n");
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_edits_init(&ed, m);
	sip_edit(&ed, 10, 5, STR("x"));
	sip_edit(&ed, 12, 1, STR_NONE);
	CHECK_EQ(sip_splice(&ed, &b), ERR_STATE);
	sip_edits_init(&ed, m);
	sip_edit(&ed, m->n_bytes - 1, 2, STR_NONE);
	CHECK_EQ(sip_splice(&ed, &b), ERR_STATE);
	sip_edits_init(&ed, m);
	sip_edit(&ed, m->n_bytes + 1, 0, STR("x"));
	CHECK_EQ(sip_splice(&ed, &b), ERR_STATE);
	sip_edits_init(&ed, m);
	for (unsigned i = 0; i <= SIP_MAX_EDITS; i++)
		sip_edit(&ed, i, 0, STR("x"));
	CHECK_EQ(sip_splice(&ed, &b), ERR_LIMIT);
	buf_init_fixed(&b, mem, 16);
	sip_edits_init(&ed, m);
	CHECK_EQ(sip_splice(&ed, &b), ERR_LIMIT);
	sip_msg_free(m);
}

static void remove_values(const char *route, unsigned mask, const char *want)
{
	char text[1024], out[1024];
	struct buf b, o;
	struct sip_edits ed;
	buf_init_fixed(&b, text, sizeof(text));
	buf_init_fixed(&o, out, sizeof(out));
	buf_str(&b, STR(HEAD VIA));
	buf_str(&b, str_c(route));
	buf_str(&b, STR(REST "\r\n"));
	struct sip_msg *m = msg(buf_view(&b));
	struct str v, values[8];
	struct sip_iter it = {0, 0};
	unsigned n = 0;
	while (n < 8 && sip_each(m, SIP_HDR_ROUTE, &it, &v))
		values[n++] = v;
	for (int dir = 0; dir < 2; dir++) { /* in both orders */
		sip_edits_init(&ed, m);
		for (unsigned i = 0; i < n; i++) {
			unsigned k = dir ? n - 1 - i : i;
			if (mask >> k & 1)
				sip_edit_remove_value(&ed, SIP_HDR_ROUTE, values[k]);
		}
		struct str got = spliced(&ed, &o);
		got = str_skip(got, sizeof(HEAD VIA) - 1);
		got.n -= sizeof(REST "\r\n") - 1;
		CHECK_STR_EQ(got, str_c(want));
	}
	sip_msg_free(m);
}

TEST(remove_value)
{
	remove_values(ROUTE, 0, ROUTE);
	remove_values(ROUTE, 1, "Route: <sip:two;lr>,\r\n <sip:three;lr>\r\n");
	remove_values(ROUTE, 2, "Route: <sip:one;lr>, <sip:three;lr>\r\n");
	remove_values(ROUTE, 4, "Route: <sip:one;lr>, <sip:two;lr>\r\n");
	remove_values(ROUTE, 3, "Route: <sip:three;lr>\r\n");
	remove_values(ROUTE, 5, "Route: <sip:two;lr>\r\n");
	remove_values(ROUTE, 6, "Route: <sip:one;lr>\r\n");
	remove_values(ROUTE, 7, "");
	remove_values("Route: <sip:a>\r\nroute : <sip:b>\r\n \r\n", 2, "Route: <sip:a>\r\n");
	remove_values("Route: <sip:a>\r\nroute : <sip:b>, <sip:c>\r\n", 5, "route : <sip:b>\r\n");
	remove_values("Route: <sip:a>,,<sip:b>,\r\n", 2, "Route: <sip:a>\r\n");
}

TEST(remove_rows)
{
	char mem[1024];
	struct buf b;
	struct sip_edits ed;
	struct sip_msg *m = MSG(HEAD VIA "Subject: a\r\n b\r\n\tc\r\nX: y\nSubject:\n" REST "\n");
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_edits_init(&ed, m);
	sip_edit_remove(&ed, SIP_HDR_SUBJECT);
	sip_edit_remove(&ed, SIP_HDR_EXPIRES);
	sip_edit_append(&ed, STR("Z: 1\r\n"));
	CHECK_STR(spliced(&ed, &b), HEAD VIA "X: y\n" REST "Z: 1\r\n\n");
	sip_msg_free(m);
}

TEST(new_body)
{
	char mem[1024];
	struct buf b;
	struct sip_edits ed;
	struct sip_msg *m = MSG(HEAD VIA REST "\r\nold body");
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_edits_init(&ed, m);
	sip_edit_body(&ed, STR("v=0\r\n"), STR("application/sdp"));
	CHECK_STR(spliced(&ed, &b), HEAD VIA REST
		  "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n");
	sip_msg_free(m);
	m = MSG(HEAD VIA REST "c: text/plain\r\nl: 3\r\n\r\nold");
	sip_edits_init(&ed, m);
	sip_edit_body(&ed, STR("longer"), STR("text/html"));
	CHECK_STR(spliced(&ed, &b), HEAD VIA REST "c: text/html\r\nl: 6\r\n\r\nlonger");
	sip_edits_init(&ed, m);
	sip_edit_body(&ed, STR_NONE, STR_NONE);
	CHECK_STR(spliced(&ed, &b), HEAD VIA REST "l: 0\r\n\r\n");
	sip_msg_free(m);
}

/* A message without the empty line is not forwarded, but an edit of it stays inside. */
TEST(no_empty_line)
{
	char mem[1024];
	struct buf b;
	struct sip_edits ed;
	struct sip_msg *m = MSG(HEAD VIA REST);
	buf_init_fixed(&b, mem, sizeof(mem));
	sip_edits_init(&ed, m);
	sip_edit_append(&ed, STR("Z: 1\r\n"));
	CHECK_STR(spliced(&ed, &b), HEAD VIA REST "Z: 1\r\n");
	sip_msg_free(m);
}
