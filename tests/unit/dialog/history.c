/* The cache of a request's way: order, indexes, gaps, what is too long, what is hidden. Each case
 * is run again with memory refused: an entry is missing then, nothing worse. [RFC7044] */
#include "dialog/history.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>

static bool is_ours(void *ctx, const struct sip_uri *u)
{
	return str_eq(u->host, STR("here"));
}

struct fixture {
	struct block_cache blocks;
	struct sip_msg *m, *resp;
	struct hist_ask ask;
	struct hist *h;
	bool has_history;
	enum err err;
	char mem[8192];
	struct buf out;
};

#define HEAD                                                                                       \
	"Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@here>;tag=1\r\n"   \
	"Call-ID: c\r\nCSeq: 1 INVITE\r\n"
#define INVITE   "INVITE sip:b@here SIP/2.0\r\nTo: <sip:b@here>\r\n" HEAD
#define RESPONSE "SIP/2.0 486 Busy Here\r\nTo: <sip:b@here>;tag=2\r\n" HEAD
#define END      "Content-Length: 0\r\n\r\n"

/* False: memory was refused, nothing is left. */
static bool open_with(struct fixture *f, struct str text, const struct hist_way *ways, size_t n)
{
	enum err e;
	memset(f, 0, sizeof(*f));
	f->m = sip_msg_from(text, &e);
	if (!f->m)
		return false;
	CHECK_EQ(e, OK);
	f->ask = (struct hist_ask){.mode = HIST_ASKED,
				   .is_from_inside = true,
				   .domain = STR("here"),
				   .is_ours = is_ours,
				   .ways = ways,
				   .n_ways = n};
	f->err = hist_open(&f->blocks, f->m, &f->ask, &f->h, &f->has_history);
	buf_init_fixed(&f->out, f->mem, sizeof(f->mem));
	return f->err == OK;
}

static void close_it(struct fixture *f)
{
	hist_free(&f->blocks, f->h);
	sip_msg_free(f->m);
	sip_msg_free(f->resp);
	block_cache_fini(&f->blocks);
}

static void hear(struct fixture *f, struct hist_row *r, struct str text)
{
	enum err e;
	sip_msg_free(f->resp);
	f->resp = sip_msg_from(text, &e);
	hist_hear(f->h, r, f->resp, 486);
}

#define CHECK_OUT(f, row, is_out, text)                                                            \
	do {                                                                                       \
		bool is_whole = true;                                                              \
		buf_clear(&(f)->out);                                                              \
		hist_put_request((f)->h, row, is_out, &(f)->out, &is_whole);                       \
		CHECK_EQ((f)->out.err, OK);                                                        \
		CHECK((f)->out.n <= hist_size((f)->h));                                            \
		CHECK_STR(buf_view(&(f)->out), text);                                              \
	} while (0)

/* Numbers are compared as numbers; what is not asked, or inside a dialog, costs nothing. */
TEST(history_order)
{
	struct fixture f;
	struct hist_row *rows[12];
	if (open_with(&f, STR(INVITE "Supported: a, histinfo\r\n" END), NULL, 0)) {
		for (size_t i = 0; i < 12; i++)
			rows[i] = hist_target(f.h, 0, STR("sip:p@9.9.9.9"), HIST_RC, false);
		for (size_t i = 0; i < 12; i++)
			hist_start(f.h, rows[i]);
		hist_hear(f.h, rows[11], NULL, 408);
		hist_hear(f.h, rows[9], NULL, 503);
		CHECK_OUT(&f, rows[1], false,
			  "History-Info: <sip:b@here>;index=1, <sip:p@9.9.9.9>;index=1.2;rc=1, "
			  "<sip:p@9.9.9.9?Reason=SIP%3Bcause%3D503>;index=1.10;rc=1, "
			  "<sip:p@9.9.9.9?Reason=SIP%3Bcause%3D408>;index=1.12;rc=1\r\n");
	}
	close_it(&f);
	if (open_with(&f, STR(INVITE END), NULL, 0))
		CHECK(!f.h && f.has_history);
	close_it(&f);
}

/* The same URI again is np; a tel: URI becomes one of SIP. */
TEST(history_np_and_tel)
{
	struct fixture f;
	if (open_with(&f,
		      STR("INVITE tel:+49301;phone-context=x SIP/2.0\r\nTo: <tel:1>\r\n" HEAD
			  "Supported: histinfo\r\n" END),
		      NULL, 0)) {
		struct hist_row *r = hist_target(f.h, 0, STR_NONE, HIST_RC, true);
		hist_start(f.h, r);
		CHECK_OUT(&f, r, false,
			  "History-Info: <sip:+49301@here;user=phone>;index=1, "
			  "<sip:+49301@here;user=phone>;index=1.1;np=1\r\n");
	}
	close_it(&f);
}

/* Forwards that lead on to forwards, and one that leads out of the house: that entry is the
 * request's own. */
TEST(history_ways)
{
	static const struct hist_way ways[] = {
		{.up = 0},
		{ STR_INIT("sip:c@here"),  0, HIST_MP, 486},
		{    STR_INIT("sip:d@there"), 1, HIST_MP, 302},
	};
	struct fixture f;
	if (open_with(&f, STR(INVITE END), ways, 3)) {
		struct hist_row *b = hist_target(f.h, 0, STR("sip:b@1.1.1.1"), HIST_RC, false);
		struct hist_row *d = hist_target(f.h, 2, STR("sip:d@there"), HIST_MP, true);
		hist_start(f.h, b);
		CHECK_OUT(&f, b, false, "");
		hist_hear(f.h, b, NULL, 486);
		hist_start(f.h, d);
		CHECK_OUT(&f, d, true,
			  "History-Info: <sip:b@here?Reason=SIP%3Bcause%3D486>;index=1, "
			  "<sip:b@1.1.1.1?Reason=SIP%3Bcause%3D486>;index=1.1;rc=1, "
			  "<sip:c@here?Reason=SIP%3Bcause%3D302>;index=1.2;mp=1, "
			  "<sip:d@there>;index=1.2.1;mp=1.2\r\n");
	}
	close_it(&f);
}

/* Reasons of the response beside the status, or in place of it where one has it already; entries
 * without index, or twice, are no error. */
TEST(history_of_responses)
{
	struct fixture f;
	if (open_with(&f, STR(INVITE "History-Info: <sip:b@here>\r\n" END), NULL, 0)) {
		struct hist_row *r = hist_target(f.h, 0, STR("sip:b@1.1.1.1"), HIST_RC, false);
		hist_start(f.h, r);
		hear(&f, r,
		     STR(RESPONSE "Reason: SIP;cause=486;text=\"a&b\", Q.850;cause=17\r\n"
				  "History-Info: <sip:x@y>, <sip:k@y>;index=1.1.7, "
				  "<sip:l@y>;index=1.1.7, <sip:k@y?a=b>;index=1.1.7\r\n" END));
		hist_hear(f.h, r, NULL, 408); /* once is enough */
		CHECK_OUT(&f, NULL, false, "");
		buf_clear(&f.out);
		hist_put_response(f.h, NULL, &f.out);
		CHECK_STR(buf_view(&f.out),
			  "History-Info: <sip:b@here>, "
			  "<sip:b@1.1.1.1?Reason=SIP%3Bcause%3D486%3Btext%3D%22a%26b%22&"
			  "Reason=Q.850%3Bcause%3D17>;index=1.1;rc=1, "
			  "<sip:k@y?a=b>;index=1.1.7, <sip:l@y>;index=1.1.7\r\n");
	}
	close_it(&f);
}

/* Too many, too deep, or unreadable: they pass as they are. */
TEST(history_too_long)
{
	static char text[8192];
	static const char *const lines[] = {
		"History-Info: "
		"<sip:a@b>;index=1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1."
		"1.1.1.1.1.1.1.1.1.1.1.1.1.1\r\n",
		"History-Info: <sip:a@b\r\n", NULL};
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;
		struct buf b;
		buf_init_fixed(&b, text, sizeof(text));
		buf_str(&b, STR(INVITE));
		for (size_t k = 0; k < (lines[i] ? 1 : 41); k++)
			buf_str(&b, lines[i] ? str_c(lines[i])
					     : STR("History-Info: <sip:a@b>;index=1\r\n"));
		buf_str(&b, STR(END));
		if (open_with(&f, buf_view(&b), NULL, 0))
			CHECK(!f.h && !f.has_history);
		close_it(&f);
	}
}

/* However many targets there are, the texts fit what hist_size says. */
TEST(history_bound)
{
	struct fixture f;
	if (open_with(&f, STR(INVITE "Supported: histinfo\r\n" END), NULL, 0)) {
		struct hist_row *r = NULL;
		for (size_t i = 0; i < 200; i++) {
			struct hist_row *next =
				hist_target(f.h, 0, STR("sip:b@1.1.1.1;x=y"), HIST_RC, false);
			hist_start(f.h, next);
			hist_hear(f.h, next, NULL, 486);
			r = next ? next : r;
		}
		buf_clear(&f.out);
		hist_put_response(f.h, NULL, &f.out);
		CHECK_EQ(f.out.err, OK);
		CHECK(f.out.n <= hist_size(f.h));
	}
	close_it(&f);
}
