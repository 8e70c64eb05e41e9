/* Any bytes as a capture file: the formats, encapsulations, reassembly, tracker, verdict, ladder,
 * lists, every field of the filter. The first byte chooses what is drawn; the rest is the file. */
#include "capture/cap_dep.h"
#include "capture/cap_walk.h"
#include "filter/flt.h"
#include "form.h"
#include "scope/diff.h"
#include "scope/lad.h"
#include "scope/view.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	struct buf *b = arg;
	vrd_put_text(b, t, c, v, false);
	FORM(form_is_text(buf_view(b), false), b);
	buf_clear(b);
	vrd_put_json(b, t, c, v);
	FORM(form_is_json(buf_view(b)), b);
	buf_clear(b);
}

static void draw(struct buf *b, struct trk *t, uint8_t how)
{
	struct vrd v;
	vrd_init(&v);
	struct lad_opts o = {.is_ascii = how & 1, .is_colour = how & 2, .width = how & 4 ? 60 : 0};
	struct view_opts vo = {.is_json = how & 8, .is_ascii = how & 1};
	for (const struct trk_call *c = trk_first(t); c; c = trk_after(t, c)) {
		enum err e = vrd_judge(&v, t, c);
		view_call(b, t, c, &v, &vo);
		if (vo.is_json)
			FORM(form_is_json_lines(buf_view(b)), b);
		buf_clear(b);
		lad_put(b, t, c, e ? NULL : &v, &o);
		FORM(form_is_text(buf_view(b), o.is_colour), b);
		/* what is joined may be broken, and what is not, joined by hand */
		struct trk_call *x = trk_find(t, c->call_id), *y = trk_after(t, c);
		if (x && y && !trk_join_break(t, x, y) && trk_join_add(t, x, y) == OK &&
		    !trk_join_next(x, NULL))
			abort();
		for (const struct trk_stream *s = trk_av(c)->streams; s; s = s->next)
			view_stream(b, t, s, &vo);
		buf_clear(b);
	}
	view_stats(b, t, &vo);
	vrd_fini(&v);
}

/* An eighth of the fields in each frame: other ones in the next, so that all are reached and none
 * costs what all of them do. */
static void some_fields(struct buf *b, const struct cap_frame *fr)
{
	const struct flt_field *field;
	struct flt_columns c = {
		.fields = &field, .n = 1, .separator = ' ', .aggregator = ',', .occurrence = 'a'};
	size_t i = (fr->rec.no + fr->rec.n) % 8;
	for (; (field = flt_field_at(i)); i += 8) {
		flt_columns_put(b, &c, fr);
		buf_clear(b);
	}
}

static void on_needed(void *arg, const struct cap_rec *r)
{
	uint32_t now = *(uint32_t *)arg;
	if (r->no > now)
		abort();
}

/* Each call compared with the next one, from bytes that are read again. */
static void compare(struct cap *c, struct buf *b)
{
	struct book_cfg cfg = {
		.trk = {.has_media = true, .has_join = true}
        };
	struct book *k;
	if (book_new(c, &cfg, &k))
		return;
	while (book_read(k, 1'000))
		continue;
	trk_join_settle(book_trk(k));
	unsigned n = 0;
	struct trk_call *x = trk_first(book_trk(k)), *y;
	for (; x && (y = trk_after(book_trk(k), x)) && n < 4; x = y, n++) {
		struct diff_call a = {k, x, NULL}, z = {k, y, NULL};
		if (diff_calls(b, &a, &z, &(struct diff_opts){.is_legs = n & 1}) == ERR_NOMEM)
			b->err = ERR_NOMEM;
		buf_clear(b);
	}
	book_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct flt *f;
	struct cap *c;
	struct buf b;
	if (!n)
		return 0;
	buf_init(&b);
	if (!f && flt_compile(STR("sip.from.user contains \"1\" || sip.auth.realm || sdp.media || "
				  "ip.addr == 10.0.0.0/8 || sip.Via.branch || udp contains \"a\""),
			      &f, &b))
		abort();
	if (cap_open_mem(str_of((const char *)p + 1, n - 1), &c, &b)) {
		buf_fini(&b);
		return 0;
	}
	if (p[0] >> 4 == 15) {
		compare(c, &b);
		buf_fini(&b);
		return 0;
	}
	bool is_live = p[0] & 16;
	struct trk_cfg cfg = {.is_live = is_live,
			      .has_media = true,
			      .has_join = p[0] & 64,
			      .report_all = true,
			      .max_calls = p[0] & 32 ? 2 : 0,
			      .on_verdict = on_verdict,
			      .arg = &b};
	struct trk *t = trk_new(&cfg);
	struct cap_walk *w;
	enum err e = cap_walk_new(c, t, &w);
	const struct cap_frame *fr;
	struct view_opts vo = {.is_json = p[0] & 8, .is_ascii = p[0] & 1};
	struct cap_dep *d = cap_dep_new(p[0] & 64);
	while (!e && (fr = cap_walk_next(w))) {
		if (p[0] & 64)
			some_fields(&b, fr);
		bool fits = flt_match(f, fr);
		uint32_t no = fr->rec.no;
		if (d)
			cap_dep_frame(d, fr, fits, on_needed, &no);
		view_messages(&b, fr, &vo);
		view_other_frame(&b, fr, &vo);
		FORM(vo.is_json ? form_is_json_lines(buf_view(&b))
				: form_is_text(buf_view(&b), false),
		     &b);
		buf_clear(&b);
	}
	if (is_live) {
		trk_flush(t);
	} else {
		trk_join_settle(t);
		draw(&b, t, p[0]);
	}
	cap_dep_free(d);
	cap_walk_free(w);
	trk_free(t);
	cap_close(c);
	buf_fini(&b);
	return 0;
}
