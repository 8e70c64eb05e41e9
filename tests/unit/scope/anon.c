/* Anonymized captures: nothing of what was planted is left, and the calls are still the same. */
#include "scope/anon.h"

#include "fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t key[16] = "sixteen bytes !!";

static void add_record(void *arg, const struct cap_rec *r)
{
	pcap_rec(arg, (uint64_t)(r->at_ns / 1'000), str_of((const char *)r->p, r->n));
}

/* Anonymizes a capture into `out`. */
static void anonymize(struct str capture, struct buf *out)
{
	struct buf why;
	struct cap *c;
	struct cap_walk *w;
	struct trk_cfg cfg = {.has_media = true};
	buf_init(&why);
	struct trk *t = trk_new(&cfg);
	struct anon *a = anon_new(key);
	CHECK(t && a);
	CHECK_EQ(cap_open_mem(capture, &c, &why), OK);
	CHECK_EQ(cap_walk_new(c, t, &w), OK);
	pcap_begin(out, CAP_LINK_ETHERNET);
	for (const struct cap_frame *fr; (fr = cap_walk_next(w));)
		anon_frame(a, fr, add_record, out);
	CHECK_EQ(anon_err(a), OK);
	CHECK_EQ(out->err, OK);
	cap_walk_free(w);
	cap_close(c);
	trk_free(t);
	anon_free(a);
	buf_fini(&why);
}

/* One line for each call: what it was, and what the judge says of it; streams with their figures.
 */
static void findings(struct str capture, struct buf *out)
{
	struct buf why;
	struct cap *c;
	struct cap_walk *w;
	struct vrd v;
	struct trk_cfg cfg = {.has_media = true};
	struct trk *t = trk_new(&cfg);
	buf_init(&why);
	vrd_init(&v);
	CHECK(t);
	CHECK_EQ(cap_open_mem(capture, &c, &why), OK);
	CHECK_EQ(cap_walk_new(c, t, &w), OK);
	while (cap_walk_next(w))
		continue;
	for (struct trk_call *call = trk_first(t); call; call = trk_after(t, call)) {
		CHECK_EQ(vrd_judge(&v, t, call), OK);
		buf_fmt(out, "%u %u %u %u:", call->kind, call->status, call->n_ev, call->n_peers);
		for (unsigned i = 0; i < v.n; i++)
			buf_fmt(out, " %s", vrd_about((enum vrd_rule)v.f[i].rule)->code);
		uint32_t n;
		const struct trk_ev *const *rows = trk_history(t, call, &n);
		for (uint32_t i = 0; i < n; i++) {
			const struct trk_ev *e = rows[i];
			buf_fmt(out, " %u>%u", e->from, e->to);
			if (e->status) /* a phrase of somebody's own is masked */
				buf_u64(out, e->status);
			else
				trk_ev_put(out, e);
		}
		for (struct trk_stream *s = trk_av(call)->streams; s; s = s->next)
			buf_fmt(out, " %s", s->codec);
		buf_chr(out, '\n');
	}
	cap_walk_free(w);
	cap_close(c);
	trk_free(t);
	vrd_fini(&v);
	buf_fini(&why);
}

static void read_file(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "rb");
	char chunk[4'096];
	size_t n;
	CHECK(f);
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_put(b, chunk, n);
	fclose(f);
}

static void check_same(const char *path)
{
	struct buf file, made, before, after;
	buf_init(&file);
	buf_init(&made);
	buf_init(&before);
	buf_init(&after);
	read_file(path, &file);
	anonymize(buf_view(&file), &made);
	findings(buf_view(&file), &before);
	findings(buf_view(&made), &after);
	if (!str_eq(buf_view(&before), buf_view(&after)))
		test_fail(__FILE__, __LINE__, "%s\nbefore:\n" STR_FMT "after:\n" STR_FMT, path,
			  STR_ARG(buf_view(&before)), STR_ARG(buf_view(&after)));
	buf_fini(&file);
	buf_fini(&made);
	buf_fini(&before);
	buf_fini(&after);
}

TEST_NO_OOM(calls_and_findings_stay)
{
	const char *dir = getenv("RUNG_TEST_DATA");
	if (!dir)
		test_skip("RUNG_TEST_DATA does not say where tests/data is");
	char path[700];
	snprintf(path, sizeof path, "%s/captures", dir);
	DIR *d = opendir(path);
	CHECK(d);
	unsigned n = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (!str_ends(str_c(e->d_name), STR(".pcap")))
			continue;
		snprintf(path, sizeof path, "%s/captures/%s", dir, e->d_name);
		check_same(path);
		n++;
	}
	closedir(d);
	CHECK(n > 25);
}

/* --- planted tokens --------------------------------------------------------------------------- */

/* Wherever a phone can put a secret. Letters and digits, as long as a name or number is. */
#define NAME   "quuxley"
#define NUMBER "4915207"
static const char *const tokens[] = {
	NAME, NUMBER, "Quuxley", "198.51.100.77", "10.77.66.55", "2001:db8:77::99", "5f5f5f5f"};

#define INVITE                                                                                     \
	"INVITE sip:" NUMBER ":" NAME "@" NAME ".example:5062;" NAME "=" NAME                      \
	";transport=udp?" NAME "=" NAME " SIP/2.0\r\n"                                             \
	"Via: SIP/2.0/UDP " NAME ".example:5060;branch=z9hG4bK" NAME ";" NAME "=" NUMBER           \
	";received=198.51.100.77\r\n"                                                              \
	"From: \"" NAME " \\\"" NAME "\\\"\" <sip:" NUMBER "@10.77.66.55>;tag=" NUMBER "\r\n"      \
	"t: " NAME " <sips:" NAME "@[2001:db8:77::99]:5061;" NAME ">\r\n"                          \
	"Call-ID: " NAME "-" NUMBER "@" NAME ".example\r\n"                                        \
	"CSeq: 4711 INVITE\r\n"                                                                    \
	"Contact: <sip:" NUMBER "@10.77.66.55:5070;ob>;+sip.instance=\"<urn:uuid:" NAME ">\";"     \
	"expires=60\r\n"                                                                           \
	"Proxy-Authorization: Digest username=\"" NUMBER "\", realm=\"" NAME "\", nonce=\"" NAME   \
	"\", uri=\"sip:" NAME ".example\", response=\"" NAME "\", cnonce=\"" NUMBER                \
	"\", qop=auth, nc=00000001\r\n"                                                            \
	"Route: <sip:" NAME ".example;lr;" NAME "=1>, <sip:" NUMBER ".example;lr>\r\n"             \
	"P-Asserted-Identity: \"" NAME "\" <tel:+" NUMBER ";phone-context=" NAME ">\r\n"           \
	"Refer-To: <sip:" NUMBER "@h?Replaces=" NAME "%40h%3Bto-tag%3D" NUMBER ">\r\n"             \
	"X-" NAME ": " NAME ", " NUMBER "; " NAME "\r\n"                                           \
	"User-Agent: " NAME "/" NUMBER " (10.77.66.55)\r\nSubject: call " NAME "\r\n"              \
	"Supported: " NAME ", timer\r\nReason: Q.850;cause=16;text=\"" NAME " " NUMBER "\"\r\n"    \
	"Warning: 399 " NAME ".example \"" NAME "\"\r\nServer: \xc3\xa4" NAME "\r\n"               \
	"Session-ID: " NUMBER NAME "\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\n"                   \
	"User-to-User: 5f5f5f5f;encoding=hex\r\n"

static const char sdp[] =
	"v=0\r\no=" NAME " 17 18 IN IP4 10.77.66.55\r\ns=" NAME "\r\ni=" NUMBER "\r\n"
	"u=http://" NAME "/\r\ne=" NAME "@h\r\np=+" NUMBER "\r\nc=IN IP4 10.77.66.55\r\nt=0 0\r\n"
	"k=base64:" NAME "\r\na=tool:" NAME " " NUMBER "\r\nm=audio 4000 RTP/SAVP 0 101\r\n"
	"a=rtpmap:0 PCMU/8000\r\na=fmtp:101 0-15;" NAME "=" NAME "\r\n"
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" NAME NUMBER NAME "\r\n"
	"a=candidate:H" NAME " 1 UDP 2130706431 10.77.66.55 4000 typ host\r\n"
	"a=ssrc:" NUMBER " cname:" NAME "@" NAME "\r\na=" NAME ":" NAME "\r\n"
	"a=ice-pwd:" NAME NUMBER "\r\na=fingerprint:sha-256 49:15:20:7A\r\n" NAME "\r\n";

static void put_message(struct buf *cap, uint64_t at, const char *type, const char *body)
{
	struct buf b;
	buf_init(&b);
	buf_fmt(&b, "%sContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", INVITE, type,
		strlen(body), body);
	rec_udp(cap, at, "10.77.66.55:5060", "198.51.100.77:5060", buf_view(&b));
	if (b.err)
		cap->err = b.err;
	buf_fini(&b);
}

static void check_absent(struct str made, const char *token)
{
	char text[64];
	struct buf escaped;
	if (str_ifind(made, str_c(token)) != SIZE_MAX)
		test_fail(__FILE__, __LINE__, "%s is left, at %zu:\n" STR_FMT, token,
			  str_ifind(made, str_c(token)), STR_ARG(made));
	buf_init_fixed(&escaped, text, sizeof text);
	for (const char *p = token; *p; p++)
		buf_fmt(&escaped, "%%%02X", (unsigned)*p);
	CHECK(str_ifind(made, buf_view(&escaped)) == SIZE_MAX);
}

TEST_NO_OOM(nothing_planted_is_left)
{
	struct buf cap, made;
	buf_init(&cap);
	buf_init(&made);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	put_message(&cap, 1'000'000, "application/sdp", sdp);
	put_message(&cap, 1'100'000, "text/plain", "Hello " NAME ", call " NUMBER "!\r\n");
	put_message(&cap, 1'200'000, "application/pidf+xml",
		    "<presence entity=\"pres:" NAME "@h\"><note>" NUMBER "</note></presence>");
	put_message(&cap, 1'300'000, "application/dtmf-relay", "Signal=" NUMBER "\r\n");
	put_message(&cap, 1'400'000, "application/simple-message-summary",
		    "Messages-Waiting: yes\r\nMessage-Account: sip:" NUMBER "@" NAME "\r\n" NAME
		    "-Message: 1/2\r\nVoice-Message: 3/1 (0/0)\r\n");
	put_message(&cap, 1'500'000, "message/sipfrag;version=2.0",
		    "SIP/2.0 180 " NAME "\r\nTo: " NUMBER "\r\n");
	put_message(&cap, 1'600'000, "multipart/mixed;boundary=\"" NAME "-7\"",
		    "--" NAME "-7\r\nContent-Type: application/sdp\r\nX-" NAME ": " NAME
		    "\r\n\r\nv=0\r\no=" NAME " 1 1 IN IP4 10.77.66.55\r\nm=audio 4 RTP/AVP 0\r\n"
		    "--" NAME "-7\r\nContent-Type: multipart/mixed;boundary=" NAME "\r\n\r\n" NAME
		    "\r\n--" NAME "-7--\r\n" NAME "\r\n");
	/* base64, percent escapes */
	put_message(&cap, 1'700'000, "text/plain",
		    "cXV1eGxleQ== NDkxNTIwNw== %71%75%75%78%6C%65%79 %34%39%31%35%32%30%37\r\n");
	rec_udp(&cap, 1'800'000, "10.77.66.55:53", "198.51.100.77:999", STR("\1\1\7" NAME "\3com"));
	CHECK_EQ(cap.err, OK);
	anonymize(buf_view(&cap), &made);
	struct str all = buf_view(&made);
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++)
		check_absent(all, tokens[i]);
	CHECK(str_find(all, STR("cXV1eGxle")) == SIZE_MAX); /* base64 */
	CHECK(str_find(all, STR("NDkxNTIwN")) == SIZE_MAX);
	/* addresses as bytes: IP headers, and the Ethernet addresses made of them */
	CHECK(str_find(all, STR("\x0a\x4d\x42\x37")) == SIZE_MAX);
	CHECK(str_find(all, STR("\xc6\x33\x64\x4d")) == SIZE_MAX);
	/* and what must be there still */
	static const char *const kept[] = {"CSeq: 4711 INVITE\r\n",
					   "RTP/SAVP 0 101\r\n",
					   "a=rtpmap:0 PCMU/8000\r\n",
					   "AES_CM_128_HMAC_SHA1_80 inline:",
					   ";transport=udp",
					   ";expires=60\r\n",
					   "qop=auth",
					   "nc=00000001",
					   "Date: Sat, 13 Nov 2010 23:29:00 GMT",
					   "Reason: Q.850;cause=16;text=",
					   "Voice-Message: 3/1 (0/0)",
					   "Messages-Waiting: yes",
					   "SIP/2.0 180 ",
					   ";lr",
					   "Warning: 399 ",
					   "z9hG4bK",
					   "m=audio 4 RTP/AVP 0"};
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (str_find(all, str_c(kept[i])) == SIZE_MAX)
			test_fail(__FILE__, __LINE__, "%s is gone", kept[i]);
	buf_fini(&cap);
	buf_fini(&made);
}

TEST(memory_may_be_short)
{
	struct anon *a = anon_new(key);
	struct buf made;
	buf_init(&made);
	CHECK(a);
	anon_word(a, &made, STR("alice"));
	anon_word(a, &made, STR("bob"));
	CHECK_EQ(anon_err(a), OK);
	CHECK_EQ(made.err, OK);
	CHECK_EQ(made.n, 8);
	buf_fini(&made);
	anon_free(a);
}

TEST_NO_OOM(words_and_addresses_do_not_meet)
{
	struct anon *a = anon_new(key);
	struct buf made;
	buf_init(&made);
	CHECK(a);
	for (unsigned i = 1'000; i < 1'500; i++) {
		char text[8];
		snprintf(text, sizeof text, "%u", i);
		anon_word(a, &made, str_c(text));
	}
	CHECK_EQ(made.err, OK);
	CHECK_EQ(anon_err(a), OK);
	CHECK_EQ(made.n, 2'000); /* as long as they were */
	for (size_t i = 0; i < made.n; i += 4)
		for (size_t k = i + 4; k < made.n; k += 4)
			CHECK(memcmp(made.p + i, made.p + k, 4) != 0);
	struct addr x, y;
	CHECK(addr_parse(STR("192.168.17.4"), 0, &x));
	y = anon_addr(a, &x);
	CHECK(addr_is_private(&y) && !addr_ip_eq(&x, &y));
	CHECK(addr_parse(STR("127.0.0.57"), 0, &x));
	y = anon_addr(a, &x);
	CHECK(addr_is_loopback(&y) && !addr_ip_eq(&x, &y));
	CHECK(addr_parse(STR("203.0.113.9"), 0, &x));
	y = anon_addr(a, &x);
	CHECK(!addr_is_private(&y) && !addr_is_loopback(&y) && !addr_is_multicast(&y));
	CHECK(addr_parse(STR("0.0.0.0"), 0, &x));
	y = anon_addr(a, &x);
	CHECK(addr_ip_eq(&x, &y));
	CHECK(addr_parse(STR("fe80::17"), 0, &x));
	y = anon_addr(a, &x);
	CHECK(addr_is_private(&y) && !addr_ip_eq(&x, &y));
	buf_fini(&made);
	anon_free(a);
}
