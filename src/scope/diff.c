/* Two calls compared: which messages answer to which.
 *
 * A call becomes a list of steps, one per message that is no copy: who sent it (its place among the
 * hosts of the call), method, status. Two lists are aligned by their longest common subsequence, so
 * that a message more or less does not put the rest out of step. The first step without a partner
 * is the divergence: that is told first. Where calls pass different hosts (and always for two
 * legs), only the caller's hop counts, and which way a message went on it.
 *
 * Only for messages with a partner are the bytes read again, one pair at a time.
 *
 * Memory: a table of DIFF_MAX squared numbers of two bytes, while it is compared.
 */
#include "scope/diff_priv.h"

#include "track/vrd.h"

#include <stdlib.h>

#define LATER_US 500'000u /* a difference that a person would notice */

struct step {
	uint32_t id;
	uint32_t key;
};

struct side {
	const struct diff_call *of;
	struct trk *t;
	struct step v[DIFF_MAX];
	unsigned n;
	bool is_cut;
};

struct pair { /* UINT16_MAX: without a partner */
	uint16_t x, y;
};

struct diff {
	struct side x, y;
	struct pair pairs[2 * DIFF_MAX];
	unsigned n_pairs;
	uint16_t lcs[DIFF_MAX + 1][DIFF_MAX + 1];
};

/* --- steps ------------------------------------------------------------------------------------ */

/* Whether a message went over the hop of the call's first request. */
static bool is_on_first_hop(const struct trk_ev *first, const struct trk_ev *e)
{
	return (e->from == first->from && e->to == first->to) ||
	       (e->from == first->to && e->to == first->from);
}

/* The ACK of a refusal is another thing than that of an answer. */
static uint32_t final_of(const struct trk *t, const struct trk_ev *ack)
{
	for (const struct trk_ev *e = trk_ev(t, ack->prev); e; e = trk_ev(t, e->prev))
		if (e->method == SIP_INVITE && e->cseq == ack->cseq && e->status >= 200)
			return e->status < 300 ? 200 : 300;
	return 0;
}

static uint32_t key_of(const struct trk *t, const struct trk_ev *e, const struct trk_ev *first,
		       bool is_hop)
{
	bool is_ack = e->method == SIP_ACK;
	uint32_t who = is_hop ? e->from != first->from : (uint32_t)e->from << 6 | e->to;
	return who << 20 | (uint32_t)e->method << 12 | (is_ack ? final_of(t, e) : e->status);
}

/* A try that was challenged: legs are compared from the one on that went through. */
static bool is_earlier_try(const struct trk_call *c, const struct trk_ev *e)
{
	return (e->method == SIP_INVITE || e->method == SIP_ACK) && e->flags & TRK_EV_CALLER &&
	       e->cseq < c->cseq;
}

static bool read_steps(struct side *s, const struct diff_call *of, bool is_hop, bool is_leg)
{
	uint32_t n;
	struct trk *t = book_trk(of->book);
	const struct trk_ev *const *rows = trk_history(t, of->call, &n);
	s->of = of;
	s->t = t;
	for (uint32_t i = 0; rows && i < n; i++) {
		const struct trk_ev *e = rows[i], *first = trk_ev(t, of->call->first_ev);
		if (e->flags & (TRK_EV_RETRANS | TRK_EV_DUPLICATE) ||
		    (is_hop && !is_on_first_hop(first, e)) ||
		    (is_leg && is_earlier_try(of->call, e)))
			continue;
		if (s->n == DIFF_MAX) {
			s->is_cut = true;
			break;
		}
		s->v[s->n++] = (struct step){trk_ev_id(e), key_of(t, e, first, is_hop)};
	}
	return rows;
}

static void align(struct diff *d)
{
	const struct side *x = &d->x, *y = &d->y;
	for (unsigned i = x->n; i-- > 0;)
		for (unsigned k = y->n; k-- > 0;) {
			uint16_t down = d->lcs[i + 1][k], right = d->lcs[i][k + 1];
			d->lcs[i][k] = x->v[i].key == y->v[k].key
					       ? (uint16_t)(d->lcs[i + 1][k + 1] + 1)
				       : down > right ? down
						      : right;
		}
	unsigned i = 0, k = 0;
	while (i < x->n || k < y->n) {
		struct pair p = {UINT16_MAX, UINT16_MAX};
		bool is_same = i < x->n && k < y->n && x->v[i].key == y->v[k].key;
		bool takes_x = i < x->n && (k == y->n || d->lcs[i + 1][k] >= d->lcs[i][k + 1]);
		if (is_same || takes_x)
			p.x = (uint16_t)i++;
		if (is_same || !takes_x)
			p.y = (uint16_t)k++;
		d->pairs[d->n_pairs++] = p;
	}
}

/* --- printing --------------------------------------------------------------------------------- */

static const struct trk_ev *ev_of(const struct side *s, unsigned i)
{
	return trk_ev(s->t, s->v[i].id);
}

static void put_after(struct buf *b, const struct side *s, unsigned i)
{
	uint64_t at = ev_of(s, i)->at_us, first = s->of->call->first_us;
	buf_fmt(b, "%.3f s", (double)(at > first ? at - first : 0) / 1e6);
}

static void put_step(struct buf *b, const struct side *s, unsigned i)
{
	const struct trk_ev *e = ev_of(s, i);
	struct buf text;
	buf_init(&text);
	trk_ev_put(&text, e);
	buf_plain(b, buf_view(&text));
	if (text.err)
		b->err = text.err;
	buf_fini(&text);
	buf_str(b, STR(" from "));
	addr_put(b, &s->of->call->peers[e->from].addr);
}

static enum err put_verdict(struct buf *b, char letter, const struct side *s,
			    const struct diff_opts *o)
{
	struct vrd v;
	vrd_init(&v);
	enum err e = vrd_judge(&v, book_trk(s->of->book), s->of->call);
	buf_fmt(b, "%c  call %u%s%s: ", letter, s->of->call->no, s->of->file ? " of " : "",
		s->of->file ? s->of->file : "");
	if (!e)
		vrd_put_line(b, s->of->call, &v, o->is_ascii);
	buf_chr(b, '\n');
	vrd_fini(&v);
	return e;
}

static void put_next(struct buf *b, char letter, const struct side *s, unsigned i)
{
	buf_fmt(b, "  %c: ", letter);
	if (i == s->n) {
		buf_str(b, s->is_cut ? STR("longer than is compared\n") : STR("nothing more\n"));
		return;
	}
	put_step(b, s, i);
	buf_fmt(b, ", frame %u, after ", ev_of(s, i)->frame_no);
	put_after(b, s, i);
	buf_chr(b, '\n');
}

static void put_divergence(struct buf *b, const struct diff *d)
{
	unsigned x = 0, y = 0, i = 0;
	while (i < d->n_pairs && d->pairs[i].x != UINT16_MAX && d->pairs[i].y != UINT16_MAX) {
		x++;
		y++;
		i++;
	}
	if (i == d->n_pairs) {
		buf_fmt(b, "\nThe same %u messages in both.\n", i);
		return;
	}
	buf_str(b, STR("\nFirst divergence"));
	if (i) {
		buf_str(b, STR(", after the "));
		put_step(b, &d->x, x - 1);
	}
	buf_chr(b, '\n');
	put_next(b, 'A', &d->x, x);
	put_next(b, 'B', &d->y, y);
}

static void put_frame(struct buf *b, const struct side *s, unsigned i)
{
	if (i == UINT16_MAX)
		buf_str(b, STR("       -"));
	else
		buf_fmt(b, "%8u", ev_of(s, i)->frame_no);
}

static void put_messages(struct buf *b, const struct diff *d)
{
	buf_str(b, STR("\nMessages\n       A       B\n"));
	for (unsigned i = 0; i < d->n_pairs; i++) {
		const struct pair *p = &d->pairs[i];
		put_frame(b, &d->x, p->x);
		put_frame(b, &d->y, p->y);
		buf_str(b, p->x == UINT16_MAX || p->y == UINT16_MAX ? STR("  * ") : STR("    "));
		if (p->x != UINT16_MAX)
			put_step(b, &d->x, p->x);
		else
			put_step(b, &d->y, p->y);
		buf_chr(b, '\n');
	}
}

static void put_label(struct buf *b, const struct diff *d, const struct pair *p)
{
	const struct trk_ev *x = ev_of(&d->x, p->x), *y = ev_of(&d->y, p->y);
	trk_ev_put(b, x);
	buf_fmt(b, " (A %u, B %u)", x->frame_no, y->frame_no);
}

static enum err load(const struct side *s, unsigned i, struct sip_msg **out)
{
	struct str bytes;
	enum err e = book_bytes(s->of->book, s->v[i].id, &bytes);
	if (e)
		return e;
	*out = sip_msg_from(bytes, &e);
	return *out ? OK : ERR_NOMEM;
}

/* Headers and SDP of a pair, each appended to its own section. */
static enum err compare_pair(const struct diff *d, const struct pair *p, struct buf *headers,
			     struct buf *sdp)
{
	struct sip_msg *x = NULL, *y = NULL;
	struct buf label;
	buf_init(&label);
	put_label(&label, d, p);
	enum err e = label.err;
	if (!e)
		e = load(&d->x, p->x, &x);
	if (!e)
		e = load(&d->y, p->y, &y);
	if (!e) {
		diff_headers(headers, buf_view(&label), x, y, p == d->pairs);
		e = diff_sdp(sdp, buf_view(&label), x, y);
	}
	sip_msg_free(x);
	sip_msg_free(y);
	buf_fini(&label);
	return e == ERR_NOTFOUND ? OK : e;
}

static void put_times(struct buf *b, const struct diff *d)
{
	bool is_begun = false;
	for (unsigned i = 0; i < d->n_pairs; i++) {
		const struct pair *p = &d->pairs[i];
		if (p->x == UINT16_MAX || p->y == UINT16_MAX)
			continue;
		uint64_t x = ev_of(&d->x, p->x)->at_us - d->x.of->call->first_us;
		uint64_t y = ev_of(&d->y, p->y)->at_us - d->y.of->call->first_us;
		if ((x > y ? x - y : y - x) < LATER_US)
			continue;
		buf_str(b, is_begun ? STR_NONE : STR("\nTime since the first message\n"));
		is_begun = true;
		buf_str(b, STR("  "));
		put_label(b, d, p);
		buf_str(b, STR(": A "));
		put_after(b, &d->x, p->x);
		buf_str(b, STR(", B "));
		put_after(b, &d->y, p->y);
		buf_chr(b, '\n');
	}
}

static void put_section(struct buf *b, const char *title, const struct buf *text)
{
	if (text->n)
		buf_fmt(b, "\n%s\n" STR_FMT, title, STR_ARG(buf_view(text)));
	if (text->err)
		b->err = text->err;
}

static enum err put_details(struct buf *b, const struct diff *d)
{
	struct buf headers, sdp;
	enum err e = OK;
	buf_init(&headers);
	buf_init(&sdp);
	for (unsigned i = 0; !e && i < d->n_pairs; i++)
		if (d->pairs[i].x != UINT16_MAX && d->pairs[i].y != UINT16_MAX)
			e = compare_pair(d, &d->pairs[i], &headers, &sdp);
	put_section(b, "Headers (- only in A, + only in B, ~ differs)", &headers);
	put_section(b, "SDP", &sdp);
	buf_fini(&headers);
	buf_fini(&sdp);
	return e;
}

/* --- as JSON ---------------------------------------------------------------------------------- */

static enum err json_call(struct buf *b, const struct side *s)
{
	struct vrd v;
	vrd_init(&v);
	enum err e = vrd_judge(&v, s->t, s->of->call);
	buf_fmt(b, "{\"call\":%u,\"file\":", s->of->call->no);
	if (s->of->file)
		buf_json(b, str_c(s->of->file));
	else
		buf_str(b, STR("null"));
	buf_str(b, STR(",\"verdict\":"));
	if (!e)
		vrd_put_json(b, s->t, s->of->call, &v);
	else
		buf_str(b, STR("null"));
	buf_fmt(b, ",\"is_cut\":%s}", s->is_cut ? "true" : "false");
	vrd_fini(&v);
	return e;
}

static void json_step(struct buf *b, char letter, const struct side *s, unsigned i)
{
	if (i == UINT16_MAX) {
		buf_fmt(b, ",\"%c\":null", letter);
		return;
	}
	const struct trk_ev *e = ev_of(s, i);
	uint64_t first = s->of->call->first_us;
	buf_fmt(b, ",\"%c\":{\"frame\":%u,\"after\":%.6f,\"from\":\"", letter, e->frame_no,
		(double)(e->at_us > first ? e->at_us - first : 0) / 1e6);
	addr_put(b, &s->of->call->peers[e->from].addr);
	buf_str(b, STR("\"}"));
}

static enum err json_pair(struct buf *b, const struct diff *d, const struct pair *p)
{
	struct sip_msg *x = NULL, *y = NULL;
	struct buf text;
	bool is_both = p->x != UINT16_MAX && p->y != UINT16_MAX;
	enum err e = OK;
	buf_init(&text);
	trk_ev_put(&text, p->x != UINT16_MAX ? ev_of(&d->x, p->x) : ev_of(&d->y, p->y));
	buf_str(b, STR("{\"message\":"));
	buf_json(b, buf_view(&text));
	json_step(b, 'a', &d->x, p->x);
	json_step(b, 'b', &d->y, p->y);
	buf_clear(&text);
	if (is_both)
		e = load(&d->x, p->x, &x);
	if (is_both && !e)
		e = load(&d->y, p->y, &y);
	if (x && y) {
		diff_headers_json(&text, x, y, p == d->pairs);
		buf_fmt(b, ",\"headers\":[" STR_FMT "]", STR_ARG(buf_view(&text)));
		e = diff_sdp(b, STR_NONE, x, y);
	}
	buf_chr(b, '}');
	if (text.err)
		b->err = text.err;
	buf_fini(&text);
	sip_msg_free(x);
	sip_msg_free(y);
	return e == ERR_NOTFOUND ? OK : e;
}

/* {a, b: the calls with their verdicts, first_divergence: number of the first of `messages` that is
 * not in both, or null, messages: [{message, a, b: {frame, after, from} or null, headers: [{header,
 * a?, b?}], sdp?: {a: [...], b: [...]}}]} */
static enum err put_json(struct buf *b, const struct diff *d)
{
	unsigned i = 0;
	buf_str(b, STR("{\"a\":"));
	enum err e = json_call(b, &d->x);
	buf_str(b, STR(",\"b\":"));
	if (!e)
		e = json_call(b, &d->y);
	while (i < d->n_pairs && d->pairs[i].x != UINT16_MAX && d->pairs[i].y != UINT16_MAX)
		i++;
	buf_str(b, STR(",\"first_divergence\":"));
	if (i < d->n_pairs)
		buf_u64(b, i);
	else
		buf_str(b, STR("null"));
	buf_str(b, STR(",\"messages\":["));
	for (i = 0; i < d->n_pairs && !e; i++) {
		buf_str(b, i ? STR(",\n") : STR("\n"));
		e = json_pair(b, d, &d->pairs[i]);
	}
	buf_str(b, STR("]}\n"));
	return e;
}

enum err diff_calls(struct buf *b, const struct diff_call *x, const struct diff_call *y,
		    const struct diff_opts *o)
{
	struct diff *d = calloc(1, sizeof *d);
	bool is_hop = o->is_legs || x->call->n_peers != y->call->n_peers;
	if (!d || !read_steps(&d->x, x, is_hop, o->is_legs) ||
	    !read_steps(&d->y, y, is_hop, o->is_legs)) {
		free(d);
		return ERR_NOMEM;
	}
	align(d);
	if (o->is_json) {
		enum err failed = put_json(b, d);
		free(d);
		return failed ? failed : b->err;
	}
	enum err e = put_verdict(b, 'A', &d->x, o);
	if (!e)
		e = put_verdict(b, 'B', &d->y, o);
	put_divergence(b, d);
	put_messages(b, d);
	if (!e)
		e = put_details(b, d);
	put_times(b, d);
	free(d);
	return e ? e : b->err;
}
