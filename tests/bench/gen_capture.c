/* Makes large captures for measuring `rung scope` against others:
 *
 *	gen_capture sip N [SEED] > FILE           N messages: calls through a proxy, refused and
 *	                                          cancelled ones, registrations, OPTIONS
 *	gen_capture rtp N STREAMS [SEED] > FILE   N packets of RTP in calls of two streams each
 *
 * The same arguments make the same bytes. A dialog is a row of `dialogs`: steps with their waits;
 * dialogs begin at a steady rate and are interleaved by time in a heap. 2,000 users in 10.0.0.0/16
 * talk through the four proxies 192.0.2.11 to 14, so that a filter on one address fits a quarter.
 * A message of a million has about 640 bytes in the file, and its dialog 7.4 messages.
 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USERS   2'000u
#define PROXIES 4u
#define CHUNK   (1u << 20)

struct step {
	uint16_t wait_ms;
	const char *hop;    /* "AP": from caller to proxy; B: callee */
	const char *start;  /* a method, or a status line */
	const char *cseq;   /* method of CSeq */
	uint8_t no, branch; /* CSeq number; distinguishes the branch of a hop's transaction */
	uint8_t has;        /* below */
};
enum { TAG = 1, SDP = 2, CHALLENGE = 4, CREDENTIALS = 8, CONTACT = 16, ROUTED = 32 };
#define OFFER  (SDP | CONTACT)
#define ANSWER (TAG | SDP | CONTACT)

static const struct step answered[] = {
	{0,     "AP", "INVITE",      "INVITE", 2, 0, OFFER          },
	{1,     "PA", "100 Trying",  "INVITE", 2, 0, 0              },
	{2,     "PB", "INVITE",      "INVITE", 2, 1, OFFER | ROUTED },
	{12,    "BP", "100 Trying",  "INVITE", 2, 1, ROUTED         },
	{40,    "BP", "180 Ringing", "INVITE", 2, 1, TAG | ROUTED   },
	{1,     "PA", "180 Ringing", "INVITE", 2, 0, TAG | ROUTED   },
	{3'000, "BP", "200 OK",      "INVITE", 2, 1, ANSWER | ROUTED},
	{1,     "PA", "200 OK",      "INVITE", 2, 0, ANSWER | ROUTED},
	{15,    "AP", "ACK",         "ACK",    2, 2, TAG            },
	{1,     "PB", "ACK",         "ACK",    2, 3, TAG            },
	{9'000, "AP", "BYE",         "BYE",    3, 4, TAG            },
	{1,     "PB", "BYE",         "BYE",    3, 5, TAG            },
	{10,    "BP", "200 OK",      "BYE",    3, 5, TAG            },
	{1,     "PA", "200 OK",      "BYE",    3, 4, TAG            },
};
static const struct step challenged[] = {
  /* before `answered` */
	{0, "AP", "INVITE",			    "INVITE", 1, 8, OFFER          },
	{1, "PA", "407 Proxy Authentication Required", "INVITE", 1, 8, TAG | CHALLENGE},
	{8, "AP", "ACK",			       "ACK",    1, 8, TAG            },
};
static const struct step refused[] = {
	{0,     "AP", "INVITE",        "INVITE", 1, 0, OFFER         },
	{1,     "PA", "100 Trying",    "INVITE", 1, 0, 0             },
	{2,     "PB", "INVITE",        "INVITE", 1, 1, OFFER | ROUTED},
	{12,    "BP", "100 Trying",    "INVITE", 1, 1, ROUTED        },
	{40,    "BP", "180 Ringing",   "INVITE", 1, 1, TAG | ROUTED  },
	{1,     "PA", "180 Ringing",   "INVITE", 1, 0, TAG | ROUTED  },
	{2'000, "BP", "486 Busy Here", "INVITE", 1, 1, TAG           },
	{1,     "PB", "ACK",           "ACK",    1, 1, TAG           },
	{1,     "PA", "486 Busy Here", "INVITE", 1, 0, TAG           },
	{9,     "AP", "ACK",           "ACK",    1, 0, TAG           },
};
static const struct step cancelled[] = {
	{0,     "AP", "INVITE",                 "INVITE", 1, 0, OFFER         },
	{1,     "PA", "100 Trying",             "INVITE", 1, 0, 0             },
	{2,     "PB", "INVITE",                 "INVITE", 1, 1, OFFER | ROUTED},
	{40,    "BP", "180 Ringing",            "INVITE", 1, 1, TAG | ROUTED  },
	{1,     "PA", "180 Ringing",            "INVITE", 1, 0, TAG | ROUTED  },
	{7'000, "AP", "CANCEL",                 "CANCEL", 1, 0, 0             },
	{1,     "PA", "200 OK",                 "CANCEL", 1, 0, TAG           },
	{1,     "PB", "CANCEL",                 "CANCEL", 1, 1, 0             },
	{9,     "BP", "200 OK",                 "CANCEL", 1, 1, TAG           },
	{1,     "BP", "487 Request Terminated", "INVITE", 1, 1, TAG           },
	{1,     "PB", "ACK",                    "ACK",    1, 1, TAG           },
	{1,     "PA", "487 Request Terminated", "INVITE", 1, 0, TAG           },
	{9,     "AP", "ACK",                    "ACK",    1, 0, TAG           },
};
static const struct step registered[] = {
	{0, "AP", "REGISTER",         "REGISTER", 1, 0, CONTACT              },
	{1, "PA", "401 Unauthorized", "REGISTER", 1, 0, TAG | CHALLENGE      },
	{8, "AP", "REGISTER",         "REGISTER", 2, 1, CONTACT | CREDENTIALS},
	{1, "PA", "200 OK",           "REGISTER", 2, 1, TAG | CONTACT        },
};
static const struct step refreshed[] = {
	{0, "AP", "REGISTER", "REGISTER", 7, 1, CONTACT | CREDENTIALS},
	{1, "PA", "200 OK",   "REGISTER", 7, 1, TAG | CONTACT        },
};
static const struct step probed[] = {
	{0, "PA", "OPTIONS", "OPTIONS", 10, 0, 0  },
	{9, "AP", "200 OK",  "OPTIONS", 10, 0, TAG},
};

#define STEPS(a) a, sizeof(a) / sizeof((a)[0])
static const struct {
	uint16_t per_mille;
	const struct step *steps;
	size_t n;
	const struct step *then;
	size_t n_then;
} dialogs[] = {
	{265,		STEPS(answered),   NULL,            0},
        {50,                 STEPS(challenged), STEPS(answered)},
	{70,    STEPS(refused),              NULL,               0 },
        {40,  STEPS(cancelled),              NULL,               0},
	{280, STEPS(registered),              NULL,               0 },
        {105,  STEPS(refreshed),              NULL,               0},
	{190,     STEPS(probed),              NULL,               0 },
};
#define N_DIALOGS (sizeof dialogs / sizeof dialogs[0])

struct dialog {
	uint64_t at_us; /* of the next step */
	uint64_t id;    /* random: its tags, branches, Call-ID */
	uint32_t no;
	uint16_t a, b; /* users */
	uint8_t kind, proxy, step;
};

struct gen {
	uint64_t rnd, at_us;
	uint32_t n, max, n_dialogs;
	uint16_t ip_id;
	struct dialog *heap; /* by at_us, then no: the earliest first */
	size_t n_heap, heap_cap;
	struct buf out, msg, body;
};

static uint64_t rnd(struct gen *g) /* xorshift64* */
{
	g->rnd ^= g->rnd >> 12;
	g->rnd ^= g->rnd << 25;
	g->rnd ^= g->rnd >> 27;
	return g->rnd * 0x2545f4914f6cdd1dull;
}

_Noreturn static void die(const char *why)
{
	fprintf(stderr, "gen_capture: %s\n", why);
	exit(1);
}

/* --- packets ---------------------------------------------------------------------------------- */

struct end {
	uint8_t ip[4];
	uint16_t port;
};

static void flush(struct gen *g)
{
	if (g->out.err || fwrite(g->out.p, 1, g->out.n, stdout) != g->out.n)
		die("cannot write");
	buf_clear(&g->out);
}

static void begin_file(struct gen *g)
{
	static const uint32_t head[6] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 262'144, 1};
	buf_put(&g->out, head, sizeof head);
}

static void be16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_udp(struct gen *g, struct end from, struct end to, struct str payload)
{
	uint32_t n = (uint32_t)(42 + payload.n), sum = 0;
	uint32_t rec[4] = {(uint32_t)(g->at_us / 1'000'000), (uint32_t)(g->at_us % 1'000'000), n,
			   n};
	uint8_t h[42] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 8, 0, 0x45, [22] = 64, 17};
	be16(h + 16, n - 14);
	be16(h + 18, ++g->ip_id);
	memcpy(h + 26, from.ip, 4);
	memcpy(h + 30, to.ip, 4);
	for (unsigned i = 14; i < 34; i += 2)
		sum += (unsigned)h[i] << 8 | h[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	be16(h + 24, ~sum & 0xffff);
	be16(h + 34, from.port);
	be16(h + 36, to.port);
	be16(h + 38, n - 34);
	buf_put(&g->out, rec, sizeof rec);
	buf_put(&g->out, h, sizeof h);
	buf_str(&g->out, payload);
	if (g->out.n >= CHUNK)
		flush(g);
}

/* --- messages --------------------------------------------------------------------------------- */

static void put(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

static void put_hex(struct buf *b, uint64_t v)
{
	static const char digits[] = "0123456789abcdef";
	char text[16];
	for (int i = 15; i >= 0; i--, v >>= 4)
		text[i] = digits[v & 15];
	buf_put(b, text, sizeof text);
}

static struct end end_of(const struct dialog *d, char who)
{
	if (who == 'P')
		return (struct end){
			{192, 0, 2, (uint8_t)(11 + d->proxy)},
                        5060
                };
	unsigned user = who == 'A' ? d->a : d->b;
	return (struct end){
		{10, 0, (uint8_t)(user / 250), (uint8_t)(user % 250 + 1)},
                5060
        };
}

static void put_ip(struct buf *b, struct end e)
{
	for (unsigned i = 0; i < 4; i++) {
		buf_u64(b, e.ip[i]);
		if (i < 3)
			buf_chr(b, '.');
	}
}

static unsigned user_of(const struct dialog *d, char who)
{
	return 1'000u + (who == 'A' ? d->a : d->b);
}

static void put_via(struct buf *b, const struct dialog *d, char who, unsigned branch)
{
	put(b, "Via: SIP/2.0/UDP ");
	put_ip(b, end_of(d, who));
	put(b, ":5060;branch=z9hG4bK");
	put_hex(b, d->id);
	buf_chr(b, (char)('a' + branch));
	put(b, ";rport\r\n");
}

static void put_sdp(struct buf *b, const struct dialog *d, char who)
{
	put(b, "v=0\r\no=- ");
	buf_u64(b, d->no);
	put(b, " 1 IN IP4 ");
	put_ip(b, end_of(d, who));
	put(b, "\r\ns=-\r\nc=IN IP4 ");
	put_ip(b, end_of(d, who));
	put(b, "\r\nt=0 0\r\nm=audio ");
	buf_u64(b, 10'000 + d->no * 4 % 40'000 + (who == 'A' ? 0 : 2));
	put(b, " RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
	       "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n");
}

static void put_parties(struct buf *b, const struct dialog *d, const struct step *s)
{
	bool is_reg = strcmp(s->cseq, "REGISTER") == 0, is_probe = strcmp(s->cseq, "OPTIONS") == 0;
	put(b, "From: ");
	put(b, is_probe ? "<sip:ping" : "\"Alice Example\" <sip:");
	if (!is_probe)
		buf_u64(b, user_of(d, 'A'));
	put(b, "@pbx.example.com>;tag=");
	put_hex(b, d->id ^ 0x1111);
	put(b, "\r\nTo: <sip:");
	buf_u64(b, user_of(d, is_reg || is_probe ? 'A' : 'B'));
	put(b, "@pbx.example.com>");
	if (s->has & TAG) {
		put(b, ";tag=");
		put_hex(b, d->id ^ (s->has & CHALLENGE || s->branch == 8 ? 0x3333 : 0x2222));
	}
	put(b, "\r\nCall-ID: ");
	put_hex(b, d->id);
	buf_chr(b, '@');
	put_ip(b, end_of(d, is_probe ? 'P' : 'A'));
	put(b, "\r\nCSeq: ");
	buf_u64(b, s->no);
	buf_chr(b, ' ');
	put(b, s->cseq);
	put(b, "\r\n");
}

static void put_auth(struct buf *b, const struct dialog *d, const struct step *s)
{
	bool is_reg = strcmp(s->cseq, "REGISTER") == 0;
	if (s->has & CHALLENGE) {
		put(b, is_reg ? "WWW-Authenticate" : "Proxy-Authenticate");
		put(b, ": Digest realm=\"pbx.example.com\", nonce=\"");
	} else {
		put(b, is_reg ? "Authorization" : "Proxy-Authorization");
		put(b, ": Digest username=\"");
		buf_u64(b, user_of(d, 'A'));
		put(b, "\", realm=\"pbx.example.com\", uri=\"sip:pbx.example.com\", nc=00000001, "
		       "cnonce=\"0a4f113b\", response=\"");
		put_hex(b, d->id * 3);
		put_hex(b, d->id * 5);
		put(b, "\", nonce=\"");
	}
	put_hex(b, d->id * 7);
	put(b, "\", algorithm=MD5, qop=\"auth\"\r\n");
}

static void put_contact(struct buf *b, const struct dialog *d, bool is_request, const char *cseq)
{
	bool is_reg = strcmp(cseq, "REGISTER") == 0;
	char who = is_request || is_reg ? 'A' : 'B';
	put(b, "Contact: <sip:");
	buf_u64(b, user_of(d, who));
	buf_chr(b, '@');
	put_ip(b, end_of(d, who));
	put(b, is_reg ? ":5060>;expires=3600\r\n" : ":5060>\r\n");
}

static void compose(struct gen *g, const struct dialog *d, const struct step *s)
{
	struct buf *b = &g->msg;
	bool is_request = s->start[0] >= 'A', is_probe = strcmp(s->cseq, "OPTIONS") == 0;
	char sender = is_request ? s->hop[0] : s->hop[1]; /* of the request */
	buf_clear(b);
	buf_clear(&g->body);
	if (is_request) {
		put(b, s->start);
		put(b, " sip:");
		buf_u64(b, user_of(d, is_probe ? 'A' : 'B'));
		buf_chr(b, '@');
		if (s->hop[1] == 'P')
			put(b, "pbx.example.com");
		else
			put_ip(b, end_of(d, s->hop[1]));
		put(b, " SIP/2.0\r\n");
	} else {
		put(b, "SIP/2.0 ");
		put(b, s->start);
		put(b, "\r\n");
	}
	put_via(b, d, sender, s->branch);
	if (sender == 'P' && !is_probe)
		put_via(b, d, 'A', s->branch - 1u);
	if (s->has & ROUTED) {
		put(b, "Record-Route: <sip:");
		put_ip(b, end_of(d, 'P'));
		put(b, ";lr>\r\n");
	}
	if (is_request)
		put(b, sender == 'P' ? "Max-Forwards: 69\r\n" : "Max-Forwards: 70\r\n");
	put_parties(b, d, s);
	if (s->has & (CHALLENGE | CREDENTIALS))
		put_auth(b, d, s);
	if (s->has & CONTACT)
		put_contact(b, d, is_request, s->cseq);
	put(b, s->hop[0] == 'P' ? "Server: Exchange 5.6.3 (x86_64/linux)\r\n"
				: "User-Agent: Deskphone 7.3.1 (00:04:13:2a:5e:01)\r\n");
	put(b, "Session-ID: ");
	put_hex(b, d->id * 11);
	put_hex(b, d->id * 13);
	put(b, ";remote=");
	put_hex(b, d->id * 17);
	put_hex(b, d->id * 19);
	put(b, "\r\n");
	if (s->has & CONTACT || is_probe)
		put(b, "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REFER, INFO, UPDATE\r\n"
		       "Supported: replaces, timer, path\r\n");
	if (s->has & SDP) {
		put_sdp(&g->body, d, is_request ? 'A' : 'B');
		put(b, "Content-Type: application/sdp\r\n");
	}
	put(b, "Content-Length: ");
	buf_u64(b, g->body.n);
	put(b, "\r\n\r\n");
	buf_str(b, buf_view(&g->body));
	if (b->err || g->body.err)
		die("no memory");
	put_udp(g, end_of(d, s->hop[0]), end_of(d, s->hop[1]), buf_view(b));
	g->n++;
}

/* --- time ------------------------------------------------------------------------------------- */

static bool is_before(const struct dialog *x, const struct dialog *y)
{
	return x->at_us != y->at_us ? x->at_us < y->at_us : x->no < y->no;
}

static void heap_push(struct gen *g, struct dialog d)
{
	if (g->n_heap == g->heap_cap) {
		g->heap_cap = g->heap_cap ? 2 * g->heap_cap : 1'024;
		g->heap = realloc(g->heap, g->heap_cap * sizeof d);
		if (!g->heap)
			die("no memory");
	}
	size_t i = g->n_heap++;
	for (; i && is_before(&d, &g->heap[(i - 1) / 2]); i = (i - 1) / 2)
		g->heap[i] = g->heap[(i - 1) / 2];
	g->heap[i] = d;
}

static struct dialog heap_pop(struct gen *g)
{
	struct dialog top = g->heap[0], last = g->heap[--g->n_heap];
	size_t i = 0, k;
	for (; (k = 2 * i + 1) < g->n_heap; i = k) {
		if (k + 1 < g->n_heap && is_before(&g->heap[k + 1], &g->heap[k]))
			k++;
		if (!is_before(&g->heap[k], &last))
			break;
		g->heap[i] = g->heap[k];
	}
	g->heap[i] = last;
	return top;
}

static struct dialog dialog_new(struct gen *g, uint64_t at_us)
{
	struct dialog d = {.at_us = at_us, .id = rnd(g), .no = ++g->n_dialogs};
	unsigned at = (unsigned)(rnd(g) % 1'000);
	while (d.kind + 1u < N_DIALOGS && at >= dialogs[d.kind].per_mille)
		at -= dialogs[d.kind++].per_mille;
	uint64_t r = rnd(g);
	d.a = (uint16_t)(r % USERS);
	d.b = (uint16_t)((d.a + 1 + (r >> 20) % (USERS - 1)) % USERS);
	d.proxy = (uint8_t)((r >> 40) % PROXIES);
	return d;
}

static const struct step *step_of(const struct dialog *d, unsigned i)
{
	size_t n = dialogs[d->kind].n;
	if (i < n)
		return &dialogs[d->kind].steps[i];
	return i - n < dialogs[d->kind].n_then ? &dialogs[d->kind].then[i - n] : NULL;
}

static uint64_t jitter(struct gen *g, unsigned ms)
{
	uint64_t us = ms * 1'000ull;
	return us / 2 + rnd(g) % (us + 300);
}

/* 1 message in 100 of a caller is sent again half a second later. */
static void play_sip(struct gen *g)
{
	uint64_t next_us = g->at_us;
	while (g->n < g->max) {
		if (!g->n_heap || next_us <= g->heap[0].at_us) {
			heap_push(g, dialog_new(g, next_us));
			next_us += 1'000 + rnd(g) % 3'000; /* 400 dialogs a second */
			continue;
		}
		struct dialog d = heap_pop(g);
		g->at_us = d.at_us;
		const struct step *s = step_of(&d, d.step);
		compose(g, &d, s);
		if (s->hop[0] == 'A' && rnd(g) % 100 == 0) {
			d.at_us += 500'000;
			heap_push(g, d);
			continue;
		}
		s = step_of(&d, ++d.step);
		if (!s)
			continue;
		d.at_us += jitter(g, s->wait_ms);
		heap_push(g, d);
	}
}

/* --- media ------------------------------------------------------------------------------------ */

static struct end media_of(const struct dialog *d, char who)
{
	struct end e = end_of(d, who);
	e.port = (uint16_t)(10'000 + d->no * 4 % 40'000 + (who == 'A' ? 0 : 2));
	return e;
}

static void signal(struct gen *g, struct dialog *d, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		g->at_us += 100;
		compose(g, d, &answered[i]);
	}
}

static void put_rtp(struct gen *g, const struct dialog *d, bool is_back, uint32_t i)
{
	uint8_t p[172] = {0x80, i ? 0 : 0x80};
	uint32_t ts = i * 160, ssrc = d->no * 2 + is_back;
	be16(p + 2, i & 0xffff);
	be16(p + 4, ts >> 16);
	be16(p + 6, ts & 0xffff);
	be16(p + 8, ssrc >> 16);
	be16(p + 10, ssrc & 0xffff);
	memset(p + 12, 0xff, 160);
	put_udp(g, media_of(d, is_back ? 'B' : 'A'), media_of(d, is_back ? 'A' : 'B'),
		str_of((const char *)p, sizeof p));
}

static void play_rtp(struct gen *g, uint32_t n, uint32_t n_streams)
{
	uint32_t n_calls = n_streams / 2;
	struct dialog *d = calloc(n_calls, sizeof *d);
	if (!d)
		die("no memory");
	for (uint32_t i = 0; i < n_calls; i++) {
		d[i] = (struct dialog){.id = rnd(g), .no = i + 1};
		d[i].a = (uint16_t)(2 * i % USERS);
		d[i].b = (uint16_t)((2 * i + 1) % USERS);
		signal(g, &d[i], 0, 10);
	}
	uint64_t start_us = g->at_us + 20'000;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t round = k / n_streams, i = k % n_streams;
		g->at_us = start_us + round * 20'000ull + i * 20'000ull / n_streams;
		put_rtp(g, &d[i / 2], i & 1, round);
	}
	for (uint32_t i = 0; i < n_calls; i++)
		signal(g, &d[i], 10, 14);
	free(d);
}

int main(int argc, char **argv)
{
	struct gen g = {.at_us = 1'700'000'000'000'000};
	bool is_rtp = argc > 3 && strcmp(argv[1], "rtp") == 0;
	bool is_sip = argc > 2 && strcmp(argv[1], "sip") == 0;
	int seed_at = is_rtp ? 4 : 3;
	unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long n_streams = is_rtp ? strtoul(argv[3], NULL, 10) : 2;
	if ((!is_rtp && !is_sip) || !n || n > UINT32_MAX || n_streams < 2 || n_streams > 20'000)
		die("gen_capture sip N [SEED] | rtp N STREAMS [SEED]   (2 to 20,000 streams)");
	g.rnd = 0x9e3779b97f4a7c15ull ^ (argc > seed_at ? strtoull(argv[seed_at], NULL, 10) : 1);
	g.max = (uint32_t)n;
	buf_init(&g.out);
	buf_init(&g.msg);
	buf_init(&g.body);
	begin_file(&g);
	if (is_rtp)
		play_rtp(&g, (uint32_t)n, (uint32_t)n_streams);
	else
		play_sip(&g);
	flush(&g);
	fprintf(stderr, "%u SIP messages, %u dialogs\n", g.n, g.n_dialogs);
	buf_fini(&g.out);
	buf_fini(&g.msg);
	buf_fini(&g.body);
	free(g.heap);
	return fflush(stdout) ? 1 : 0;
}
