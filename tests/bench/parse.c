/* What a received message costs in user space: the index pass alone (the budget of the hot path),
 * the ownership peek, and what a proxy does on top of it: the URIs, the edits of a forwarded
 * request, the verdict. The messages are of the shape that phones send: an INVITE of 1.1 kB with
 * credentials and SDP, a 200 of 0.5 kB. */

#include "bench.h"
#include "sip/edit.h"
#include "sip/hdr.h"
#include "sip/out.h"

#include <stdlib.h>
#include <string.h>

static const char invite[] =
	"INVITE sip:1002@192.0.2.57;transport=udp SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bK1b8d7f2f4a6c9e11;rport\r\n"
	"Max-Forwards: 70\r\n"
	"From: \"Alice Example\" <sip:1001@192.0.2.57>;tag=9fxced76sl\r\n"
	"To: <sip:1002@192.0.2.57>\r\n"
	"Call-ID: 3848276298220188511@192.0.2.21\r\n"
	"CSeq: 24763 INVITE\r\n"
	"Contact: <sip:1001@192.0.2.21:5060;transport=udp>;+sip.instance=\"<urn:uuid:6d1a>\"\r\n"
	"User-Agent: Deskphone 7.3.1 (build 20240117)\r\n"
	"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER, MESSAGE, INFO, UPDATE, PRACK\r\n"
	"Supported: replaces, outbound, 100rel, timer\r\n"
	"Proxy-Authorization: Digest username=\"1001\", realm=\"192.0.2.57\", "
	"nonce=\"01.5f3c1a2b.8d1e6a7c9b0f1e2d3c4b5a69\", uri=\"sip:1002@192.0.2.57\", "
	"response=\"6629fae49393a05397450978507c4ef1\", algorithm=MD5, cnonce=\"0a4f113b\", "
	"qop=auth, nc=00000001\r\n"
	"Content-Type: application/sdp\r\n"
	"Content-Length: 254\r\n"
	"\r\n"
	"v=0\r\no=- 3911 3911 IN IP4 192.0.2.21\r\ns=-\r\nc=IN IP4 192.0.2.21\r\nt=0 0\r\n"
	"m=audio 40376 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
	"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 "
	"0-15\r\na=ptime:20\r\na=sendrecv\r\na=rtcp:40377 IN IP4 192.0.2.21\r\n";

static const char ok[] =
	"SIP/2.0 200 OK\r\n"
	"Via: SIP/2.0/UDP 192.0.2.57:5060;branch=z9hG4bK.0a1b2c3d4e5f;rport=5060\r\n"
	"Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bK1b8d7f2f4a6c9e11;rport=5060\r\n"
	"Record-Route: <sip:192.0.2.57;lr>\r\n"
	"From: \"Alice Example\" <sip:1001@192.0.2.57>;tag=9fxced76sl\r\n"
	"To: <sip:1002@192.0.2.57>;tag=314159\r\n"
	"Call-ID: 3848276298220188511@192.0.2.21\r\n"
	"CSeq: 24763 INVITE\r\n"
	"Contact: <sip:1002@192.0.2.43:5060>\r\n"
	"User-Agent: Deskphone 7.3.1\r\n"
	"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER\r\n"
	"Content-Length: 0\r\n"
	"\r\n";

static struct sip_msg *load(const char *text, size_t n)
{
	size_t size = sip_msg_block_size(n), used;
	void *block = malloc(size);
	if (!block)
		abort();
	struct sip_msg *m = sip_msg_init(block, size);
	memcpy(m->bytes, text, n);
	if (sip_msg_index(m, n, false, &used) != OK || sip_msg_verdict(m, NULL) != 0 || m->n_diags)
		abort();
	return m;
}

struct input {
	struct sip_msg *m;
	size_t n;
};

static void index_pass(void *arg, uint64_t n)
{
	const struct input *in = arg;
	size_t used;
	while (n--) {
		enum err e = sip_msg_index(in->m, in->n, false, &used);
		BENCH_KEEP(e);
	}
}

static void peek(void *arg, uint64_t n)
{
	const struct input *in = arg;
	struct str call_id;
	while (n--) {
		bool has = sip_peek_call_id(str_of(in->m->bytes, in->n), &call_id);
		BENCH_KEEP(has);
	}
}

static void uri(void *arg, uint64_t n)
{
	const struct input *in = arg;
	struct sip_uri u;
	while (n--) {
		enum err e = sip_uri_parse(in->m->ruri, &u);
		BENCH_KEEP(e);
	}
}

static void contact(void *arg, uint64_t n)
{
	const struct input *in = arg;
	struct str v = sip_value(in->m, SIP_HDR_CONTACT);
	struct sip_addr a;
	while (n--) {
		enum err e = sip_addr_parse(v, &a);
		BENCH_KEEP(e);
	}
}

/* What a proxy changes in an INVITE: a new Request-URI, our Via and Record-Route, Max-Forwards, the
 * credentials of our realm off. */
static void forward(void *arg, uint64_t n)
{
	static char mem[4096];
	const struct input *in = arg;
	while (n--) {
		struct sip_edits ed;
		struct buf b;
		buf_init_fixed(&b, mem, sizeof(mem));
		sip_edits_init(&ed, in->m);
		sip_edit_ruri(&ed, STR("sip:1002@192.0.2.43:5060"));
		sip_edit_insert_before(
			&ed, SIP_HDR_VIA,
			STR("Via: SIP/2.0/UDP "
			    "192.0.2.57:5060;branch=z9hG4bK.0a1b2c3d4e5f;rport\r\n"));
		sip_edit_insert_before(&ed, SIP_HDR_RECORD_ROUTE,
				       STR("Record-Route: <sip:192.0.2.57;lr>\r\n"));
		sip_edit_replace(&ed, sip_value(in->m, SIP_HDR_MAX_FORWARDS), STR("69"));
		sip_edit_remove(&ed, SIP_HDR_PROXY_AUTHORIZATION);
		enum err e = sip_splice(&ed, &b);
		BENCH_KEEP(e);
	}
}

static void respond(void *arg, uint64_t n)
{
	static char mem[4096];
	const struct input *in = arg;
	struct addr from;
	if (!addr_parse(STR("192.0.2.21:5060"), 0, &from))
		abort();
	while (n--) {
		struct buf b;
		struct sip_out o;
		buf_init_fixed(&b, mem, sizeof(mem));
		sip_out_response(&o, &b, in->m, 407, STR_NONE, STR("37GkEhwl6"), &from);
		enum err e = sip_out_end(&o, STR_NONE, STR_NONE);
		BENCH_KEEP(e);
	}
}

void bench_main(void)
{
	struct input in[] = {
		{load(invite, sizeof(invite) - 1), sizeof(invite) - 1},
		{load(ok,     sizeof(ok) - 1),     sizeof(ok) - 1    }
        };
	const struct bench list[] = {
		{"index INVITE 1.1 kB",        index_pass, &in[0], 500, 0, 1},
		{"index 200 0.5 kB",           index_pass, &in[1], 250, 0, 1},
		{"peek Call-ID of INVITE",     peek,       &in[0], 100, 0, 1},
		{"parse Request-URI",          uri,        &in[0], 0,   0, 1},
		{"parse Contact",              contact,    &in[0], 0,   0, 1},
		{"edits and splice of INVITE", forward,    &in[0], 200, 0, 1},
		{"build a 407",                respond,    &in[0], 0,   0, 1},
	};
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		bench_run(&list[i]);
	for (size_t i = 0; i < 2; i++)
		free(in[i].m);
}
