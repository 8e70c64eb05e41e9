/* SDP: whatever is read must answer all questions within its bounds, print to something that reads
 * the same, and, as an offer or as an answer, leave a session in which the next offer is
 * well-formed.
 */

#include "sdp/oa.h"

#include "base/assert.h"

#include <string.h>

static struct sdp s, t;
static char mem[1 << 20], mem2[8192];

static bool is_inside(struct str outer, struct str inner)
{
	return inner.n == 0 || (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n);
}

static void ask(const struct sdp *d, unsigned m)
{
	struct sdp_fmt f;
	struct str v;
	unsigned at = 0, n = 0;
	while (sdp_fmt_next(d, m, &at, &f)) {
		ASSERT(is_inside(d->media[m].fmts, f.text) && is_inside(d->text, f.fmtp));
		ASSERT(f.pt < 128 || f.pt == SDP_PT_NONE);
		ASSERT(++n <= d->text.n);
	}
	for (int a = SDP_A_OTHER; a < SDP_A__N; a++) {
		at = 0;
		while (sdp_attr_next(d, (int)m, (enum sdp_attr)a, &at, &v))
			ASSERT(is_inside(d->text, v) && at <= d->media[m].n_lines);
	}
	ASSERT(d->media[m].line + d->media[m].n_lines <= d->n_lines);
}

static bool same_line(const struct sdp_line *a, const struct sdp_line *b)
{
	return a->type == b->type && str_eq(sdp_line_value(&s, a), sdp_line_value(&t, b)) &&
	       (a->type != 'a' || (a->attr == b->attr && a->name_len == b->name_len));
}

/* What was printed reads as the same lines. (Printing fits into the bound: no line grows but by its
 * CR, so only texts near 64 kB of bare LF exceed it.) */
static void print_and_read(void)
{
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	sdp_print(&s, &b);
	ASSERT(b.err == OK);
	if (b.n > 65535)
		return;
	ASSERT(sdp_parse(buf_view(&b), &t) == OK);
	ASSERT(s.n_lines == t.n_lines && s.n_media == t.n_media);
	for (unsigned i = 0; i < s.n_lines; i++)
		ASSERT(same_line(&s.lines[i], &t.lines[i]));
	for (unsigned i = 0; i < s.n_media; i++)
		ASSERT(s.media[i].dir == t.media[i].dir && s.media[i].port == t.media[i].port &&
		       s.media[i].is_hold == t.media[i].is_hold &&
		       addr_eq(&s.media[i].rtcp, &t.media[i].rtcp));
}

static const struct sdp_local local = {
	.rtp = {.family = ADDR_V4,        .port = 4000, .ip = {192, 0, 2, 1}},
	.has_rtcp_mux = true,
	.n_codecs = 3,
	.codecs = {{"PCMU", 0, 1, 8000, ""},
                {"PCMA", 8, 1, 8000, ""},
                {"telephone-event", 101, 1, 8000, "0-16"}                   },
};

/* Our own text must be perfect, and name as many media as it must. */
static void check_body(const struct buf *b, unsigned n_media)
{
	ASSERT(b->err == OK);
	ASSERT(sdp_parse(buf_view(b), &t) == OK);
	ASSERT(t.n_diags == 0 && t.n_media == n_media);
}

static void as_offer(void)
{
	struct sdp_oa oa;
	struct sdp_why why;
	struct buf b;
	sdp_oa_init(&oa, 1);
	buf_init_fixed(&b, mem2, sizeof(mem2));
	if (sdp_oa_answer(&oa, &local, &s, SDP_SENDRECV, &b, &why)) {
		ASSERT(oa.state == SDP_OA_IDLE && b.n == 0 && why.status == 488 && why.text[0]);
		return;
	}
	check_body(&b, s.n_media);
	ASSERT(oa.stream.is_active && oa.stream.n_recv > 0);
	buf_clear(&b);
	ASSERT(sdp_oa_offer(&oa, &local, SDP_SENDONLY, &b) == OK);
	check_body(&b, s.n_media);
	sdp_oa_drop_offer(&oa);
	ASSERT(sdp_oa_is_refresh(&oa, &s));
}

static void as_answer(void)
{
	struct sdp_oa oa;
	struct sdp_why why;
	struct buf b;
	sdp_oa_init(&oa, 1);
	buf_init_fixed(&b, mem2, sizeof(mem2));
	ASSERT(sdp_oa_offer(&oa, &local, SDP_SENDRECV, &b) == OK);
	enum err e = sdp_oa_take_answer(&oa, &s, &why);
	ASSERT(oa.state == SDP_OA_STABLE && oa.stream.is_active == (e == OK));
	ASSERT((e == OK) == (why.text[0] == 0));
	buf_clear(&b);
	ASSERT(sdp_oa_offer(&oa, &local, SDP_SENDRECV, &b) == OK);
	check_body(&b, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (sdp_parse(str_of((const char *)data, size), &s))
		return 0;
	ASSERT(s.n_lines > 0 && s.n_media <= SDP_MAX_MEDIA && s.n_diags <= SDP_MAX_DIAGS);
	for (unsigned m = 0; m < s.n_media; m++)
		ask(&s, m);
	print_and_read();
	as_offer();
	as_answer();
	return 0;
}
