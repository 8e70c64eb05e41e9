/* The index: what a row holds, how lists are walked, where a message ends, what is refused. */

#include "sip/msg.h"
#include "sip/uri.h"

#include "fixture.h"

#include <stdlib.h>
#include <string.h>

TEST(request_eager_fields)
{
	struct sip_msg *m = MSG(REQ_START REQ_REST "Content-Length: 4\r\n\r\nabcd");
	CHECK_EQ(m->n_diags, 0);
	CHECK(m->is_request);
	CHECK_EQ(m->method, SIP_INVITE);
	CHECK_STR(m->method_name, "INVITE");
	CHECK_STR(m->ruri, "sip:bob@example.com");
	CHECK_STR(m->version, "SIP/2.0");
	CHECK_STR(m->via, "SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKabc;rport");
	CHECK_STR(m->via_branch, "z9hG4bKabc");
	CHECK_STR(m->via_host, "192.0.2.1");
	CHECK_EQ(m->via_port, 5062);
	CHECK_STR(m->from_tag, "1928301774");
	CHECK_EQ(m->to_tag.n, 0);
	CHECK_STR(m->call_id, "a84b4c76e66710@192.0.2.1");
	CHECK(m->has_cseq && m->cseq == 314159);
	CHECK(m->has_max_forwards && m->max_forwards == 70);
	CHECK(m->has_content_length && m->content_length == 4);
	CHECK_STR(m->body, "abcd");
	CHECK_EQ(m->head_n + 4, m->n_bytes);
	CHECK_EQ(sip_msg_verdict(m, NULL), 0);
	sip_msg_free(m);
}

TEST(response_eager_fields)
{
	struct sip_msg *m =
		MSG("SIP/2.0 180 Ringing, please wait\r\n"
		    "Via: SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bKx, SIP/2.0/UDP a.b\r\n"
		    "From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
		    "Call-ID: x\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n");
	CHECK_EQ(m->n_diags, 0);
	CHECK(!m->is_request);
	CHECK_EQ(m->status, 180);
	CHECK_STR(m->reason, "Ringing, please wait");
	CHECK_EQ(m->method, SIP_BYE);
	CHECK_STR(m->method_name, "BYE");
	CHECK_STR(m->via, "SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bKx");
	CHECK_STR(m->via_host, "2001:db8::1");
	CHECK_STR(m->to_tag, "2");
	CHECK_EQ(sip_msg_verdict(m, NULL), 0);
	sip_msg_free(m);
}

/* A tag that is there has a value; it may be any parameter of the header, but not of the URI. */
TEST(tags)
{
	static const struct {
		const char *to, *tag;
		bool is_bad;
	} cases[] = {
		{"<sip:c@d>;tag=x",               "x", false},
                {"<sip:c@d;tag=no>",              "",  false},
		{"sip:c@d;a;TAG = x ;b",          "x", false},
                {"<sip:c@d>;xtag=1;y=\";tag=2\"", "",  false},
		{"<sip:c@d>;tag=",                "",  true },
                {"<sip:c@d>;tag=;x",              "",  true },
		{"<sip:c@d>;tag",                 "",  true },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		struct buf b;
		buf_init_fixed(&b, text, sizeof(text));
		buf_fmt(&b, "%s%s\r\n%s", REQ_START "To: ", cases[i].to,
			"From: <sip:a@b>;tag=1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n" REQ_END);
		struct sip_msg *m = msg(buf_view(&b));
		CHECK_STR_EQ(m->to_tag, str_c(cases[i].tag));
		CHECK_EQ(has_diag(m, SIP_DIAG_TO_BAD), cases[i].is_bad);
		sip_msg_free(m);
	}
}

TEST(index_allocates_nothing)
{
	static const char text[] = REQ_START REQ_REST REQ_END;
	static _Alignas(16) char block[8192];
	size_t used;
	struct sip_msg *m = sip_msg_init(block, sizeof(block));
	memcpy(m->bytes, text, sizeof(text) - 1);
	size_t before = test_allocs();
	CHECK_EQ(sip_msg_index(m, sizeof(text) - 1, false, &used), OK);
	CHECK_EQ(test_allocs(), before);
	CHECK_EQ(used, sizeof(text) - 1);
}

/* Any line break of a message may fall anywhere in the 64 bytes that the scan looks at at once. */
TEST(every_alignment)
{
	char text[1024];
	for (size_t pad = 0; pad < 140; pad++) {
		struct buf b;
		buf_init_fixed(&b, text, sizeof(text));
		buf_str(&b, STR(REQ_START "X-Pad: "));
		buf_fill(&b, 'x', pad);
		buf_str(&b, STR("\r\n" REQ_REST "Subject: a\r\n b\r\nContent-Length: 2\r\n\r\nhi"));
		struct sip_msg *m = msg(buf_view(&b));
		CHECK_EQ(m->n_diags, 0);
		CHECK_EQ(m->n_rows, 9);
		CHECK_EQ(sip_value_named(m, STR("x-pad")).n, pad);
		CHECK_STR(sip_value(m, SIP_HDR_SUBJECT), "a\r\n b");
		CHECK_STR(m->body, "hi");
		/* a lone LF, CR or NUL is seen wherever it is */
		static const char odd[] = {'\n', '\r', '\0'};
		static const unsigned codes[] = {SIP_DIAG_HDR_NO_COLON, SIP_DIAG_BARE_CR,
						 SIP_DIAG_HDR_NUL};
		for (size_t k = 0; k < 3 && pad > 0; k++) {
			size_t at = sizeof(REQ_START "X-Pad: ") - 1 + pad - 1;
			text[at] = odd[k];
			if (k == 0)
				text[at + 1] = 'y';
			struct sip_msg *w = msg(buf_view(&b));
			CHECK(has_diag(w, codes[k]));
			if (k == 0)
				CHECK(has_diag(w, SIP_DIAG_BARE_LF));
			sip_msg_free(w);
			text[at] = 'x';
			text[at + 1] = '\r';
		}
		sip_msg_free(m);
	}
}

/* Every prefix of a stream asks for more, and reads no byte behind its end. */
TEST_NO_OOM(stream_prefixes)
{
	static const char text[] = "\r\n\r\n" REQ_START REQ_REST "Subject: x\r\n y\r\n"
				   "Content-Length: 3\r\n\r\nabcINVITE sip:next";
	const size_t whole = sizeof(text) - 1 - 15;
	for (size_t n = 0; n <= sizeof(text) - 1; n++) {
		size_t size = sip_msg_block_size(n), used;
		void *block = malloc(size);
		CHECK(block);
		struct sip_msg *m = sip_msg_init(block, size);
		memcpy(m->bytes, text, n);
		enum err e = sip_msg_index(m, n, true, &used);
		if (n < whole) {
			CHECK_EQ(e, ERR_MORE);
		} else {
			CHECK_EQ(e, OK);
			CHECK_EQ(used, whole);
			CHECK_EQ(m->n_bytes, whole);
			CHECK_STR(m->body, "abc");
			CHECK_EQ(m->n_diags, 0);
		}
		free(block);
	}
}

/* The same prefixes as datagrams: never out of bounds, always an outcome. */
TEST_NO_OOM(datagram_prefixes)
{
	static const char text[] = REQ_START REQ_REST "Content-Length: 3\r\n\r\nabc";
	for (size_t n = 0; n <= sizeof(text) - 1; n++) {
		enum err e;
		struct sip_msg *m = sip_msg_from(str_of(text, n), &e);
		CHECK(e == OK || e == ERR_SYNTAX);
		if (n == sizeof(text) - 1)
			CHECK(e == OK && sip_msg_verdict(m, NULL) == 0);
		else if (e == OK)
			CHECK(sip_msg_verdict(m, NULL) != 0);
		sip_msg_free(m);
	}
}

TEST(keep_alive_is_no_message)
{
	enum err e;
	sip_msg_free(sip_msg_from(STR("\r\n\r\n"), &e));
	CHECK_EQ(e, ERR_SYNTAX);
	sip_msg_free(sip_msg_from(STR(""), &e));
	CHECK_EQ(e, ERR_SYNTAX);
	sip_msg_free(sip_msg_from(STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &e));
	CHECK_EQ(e, ERR_SYNTAX);
	sip_msg_free(sip_msg_from(STR("SIP/2.0"), &e));
	CHECK_EQ(e, ERR_SYNTAX);
}

TEST(too_many_rows)
{
	struct buf b;
	enum err e;
	buf_init(&b);
	buf_str(&b, STR(REQ_START REQ_REST));
	for (unsigned i = 0; i < SIP_MAX_ROWS; i++)
		buf_str(&b, STR("a:\n"));
	buf_str(&b, STR("\n"));
	CHECK_EQ(b.err, OK);
	struct sip_msg *m = sip_msg_from(buf_view(&b), &e);
	CHECK(m);
	CHECK_EQ(e, ERR_LIMIT);
	CHECK_EQ(m->n_rows, SIP_MAX_ROWS);
	CHECK_STR(m->call_id, "a84b4c76e66710@192.0.2.1"); /* enough to answer it */
	sip_msg_free(m);
	buf_fini(&b);
}

TEST(too_long_headers)
{
	struct buf b;
	enum err e;
	buf_init(&b);
	buf_str(&b, STR(REQ_START REQ_REST "Subject: "));
	buf_fill(&b, 'x', 70000);
	buf_str(&b, STR("\r\n" REQ_END));
	CHECK_EQ(b.err, OK);
	struct sip_msg *m = sip_msg_from(buf_view(&b), &e);
	CHECK(m);
	CHECK_EQ(e, ERR_LIMIT);
	CHECK(!sip_has(m, SIP_HDR_SUBJECT));
	CHECK_STR(m->from_tag, "1928301774");
	sip_msg_free(m);
	buf_fini(&b);
}

TEST(long_body_is_no_limit)
{
	struct buf b;
	buf_init(&b);
	buf_str(&b, STR(REQ_START REQ_REST "Content-Length: 200000\r\n\r\n"));
	buf_fill(&b, 'x', 200000);
	CHECK_EQ(b.err, OK);
	struct sip_msg *m = msg(buf_view(&b));
	CHECK_EQ(m->body.n, 200000);
	CHECK_EQ(m->n_diags, 0);
	sip_msg_free(m);
	buf_fini(&b);
}

TEST(rows_keep_order_and_chains)
{
	struct sip_msg *m =
		MSG(REQ_START "v: SIP/2.0/TCP two.example\r\nX-A: 1\r\nX-B: 2\r\n" REQ_REST
			      "VIA : SIP/2.0/TCP three.example\r\n" REQ_END);
	const struct sip_row *r = sip_row(m, m->first[SIP_HDR_VIA]);
	CHECK_EQ(r->flags, 0);
	r = sip_row(m, r->next);
	CHECK_EQ(r->flags, SIP_ROW_COMPACT);
	CHECK_STR(sip_row_value(m, r), "SIP/2.0/TCP two.example");
	r = sip_row(m, r->next);
	CHECK_STR(sip_row_name(m, r), "VIA");
	CHECK_EQ(r->next, SIP_ROW_NONE);
	CHECK_EQ(sip_row(m, 2)->id, SIP_HDR_OTHER);
	CHECK_EQ(sip_row(m, 2)->next, 3);
	CHECK_STR(sip_value_named(m, STR("x-b")), "2");
	CHECK_STR(sip_value_named(m, STR("to")), "<sip:bob@example.com>");
	CHECK(!sip_value_named(m, STR("X-C")).p);
	CHECK_EQ(m->n_rows, 11);
	sip_msg_free(m);
}

static void check_values(const char *text, enum sip_hdr_id id, const char *const *want)
{
	struct buf b;
	char mem[1024];
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, STR(REQ_START REQ_REST));
	buf_str(&b, str_c(text));
	buf_str(&b, STR(REQ_END));
	struct sip_msg *m = msg(buf_view(&b));
	struct sip_iter it = {0, 0};
	struct str v;
	unsigned n = 0;
	for (; sip_each(m, id, &it, &v); n++) {
		CHECK(want[n]);
		CHECK_STR_EQ(v, str_c(want[n]));
	}
	CHECK(!want[n]);
	CHECK(!sip_each(m, id, &it, &v)); /* stays at the end */
	CHECK_EQ(sip_count(m, id), n);
	sip_msg_free(m);
}

TEST(each_splits_lists)
{
	check_values("Route: <sip:a;lr>,<sip:b>\r\nSubject: x\r\nRoute: <sip:c>\r\n", SIP_HDR_ROUTE,
		     (const char *[]){"<sip:a;lr>", "<sip:b>", "<sip:c>", NULL});
	check_values("m: \"A, B\" <sip:a,b@c>;q=1 ,\r\n sip:d@e;x=\"1,2\"\r\n", SIP_HDR_CONTACT,
		     (const char *[]){"\"A, B\" <sip:a,b@c>;q=1", "sip:d@e;x=\"1,2\"", NULL});
	check_values("Allow: ,, INVITE,,ACK , \r\nAllow:\r\nAllow: ,\r\nAllow: BYE\r\n",
		     SIP_HDR_ALLOW, (const char *[]){"INVITE", "ACK", "BYE", NULL});
	check_values("Contact: \"never, closed\r\n", SIP_HDR_CONTACT,
		     (const char *[]){"\"never, closed", NULL});
	check_values("Contact: <never, closed\r\n", SIP_HDR_CONTACT,
		     (const char *[]){"<never, closed", NULL});
	check_values("Contact: \"a\\\", b\" <sip:c>\r\n", SIP_HDR_CONTACT,
		     (const char *[]){"\"a\\\", b\" <sip:c>", NULL});
	check_values("Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n", SIP_HDR_DATE,
		     (const char *[]){"Sat, 13 Nov 2010 23:29:00 GMT", NULL});
	check_values("Authorization: Digest a=1, b=2\r\nAuthorization: X\r\n",
		     SIP_HDR_AUTHORIZATION, (const char *[]){"Digest a=1, b=2", "X", NULL});
	check_values("", SIP_HDR_ROUTE, (const char *[]){NULL});
}

TEST(verdict_takes_the_worst)
{
	const struct sip_diag *why;
	/* 400 for the bad To, then nothing to send it to */
	struct sip_msg *m = MSG("INVITE sip:a@b SIP/2.0\r\nTo: \"x\r\nFrom: <sip:a@b>;tag=1\r\n"
				"Call-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n");
	CHECK_EQ(sip_msg_verdict(m, &why), -1);
	CHECK_EQ(why->code, SIP_DIAG_NO_VIA);
	sip_msg_free(m);
	/* the first of equals */
	m = MSG("INVITE sip:a@b SIP/7.0\r\nVia: SIP/7.0/UDP a;branch=z9hG4bKa\r\nTo: \"x\r\n"
		"From: <sip:a@b>;tag=1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: "
		"0\r\n\r\n");
	CHECK_EQ(sip_msg_verdict(m, &why), 505);
	CHECK_EQ(why->code, SIP_DIAG_VERSION);
	sip_msg_free(m);
}

/* ACK has no response, and a response is never answered. [RFC3261 17, 8.1.3.3] */
TEST(verdict_answers_only_requests)
{
	struct sip_msg *m = MSG("ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n"
				"To: <sip:c@d\r\nFrom: <sip:a@b>;tag=1\r\n"
				"Call-ID: x\r\nCSeq: 1 ACK\r\n\r\n");
	CHECK_EQ(sip_msg_verdict(m, NULL), -1);
	sip_msg_free(m);
	m = MSG("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\nTo: <sip:c@d\r\n"
		"From: <sip:a@b>;tag=1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n");
	CHECK_EQ(sip_msg_verdict(m, NULL), -1);
	sip_msg_free(m);
	/* a junk line costs a request its life, a response only a remark */
	m = MSG("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\nTo: <sip:c@d>\r\njunk\r\n"
		"From: <sip:a@b>;tag=1\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n");
	CHECK(has_diag(m, SIP_DIAG_HDR_NO_COLON));
	CHECK_EQ(sip_msg_verdict(m, NULL), 0);
	sip_msg_free(m);
}

TEST(diagnostics_never_hide_a_grave_one)
{
	struct buf b;
	char mem[2048];
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_str(&b, STR(REQ_START));
	for (unsigned i = 0; i < 2 * SIP_MAX_DIAGS; i++)
		buf_str(&b, STR("Subject: x\r\n")); /* each a warning but the first */
	buf_str(&b, STR(REQ_REST "Max-Forwards: 4\r\n" REQ_END));
	struct sip_msg *m = msg(buf_view(&b));
	const struct sip_diag *why;
	CHECK_EQ(m->n_diags, SIP_MAX_DIAGS);
	CHECK_EQ(sip_msg_verdict(m, &why), 400);
	CHECK_EQ(why->code, SIP_DIAG_HDR_TWICE);
	sip_msg_free(m);
	/* a response that shrugs off junk lines still sees that its end is missing */
	buf_clear(&b);
	buf_str(&b, STR("SIP/2.0 200 OK\r\n"));
	for (unsigned i = 0; i < 2 * SIP_MAX_DIAGS; i++)
		buf_str(&b, STR("junk\r\n"));
	buf_str(&b, STR("Via: SIP/2.0/UDP a;branch=z9hG4bKa\r\n" REQ_REST));
	m = msg(buf_view(&b));
	CHECK_EQ(sip_msg_verdict(m, &why), -1);
	CHECK_EQ(why->code, SIP_DIAG_NO_EMPTY_LINE);
	sip_msg_free(m);
}

TEST(peek_agrees_with_index)
{
	static const char *const texts[] = {
		REQ_START REQ_REST REQ_END,
		"\r\n" REQ_START
		"i : first\r\nCALL-id: second\r\nv: SIP/2.0/UDP b;branch=other\r\n\r\n",
		"SIP/2.0 200 OK\nCall-ID:\n\tfolded\nVia: SIP / 2.0 / UDP\n x;branch = q\n\n",
		"BYE sip:x SIP/2.0\r\nCall-ID: \r\n\r\n",
		"BYE sip:x SIP/2.0\r\nTo: x\r\n\r\nCall-ID: in the body\r\n",
		"BYE sip:x SIP/2.0\r\nCall-ID: cut",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct str id, text = str_c(texts[i]);
		bool has = sip_peek_call_id(text, &id);
		struct sip_msg *m = msg(text);
		CHECK_EQ(has, m->call_id.n > 0);
		CHECK_STR_EQ(id, m->call_id);
		sip_msg_free(m);
	}
	struct str id;
	CHECK(!sip_peek_call_id(STR(""), &id));
	CHECK(!sip_peek_call_id(STR("\r\n\r\n"), &id));
	CHECK(!sip_peek_call_id(STR("no line at all"), &id));
}

/* The short way of the index through usual Request-URIs is of the parser's opinion. */
TEST(index_and_uri_parser_agree)
{
	static const char *const uris[] = {
		"sip:a@b",
		"sip:b",
		"sip:1002@192.0.2.57:5060;transport=udp",
		"sip:a;p=1?@b",
		"sip:b;lr",
		"sip:b:5060;x",
		"sip:b:0",
		"sip:b:65535",
		"sip:b:65536",
		"sip:b:",
		"sip:b:5060x",
		"sip:b:50600000",
		"sip:@b",
		"sip:",
		"sip:a@",
		"sip:a@b@c",
		"sip:example.com;x=a:1@",
		"sip:a;b:c@d/e",
		"sip:a:5060;x@",
		"sip:a@b;x=%4",
		"sip:a@b;x=%41",
		"sip:a@b;x?h=1",
		"sip:a@b?h=1",
		"sip:a@[::1]:5060",
		"sip:a@b;x=\"y\"",
		"sip:a%41@b",
		"sip:a%4@b",
		"sip:a:pw@b",
		"sip:a@b/c",
		"SIP:a@b",
		"sips:a@b",
		"sip:\xc3\xa9@b",
		"sip:a@b;x=\xc3\xa9",
	};
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		char text[512];
		struct buf b;
		struct sip_uri u;
		buf_init_fixed(&b, text, sizeof(text));
		buf_fmt(&b, "OPTIONS %s SIP/2.0\r\n%s", uris[i], REQ_REST REQ_END);
		struct sip_msg *m = msg(buf_view(&b));
		bool is_good = sip_uri_parse(str_c(uris[i]), &u) == OK && !u.headers.p;
		bool is_accused =
			has_diag(m, SIP_DIAG_RURI_BAD) || has_diag(m, SIP_DIAG_RURI_HEADERS);
		if (is_good == is_accused)
			test_fail(__FILE__, __LINE__, "%s", uris[i]);
		sip_msg_free(m);
	}
}

/* Content-Length against what came. [RFC3261 18.3] [RFC4475 3.1.2.2, 3.1.2.3, 3.3.9] */
TEST(content_length)
{
	static const struct {
		const char *lines;
		bool has;
		size_t body_datagram, body_stream; /* of "12345" */
		unsigned diag_datagram, diag_stream;
	} cases[] = {
		{"",				false, 5, 0, SIP_DIAG__N,                 SIP_DIAG_NO_CONTENT_LENGTH},
		{"l:3\r\n",                         true,  3, 3, SIP_DIAG_BODY_EXTRA,         SIP_DIAG__N               },
		{"Content-Length: 005\r\n",         true,  5, 5, SIP_DIAG__N,                 SIP_DIAG__N               },
		{"Content-Length: -3\r\n",          false, 5, 0, SIP_DIAG_CONTENT_LENGTH_BAD,
		 SIP_DIAG_CONTENT_LENGTH_BAD									    },
		{"Content-Length: 99999999999\r\n", false, 5, 0, SIP_DIAG_CONTENT_LENGTH_BAD,
		 SIP_DIAG_CONTENT_LENGTH_BAD									    },
		{"Content-Length: 5 5\r\n",         false, 5, 0, SIP_DIAG_CONTENT_LENGTH_BAD,
		 SIP_DIAG_CONTENT_LENGTH_BAD									    },
		{"Content-Length:\r\n",             false, 5, 0, SIP_DIAG_CONTENT_LENGTH_BAD,
		 SIP_DIAG_CONTENT_LENGTH_BAD									    },
		{"Content-Length: 5\r\nl: 5\r\n",   true,  5, 5, SIP_DIAG_HDR_TWICE,
		 SIP_DIAG_HDR_TWICE										     },
		{"Content-Length: 3\r\nl: 4\r\n",   false, 5, 0, SIP_DIAG_HDR_TWICE,
		 SIP_DIAG_HDR_TWICE										     },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int is_stream = 0; is_stream < 2; is_stream++) {
			static _Alignas(16) char block[8192];
			struct sip_msg *m = sip_msg_init(block, sizeof(block));
			struct buf b;
			size_t used;
			buf_init_fixed(&b, m->bytes, 1024);
			buf_str(&b, STR(REQ_START REQ_REST));
			buf_str(&b, str_c(cases[i].lines));
			buf_str(&b, STR("\r\n12345"));
			CHECK_EQ(sip_msg_index(m, b.n, is_stream, &used), OK);
			unsigned code = is_stream ? cases[i].diag_stream : cases[i].diag_datagram;
			CHECK_EQ(m->has_content_length, cases[i].has);
			CHECK_EQ(m->body.n,
				 is_stream ? cases[i].body_stream : cases[i].body_datagram);
			if (m->n_diags != (code != SIP_DIAG__N))
				test_fail(__FILE__, __LINE__, "case %zu, stream %d: %s", i,
					  is_stream, sip_diag_name(m->diags[0].code));
			if (code != SIP_DIAG__N)
				CHECK(has_diag(m, code));
			CHECK_EQ(used, is_stream ? m->n_bytes : b.n);
		}
	}
}
