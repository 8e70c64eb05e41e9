/* Broken captures: small ones of each kind, cut off behind every byte, and with every byte of them
 * wrong in turn (one other value; all bits where headers are), through the whole analysis:
 * messages, calls, media, lint, a filter, verdicts, and one of the exports after the other. Nothing
 * may crash or hang, and what is written stays well formed. Prints TAP: one test for each kind. The
 * argument is the folder with the captures. */
#include "base/assert.h"
#include "form.h"
#include "lint/lint.h"
#include "scope/anon.h"
#include "scope/lad.h"
#include "scope/sipp.h"
#include "scope/view.h"
#include "wire/hep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECONDS_PER_RUN 10
#define HEADERS         48 /* bytes of a frame in which all bits are turned */

/* --- captures --------------------------------------------------------------------------------- */

static void put16(struct buf *b, unsigned v)
{
	buf_chr(b, (char)(v >> 8));
	buf_chr(b, (char)v);
}

static void put32(struct buf *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b, v & 0xffff);
}

struct made { /* a capture, and where its frames' bytes lie */
	struct buf bytes;
	bool is_ng;
	unsigned n;
	size_t frames[64];
};

static void begin(struct made *m, unsigned link, struct str secrets)
{
	struct buf *b = &m->bytes;
	*m = (struct made){.is_ng = secrets.n > 0};
	buf_init(b);
	if (!m->is_ng) {
		buf_str(b, STR("\xa1\xb2\xc3\xd4\0\2\0\4\0\0\0\0\0\0\0\0\0\1\0\0"));
		put32(b, link);
		return;
	}
	buf_str(b, STR("\x0a\x0d\x0d\x0a\0\0\0\x1c\x1a\x2b\x3c\x4d\0\1\0\0"
		       "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x1c"));
	buf_str(b, STR("\0\0\0\1\0\0\0\x20"));
	put32(b, link << 16);
	put32(b, 65'535);
	buf_str(b, STR("\0\x09\0\1\6\0\0\0\0\0\0\0\0\0\0\x20"));
	uint32_t padded = ((uint32_t)secrets.n + 3) & ~3u;
	put32(b, 10);
	put32(b, 20 + padded);
	put32(b, 0x544c534b);
	put32(b, (uint32_t)secrets.n);
	buf_str(b, secrets);
	buf_fill(b, 0, padded - secrets.n);
	put32(b, 20 + padded);
}

static void add(struct made *m, uint64_t at_us, struct str frame)
{
	struct buf *b = &m->bytes;
	uint32_t n = (uint32_t)frame.n, padded = (n + 3) & ~3u;
	if (m->is_ng) {
		put32(b, 6);
		put32(b, 32 + padded);
		put32(b, 0);
		put32(b, (uint32_t)(at_us >> 32));
		put32(b, (uint32_t)at_us);
	} else {
		put32(b, (uint32_t)(at_us / 1'000'000));
		put32(b, (uint32_t)(at_us % 1'000'000));
	}
	put32(b, n);
	put32(b, n);
	m->frames[m->n++] = b->n;
	buf_str(b, frame);
	if (m->is_ng) {
		buf_fill(b, 0, padded - n);
		put32(b, 32 + padded);
	}
}

/* IPv4 and UDP around a payload, for link type 101. */
static void add_udp(struct made *m, uint64_t at_us, unsigned from, unsigned to, unsigned port,
		    struct str payload)
{
	struct buf b;
	buf_init(&b);
	put32(&b, 0x45000000u | (uint32_t)(28 + payload.n));
	put32(&b, 0x00010000u);
	put32(&b, 0x40110000u);
	put32(&b, 0xc0000200u + from);
	put32(&b, 0xc0000200u + to);
	put16(&b, port);
	put16(&b, port);
	put16(&b, (unsigned)payload.n + 8);
	put16(&b, 0);
	buf_str(&b, payload);
	add(m, at_us, buf_view(&b));
	buf_fini(&b);
}

static struct str call_message(struct buf *b, bool is_answer, const char *sdp_media)
{
	buf_clear(b);
	buf_fmt(b,
		"%s\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n"
		"From: <sip:1@h>;tag=a\r\nTo: <sip:2@h>%s\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
		"Contact: <sip:1@192.0.2.%d>\r\nContent-Type: application/sdp\r\n\r\n"
		"v=0\r\no=- 1 1 IN IP4 192.0.2.%d\r\ns=-\r\nc=IN IP4 192.0.2.%d\r\nt=0 0\r\n%s\r\n",
		is_answer ? "SIP/2.0 200 OK" : "INVITE sip:2@h SIP/2.0", is_answer ? ";tag=b" : "",
		1 + is_answer, 1 + is_answer, 1 + is_answer, sdp_media);
	return buf_view(b);
}

static void make_fax(struct made *m)
{
	struct buf b;
	buf_init(&b);
	begin(m, 101, STR_NONE);
	for (unsigned i = 0; i < 2; i++)
		add_udp(m, 1'000'000 + i, 1 + i, 2 - i, 5'060,
			call_message(&b, i, "m=image 4000 udptl t38\r\na=T38FaxVersion:0"));
	for (unsigned i = 0; i < 4; i++) {
		char packet[12] = {0, (char)i, 6, 2, 1, 0, 1, 5, 0, 0, 0, 0};
		add_udp(m, 2'000'000 + i * 30'000, 1, 2, 4'000, str_of(packet, sizeof packet));
	}
	buf_fini(&b);
}

static void make_hep(struct made *m)
{
	struct buf sip, hep;
	struct wire_hep h = {.type = WIRE_HEP_SIP, .ip_proto = 17, .at_us = 5, .agent = 7};
	buf_init(&sip);
	buf_init(&hep);
	begin(m, 101, STR_NONE);
	if (!addr_parse(STR("192.0.2.1:5060"), 0, &h.from) ||
	    !addr_parse(STR("192.0.2.2:5060"), 0, &h.to))
		abort();
	for (unsigned i = 0; i < 2; i++) {
		struct addr from = h.from;
		buf_clear(&hep);
		h.payload = call_message(&sip, i, "m=audio 4000 RTP/AVP 0");
		if (wire_hep_put(&hep, &h))
			abort();
		add_udp(m, 1'000'000 + i, 1, 9, 9'060, buf_view(&hep));
		h.from = h.to;
		h.to = from;
	}
	buf_fini(&sip);
	buf_fini(&hep);
}

/* A message in three fragments, the middle one last; then the same in IPv6. */
static void make_fragments(struct made *m)
{
	struct buf sip, all, one;
	buf_init(&sip);
	buf_init(&all);
	buf_init(&one);
	begin(m, 101, STR_NONE);
	for (unsigned v6 = 0; v6 < 2; v6++) {
		static const unsigned order[] = {0, 2, 1};
		struct str text = call_message(&sip, v6, "m=audio 4000 RTP/AVP 0 8");
		buf_clear(&all);
		put16(&all, 5'060);
		put16(&all, 5'060);
		put16(&all, (unsigned)text.n + 8);
		put16(&all, 0);
		buf_str(&all, text);
		size_t third = all.n / 3 & ~(size_t)7;
		for (unsigned k = 0; k < 3; k++) {
			unsigned i = order[k];
			size_t at = i * third, n = i == 2 ? all.n - at : third;
			buf_clear(&one);
			if (v6) {
				put32(&one, 0x60000000u);
				put32(&one, (uint32_t)(n + 8) << 16 | 44u << 8 | 64);
				for (unsigned e = 0; e < 2; e++) {
					put32(&one, 0x20010db8u);
					put32(&one, 0);
					put32(&one, 0);
					put32(&one, 1 + e);
				}
				put16(&one, 17u << 8);
				put16(&one, (unsigned)at | (i != 2));
				put32(&one, 77);
			} else {
				put32(&one, 0x45000000u | (uint32_t)(20 + n));
				put32(&one,
				      0x00070000u | (uint32_t)(i != 2) << 13 | (uint32_t)at / 8);
				put32(&one, 0x40110000u);
				put32(&one, 0xc0000201u);
				put32(&one, 0xc0000202u);
			}
			buf_put(&one, all.p + at, n);
			add(m, 1'000'000 + k, buf_view(&one));
		}
	}
	buf_fini(&sip);
	buf_fini(&all);
	buf_fini(&one);
}

/* The first frames of a capture of the folder: with messages, with media, or all with a payload. */
struct part {
	const char *name, *keys;
	unsigned n_messages, n_media;
	unsigned n_all; /* not 0: so many frames, whatever is in them */
};

static void read_keys(struct buf *b, const char *path)
{
	char text[4'096];
	FILE *f = fopen(path, "rb");
	size_t n;
	if (!f)
		abort();
	while ((n = fread(text, 1, sizeof text, f)))
		buf_put(b, text, n);
	fclose(f);
}

static bool is_chosen(const struct part *p, const struct cap_frame *fr, unsigned left[3])
{
	unsigned kind = p->n_all ? 2 : fr->n_msgs ? 0 : fr->media == RTP_RTP ? 1 : 3;
	if (kind == 3 || !left[kind] || (kind == 2 && !fr->pkt.n && fr->pkt.proto == CAP_TCP))
		return false;
	left[kind]--;
	return true;
}

static bool make_part(struct made *m, const char *folder, const struct part *p)
{
	char path[512];
	struct buf why, keys;
	struct cap *c;
	struct cap_walk *w;
	const struct cap_frame *fr;
	unsigned left[3] = {p->n_messages, p->n_media, p->n_all};
	struct trk *t = trk_new(&(struct trk_cfg){.has_media = true});
	snprintf(path, sizeof path, "%s/%s", folder, p->name);
	buf_init(&why);
	buf_init(&keys);
	if (cap_open(path, &c, &why) || cap_walk_new(c, t, &w))
		return false;
	if (p->keys) {
		snprintf(path, sizeof path, "%s/%s", folder, p->keys);
		read_keys(&keys, path);
	}
	bool has_begun = false;
	while ((fr = cap_walk_next(w)) && (left[0] || left[1] || left[2])) {
		if (!keys.n)
			buf_str(&keys, cap_secrets(c));
		if (!has_begun)
			begin(m, fr->rec.link, buf_view(&keys));
		has_begun = true;
		if (is_chosen(p, fr, left) && !fr->is_late)
			add(m, (uint64_t)fr->rec.at_ns / 1'000,
			    str_of((const char *)fr->rec.p, fr->rec.n));
	}
	cap_walk_free(w);
	cap_close(c);
	trk_free(t);
	buf_fini(&why);
	buf_fini(&keys);
	return m->n > 0;
}

/* --- the analysis ----------------------------------------------------------------------------- */

struct run {
	struct flt *filter;
	struct lint *lint;
	struct anon *anon;
	struct buf b;
	unsigned no;        /* of the run: it chooses what is written */
	unsigned n_message; /* seen in it */
	unsigned n_calls;
	int file; /* that holds the capture */
};

static void ignore(void *arg, const struct cap_rec *rec)
{
	uint64_t *sum = arg;
	for (uint32_t i = 0; i < rec->n; i++)
		*sum += rec->p[i];
}

static void on_frame(void *arg, const struct cap_frame *fr)
{
	struct run *r = arg;
	uint64_t sum = 0;
	bool fits = flt_match(r->filter, fr);
	for (size_t i = 0; i < fr->n_msgs; i++)
		(void)!lint_message(r->lint, &fr->msgs[i].pkt, fits);
	r->n_message += (unsigned)fr->n_msgs;
	buf_clear(&r->b);
	view_messages(&r->b, fr, &(struct view_opts){.is_json = r->no & 1});
	view_other_frame(&r->b, fr, &(struct view_opts){.is_json = r->no & 1});
	if (r->no & 1)
		FORM(form_is_json_lines(buf_view(&r->b)), &r->b);
	else
		FORM(form_is_text(buf_view(&r->b), false), &r->b);
	if (r->no % 6 == 5)
		anon_frame(r->anon, fr, ignore, &sum);
}

static void write_call(struct run *r, struct book *k, struct trk_call *c)
{
	struct vrd v;
	struct sheet *s;
	struct buf *b = &r->b;
	vrd_init(&v);
	if (vrd_judge(&v, book_trk(k), c))
		abort();
	struct sheet_leg leg = {c, &v};
	if (sheet_new(book_trk(k), &leg, 1, &(struct sheet_cfg){.book = k}, &s))
		abort();
	buf_clear(b);
	switch (r->no % 6) {
	case 0:
		lad_put_sheet(b, s, &(struct lad_opts){0});
		vrd_put_text(b, book_trk(k), c, &v, false);
		FORM(form_is_text(buf_view(b), false), b);
		break;
	case 1:
		lad_put_svg(b, s);
		buf_chr(b, 0);
		FORM(form_is_xml(str_of(b->p, b->n - 1)), b);
		break;
	case 2:
		lad_put_json(b, book_trk(k), s);
		FORM(form_is_json(buf_view(b)), b);
		break;
	case 3:
		lad_put_mermaid(b, s);
		FORM(form_is_text(buf_view(b), false), b);
		break;
	case 4:
		if (!sipp_put(b, k, c, (enum trk_side)(r->no / 6 % 2))) {
			buf_chr(b, 0);
			FORM(form_is_xml(str_of(b->p, b->n - 1)), b);
		}
		break;
	default:
		for (const struct trk_stream *x = trk_av(c)->streams; x; x = x->next)
			view_stream(b, book_trk(k), x, &(struct view_opts){.is_json = true});
		FORM(form_is_json_lines(buf_view(b)), b);
		break;
	}
	sheet_free(s);
	vrd_fini(&v);
}

static void analyze(struct run *r, struct str capture)
{
	static const uint8_t key[16] = "a key for tests";
	struct cap *c;
	struct book *k;
	struct book_cfg cfg = {
		.trk = {.has_media = true, .finds_media = true, .has_join = true},
		.on_frame = on_frame,
		.arg = r
        };
	alarm(SECONDS_PER_RUN);
	r->no++;
	r->n_message = r->n_calls = 0;
	buf_clear(&r->b);
	if (pwrite(r->file, capture.p, capture.n, 0) != (ssize_t)capture.n ||
	    ftruncate(r->file, (off_t)capture.n) || lseek(r->file, 0, SEEK_SET))
		abort();
	if (cap_open_fd(dup(r->file), &c, &r->b)) {
		FORM(form_is_text(buf_view(&r->b), false) && r->b.n, &r->b); /* it says why */
		return;
	}
	r->lint = lint_new(&(struct lint_cfg){0});
	r->anon = anon_new(key);
	if (!r->lint || !r->anon || book_new(c, &cfg, &k))
		abort();
	while (book_read(k, 1'000))
		continue;
	trk_join_settle(book_trk(k));
	for (struct trk_call *x = trk_first(book_trk(k)); x;
	     x = trk_after(book_trk(k), x), r->n_calls++)
		write_call(r, k, x);
	buf_clear(&r->b);
	lint_put_json(&r->b, r->lint);
	FORM(form_is_json_lines(buf_view(&r->b)), &r->b);
	lint_free(r->lint);
	anon_free(r->anon);
	book_free(k);
}

/* --- what is broken --------------------------------------------------------------------------- */

static bool is_header(const struct made *m, size_t at)
{
	if (at < m->frames[0])
		return at < 80; /* what follows are secrets, as text */
	for (unsigned i = 0; i < m->n; i++)
		if (at + 16 >= m->frames[i] && at < m->frames[i] + HEADERS)
			return i < 3 || at < m->frames[i]; /* of further ones the record's */
	return false;
}

static void break_it(struct run *r, struct made *m)
{
	struct buf *b = &m->bytes;
	for (size_t n = 0; n < b->n; n++)
		analyze(r, str_of(b->p, n));
	for (size_t i = 0; i < b->n; i++) {
		char was = b->p[i];
		unsigned n_bits = is_header(m, i) ? 8 : 1;
		for (unsigned bit = 0; bit < n_bits; bit++) {
			/* one value only: a sign, a high byte, and no longer the letter that it was
			 */
			b->p[i] = (char)(was ^ (n_bits == 8 ? 1u << bit : 0x9d));
			analyze(r, buf_view(b));
		}
		b->p[i] = was;
	}
}

static void test_made(struct run *r, const char *name, struct made *m, unsigned n_messages)
{
	static unsigned no;
	analyze(r, buf_view(&m->bytes));
	bool is_whole = r->n_message >= n_messages;
	if (!is_whole)
		printf("# %u messages instead of %u\n", r->n_message, n_messages);
	unsigned before = r->no;
	break_it(r, m);
	printf("%s %u - broken %s: %zu bytes, %u runs\n", is_whole ? "ok" : "not ok", ++no, name,
	       m->bytes.n, r->no - before);
	buf_fini(&m->bytes);
}

int main(int argc, char **argv)
{
	static const struct part parts[] = {
		{.name = "call-busy-486.pcap", .n_messages = 2      },
		{.name = "tls-13.pcap",        .keys = "tls-13.keys", .n_all = 8},
		{.name = "register-jssip-ws.pcap",                            .n_all = 4                 },
		{.name = "call-srtp-sdes.pcap",                            .n_messages = 3,    .n_media = 3},
		{.name = "made-tunnels.pcap",                .n_messages = 4                                 },
	};
	static void (*const makers[])(struct made *) = {make_fax, make_hep, make_fragments};
	static const char *const names[] = {"fax", "HEP", "fragments"};
	struct run r = {.file = memfd_create("capture", MFD_CLOEXEC)};
	struct made m = {0};
	setvbuf(stdout, NULL, _IOLBF, 0);
	buf_init(&r.b);
	if (argc != 2 || r.file < 0 ||
	    flt_compile(STR("sip.Method == \"INVITE\" || rtp.ssrc || udp.port == 5060 || "
			    "sdp.media contains \"audio\" || ip.addr == 10.0.0.0/8 || frame "
			    "contains \"z9hG4bK\""),
			&r.filter, &r.b))
		abort();
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (!make_part(&m, argv[1], &parts[i]))
			abort();
		test_made(&r, parts[i].name, &m, 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		makers[i](&m);
		test_made(&r, names[i], &m, 2);
	}
	printf("1..%zu\n", ARRAY_LEN(parts) + ARRAY_LEN(makers));
	flt_free(r.filter);
	buf_fini(&r.b);
	return 0;
}
