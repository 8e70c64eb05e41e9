/* The HTML page as text: that nothing in a capture ends its data, that its policy names its script,
 * that it stops when it is full. What it does in a browser: tests/browser. */
#include "scope/page.h"
#include "base/digest.h"
#include "fixture.h"
#include "scope/explain.h"

static struct book *book_of(const struct buf *capture)
{
	struct book *book;
	struct cap *c;
	struct buf why;
	struct book_cfg cfg = {.trk.has_media = true};
	buf_init(&why);
	CHECK_EQ(cap_open_mem(buf_view(capture), &c, &why), OK);
	buf_fini(&why);
	CHECK_EQ(book_new(c, &cfg, &book), OK);
	while (book_read(book, 100))
		continue;
	return book;
}

static enum err put_page(struct buf *b, struct book *book, struct page *page)
{
	enum err e = OK;
	struct vrd v;
	vrd_init(&v);
	page_begin(page, b, book, STR("<lab> & \"co\".pcap"));
	for (const struct trk_call *c = trk_first(book_trk(book)); c && !e;
	     c = trk_after(book_trk(book), c)) {
		struct sheet *s;
		struct sheet_leg leg = {c, &v};
		struct sheet_cfg cfg = {.book = book};
		e = vrd_judge(&v, book_trk(book), c);
		if (!e)
			e = sheet_new(book_trk(book), &leg, 1, &cfg, &s);
		if (!e) {
			struct page_sound sound = {
				.no = c->no, .codec = STR("PCMU"), .wav = STR("RIFF")};
			e = page_add_audio(page, s, &sound, 1);
			sheet_free(s);
		}
	}
	page_end(page);
	vrd_fini(&v);
	return e ? e : b->err;
}

static unsigned count(struct str s, struct str what)
{
	unsigned n = 0;
	for (size_t at; (at = str_find(s, what)) != SIZE_MAX; n++)
		s = str_skip(s, at + what.n);
	return n;
}

static void put_call(struct buf *cap, const char *id, const char *more)
{
	struct buf m;
	buf_init(&m);
	buf_fmt(&m,
		"OPTIONS sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"
		"From: <sip:a@x>;tag=f\r\nTo: <sip:b@x>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\n"
		"%sContent-Length: 0\r\n\r\n",
		id, more);
	rec_udp(cap, 1'700'000'000'000'000, "192.0.2.1:5060", "192.0.2.2:5060", buf_view(&m));
	buf_fini(&m);
}

TEST_NO_OOM(nothing_ends_the_data)
{
	struct buf cap, b;
	struct page page;
	buf_init(&cap);
	buf_init(&b);
	pcap_begin(&cap, 1);
	put_call(&cap, "a</script><!--<script>", "X: </SCRIPT>\xe2\x80\xa8&<b>\r\n");
	put_call(&cap, "b", "Subject: \xff\xfe\r\n");
	struct book *book = book_of(&cap);
	CHECK_EQ(put_page(&b, book, &page), OK);
	struct str html = buf_view(&b);
	CHECK_EQ(count(html, STR("<script")), 2);
	CHECK_EQ(count(html, STR("</script>")), 2);
	CHECK_EQ(count(html, STR("</SCRIPT>")), 0);
	CHECK_EQ(count(html, STR("<!--")), 0);
	CHECK_EQ(count(html, STR("\xe2\x80\xa8")), 0);
	CHECK_EQ(count(html, STR("a\\u003c/script\\u003e")),
		 2); /* the Call-ID, and in the message */
	CHECK_EQ(count(html, STR("\\u2028")), 1 + count(html, STR("\\u2028-\\u202e")));
	CHECK_EQ(count(html, STR("{\"base64\":\"T1BUSU9O")), 1); /* not UTF-8: its bytes */
	CHECK_EQ(count(html, STR("<title>&#60;lab&#62; &#38; &#34;co&#34;.pcap")), 1);
	CHECK_EQ(count(html, STR("\"wav\":\"UklGRg==\"")), 2);
	CHECK_EQ(page.n_calls, 2);
	CHECK_EQ(page.n_messages, 2);
	book_free(book);
	buf_fini(&cap);
	buf_fini(&b);
}

/* The policy allows the script and the style that are there, by their hashes, and no others. */
TEST_NO_OOM(policy_names_script_and_style)
{
	static const struct {
		struct str open, close;
	} parts[2] = {
		{STR_INIT("<style>"),             STR_INIT("</style>") },
		{STR_INIT("</script>\n<script>"), STR_INIT("</script>")},
	};
	struct buf cap, b, want;
	struct page page;
	buf_init(&cap);
	buf_init(&b);
	buf_init(&want);
	pcap_begin(&cap, 1);
	struct book *book = book_of(&cap);
	CHECK_EQ(put_page(&b, book, &page), OK);
	struct str html = buf_view(&b);
	CHECK_EQ(count(html, STR("default-src 'none'; media-src data:;")), 1);
	CHECK_EQ(count(html, STR("unsafe")), 0);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t digest[MD_MAX];
		struct str s = str_skip(html, str_find(html, parts[i].open) + parts[i].open.n);
		s = str_sub(s, 0, str_find(s, parts[i].close));
		CHECK(s.n > 1'000);
		md_raw(MD_SHA256, s, digest);
		buf_clear(&want);
		buf_str(&want, i ? STR("script-src 'sha256-") : STR("style-src 'sha256-"));
		b64_put(&want, digest, 32);
		buf_chr(&want, '\'');
		CHECK_EQ(count(html, buf_view(&want)), 1);
	}
	CHECK_EQ(count(html, STR("http://")), 1); /* SVG's name space */
	CHECK_EQ(count(html, STR("https://")), 0);
	CHECK_EQ(count(html, STR("innerHTML")), 0);
	book_free(book);
	buf_fini(&cap);
	buf_fini(&b);
	buf_fini(&want);
}

TEST_NO_OOM(a_full_page_says_so)
{
	struct buf cap, b;
	struct page page;
	buf_init(&cap);
	buf_init(&b);
	pcap_begin(&cap, 1);
	put_call(&cap, "a", "");
	put_call(&cap, "b", "");
	struct book *book = book_of(&cap);
	struct vrd v;
	struct sheet *s;
	vrd_init(&v);
	const struct trk_call *c = trk_first(book_trk(book));
	CHECK_EQ(vrd_judge(&v, book_trk(book), c), OK);
	struct sheet_leg leg = {c, &v};
	CHECK_EQ(sheet_new(book_trk(book), &leg, 1, NULL, &s), OK);
	page_begin(&page, &b, book, STR("x"));
	page.n_messages = PAGE_MAX_MESSAGES - 1;
	CHECK_EQ(page_add(&page, s), OK); /* the last that fits */
	CHECK_EQ(page_add(&page, s), OK);
	page.n_calls = PAGE_MAX_CALLS;
	CHECK_EQ(page_add(&page, s), OK);
	page_end(&page);
	CHECK_EQ(page.n_without, 1);
	CHECK_EQ(page.n_omitted, 1);
	CHECK_EQ(count(buf_view(&b), STR("{\"ladder\":")), 1);
	CHECK_EQ(count(buf_view(&b), STR("{\"call\":{")), 1);
	CHECK_EQ(count(buf_view(&b), STR("\"without\":1,\"omitted\":1,\"limit\":20000}")), 1);
	sheet_free(s);
	vrd_fini(&v);
	book_free(book);
	buf_fini(&cap);
	buf_fini(&b);
}

/* Every method, header and status that the SIP layer knows has its sentence. */
TEST_NO_OOM(everything_is_explained)
{
	for (unsigned i = 1; i < SIP_METHOD__N; i++)
		CHECK(explain_method((enum sip_method)i)[0]);
	for (unsigned i = 1; i < SIP_HDR__N; i++)
		CHECK(explain_header((enum sip_hdr_id)i)[0]);
	static const unsigned codes[] = {
#define STATUS(code, reason, rfc) code,
#include "sip/status.def"
#undef STATUS
	};
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		CHECK(explain_status(codes[i])[0]);
	CHECK(!explain_status(299)[0] && !explain_status(7'000)[0]);
}
