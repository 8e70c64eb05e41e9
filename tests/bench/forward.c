/* Stateful forwarding in user space: a whole call (INVITE, 180, 200, ACK, BYE, 200: six messages)
 * through transport, transactions and proxy, and the same through two dialogs of the back-to-back
 * user agent, with the kernel left out. The callee's and the
 * caller's messages are texts whose changing parts (Call-ID, branches, our Via) are patched in
 * place, so that what is measured is the exchange and not the maker of its input. Budget: DESIGN
 * 11, stateful forward. */
#include "bench.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

struct text { /* a message with places that change */
	char p[RIG_TEXT];
	size_t n;
};

static struct addr caller, callee;

#define SDP                                                                                        \
	"v=0\r\no=- 3801 1 IN IP4 192.0.2.21\r\ns=-\r\nc=IN IP4 192.0.2.21\r\nt=0 0\r\nm=audio "   \
	"20000 RTP/AVP 0 8 101\r\n"                                                                \
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 "                            \
	"telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n"

static void put_request(struct text *t, const char *method, const char *ruri, const char *extra,
			const char *to_tag, unsigned cseq, uint32_t serial, const char *body)
{
	t->n = (size_t)snprintf(
		t->p, sizeof(t->p),
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.21:5060;branch=z9hG4bK%08x%u%c\r\n%sMax-Forwards: 70\r\n"
		"From: \"Caller\" <sip:1001@192.0.2.1>;tag=a%08x\r\nTo: "
		"<sip:1002@192.0.2.1>%s\r\nCall-ID: %08x@192.0.2.21\r\n"
		"CSeq: %u %s\r\nContact: <sip:1001@192.0.2.21:5060>\r\nUser-Agent: bench\r\n"
		"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n%sContent-Length: %zu\r\n\r\n%s",
		method, ruri, serial, cseq, method[0], extra, serial, to_tag, serial, cseq, method,
		body[0] ? "Content-Type: application/sdp\r\n" : "", strlen(body), body);
}

static void put_response(struct text *t, unsigned status, const char *phrase, struct str forwarded,
			 const char *to_tag, const char *body)
{
	struct str via1 = rig_value(forwarded, "Via: "),
		   rest = str_skip(forwarded, (size_t)(via1.p + via1.n - forwarded.p));
	bool has_more = str_find(rest, STR("\r\nVia: ")) != SIZE_MAX; /* not of a B2BUA */
	struct str via2 = has_more ? rig_value(rest, "\r\nVia: ") : STR_NONE;
	struct str from = rig_value(forwarded, "From: "),
		   call_id = rig_value(forwarded, "Call-ID: ");
	struct str cseq = rig_value(forwarded, "CSeq: ");
	struct str rr = STR_NONE;
	if (str_find(forwarded, STR("Record-Route: ")) != SIZE_MAX)
		rr = rig_value(forwarded, "Record-Route: ");
	t->n = (size_t)snprintf(
		t->p, sizeof(t->p),
		"SIP/2.0 %u %s\r\nVia: " STR_FMT "%s" STR_FMT "\r\n%s" STR_FMT "%sFrom: " STR_FMT
		"\r\nTo: <sip:1002@192.0.2.1>%s\r\nCall-ID: " STR_FMT "\r\nCSeq: " STR_FMT
		"\r\nContact: <sip:1002@192.0.2.43:5060>\r\nServer: "
		"bench\r\n%sContent-Length: %zu\r\n\r\n%s",
		status, phrase, STR_ARG(via1), has_more ? "\r\nVia: " : "", STR_ARG(via2),
		rr.n ? "Record-Route: " : "", STR_ARG(rr), rr.n ? "\r\n" : "", STR_ARG(from),
		to_tag, STR_ARG(call_id), STR_ARG(cseq),
		body[0] ? "Content-Type: application/sdp\r\n" : "", strlen(body), body);
}

static struct str view(const struct text *t)
{
	return str_of(t->p, t->n);
}

static void call(struct rig *r)
{
	static struct text t;
	char route[400], to_tag[32];
	uint32_t serial = ++r->serial;
	snprintf(to_tag, sizeof(to_tag), ";tag=b%08x", serial);
	put_request(&t, "INVITE", "sip:1002@192.0.2.1", "", "", 1, serial, SDP);
	rig_feed(r, view(&t), &caller);
	struct str forwarded = null_env_last(r->env);
	struct str rr = rig_value(forwarded, "Record-Route: ");
	snprintf(route, sizeof(route), "Route: " STR_FMT "\r\n", STR_ARG(rr));
	static struct text ok;
	put_response(&t, 180, "Ringing", forwarded, to_tag, "");
	put_response(&ok, 200, "OK", forwarded, to_tag, SDP);
	rig_feed(r, view(&t), &callee);
	rig_feed(r, view(&ok), &callee);
	put_request(&t, "ACK", "sip:1002@192.0.2.43:5060", route, to_tag, 1, serial, "");
	rig_feed(r, view(&t), &caller);
	put_request(&t, "BYE", "sip:1002@192.0.2.43:5060", route, to_tag, 2, serial, "");
	rig_feed(r, view(&t), &caller);
	put_response(&t, 200, "OK", null_env_last(r->env), to_tag, "");
	rig_feed(r, view(&t), &callee);
	null_env_advance(r->env, 2000); /* 500 calls a second */
}

static void calls(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		call(arg);
}

/* The URI of our Contact and the tag of our To, as the caller has them to use. */
static void take_dialog(struct str ok, char *uri, char *tag, size_t cap)
{
	struct str contact = rig_value(ok, "Contact: "), to = rig_value(ok, "To: ");
	size_t begin = str_chr(contact, '<'), end = str_chr(contact, '>'),
	       at = str_find(to, STR(";tag="));
	if (begin >= end || end == SIZE_MAX || at == SIZE_MAX)
		rig_die("no dialog");
	snprintf(uri, cap, STR_FMT, STR_ARG(str_sub(contact, begin + 1, end - begin - 1)));
	snprintf(tag, cap, STR_FMT, STR_ARG(str_skip(to, at)));
}

static void b2b_call(struct rig *r)
{
	static struct text t, ok;
	char uri[200], to_tag[200], tag[32];
	uint32_t serial = ++r->serial;
	snprintf(tag, sizeof(tag), ";tag=b%08x", serial);
	put_request(&t, "INVITE", "sip:1002@192.0.2.1", "", "", 1, serial, SDP);
	rig_feed(r, view(&t), &caller);
	struct str invite = null_env_last_to(r->env, &callee);
	put_response(&t, 180, "Ringing", invite, tag, "");
	put_response(&ok, 200, "OK", invite, tag, SDP);
	rig_feed(r, view(&t), &callee);
	rig_feed(r, view(&ok), &callee);
	take_dialog(null_env_last_to(r->env, &caller), uri, to_tag, sizeof(uri));
	put_request(&t, "ACK", uri, "", to_tag, 1, serial, "");
	rig_feed(r, view(&t), &caller);
	put_request(&t, "BYE", uri, "", to_tag, 2, serial, "");
	rig_feed(r, view(&t), &caller);
	struct str bye = null_env_last_to(r->env, &callee);
	if (!str_starts(bye, STR("BYE ")) ||
	    !str_starts(null_env_last_to(r->env, &caller), STR("SIP/2.0 200 ")))
		rig_die("the call did not end");
	put_response(&t, 200, "OK", bye, tag, "");
	rig_feed(r, view(&t), &callee);
	null_env_advance(r->env, 2000);
}

static void b2b_calls(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		b2b_call(arg);
}

/* What the bench itself does for one call: it is taken off the figure. */
static void texts_only(void *arg, uint64_t n)
{
	static struct text t;
	struct rig *r = arg;
	static const char forwarded[] =
		"INVITE sip:1002@192.0.2.43:5060 SIP/2.0\r\nVia: SIP/2.0/UDP "
		"192.0.2.1:5060;branch=z9hG4bKabcdefghijklmnop;lp=0123456789abcdef\r\n"
		"Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bK0000000011\r\nRecord-Route: "
		"<sip:abcdefghij@192.0.2.1:5060;lr>\r\n"
		"From: <sip:1001@192.0.2.1>;tag=a00000001\r\nCall-ID: 00000001@192.0.2.21\r\nCSeq: "
		"1 INVITE\r\n\r\n";
	struct str f = str_of(forwarded, sizeof(forwarded) - 1);
	for (uint64_t i = 0; i < n; i++) {
		put_request(&t, "INVITE", "sip:1002@192.0.2.1", "", "", 1, r->serial, SDP);
		put_response(&t, 180, "Ringing", f, ";tag=b00000001", "");
		put_response(&t, 200, "OK", f, ";tag=b00000001", SDP);
		put_request(&t, "ACK", "sip:1002@192.0.2.43:5060", "", ";tag=b", 1, r->serial, "");
		put_request(&t, "BYE", "sip:1002@192.0.2.43:5060", "", ";tag=b", 2, r->serial, "");
		put_response(&t, 200, "OK", f, ";tag=b00000001", "");
	}
}

static void sign_in(struct rig *r)
{
	struct text t;
	t.n = (size_t)snprintf(t.p, sizeof(t.p),
			       "REGISTER sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
			       "192.0.2.43:5060;branch=z9hG4bKreg\r\nMax-Forwards: 70\r\n"
			       "From: <sip:1002@192.0.2.1>;tag=r\r\nTo: "
			       "<sip:1002@192.0.2.1>\r\nCall-ID: reg\r\nCSeq: 1 REGISTER\r\n"
			       "Contact: <sip:1002@192.0.2.43:5060>\r\nExpires: "
			       "7200\r\nContent-Length: 0\r\n\r\n");
	rig_feed(r, view(&t), &callee);
	for (int i = 0; i < 10; i++) {
		null_env_advance(r->env, 10000);
		ev_turn(r->loop);
	}
	if (!str_starts(null_env_last(r->env), STR("SIP/2.0 200")))
		rig_die("the callee could not register");
}

/* 80 s of virtual time before: pools and tables have their steady size. */
#define WARM_UP 40000

void bench_main(void)
{
	static struct rig r, b2b;
	addr_parse(STR("192.0.2.21:5060"), 0, &caller);
	addr_parse(STR("192.0.2.43:5060"), 0, &callee);
	rig_open(&r, "1002", 1, false);
	sign_in(&r);
	calls(&r, WARM_UP);
	double own_ns = bench_run(&(struct bench){.name = "stateful forward: the bench's own texts",
						  .fn = texts_only,
						  .arg = &r,
						  .ops = 6});
	bench_run(&(struct bench){.name = "stateful forward, per message",
				  .fn = calls,
				  .arg = &r,
				  .own_ns = own_ns,
				  .ops = 6,
				  .budget_ns = 1500});
	rig_close(&r);
	rig_open(&b2b, "1002", 1, true);
	sign_in(&b2b);
	b2b_calls(&b2b, WARM_UP);
	bench_run(&(struct bench){.name = "back-to-back user agent, per message",
				  .fn = b2b_calls,
				  .arg = &b2b,
				  .own_ns = own_ns,
				  .ops = 6,
				  .budget_ns = 3000,
				  .budget_mallocs = 3});
	rig_close(&b2b);
}
