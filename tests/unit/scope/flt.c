/* The filter language: meaning on one frame of UDP and one of TCP with two messages, and mistakes.
 */
#include "fixture.h"

#include <string.h>

static const char invite[] =
	"INVITE sip:1002@192.0.2.57:5070 SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKabc\r\n"
	"Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKdef;received=192.0.2.9\r\n"
	"From: \"Alice\" <sip:1001@example.com>;tag=ft\r\nTo: <sip:1002@example.com>\r\n"
	"Call-ID: abc@192.0.2.21\r\nCSeq: 17 INVITE\r\nMax-Forwards: 70\r\n"
	"Contact: <sip:1001@192.0.2.21:5062>\r\nUser-Agent: rung/0.1\r\n"
	"Proxy-Authorization: Digest username=\"1001\", realm=\"lab\"\r\n"
	"Content-Type: application/sdp\r\nContent-Length: 88\r\n\r\n"
	"v=0\r\no=- 1 1 IN IP4 192.0.2.21\r\ns=-\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\n"
	"m=audio 4000 RTP/AVP 0\r\n";

static void make_capture(struct buf *cap)
{
	struct buf m, n;
	buf_init(&m);
	buf_init(&n);
	pcap_begin(cap, CAP_LINK_ETHERNET);
	rec_udp(cap, 1'000'000, "192.0.2.21:5060", "192.0.2.57:5070",
		str_of(invite, sizeof invite - 1));
	small_request(&m, "MESSAGE", 1, "hello");
	buf_str(&n, buf_view(&m));
	buf_str(&n, STR("SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/TCP h\r\nFrom: <sip:a@b>;tag=1\r\n"
			"To: <sip:1009@b>;tag=tt\r\nCall-ID: other\r\nCSeq: 9 INVITE\r\n"
			"Content-Length: 0\r\n\r\n"));
	rec_tcp(cap, 2'500'000, "192.0.2.1:4000", "192.0.2.2:5061", 1, 0, CAP_TCP_ACK | CAP_TCP_SYN,
		STR_NONE);
	rec_tcp(cap, 2'500'000, "192.0.2.1:4000", "192.0.2.2:5061", 2, 0, CAP_TCP_ACK,
		buf_view(&n));
	if (m.err || n.err)
		cap->err = ERR_NOMEM;
	buf_fini(&m);
	buf_fini(&n);
}

/* The numbers of the frames that fit, as a string: "1", "13", "". */
static void frames(const char *filter, char out[8])
{
	struct buf cap, why;
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	struct flt *f = NULL;
	size_t n = 0;
	buf_init(&cap);
	buf_init(&why);
	make_capture(&cap);
	enum err e = cap.err ? cap.err : flt_compile(str_c(filter), &f, &why);
	if (!e)
		e = cap_open_mem(buf_view(&cap), &c, &why);
	if (!e)
		e = cap_walk_new(c, NULL, &w);
	const struct cap_frame *fr;
	while (!e && (fr = cap_walk_next(w)))
		if (flt_match(f, fr) && n < 7)
			out[n++] = (char)('0' + fr->rec.no);
	out[n] = '\0';
	if (e)
		memcpy(out, "error", 6);
	cap_walk_free(w);
	cap_close(c);
	flt_free(f);
	buf_fini(&cap);
	buf_fini(&why);
}

static void check_filter(int line, const char *filter, const char *want)
{
	char got[8];
	frames(filter, got);
	if (strcmp(got, want) != 0)
		test_fail(__FILE__, line, "`%s`: frames %s, not %s", filter, got, want);
}
#define FITS(filter, want) check_filter(__LINE__, filter, want)

TEST_NO_OOM(presence_and_logic)
{
	FITS("sip", "13");
	FITS("!sip", "2");
	FITS("not sip", "2");
	FITS("udp || tcp", "123");
	FITS("udp or tcp and sip", "13"); /* and binds tighter */
	FITS("(udp or tcp) and !sip", "2");
	FITS("tcp && sip", "3");
	FITS("!!sip", "13");
	FITS("sdp", "1");
	FITS("eth && ip && !ipv6 && !vlan && !icmp", "123");
}

TEST_NO_OOM(addresses)
{
	FITS("ip.addr == 192.0.2.21", "1");
	FITS("ip.addr == 192.0.2.0/24", "123");
	FITS("ip.addr == 192.0.2.32/27", "1");
	FITS("ip.src == 192.0.2.57", "");
	FITS("ip.dst == 192.0.2.57", "1");
	/* `!=` means that no value is equal [Wireshark 4.0] */
	FITS("ip.addr != 192.0.2.21", "23");
	FITS("!(ip.addr == 192.0.2.21)", "23");
	FITS("ip.addr !== 192.0.2.21", "123");
	FITS("ip.addr ~= 192.0.2.21", "123");
	FITS("ip.addr === 192.0.2.0/24", "123");
	FITS("ip.addr === 192.0.2.21", "");
	FITS("ip.addr in {192.0.2.2, 192.0.2.3 .. 192.0.2.21}", "123");
	FITS("ipv6.addr == 2001:db8::1", "");
	FITS("ipv6.addr != 2001:db8::1", ""); /* no such field: no test holds */
	FITS("ip.src == ip.dst", "");
}

TEST_NO_OOM(numbers)
{
	FITS("udp.port == 5060", "1");
	FITS("udp.port != 5060", "");
	FITS("udp.dstport == 0x13ce", "1");
	FITS("tcp.port in {5060 .. 5070}", "23");
	FITS("sip.Status-Code >= 400", "3");
	FITS("sip.Status-Code < 400", "");
	FITS("sip.CSeq.seq > 10", "1");
	FITS("sip.CSeq.seq == 9", "3");
	FITS("sip.CSeq.seq != 9", "1");
	FITS("all sip.CSeq.seq < 10", "3");
	FITS("any sip.CSeq.seq < 5", "3");
	FITS("frame.number >= 2 and frame.number le 3", "23");
	FITS("1 < frame.number < 3", "2");
	FITS("frame.time_relative > 1.4", "23");
	FITS("frame.time_relative == 1.5", "23");
	FITS("tcp.flags.syn == 1", "2");
	FITS("tcp.flags.syn == false", "3");
	FITS("len(sip.Call-ID) == 14", "1");
	FITS("count(sip.Call-ID) == 2", "3");
	FITS("count(ip.addr) > 1", "123");
}

TEST_NO_OOM(text)
{
	FITS("sip.Method == \"INVITE\"", "1");
	FITS("sip.Method == INVITE", "1");
	FITS("sip.Method != \"INVITE\"", "3");
	FITS("sip.Method == \"invite\"", "");
	FITS("lower(sip.Method) == \"invite\"", "1");
	FITS("sip.Method in {\"BYE\", \"MESSAGE\"}", "3");
	FITS("sip.from.user == \"1001\"", "1");
	FITS("sip.from.user contains \"00\"", "1");
	FITS("sip.to.user == \"1009\"", "3");
	FITS("sip.to.user matches \"^10{2}[29]$\"", "13");
	FITS("sip.User-Agent ~ \"RUNG\"", "1"); /* patterns know no case */
	FITS("sip.User-Agent contains \"RUNG\"", "");
	FITS("sip matches r\"\\d{3} busy\"", "3");
	FITS("sip contains \"hello\"", "3");
	FITS("udp contains \"Alice\"", "1");
	FITS("sip.Via.branch == \"z9hG4bKdef\"", "1");
	FITS("sip.Via.received", "1");
	FITS("sip.r-uri.port == \"5070\"", "1");
	FITS("sip.contact.host == \"192.0.2.21\" && sip.contact.port == \"5062\"", "1");
	FITS("sip.auth.username == \"\\\"1001\\\"\"", "1");
	FITS("sip.Status-Line contains \"Busy\"", "3");
	FITS("sip.Request-Line", "13");
	FITS("sdp.connection_info.address == \"192.0.2.99\"", "1");
	FITS("sdp.media.port == 4000", "1");
	FITS("sip.Call-ID == sip.Call-ID", "13");
	FITS("sip.to.tag", "3");
	FITS("frame contains 41:6c:69:63:65", "1");
	FITS("upper(sip.from.user) == \"1001\" && lower(sip.to.user) == \"1002\"", "1");
	FITS("lower(sip.User-Agent) == lower(sip.User-Agent)", "1");
}

TEST(filters_without_memory)
{
	char got[8];
	frames("lower(sip.Method) matches \"inv\" && sip.Call-ID contains \"a\\x62c\"", got);
	CHECK(strcmp(got, "1") == 0);
}

/* --- mistakes --------------------------------------------------------------------------------- */

static void check_mistake(int line, const char *filter, const char *want)
{
	struct flt *f = NULL;
	struct buf why;
	buf_init(&why);
	enum err e = flt_compile(str_c(filter), &f, &why);
	char got[400];
	str_copy(got, sizeof got, buf_view(&why));
	buf_fini(&why);
	flt_free(e ? NULL : f);
	if (e != ERR_SYNTAX || strcmp(got, want) != 0)
		test_fail(__FILE__, line, "%s: got\n%s\nwant\n%s", filter, got, want);
}
#define WRONG(filter, want) check_mistake(__LINE__, filter, want)

TEST_NO_OOM(mistakes_show_their_place)
{
	WRONG("sip.Methd == \"INVITE\"",
	      "sip.Methd == \"INVITE\"\n^~~~~~~~~\n"
	      "there is no field `sip.Methd`; did you mean `sip.Method`?");
	WRONG("sip && sip.method == \"BYE\"",
	      "sip && sip.method == \"BYE\"\n       ^~~~~~~~~~\n"
	      "there is no field `sip.method`; did you mean `sip.Method`?");
	WRONG("ip.addr == 300.1.2.3",
	      "ip.addr == 300.1.2.3\n           ^~~~~~~~~\n`300.1.2.3` is not an address");
	WRONG("udp.port == http", "udp.port == http\n            ^~~~\n`http` is not a number");
	WRONG("sip.Status-Code = 200", "sip.Status-Code = 200\n                ^\n"
				       "`=` alone means nothing; did you mean `==`?");
	WRONG("(sip && udp", "(sip && udp\n^\nthis `(` is never closed");
	WRONG("sip.Method == \"INV", "sip.Method == \"INV\n              ^\n"
				     "this string has no end: a closing \" is missing");
	WRONG("sip sip", "sip sip\n    ^~~\n`&&`, `||` or the end is expected here");
	WRONG("sip &&",
	      "sip &&\n      ^\nthe filter ends here, where a field or value is expected");
	WRONG("", "\n^\nthe filter is empty");
	WRONG("udp.port contains \"1\"",
	      "udp.port contains \"1\"\n^~~~~~~~\n"
	      "`contains` needs text on its left, and `udp.port` is none");
	WRONG("ip.addr == udp.port", "ip.addr == udp.port\n           ^~~~~~~~\n"
				     "`ip.addr` and `udp.port` are of different kinds");
	WRONG("sip.Method matches \"(\"",
	      "sip.Method matches \"(\"\n                   ^~~\n"
	      "the pattern cannot be read at its character 2: missing closing parenthesis");
	WRONG("udp.port in 5060", "udp.port in 5060\n            ^~~~\n"
				  "`in` is followed by {value, value .. value}");
	WRONG("size(sip) > 3", "size(sip) > 3\n^~~~\nthere is no function `size`: len, count, "
			       "lower, upper, string, abs, min, max");
	WRONG("\"a\" == \"b\"", "\"a\" == \"b\"\n^~~\na test needs a field on one side");
	WRONG("\"eth\" in {1}", "\"eth\" in {1}\n^~~~~\na field is expected here, not text");
	WRONG("sip ; udp",
	      "sip ; udp\n    ^\na filter has no `;` here; text stands in double quotes");
}

TEST_NO_OOM(nesting_is_bounded)
{
	struct buf b, why;
	struct flt *f;
	buf_init(&b);
	buf_init(&why);
	buf_fill(&b, '(', 50'000);
	CHECK_EQ(flt_compile(buf_view(&b), &f, &why), ERR_SYNTAX);
	buf_clear(&b);
	buf_fill(&b, '!', 50'000);
	CHECK_EQ(flt_compile(buf_view(&b), &f, &why), ERR_SYNTAX);
	buf_fini(&b);
	buf_fini(&why);
}

TEST_NO_OOM(fields_have_unique_names)
{
	struct buf b;
	buf_init(&b);
	flt_fields_put(&b);
	struct str rest = buf_view(&b), last = STR_NONE;
	unsigned n = 0;
	while (rest.n) {
		struct str line = str_cut(rest, '\n', &rest), kind,
			   name = str_cut(line, ' ', &kind);
		struct str near;
		CHECK(flt_field_find(name, &near));
		CHECK(!str_eq(name, last));
		last = name;
		n++;
	}
	CHECK(n > 150);
	buf_fini(&b);
}
