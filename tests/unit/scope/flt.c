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
	"Contact: <sip:1001@192.0.2.21:5062>;received=\"sip:h;lr\";q=1\r\nUser-Agent: rung/0.1\r\n"
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
static void frames_of(void (*make)(struct buf *cap), const char *filter, char out[8])
{
	struct buf cap, why;
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	struct flt *f = NULL;
	size_t n = 0;
	buf_init(&cap);
	buf_init(&why);
	make(&cap);
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

static void frames(const char *filter, char out[8])
{
	frames_of(make_capture, filter, out);
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
	FITS("sip.contact.parameter == \"received=\\\"sip:h;lr\\\"\" && "
	     "sip.contact.parameter == \"q=1\" && sip.contact.parameter != \"lr\\\"\"",
	     "1");
	FITS("!frame.interface_id && !frame.interface_name && !frame.comment", "123");
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

/* Of a literal, slice, calculation, function [Wireshark User's Guide 6.4]. */
TEST_NO_OOM(slices)
{
	FITS("sip.Method[0:3] == \"INV\"", "1");
	FITS("sip.Method[0-2] == 49:4e:56", "1");
	FITS("sip.Method[0] == 'I'", "1");
	FITS("sip.Method[0] == 0x49", "1");
	FITS("sip.Method[:3] == 494e56", "1");
	FITS("sip.Method[-4:] == \"SAGE\"", "3");
	FITS("sip.Method[-3--1] == \"ITE\"", "1");
	FITS("sip.Method[0,2-3,5:] == \"IVIE\"", "1");
	FITS("sip.Method[6:]", "3"); /* beyond the end there is no value */
	FITS("sip.Method[0:3][1] == 4e", "1");
	FITS("sip.Method[0:3] > \"B\"", "13"); /* bytes: the longer is more */
	FITS("frame[12:2] == 08:00 && frame[-2:] == 0d:0a", "13");
	FITS("ip.src[0:2] == c0:00", "123");
	FITS("ip.src[3] == 15", "1");
	FITS("upper(sip.to.user)[0-1] == \"10\"", "13");
	FITS("ip[9] == 17", "");
	FITS("ip[9] == 11", "1");
	FITS("ip[28:6] == \"INVITE\"", "");   /* the header alone */
	FITS("ip contains \"INVITE\"", "13"); /* and what it carries */
}

TEST_NO_OOM(calculations)
{
	FITS("udp.dstport == 5060 + 10", "1");
	FITS("udp.dstport - udp.srcport == 10", "1");
	FITS("udp.srcport - 6000 < 0", "1");
	FITS("udp.srcport + 10 * 1 == udp.dstport", "1");
	FITS("{frame.number + 1} * 2 == 6", "2");
	FITS("frame.number % 2 == 1", "13");
	FITS("frame.number / 0 == 0", "");
	FITS("frame.number % 0", "");
	FITS("-frame.number < -1", "23");
	FITS("frame.number & 2", "23");
	FITS("frame.number & 1 + 1", "23"); /* & binds less than + */
	FITS("frame.number & 1 == 0", "2"); /* and more than == */
	FITS("frame.number - 2", "13");     /* a calculation exists when it is not 0 */
	FITS("frame.time_relative + 1 > 2", "23");
	FITS("ip.src & 0.0.0.255 == 0.0.0.21", "1");
	FITS("sip.Method[0] & 0f == 09", "1");
	FITS("abs(frame.number - 2) == 1", "13");
	FITS("max(udp.srcport, udp.dstport) == 5070", "1");
	FITS("min(sip.from.user, sip.to.user) == \"1001\"", "1");
	FITS("len(udp.port) == 2 && len(sip.Method) == 6", "1");
	FITS("len(ip) == 20 && len(eth) == 14", "123");
	FITS("string(udp.dstport) matches \"^50\"", "1");
	FITS("string(ip.dst) == \"192.0.2.57\"", "1");
	FITS("string(ip.id) contains \"x\"", ""); /* decimal */
	FITS("udp.srcport in {udp.dstport, 5060}", "1");
	FITS("udp.port not in {5060}", "23"); /* as !(... in ...) */
	FITS("frame.number in {-1 .. 1, 3}", "13");
	FITS("all tcp.port in {4000, 5061}", ""); /* each element for itself */
	FITS("all tcp.port in {4000 .. 5061}", "23");
}

TEST_NO_OOM(literals)
{
	FITS("udp.srcport == 011704 && udp.srcport == 0b1001111000100", "1");
	FITS("frame.len > '\\n'", "123");
	FITS("sip.from.user == \"10\\x30\\061\"", "1");
	FITS("sip.from.user == \"\\u00311\" || sip.from.user contains \"0\\60\"", "1");
	FITS("frame.time > \"1970-01-01T00:00:02Z\"", "23");
	FITS("frame.time < \"Jan  1, 1970 00:00:02.4 UTC\"", "1");
	FITS("frame.time in {\"1970-01-01 02:00:00+02:00\" .. \"1970-01-01 00:00:02Z\"}", "1");
	FITS("frame.time_epoch == 2.5 && frame.time_delta == 0s", "3");
	FITS("eth.src == 000000000002 && eth.dst == 00-00-00-00-00-01", "123");
	FITS("eth.addr contains 00:00", "123");
	FITS("tcp.flags.syn == TRUE", "2");
	FITS("tcp.flags & 0x02 && tcp.flags == 0x012", "2");
	FITS(".sip && .udp", "1");
	FITS("sip.Method == 'I'", "");
	FITS("sip contains 4", "");
}

/* Two IPv4 headers, and an ICMP error that quotes UDP. */
static void make_layers(struct buf *cap)
{
	struct buf b[5];
	for (int i = 0; i < 5; i++)
		buf_init(&b[i]);
	struct str in =
		ipv4(&b[1], "10.0.0.1", "10.0.0.2", 17, 7, 0, udp(&b[0], 5060, 5070, STR("x")));
	pcap_begin(cap, CAP_LINK_ETHERNET);
	pcap_rec(cap, 1, eth(&b[3], 0x0800, ipv4(&b[2], "192.0.2.1", "192.0.2.2", 4, 1, 0, in)));
	buf_clear(&b[2]);
	buf_clear(&b[3]);
	buf_put(&b[4], "\3\3\0\0\0\0\0\0", 8);
	buf_str(&b[4], in);
	pcap_rec(cap, 2,
		 eth(&b[3], 0x0800, ipv4(&b[2], "10.0.0.2", "10.0.0.1", 1, 9, 0, buf_view(&b[4]))));
	for (int i = 0; i < 5; i++) {
		if (b[i].err)
			cap->err = b[i].err;
		buf_fini(&b[i]);
	}
}

static void check_layers(int line, const char *filter, const char *want)
{
	char got[8];
	frames_of(make_layers, filter, got);
	if (strcmp(got, want) != 0)
		test_fail(__FILE__, line, "`%s`: frames %s, not %s", filter, got, want);
}
#define LAYERS(filter, want) check_layers(__LINE__, filter, want)

TEST_NO_OOM(layers)
{
	LAYERS("ip.addr == 10.0.0.1", "12");
	LAYERS("ip.src#1 == 10.0.0.2", "2");
	LAYERS("ip.src#2 == 10.0.0.1", "12");
	LAYERS("ip.addr#[1] == 192.0.2.2", "1");
	LAYERS("ip.src#[-1] == 10.0.0.1", "12");
	LAYERS("ip.src#[1-2] == 192.0.2.1", "1");
	LAYERS("ip.src#[2:] == 192.0.2.1", "");
	LAYERS("ip#3", "");
	LAYERS("ip.proto#1 == 4", "1");
	LAYERS("count(ip.src) == 2 && count(ip.id#2) == 1", "12");
	LAYERS("icmp && udp.dstport == 5070", "2");
	LAYERS("icmp.code == 3 && icmp.type == 3", "2");
	LAYERS("all ip.id == 7", "");
}

/* A tag of 802.1ad is no tag of 802.1Q, as in Wireshark. */
static void make_tags(struct buf *cap)
{
	struct buf b[4];
	for (int i = 0; i < 4; i++)
		buf_init(&b[i]);
	struct str in =
		ipv4(&b[1], "10.0.0.1", "10.0.0.2", 17, 7, 0, udp(&b[0], 5060, 5070, STR("x")));
	pcap_begin(cap, CAP_LINK_ETHERNET);
	static const struct str tags[] = {STR_INIT("\x20\x64\x81\0\0\xc8\x08\0"),
					  STR_INIT("\x20\x64\x08\0")};
	for (unsigned i = 0; i < 4; i++) {
		buf_clear(&b[2]);
		buf_str(&b[2], tags[i / 2]);
		buf_str(&b[2], in);
		pcap_rec(cap, i + 1, eth(&b[3], i % 2 ? 0x8100 : 0x88a8, buf_view(&b[2])));
	}
	for (int i = 0; i < 4; i++) {
		if (b[i].err)
			cap->err = b[i].err;
		buf_fini(&b[i]);
	}
}

static void check_tags(int line, const char *filter, const char *want)
{
	char got[8];
	frames_of(make_tags, filter, got);
	if (strcmp(got, want) != 0)
		test_fail(__FILE__, line, "`%s`: frames %s, not %s", filter, got, want);
}
#define TAGS(filter, want) check_tags(__LINE__, filter, want)

TEST_NO_OOM(tags_of_providers)
{
	TAGS("vlan", "124");
	TAGS("ieee8021ad", "13");
	TAGS("vlan.id == 100", "24");
	TAGS("vlan.id == 200", "12");
	TAGS("vlan.id#2 == 200", "2");
	TAGS("all vlan.id > 150", "1");
	TAGS("ieee8021ad.id == 100 && ieee8021ad.priority == 1 && ieee8021ad.dei == 0", "13");
	TAGS("frame.protocols == \"eth:ethertype:ieee8021ad:ethertype:vlan:ethertype:ip:udp\"",
	     "1");
}

/* Messages of one segment are one layer of SIP. */
TEST_NO_OOM(messages_of_a_segment)
{
	FITS("sip.Method#1 == \"MESSAGE\" && sip.Status-Code#1 == 486", "3");
	FITS("sip.CSeq.seq#2 || sip.To#2 || sip#2", "");
	FITS("frame.protocols == \"eth:ethertype:ip:tcp:sip\"", "3");
}

/* A source that is no frame: an index. */
static unsigned from_index(void *arg, const struct flt_field *f, struct flt_val *out)
{
	unsigned *asked = arg;
	++*asked;
	out[0] = (struct flt_val){.u = 486, .layer = 1};
	return str_eq(f->name, STR("sip.Status-Code")) ? 1 : 0;
}

TEST_NO_OOM(other_sources)
{
	struct flt *f;
	struct buf why;
	unsigned asked = 0;
	buf_init(&why);
	enum err e = flt_compile(STR("sdp.media contains \"x\" && sip.Status-Code == 404 && "
				     "sip.Status-Code > 1"),
				 &f, &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
	CHECK(str_eq(flt_uses(f, 0)->name, STR("sdp.media")));
	CHECK(str_eq(flt_uses(f, 1)->name, STR("sip.Status-Code")));
	CHECK(!flt_uses(f, 2));
	CHECK_EQ(flt_needs(f), 0);
	CHECK(!flt_match_from(f, from_index, &asked));
	CHECK_EQ(asked, 1); /* the cheap one settles it */
	flt_free(f);
}

TEST_NO_OOM(columns_are_as_in_tshark)
{
	struct buf cap, why, out;
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	const struct flt_field *fields[3] = {flt_field_find(STR("frame.number"), NULL),
					     flt_field_find(STR("sip.Via.branch"), NULL),
					     flt_field_find(STR("sdp"), NULL)};
	struct flt_columns k = {.fields = fields, .n = 3};
	buf_init(&cap);
	buf_init(&why);
	buf_init(&out);
	make_capture(&cap);
	CHECK(flt_columns_set(&k, STR("header=y"), &why) &&
	      flt_columns_set(&k, STR("separator=;"), &why) &&
	      flt_columns_set(&k, STR("aggregator=/s"), &why) &&
	      flt_columns_set(&k, STR("occurrence=a"), &why) &&
	      flt_columns_set(&k, STR("quote=d"), &why));
	CHECK(!flt_columns_set(&k, STR("quote=x"), &why));
	enum err e = cap.err ? cap.err : cap_open_mem(buf_view(&cap), &c, &why);
	if (!e)
		e = cap_walk_new(c, NULL, &w);
	const struct cap_frame *fr = e ? NULL : cap_walk_next(w);
	if (fr) {
		flt_columns_head(&out, &k);
		flt_columns_put(&out, &k, fr);
		k.occurrence = 'l';
		k.quote = 0;
		flt_columns_put(&out, &k, fr);
		flt_columns_json(&out, &k, fr);
		CHECK_STR(buf_view(&out), "frame.number;sip.Via.branch;sdp\n"
					  "\"1\";\"z9hG4bKabc z9hG4bKdef\";\"sdp\"\n"
					  "1;z9hG4bKdef;sdp\n"
					  "{\"frame.number\":[\"1\"],\"sip.Via.branch\":"
					  "[\"z9hG4bKdef\"],\"sdp\":[\"sdp\"]}\n");
		uint32_t n_put = 0;
		static const struct str head =
			STR_INIT("[\n  {\n    \"_index\": \"packets-1970-01-01\"");
		static const struct str tail =
			STR_INIT(",\n    \"_type\": \"doc\",\n    \"_score\": null,\n"
				 "    \"_source\": {\n      \"layers\": {\n"
				 "        \"frame.number\": [\n          \"1\"\n        ],\n"
				 "        \"sip.Via.branch\": [\n          \"z9hG4bKabc\",\n"
				 "          \"z9hG4bKdef\"\n        ]\n      }\n    }\n  }\n]\n");
		k.occurrence = 'a';
		k.n = 2;
		buf_clear(&out);
		flt_columns_put_array(&out, &k, fr, &n_put);
		flt_columns_end_array(&out, n_put);
		CHECK(n_put == 1 && str_starts(buf_view(&out), head) &&
		      str_ends(buf_view(&out), tail));
	}
	cap_walk_free(w);
	cap_close(c);
	buf_fini(&cap);
	buf_fini(&why);
	buf_fini(&out);
}

/* call.*: nothing in the first walk; in the second what became of the call. */
static void calls(const char *filter, char out[16])
{
	struct buf cap, why;
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	struct flt *f = NULL;
	struct trk *t = NULL;
	struct flt_calls *k = NULL;
	size_t n = 0;
	buf_init(&cap);
	buf_init(&why);
	make_capture(&cap);
	enum err e = cap.err ? cap.err : flt_compile(str_c(filter), &f, &why);
	for (int pass = 0; !e && pass < 2; pass++) {
		if (!pass && !(t = trk_new(&(struct trk_cfg){.has_media = true})))
			e = ERR_NOMEM;
		e = e ? e : cap_open_mem(buf_view(&cap), &c, &why);
		e = e ? e : cap_walk_new(c, pass ? NULL : t, &w);
		if (!e && pass && !(k = flt_calls_new(t)))
			e = ERR_NOMEM;
		for (const struct cap_frame *fr; !e && (fr = cap_walk_next(w));) {
			e = k ? flt_calls_attach(k, fr) : OK;
			if (!e && flt_match(f, fr))
				out[n++] = (char)((pass ? '0' : 'a') + fr->rec.no);
		}
		cap_walk_free(w);
		cap_close(c);
		w = NULL;
		c = NULL;
	}
	out[n] = '\0';
	if (e)
		memcpy(out, "error", 6);
	flt_calls_free(k);
	trk_free(t);
	flt_free(f);
	buf_fini(&cap);
	buf_fini(&why);
}

static void check_calls(int line, const char *filter, const char *want)
{
	char got[16];
	calls(filter, got);
	if (strcmp(got, want) != 0)
		test_fail(__FILE__, line, "`%s`: frames %s, not %s", filter, got, want);
}
#define CALLS(filter, want) check_calls(__LINE__, filter, want)

/* 1 to 3: a datagram of IPv4 in three pieces, the last one first. 4, 5: one of IPv6 in two, behind
 * a hop-by-hop header. 6: destination options and a routing header. */
static void make_pieces(struct buf *cap)
{
	static const unsigned order[] = {2, 0, 1};
	struct buf m, d, e, x;
	buf_init(&m);
	buf_init(&d);
	buf_init(&e);
	buf_init(&x);
	pcap_begin(cap, CAP_LINK_ETHERNET);
	struct str all = udp(&d, 5060, 5060, small_request(&m, "OPTIONS", 1, ""));
	for (unsigned i = 0; i < ARRAY_LEN(order) && all.n > 128; i++) {
		unsigned off = order[i] * 64;
		bool is_last = off == 128;
		struct str piece = str_of(all.p + off, is_last ? all.n - 128 : 64);
		pcap_rec(cap, i,
			 eth(&e, 0x800,
			     ipv4(&x, "192.0.2.1", "192.0.2.2", CAP_UDP, 7,
				  (uint16_t)(off / 8 | (is_last ? 0 : 0x2000)), piece)));
	}
	for (unsigned i = 0; i < 2 && all.n > 128; i++) {
		buf_clear(&m);
		buf_put(&m, "\x2c\0\5\2\0\0\1\0\x11\0", 10);
		put_be16(&m, i ? 64 : 1);
		put_be32(&m, 0xabcd);
		buf_str(&m, i ? str_of(all.p + 64, all.n - 64) : str_of(all.p, 64));
		pcap_rec(cap, 3 + i,
			 eth(&e, 0x86dd, ipv6(&x, "2001:db8::1", "2001:db8::2", 0, buf_view(&m))));
	}
	buf_clear(&m);
	buf_put(&m, "\x2b\0\1\4\0\0\0\0\x11\2\0\1\0\0\0\0", 16);
	buf_put(&m, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\3", 16);
	buf_str(&m, all);
	pcap_rec(cap, 5, eth(&e, 0x86dd, ipv6(&x, "2001:db8::1", "2001:db8::2", 60, buf_view(&m))));
	cap->err = cap->err ? cap->err : m.err || d.err || e.err || x.err ? ERR_NOMEM : OK;
	buf_fini(&m);
	buf_fini(&d);
	buf_fini(&e);
	buf_fini(&x);
}

static void check_pieces(int line, const char *filter, const char *want)
{
	char got[8];
	frames_of(make_pieces, filter, got);
	if (strcmp(got, want) != 0)
		test_fail(__FILE__, line, "`%s`: frames %s, not %s", filter, got, want);
}
#define PIECES(filter, want) check_pieces(__LINE__, filter, want)

TEST_NO_OOM(fragments_and_extension_headers)
{
	PIECES("sip", "356");
	PIECES("ip.fragments", "3");
	PIECES("ip.fragment == 1", "3");
	PIECES("ip.fragment.count == 3", "3");
	PIECES("ip.fragments[2:2] == 13:c4", "3");
	PIECES("ip.reassembled.data contains \"OPTIONS\"", "3");
	PIECES("ip.reassembled.length > 128", "3");
	PIECES("ipv6.fragments", "5");
	PIECES("ipv6.fragment == 4 && ipv6.fragment == 5", "5");
	PIECES("ipv6.fragment.count == 2", "5");
	PIECES("ipv6.reassembled.length > 128", "5");
	PIECES("ipv6.reassembled.data contains \"OPTIONS\"", "5");
	PIECES("ipv6.hopopts", "45");
	PIECES("ipv6.hopopts.nxt == 44 && ipv6.hopopts.len == 0", "45");
	PIECES("ipv6.hopopts.len_oct == 8", "45");
	PIECES("ipv6.fraghdr.more == 1", "4");
	PIECES("ipv6.fraghdr.offset == 8", "5");
	PIECES("ipv6.fraghdr.ident == 0xabcd && ipv6.fraghdr.nxt == 17", "45");
	PIECES("ipv6.dstopts.nxt == 43", "6");
	PIECES("ipv6.routing && ipv6.routing.type == 0 && ipv6.routing.segleft == 1", "6");
	PIECES("ipv6.routing.len_oct == 24", "6");
	PIECES("ip.checksum.status == 2", "123");
	PIECES("udp.checksum.status == 3", "356"); /* there is none */
	FITS("tcp.checksum.status == 2", "23");
	FITS("tcp.connection.synack", "2");
	FITS("tcp.connection.syn || tcp.connection.fin || tcp.connection.rst", "");
}

TEST_NO_OOM(what_became_of_a_call)
{
	CALLS("call.no == 1", "1");
	CALLS("call.id == \"other\"", "3");
	CALLS("call.kind == \"call\" && call.user == \"1002\"", "1");
	CALLS("call.host == \"192.0.2.57\" && call.transport == \"UDP\"", "1");
	CALLS("call.verdict && call.severity && call.messages == 1", "13");
	CALLS("call.legs == 1 && call.no == 1", "1");
	CALLS("call.hangup || call.reason || call.mos < 3 || call.jitter > 1 || call.lost > 1", "");
	CALLS("sip && !call.no", "bd"); /* in the first walk nothing is known */
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
	WRONG("sip.call_id", "sip.call_id\n^~~~~~~~~~~\n"
			     "there is no field `sip.call_id`; did you mean `sip.Call-ID`?");
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
	WRONG("sip.Method matches \"\\d\"",
	      "sip.Method matches \"\\d\"\n                    ^~\n"
	      "`\\d` is no escape; a backslash is written twice, or once in r\"...\"");
	WRONG("udp.port == 70000", "udp.port == 70000\n            ^~~~~\n"
				   "`70000` is too large: `udp.port` is at most 65535");
	WRONG("udp.port == \"1\"", "udp.port == \"1\"\n            ^~~\n"
				   "`\"1\"` is not a number: it stands in quotes");
	WRONG("udp.port[0] == 1", "udp.port[0] == 1\n^~~~~~~~\n"
				  "`udp.port` is a number, which cannot be sliced");
	WRONG("sip[3-1]", "sip[3-1]\n    ^~~\n"
			  "a slice goes from the lower offset to the higher one");
	WRONG("sip[0:2", "sip[0:2\n   ^\nthis `[` is never closed");
	WRONG("sip[x]", "sip[x]\n    ^\nan offset is expected here: [i:j] [i-j] [i] [:j] [i:]");
	WRONG("sip.Method + 1", "sip.Method + 1\n^~~~~~~~~~\n"
				"`+` has no meaning for `sip.Method`: text");
	WRONG("lower(udp.port) == \"1\"", "lower(udp.port) == \"1\"\n      ^~~~~~~~\n"
					  "`lower` takes a field of text, and `udp.port` is none");
	WRONG("sip.msg_body == \"a\"",
	      "sip.msg_body == \"a\"\n^~~~~~~~~~~~\n"
	      "`sip.msg_body` is there or not, it has no value to compare");
	WRONG("ip.src#x == 1", "ip.src#x == 1\n       ^\n"
			       "`#` is followed by the number of a layer, or by [...]");
	WRONG("tcp.segments",
	      "tcp.segments\n^~~~~~~~~~~~\n"
	      "Wireshark has a field `tcp.segments`, rung scope has not. Here are `tcp.port`, "
	      "`tcp.len`, `tcp.payload` ...");
	WRONG("tcp.flags.ace",
	      "tcp.flags.ace\n^~~~~~~~~~~~~\nWireshark has a field `tcp.flags.ace`, rung scope has "
	      "not; near to it is `tcp.flags.ece`");
	WRONG("any sip", "any sip\n       ^\na comparison is expected here");
	WRONG("frame.time > \"soon\"",
	      "frame.time > \"soon\"\n             ^~~~~~\n`\"soon\"` is not "
	      "a date: \"2020-07-04 12:34:56\" or \"Jul 4, 2020 12:34:56.789\"");
	WRONG("sip.Method == 'ab'",
	      "sip.Method == 'ab'\n              ^~~~\n"
	      "single quotes hold one character; text stands in double quotes");
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
