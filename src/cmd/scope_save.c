/* What the screens save: chosen calls as ladders or pages, or as a capture.
 *
 * Of a file the packets are copied as they are: messages with the frames that they are made of, and
 * media, of all legs. Live no frame is kept, so the messages are written as exported PDUs, as far
 * as their bytes are there. Either way the verdict stands at the packets that prove it.
 */
#include "base/grow.h"
#include "capture/cap_pdu.h"
#include "capture/cap_ring.h"
#include "cmd/scope_priv.h"
#include "cmd/scope_remark.h"
#include "tui/tui.h"

#include <stdlib.h>
#include <string.h>

/* Of legs that are exported as one call the first one chosen; returns how many are left. */
static size_t whole_calls(const struct trk_call **whole, const struct trk_call *const *calls,
			  size_t n)
{
	size_t n_whole = 0;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		while (k < n_whole && trk_join_first(whole[k]) != trk_join_first(calls[i]))
			k++;
		if (k == n_whole)
			whole[n_whole++] = calls[i];
	}
	return n_whole;
}

static bool save_ladders(struct scope *s, const char *path, const struct trk_call *const *chosen,
			 size_t n_chosen, struct buf *why)
{
	const struct trk_call *calls[TUI_MAX_CHOSEN];
	size_t n = whole_calls(calls, chosen, n_chosen);
	s->format = scope_format_of_path(path);
	if (s->format == F__N || !scope_view_has(V_LADDER, s->format)) {
		buf_fmt(why,
			"%s: its end must say what it shall be: .html .svg .mmd .json .txt, or "
			".pcapng .pcap",
			path);
		return false;
	}
	if ((s->format == F_SVG || s->format == F_MERMAID) && n > 1) {
		buf_fmt(why, "one drawing holds one call: unmark the others (u)");
		return false;
	}
	s->out_path = path;
	s->is_broken = false; /* an earlier one's failure is not this one's */
	bool ok = scope_out_open(s) < 0;
	scope_choose_look(s);
	ok = ok && scope_export_calls(s, calls, n) == OK;
	ok = scope_out_close(s, ok ? EXIT_DONE : EXIT_FAILED) == EXIT_DONE && ok;
	s->out_path = NULL;
	if (ok)
		buf_fmt(why, "%zu %s written to %s", n, n == 1 ? "call" : "calls", path);
	else
		buf_fmt(why, "%s cannot be written (no such folder, no permission, disk full)",
			path);
	return ok;
}

/* --- captures --------------------------------------------------------------------------------- */

struct row {
	uint64_t at_us;
	uint32_t id;
	const struct trk_call *c;
};
struct rows { /* messages of several calls */
	struct row *v;
	size_t n, cap;
	struct remarks remarks;
};

static enum err add_call(struct scope *s, struct rows *x, const struct trk_call *c)
{
	for (uint32_t id = c->last_ev; id; id = trk_ev(s->trk, id)->prev) {
		struct row *v = grow(x->v, &x->cap, x->n, sizeof *v);
		if (!v)
			return ERR_NOMEM;
		x->v = v;
		x->v[x->n++] = (struct row){trk_ev(s->trk, id)->at_us, id, c};
	}
	enum err e = vrd_judge(&s->verdict, s->trk, c);
	return e ? e : remarks_add(&x->remarks, s->trk, &s->verdict);
}

static enum err add_legs(struct scope *s, struct rows *x, const struct trk_call *c)
{
	const struct trk_call *legs[TRK_MAX_LEGS];
	unsigned n = trk_join_legs(c, legs, TRK_MAX_LEGS);
	enum err e = OK;
	for (unsigned i = 0; i < n && !e; i++)
		e = add_call(s, x, legs[i]);
	return e;
}

static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->at_us != y->at_us)
		return x->at_us < y->at_us ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* A message that is no longer kept is left out. */
static enum err write_row(struct scope *s, struct rows *x, const struct row *r,
			  struct cap_ring *ring, struct buf *why)
{
	const struct trk_ev *ev = trk_ev(s->trk, r->id);
	const struct trk_peer *from = &r->c->peers[ev->from], *to = &r->c->peers[ev->to];
	struct str bytes, comment = remarks_on(&x->remarks, ev->frame_no, STR_NONE);
	struct buf pdu;
	enum err e = book_bytes(s->book, r->id, &bytes);
	if (e)
		return e == ERR_NOTFOUND ? OK : e;
	buf_init(&pdu);
	cap_pdu_put(&pdu, STR("sip"), &from->addr, &to->addr, (enum trk_transport)from->transport);
	buf_str(&pdu, bytes);
	struct cap_rec rec = {.link = CAP_LINK_PDU,
			      .n = (uint32_t)pdu.n,
			      .n_wire = (uint32_t)pdu.n,
			      .at_ns = (int64_t)r->at_us * 1'000,
			      .p = (const uint8_t *)pdu.p};
	e = pdu.err ? pdu.err : cap_ring_rec(ring, &rec, comment, why);
	buf_fini(&pdu);
	return e;
}

static enum err save_live(struct scope *s, const char *path, uint64_t *n, struct buf *why)
{
	struct cap_ring_cfg cfg = {.path = path};
	struct cap_ring *ring = NULL;
	struct rows x = {0};
	enum err e = OK;
	for (size_t i = 0; i < s->n_chosen && !e; i++)
		e = add_legs(s, &x, s->chosen[i]);
	if (x.n)
		qsort(x.v, x.n, sizeof *x.v, by_time);
	remarks_sort(&x.remarks);
	e = e ? e : cap_ring_open(&cfg, &ring, why);
	for (size_t i = 0; i < x.n && !e; i++)
		e = write_row(s, &x, &x.v[i], ring, why);
	*n = ring ? cap_ring_n(ring) : 0;
	enum err closed = cap_ring_close(ring, NULL, why);
	free(x.v);
	remarks_fini(&x.remarks);
	return e ? e : closed;
}

static bool save_packets(struct scope *s, const char *path, const struct trk_call *const *chosen,
			 size_t n_chosen, struct buf *why)
{
	const struct trk_call *calls[TUI_MAX_CHOSEN];
	uint64_t n = 0;
	s->n_chosen = whole_calls(calls, chosen, n_chosen);
	s->chosen = calls;
	enum err e = s->live || s->in.cfg.iface ? save_live(s, path, &n, why)
						: scope_write_chosen(s, path, &n, why);
	if (e && !why->n)
		buf_fmt(why, "%s: %s", path, err_text(e));
	if (!e)
		buf_fmt(why, "%zu %s, %llu packets written to %s", s->n_chosen,
			s->n_chosen == 1 ? "call" : "calls", (unsigned long long)n, path);
	s->chosen = NULL;
	s->n_chosen = 0;
	return e == OK;
}

bool scope_save(void *scope, const char *path, const struct trk_call *const *calls, size_t n,
		struct buf *why)
{
	struct str p = str_c(path);
	bool is_capture = str_ends(p, STR(".pcapng")) || str_ends(p, STR(".pcap"));
	return (is_capture ? save_packets : save_ladders)(scope, path, calls, n, why);
}
