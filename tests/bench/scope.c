/* What the live scope costs the exchange's scope thread: each message of a loaded exchange is
 * indexed, tracked, and at the end of its call judged. 14 messages make a proxied call, 4 a
 * registration with digest; 2,000 calls are open at once, as at 500 calls/s of 4 s. And what a
 * media packet of a capture costs, at 40 and at 2,000 streams; and what the lint costs for each
 * message of those calls. */

#include "base/assert.h"
#include "bench.h"
#include "lint/lint.h"
#include "track/trk_media.h"
#include "track/vrd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_CALLS 2'000

struct step {
	const char *hop, *start, *cseq, *branch, *more;
};

#define SDP                                                                                        \
	"Contact: <sip:x@192.0.2.21:5060>\r\nContent-Type: application/sdp\r\n\r\n"                \
	"v=0\r\no=- 3911 3911 IN IP4 192.0.2.21\r\ns=-\r\nc=IN IP4 192.0.2.21\r\nt=0 0\r\n"        \
	"m=audio 40376 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"        \
	"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"
#define INVITE "INVITE sip:1002@192.0.2.57 SIP/2.0"
#define NO     "\r\n"

static const struct step call_steps[] = {
	{"A>P", INVITE,			    "1 INVITE", "a", SDP},
	{"P>A", "SIP/2.0 100 Trying",              "1 INVITE", "a", NO },
	{"P>B", INVITE,			    "1 INVITE", "b", SDP},
	{"B>P", "SIP/2.0 100 Trying",              "1 INVITE", "b", NO },
	{"B>P", "SIP/2.0 180 Ringing",             "1 INVITE", "b", NO },
	{"P>A", "SIP/2.0 180 Ringing",             "1 INVITE", "a", NO },
	{"B>P", "SIP/2.0 200 OK",                  "1 INVITE", "b", SDP},
	{"P>A", "SIP/2.0 200 OK",                  "1 INVITE", "a", SDP},
	{"A>P", "ACK sip:1002@192.0.2.43 SIP/2.0", "1 ACK",    "c", NO },
	{"P>B", "ACK sip:1002@192.0.2.43 SIP/2.0", "1 ACK",    "d", NO },
	{"A>P", "BYE sip:1002@192.0.2.43 SIP/2.0", "2 BYE",    "e", NO },
	{"P>B", "BYE sip:1002@192.0.2.43 SIP/2.0", "2 BYE",    "f", NO },
	{"B>P", "SIP/2.0 200 OK",                  "2 BYE",    "f", NO },
	{"P>A", "SIP/2.0 200 OK",                  "2 BYE",    "e", NO },
};
#define CALL_STEPS 14

static const struct step reg_steps[] = {
	{"A>P", "REGISTER sip:192.0.2.57 SIP/2.0", "1 REGISTER", "a", NO          },
	{"P>A", "SIP/2.0 401 Unauthorized",        "1 REGISTER", "a",
	 "WWW-Authenticate: Digest realm=\"192.0.2.57\", "
	 "nonce=\"01.5f3c1a2b.8d1e6a7c9b0f1e2d3c4b5a69\", qop=\"auth\"\r\n\r\n"   },
	{"A>P", "REGISTER sip:192.0.2.57 SIP/2.0", "2 REGISTER", "b",
	 "Authorization: Digest username=\"1001\", realm=\"192.0.2.57\", "
	 "nonce=\"01.5f3c1a2b.8d1e6a7c9b0f1e2d3c4b5a69\", uri=\"sip:192.0.2.57\", "
	 "response=\"6629fae49393a05397450978507c4ef1\", cnonce=\"0a4f113b\", qop=auth, "
	 "nc=00000001\r\nContact: <sip:1001@192.0.2.21:5060>;expires=3600\r\n\r\n"},
	{"P>A", "SIP/2.0 200 OK",                  "2 REGISTER", "b",
	 "Contact: <sip:1001@192.0.2.21:5060>;expires=3600\r\n\r\n"               },
};
#define REG_STEPS 4

struct text {
	char bytes[1'600];
	size_t n, id_at; /* where the Call-ID's digits stand */
	struct addr from, to;
};

struct tracking {
	struct trk *t;
	struct lint *l; /* instead of t */
	const struct text *texts;
	unsigned n_steps, n_open;
	uint64_t now_us, first; /* number of the oldest open call */
	unsigned *at;           /* next step of each open call */
	uint64_t n_verdicts;
};

static struct addr host(char letter)
{
	struct addr a = {
		.family = ADDR_V4, .port = 5060, .ip = {192, 0, 2, 57}
        };
	if (letter != 'P')
		a.ip[3] = letter == 'A' ? 21 : 43;
	return a;
}

static void compose(struct text *x, const struct step *s)
{
	int n = snprintf(
		x->bytes, sizeof(x->bytes),
		"%s\r\nVia: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bK1b8d7f2f4a6c9e11%s;rport\r\n"
		"Max-Forwards: 70\r\nFrom: \"Alice Example\" <sip:1001@192.0.2.57>;tag=9fxced\r\n"
		"To: <sip:1002@192.0.2.57>%s\r\nCSeq: %s\r\nUser-Agent: Deskphone 7.3.1\r\n"
		"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER\r\n"
		"Call-ID: 00000000000000@192.0.2.21\r\n%s",
		s->start, s->branch, strncmp(s->start, "SIP", 3) ? "" : ";tag=314159", s->cseq,
		s->more);
	ASSERT(n > 0 && (size_t)n < sizeof(x->bytes));
	x->n = (size_t)n;
	x->id_at = (size_t)(strstr(x->bytes, "Call-ID: ") - x->bytes) + 9;
	x->from = host(s->hop[0]);
	x->to = host(s->hop[2]);
}

static void one_message(struct tracking *k, uint64_t call, unsigned step)
{
	struct text x = k->texts[step];
	for (int i = 13; i >= 0; i--, call /= 10)
		x.bytes[x.id_at + (size_t)i] = (char)('0' + call % 10);
	struct trk_packet p = {.at_us = k->now_us,
			       .frame_no = 1,
			       .from = x.from,
			       .to = x.to,
			       .bytes = str_of(x.bytes, x.n)};
	enum err e = k->l ? lint_message(k->l, &p, true) : trk_message(k->t, &p, NULL);
	ASSERT(e == OK);
}

/* Every open call makes one step in turn; one that is over is replaced by a new one. */
static void track(void *arg, uint64_t n)
{
	struct tracking *k = arg;
	static uint64_t turn;
	while (n--) {
		unsigned i = (unsigned)(turn++ % k->n_open);
		k->now_us += 4'000'000 / (uint64_t)(k->n_open * k->n_steps) + 1;
		one_message(k, k->first + i + (uint64_t)k->n_open * (k->at[i] / k->n_steps),
			    k->at[i] % k->n_steps);
		k->at[i]++;
	}
}

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	char line[400];
	struct buf b;
	struct tracking *k = arg;
	buf_init_fixed(&b, line, sizeof(line));
	vrd_put_line(&b, c, v, false);
	BENCH_KEEP(b.n);
	k->n_verdicts++;
}

static void bench_track(const char *name, const struct step *steps, unsigned n_steps, double budget)
{
	static struct text texts[CALL_STEPS];
	struct tracking k = {.texts = texts, .n_steps = n_steps, .n_open = OPEN_CALLS, .first = 1};
	struct trk_cfg cfg = {.is_live = true, .on_verdict = on_verdict, .arg = &k};
	k.t = trk_new(&cfg);
	k.at = calloc(OPEN_CALLS, sizeof(*k.at));
	ASSERT(k.t && k.at);
	k.now_us = 1'700'000'000'000'000;
	for (unsigned i = 0; i < n_steps; i++)
		compose(&texts[i], &steps[i]);
	for (unsigned i = 0; i < OPEN_CALLS; i++)
		k.at[i] = i % n_steps;          /* spread over the phases */
	track(&k, 4ull * OPEN_CALLS * n_steps); /* until as many end as begin, and linger */
	bench_run(&(struct bench){
		.name = name, .fn = track, .arg = &k, .budget_ns = budget, .ops = 1});
	bench_note("  calls in memory", "", trk_n_live(k.t), 0);
	trk_free(k.t);
	free(k.at);
}

static void bench_lint(const char *name, const struct step *steps, unsigned n_steps, double budget)
{
	static struct text texts[CALL_STEPS];
	struct tracking k = {.texts = texts, .n_steps = n_steps, .n_open = OPEN_CALLS, .first = 1};
	k.l = lint_new(&(struct lint_cfg){0});
	k.at = calloc(OPEN_CALLS, sizeof(*k.at));
	ASSERT(k.l && k.at);
	k.now_us = 1'700'000'000'000'000;
	for (unsigned i = 0; i < n_steps; i++)
		compose(&texts[i], &steps[i]);
	bench_run(&(struct bench){
		.name = name, .fn = track, .arg = &k, .budget_ns = budget, .ops = 1});
	lint_free(k.l);
	free(k.at);
}

/* --- media ------------------------------------------------------------------------------------ */

struct media {
	struct trk *t;
	unsigned n_streams;
	uint64_t n, now_us;
};

static void packets(void *arg, uint64_t n)
{
	struct media *m = arg;
	uint8_t bytes[RTP_HDR_MIN + 160] = {0};
	while (n--) {
		unsigned i = (unsigned)(m->n % m->n_streams);
		uint64_t round = m->n++ / m->n_streams;
		rtp_put(bytes, 0, false, (uint16_t)round, (uint32_t)round * 160, 7);
		struct trk_packet p = {.at_us = m->now_us += 1 + 20'000 / m->n_streams,
				       .from = host('A'),
				       .to = host('B'),
				       .bytes = str_of((const char *)bytes, sizeof(bytes))};
		p.from.port = (uint16_t)(10'000 + i);
		p.to.port = (uint16_t)(30'000 + i);
		struct trk_datagram d = trk_datagram_of(&p);
		enum rtp_kind kind = trk_media(m->t, &d, NULL);
		ASSERT(kind == RTP_RTP);
	}
}

static void bench_media(const char *name, unsigned n_streams, double budget)
{
	struct media m = {.n_streams = n_streams, .now_us = 1'700'000'000'000'000};
	struct trk_cfg cfg = {.has_media = true};
	m.t = trk_new(&cfg);
	ASSERT(m.t);
	for (unsigned i = 0; i < n_streams; i++) {
		char text[900];
		int n = snprintf(
			text, sizeof(text),
			INVITE
			"\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u\r\nFrom: <sip:a@b>;tag=1\r\n"
			"To: <sip:c@b>\r\nCall-ID: m%u\r\nCSeq: 1 INVITE\r\n"
			"Content-Type: application/sdp\r\n\r\n"
			"v=0\r\no=- 1 1 IN IP4 192.0.2.43\r\ns=-\r\n"
			"c=IN IP4 192.0.2.43\r\nt=0 0\r\nm=audio %u RTP/AVP 0\r\n",
			i, i, 30'000 + i);
		struct trk_packet p = {.at_us = m.now_us,
				       .from = host('A'),
				       .to = host('B'),
				       .bytes = str_of(text, (size_t)n)};
		enum err e = trk_message(m.t, &p, NULL);
		ASSERT(e == OK);
	}
	packets(&m, 4ull * n_streams);
	bench_run(&(struct bench){
		.name = name, .fn = packets, .arg = &m, .budget_ns = budget, .ops = 1});
	trk_free(m.t);
}

void bench_main(void)
{
	bench_track("track: message of a call", call_steps, CALL_STEPS, 1'000);
	bench_track("track: message of a registration", reg_steps, REG_STEPS, 1'000);
	bench_lint("lint: message of a call, with its index", call_steps, CALL_STEPS, 2'000);
	bench_media("media: packet of 40 streams", 40, 80);
	bench_media("media: packet of 2,000 streams", 2'000, 80);
}
