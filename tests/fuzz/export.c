/* Hostile messages through everything that is written for other programs: JSON, SVG, Mermaid, HTML,
 * CSV, SIPp scenarios, anonymized captures, and the ladder on a terminal. All must be well formed
 * (form.h), whatever the bytes. The input is that of `lint`: for each message a byte (which way,
 * transport, how much time has passed), its length in two, and its bytes. They become a capture
 * file, so that what reads them again is in it. The input's length chooses what is written. */
#include "form.h"
#include "scope/anon.h"
#include "scope/diff.h"
#include "scope/lad.h"
#include "scope/page.h"
#include "scope/sipp.h"
#include "scope/view.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_CALLS    4
#define MAX_MESSAGES 24

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* --- the capture ------------------------------------------------------------------------------ */

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

struct maker {
	struct buf cap;
	uint64_t at_us;
	uint32_t seq[3][3];
	unsigned n;
};

/* One datagram or segment between two of three hosts, link type 101, big endian. */
static void put_frame(struct maker *m, unsigned flags, struct str body)
{
	struct buf *b = &m->cap;
	unsigned from = flags & 3 ? (flags & 3) - 1 : 0, to = (flags & 3) % 3;
	bool is_tcp = flags & 8;
	unsigned head = 20 + (is_tcp ? 20 : 8);
	if (body.n > 60'000)
		body.n = 60'000;
	m->at_us += (uint64_t)(flags >> 4) * 150'000 + 1;
	put32(b, (uint32_t)(m->at_us / 1'000'000));
	put32(b, (uint32_t)(m->at_us % 1'000'000));
	put32(b, (uint32_t)body.n + head);
	put32(b, (uint32_t)body.n + head);
	put32(b, 0x45000000u | (uint32_t)(head + body.n));
	put32(b, ++m->n << 16);
	put32(b, is_tcp ? 0x40060000u : 0x40110000u);
	put32(b, 0xc0000215u + from);
	put32(b, 0xc0000215u + to);
	put16(b, 5'060);
	put16(b, 5'060);
	if (is_tcp) {
		put32(b, m->seq[from][to]);
		put32(b, 0);
		put32(b, 0x50100000u);
		put32(b, 0);
		m->seq[from][to] += (uint32_t)body.n;
	} else {
		put16(b, (unsigned)body.n + 8);
		put16(b, 0);
	}
	buf_str(b, body);
}

static void make_capture(struct maker *m, const uint8_t *p, size_t n)
{
	*m = (struct maker){.at_us = 1'700'000'000'000'000};
	buf_init(&m->cap);
	buf_str(&m->cap, STR("\xa1\xb2\xc3\xd4\0\2\0\4\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\x65"));
	while (n > 3 && m->n < MAX_MESSAGES) {
		size_t len = (size_t)p[1] << 8 | p[2];
		unsigned flags = p[0];
		p += 3;
		n -= 3;
		len = len < n ? len : n;
		put_frame(m, flags, str_of((const char *)p, len));
		p += len;
		n -= len;
	}
}

/* One file for all inputs. */
static struct cap *open_capture(const struct buf *bytes)
{
	static int file = -1;
	struct buf why;
	struct cap *c = NULL;
	if (file < 0 && (file = memfd_create("capture", MFD_CLOEXEC)) < 0)
		abort();
	if (pwrite(file, bytes->p, bytes->n, 0) != (ssize_t)bytes->n ||
	    ftruncate(file, (off_t)bytes->n) || lseek(file, 0, SEEK_SET))
		abort();
	buf_init(&why);
	if (cap_open_fd(dup(file), &c, &why))
		abort();
	buf_fini(&why);
	return c;
}

/* --- what is written -------------------------------------------------------------------------- */

enum kind { LADDER, DRAWING, JSON, MERMAID, LISTS, PAGE, SIPP, KINDS };

struct run {
	struct book *book;
	struct buf b;
	struct page page;
	unsigned how;
};

static void write_lists(struct run *r, struct trk_call *c, const struct vrd *v)
{
	struct trk *t = book_trk(r->book);
	struct buf *b = &r->b;
	struct view_opts json = {.is_json = true}, text = {.is_detailed = r->how & 1};
	view_call(b, t, c, v, &json);
	FORM(form_is_json_lines(buf_view(b)), b);
	buf_clear(b);
	vrd_put_json(b, t, c, v);
	FORM(form_is_json(buf_view(b)), b);
	buf_clear(b);
	view_call(b, t, c, v, &text);
	vrd_put_text(b, t, c, v, false);
	FORM(form_is_text(buf_view(b), false), b);
	buf_clear(b);
	view_csv_head(b);
	view_csv_call(b, c, v);
	FORM(form_is_csv(buf_view(b)), b);
	FORM(form_is_text(buf_view(b), false), b);
	buf_clear(b);
	struct trk_call *next = trk_after(book_trk(r->book), c);
	if (next) {
		struct diff_call x = {r->book, c, NULL}, y = {r->book, next, NULL};
		(void)!diff_calls(b, &x, &y, &(struct diff_opts){0});
		FORM(form_is_text(buf_view(b), false), b);
	}
}

static void write_sheet(struct run *r, struct trk_call *c, const struct vrd *v,
			const struct sheet *s)
{
	struct trk *t = book_trk(r->book);
	struct buf *b = &r->b;
	bool is_colour = r->how & 1;
	enum err e;
	buf_clear(b);
	switch ((enum kind)(r->how / 2 % KINDS)) {
	case LADDER:
		lad_put_sheet(b, s,
			      &(struct lad_opts){.is_colour = is_colour,
						 .is_ascii = r->how & 64,
						 .width = r->how & 32 ? 60 : 0});
		FORM(form_is_text(buf_view(b), is_colour), b);
		break;
	case DRAWING:
		lad_put_svg(b, s);
		buf_chr(b, 0); /* the reader may look at what follows a number */
		FORM(form_is_xml(str_of(b->p, b->n - 1)), b);
		break;
	case JSON:
		lad_put_json(b, t, s);
		FORM(form_is_json(buf_view(b)), b);
		break;
	case MERMAID:
		lad_put_mermaid(b, s);
		FORM(form_is_text(buf_view(b), false), b);
		break;
	case LISTS:
		write_lists(r, c, v);
		break;
	case PAGE:
		if ((e = page_add(&r->page, s)) != OK)
			abort();
		break;
	case SIPP:
		for (int side = 0; side < 2; side++) {
			buf_clear(b);
			if (sipp_put(b, r->book, c, (enum trk_side)side))
				continue;
			buf_chr(b, 0);
			FORM(form_is_xml(str_of(b->p, b->n - 1)), b);
		}
		break;
	case KINDS:
		break;
	}
}

static void write_call(struct run *r, struct trk_call *c)
{
	struct trk *t = book_trk(r->book);
	struct vrd v;
	struct sheet *s = NULL;
	struct sheet_cfg cfg = {.book = r->book};
	vrd_init(&v);
	if (vrd_judge(&v, t, c))
		abort();
	struct sheet_leg leg = {c, &v};
	if (sheet_new(t, &leg, 1, &cfg, &s))
		abort();
	write_sheet(r, c, &v, s);
	sheet_free(s);
	vrd_fini(&v);
}

/* The data element is JSON, and nothing else of the page follows from the capture but its title. */
static void check_page(struct buf *b)
{
	static const char begin[] = "<script type=\"application/json\" id=\"data\">\n";
	struct str s = buf_view(b);
	size_t at = str_find(s, str_c(begin));
	FORM(at != SIZE_MAX, b);
	s = str_skip(s, at + sizeof begin - 1);
	size_t end = str_find(s, STR("</script>"));
	FORM(end != SIZE_MAX, b);
	s = str_sub(s, 0, end);
	FORM(form_is_json(s) && str_chr(s, '<') == SIZE_MAX, b);
}

static void write_book(struct run *r)
{
	bool is_page = r->how / 2 % KINDS == PAGE;
	struct buf page;
	buf_init(&page);
	if (is_page)
		page_begin(&r->page, &page, r->book, STR("a<b>&\"'.pcap"));
	unsigned n = 0;
	for (struct trk_call *c = trk_first(book_trk(r->book)); c && n < MAX_CALLS;
	     c = trk_after(book_trk(r->book), c), n++)
		write_call(r, c);
	if (is_page) {
		page_end(&r->page);
		check_page(&page);
	}
	buf_fini(&page);
}

/* --- anonymized ------------------------------------------------------------------------------- */

struct hidden {
	struct buf cap;
	unsigned n_frames;
};

static void on_hidden(void *arg, const struct cap_rec *r)
{
	struct hidden *h = arg;
	put32(&h->cap, (uint32_t)(r->at_ns / 1'000'000'000));
	put32(&h->cap, (uint32_t)(r->at_ns / 1'000 % 1'000'000));
	put32(&h->cap, r->n);
	put32(&h->cap, r->n_wire);
	buf_put(&h->cap, r->p, r->n);
	h->n_frames++;
}

/* What was anonymized is a capture again, with as many messages. */
static void anonymize(struct maker *m)
{
	static const uint8_t key[16] = "a key for tests";
	struct anon *a = anon_new(key);
	struct hidden h = {0};
	struct cap_walk *w;
	const struct cap_frame *fr;
	unsigned n[2] = {0};
	buf_init(&h.cap);
	buf_str(&h.cap, STR("\xa1\xb2\xc3\xd4\0\2\0\4\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\1"));
	for (int pass = 0; pass < 2; pass++) {
		struct cap *c = open_capture(pass ? &h.cap : &m->cap);
		if (cap_walk_new(c, NULL, &w))
			abort();
		while ((fr = cap_walk_next(w))) {
			n[pass] += (unsigned)fr->n_msgs;
			if (!pass)
				anon_frame(a, fr, on_hidden, &h);
		}
		ASSERT(!cap_problem(c));
		cap_walk_free(w);
		cap_close(c);
	}
	ASSERT(!anon_err(a));
	FORM(n[0] == n[1], &h.cap);
	anon_free(a);
	buf_fini(&h.cap);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct maker m;
	struct run r = {.how = (unsigned)n};
	struct book_cfg cfg = {
		.trk = {.has_media = true, .has_join = true}
        };
	make_capture(&m, p, n);
	if (n % 8 == 7) {
		anonymize(&m);
	} else if (!book_new(open_capture(&m.cap), &cfg, &r.book)) {
		buf_init(&r.b);
		while (book_read(r.book, 1'000))
			continue;
		write_book(&r);
		buf_fini(&r.b);
		book_free(r.book);
	}
	buf_fini(&m.cap);
	return 0;
}
