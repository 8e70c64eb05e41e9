/* Filters over an opened file: which messages fit, without reading the file again where that can
 *be.
 *
 * A filter is a tree of tests. Each test is asked of all messages at once and gives two sets of
 * bits, a bit per message: `may` fit, `must` fit. `and`, `or`, `not` combine sets, a word at a
 *time.
 *
 *	test about                       is asked
 *	addresses, ports                 once per pair of addresses (thousands, not millions)
 *	method, status                   once per pair of them
 *	frame.number, CSeq, times        of each row
 *	Call-ID                          of each call; `==` of the table of calls
 *	text of SIP that is contained    of the file: where the text stands nowhere, nothing fits
 *	the bytes of frames, a header    of all records, in one pass over the file
 *	anything else                    not at all: may, not must
 *
 * Only messages that may but not must fit are looked at: their bytes are read again, and the whole
 * filter is asked about them; or, when there are many or it asks about their frames, the file is
 * walked again. A row knows too little about messages in TCP, in tunnels, of unusual form: they may
 * always.
 */
#include "scope/book_rows.h"

#include "base/assert.h"
#include "scope/book_pass.h"
#include "scope/book_scan.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LOOKS 100'000u /* more are cheaper by another walk */

/* --- sets ------------------------------------------------------------------------------------- */

struct set {
	uint64_t *may, *must;
};

static bool set_new(const struct finding *x, struct set *s)
{
	s->may = calloc(2 * x->n_words + 2, sizeof(uint64_t));
	s->must = s->may ? s->may + x->n_words : NULL;
	return s->may;
}

static void set_bit(uint64_t *v, uint32_t row)
{
	v[row / 64] |= 1ull << row % 64;
}

static bool has_bit(const uint64_t *v, uint32_t row)
{
	return v[row / 64] >> row % 64 & 1;
}

/* A test was exact for the rows that know all: the others may. */
static void close_set(const struct finding *x, struct set *s)
{
	for (size_t i = 0; i < x->n_words; i++) {
		s->must[i] = s->may[i] & x->plain[i];
		s->may[i] |= ~x->plain[i];
	}
}

static bool ask(struct finding *x, const struct flt_node *n)
{
	return flt_node_match_from(x->f, n, book_row_get, x);
}

/* Eight answers, 0 or 1 each, as eight bits: the product adds each byte into its bit of the
 * highest one. */
static uint64_t pack8(const uint8_t *fits, const uint32_t *of)
{
	uint64_t v = 0;
	for (unsigned k = 0; k < 8; k++)
		v |= (uint64_t)fits[of[k]] << 8 * k;
	return v * 0x0102040810204080u >> 56;
}

/* The answer for each row, where it hangs on a number of the row. */
static void spread(uint64_t *rows, const uint8_t *fits, const uint32_t *of, uint32_t n)
{
	uint32_t i = 0;
	for (; i + 64 <= n; i += 64) {
		uint64_t word = 0;
		for (unsigned k = 0; k < 64; k += 8)
			word |= pack8(fits, of + i + k) << k;
		rows[i / 64] = word;
	}
	for (; i < n; i++)
		rows[i / 64] |= (uint64_t)fits[of[i]] << i % 64;
}

static bool on_hops(struct finding *x, const struct flt_node *n, struct set *s)
{
	struct book *b = x->b;
	uint8_t *fits = malloc(b->n_hops + 1u);
	if (!fits)
		return false;
	uint32_t n_fit = 0;
	x->e = b->n_hops ? trk_ev(b->trk, b->reps[0]) : NULL; /* any: only its ends are asked */
	for (uint32_t i = 0; i < b->n_hops; i++) {
		x->ends = &b->ends[(size_t)2 * i];
		n_fit += fits[i] = ask(x, n);
	}
	x->ends = NULL;
	if (n_fit == 0 || n_fit == b->n_hops) /* `sip`, `udp` */
		memset(s->may, n_fit ? 0xff : 0, x->n_words * sizeof(uint64_t));
	else
		spread(s->may, fits, b->hops, x->n);
	free(fits);
	return true;
}

static bool on_whats(struct finding *x, const struct flt_node *n, struct set *s)
{
	enum { UNASKED = 2 };
	uint8_t *fits = malloc(BOOK_WHATS);
	if (!fits)
		return false;
	memset(fits, UNASKED, BOOK_WHATS);
	for (uint32_t i = 0; i < x->n; i++) {
		uint16_t what = x->b->whats[i];
		if (fits[what] == UNASKED) {
			x->e = trk_ev(x->b->trk, i + 1);
			fits[what] = ask(x, n);
		}
		s->may[i / 64] |= (uint64_t)fits[what] << i % 64;
	}
	free(fits);
	return true;
}

/* The usual tests of a number or a time need no evaluator: a field against a value, or a set of
 * values. */
static bool is_simple(const struct flt_node *n)
{
	bool is_field = n->left->kind == TERM_FIELD && !n->left->spans;
	if (n->kind == NODE_TEST)
		return is_field && n->op >= OP_EQ && n->op <= OP_LE &&
		       n->right->kind == TERM_LITERAL;
	for (const struct flt_range *e = n->set; e; e = e->next)
		is_field = is_field && e->from->kind == TERM_LITERAL &&
			   (!e->to || e->to->kind == TERM_LITERAL);
	return is_field && n->kind == NODE_IN;
}

static bool is_in_order(enum flt_op op, int64_t v, int64_t lit)
{
	switch (op) {
	case OP_EQ:
		return v == lit;
	case OP_NE:
		return v != lit;
	case OP_GT:
		return v > lit;
	case OP_GE:
		return v >= lit;
	case OP_LT:
		return v < lit;
	default:
		return v <= lit;
	}
}

static bool ask_simply(const struct flt_node *n, int64_t v)
{
	if (n->kind == NODE_TEST)
		return is_in_order((enum flt_op)n->op, v, n->right->lit.i);
	for (const struct flt_range *e = n->set; e; e = e->next)
		if (e->to ? v >= e->from->lit.i && v <= e->to->lit.i : v == e->from->lit.i)
			return true;
	return false;
}

static int64_t number_of(const struct finding *x, const struct trk_ev *e, enum row_field rf)
{
	switch (rf) {
	case RF_CSEQ:
		return e->cseq;
	case RF_NUMBER:
		return e->frame_no;
	case RF_EPOCH:
		return (int64_t)e->at_us * 1'000;
	default:
		return (int64_t)e->at_us * 1'000 - x->first_ns;
	}
}

static void put_row(const struct finding *x, struct set *s, uint32_t row, bool early, bool late)
{
	if (early || late)
		set_bit(s->may, row);
	if (early && late && has_bit(x->plain, row))
		set_bit(s->must, row);
}

/* Where a nanosecond would change the answer, it is open. */
static void on_rows(struct finding *x, const struct flt_node *n, struct set *s)
{
	bool simply = is_simple(n);
	enum row_field rf = RF_CSEQ;
	while (simply && x->fields[rf] != n->left->field)
		rf++;
	bool is_time = rf == RF_EPOCH || rf == RF_RELATIVE;
	for (uint32_t i = 0; i < x->n; i++) {
		const struct trk_ev *e = x->e = trk_ev(x->b->trk, i + 1);
		if (simply) {
			int64_t v = number_of(x, e, rf);
			bool early = ask_simply(n, v);
			put_row(x, s, i, early, is_time ? ask_simply(n, v + 999) : early);
			continue;
		}
		x->late_ns = 0;
		bool early = ask(x, n);
		x->late_ns = 999;
		put_row(x, s, i, early, ask(x, n));
	}
	x->late_ns = 0;
	for (size_t i = 0; i < x->n_words; i++)
		s->may[i] |= ~x->plain[i];
}

static void add_call(struct finding *x, const struct trk_call *c, struct set *s)
{
	for (uint32_t id = c->last_ev; id; id = trk_ev(x->b->trk, id)->prev)
		set_bit(s->may, id - 1);
}

static void on_calls(struct finding *x, const struct flt_node *n, struct set *s)
{
	if (n->kind == NODE_TEST && n->op == OP_EQ && n->left->kind == TERM_FIELD &&
	    !n->left->spans && n->right->kind == TERM_LITERAL) {
		const struct trk_call *c = trk_find(x->b->trk, n->right->lit.s);
		if (c && str_eq(c->call_id, n->right->lit.s))
			add_call(x, c, s);
		return;
	}
	for (const struct trk_call *c = trk_first(x->b->trk); c; c = trk_after(x->b->trk, c)) {
		x->c = c;
		x->e = trk_ev(x->b->trk, c->first_ev);
		if (ask(x, n))
			add_call(x, c, s);
	}
}

/* What all fields of a term have in common. */
static enum what_class class_of(const struct finding *x, const struct flt_term *t)
{
	enum what_class all = ABOUT_NOTHING, one = ABOUT_NOTHING;
	for (; t; t = t->next) {
		if (t->field) {
			one = book_about(x, t->field);
		} else {
			one = class_of(x, t->a);
			if (t->b) {
				enum what_class b = class_of(x, t->b);
				one = one == ABOUT_NOTHING             ? b
				      : b == ABOUT_NOTHING || b == one ? one
								       : ABOUT_MORE;
			}
		}
		all = all == ABOUT_NOTHING || all == one ? one
		      : one == ABOUT_NOTHING             ? all
							 : ABOUT_MORE;
	}
	return all;
}

/* The bytes of a protocol are not in a row, only that it is there. */
static enum what_class class_of_test(const struct finding *x, const struct flt_node *n)
{
	enum what_class l = class_of(x, n->left), r = class_of(x, n->right);
	if (n->kind != NODE_EXISTS && n->left->type == FLT_PROTO)
		return ABOUT_MORE;
	for (const struct flt_range *e = n->set; e; e = e->next)
		if (class_of(x, e->from) || class_of(x, e->to))
			return ABOUT_MORE;
	return r == ABOUT_NOTHING || r == l ? l : ABOUT_MORE;
}

/* Text that stands in every message that fits, or none. */
static struct str needle_of(const struct flt_node *n, bool *is_of_frame)
{
	if (n->kind != NODE_TEST || (n->op != OP_EQ && n->op != OP_CONTAINS) || n->is_all ||
	    n->left->kind != TERM_FIELD || n->right->kind != TERM_LITERAL)
		return STR_NONE;
	struct str name = n->left->field->name;
	bool is_text =
		n->left->type == FLT_STR || (n->left->type == FLT_PROTO && n->op == OP_CONTAINS);
	bool is_sip = str_starts(name, STR("sip")) || str_starts(name, STR("sdp"));
	*is_of_frame = str_eq(name, STR("udp"));
	return is_text && (is_sip || *is_of_frame) ? flt_bytes(n->right->type, &n->right->lit)
						   : STR_NONE;
}

static enum err on_text(struct finding *x, const struct flt_node *n, struct set *s, bool *is_asked)
{
	bool is_of_frame;
	struct str needle = needle_of(n, &is_of_frame);
	*is_asked = needle.n > 0;
	if (!needle.n)
		return OK;
	enum err e = book_scan(x->b, needle, is_of_frame, x->n, s->may);
	for (size_t i = 0; i < x->n_words; i++)
		s->may[i] |= ~x->plain[i];
	return e;
}

/* So many plain rows may fit that to look at each takes longer than a pass over the file. */
static bool is_much(const struct finding *x, const struct set *s)
{
	unsigned n = 0;
	for (size_t i = 0; i < x->n_words; i++)
		n += (unsigned)__builtin_popcountll(s->may[i] & x->plain[i]);
	return n > MAX_LOOKS;
}

static enum err on_test(struct finding *x, const struct flt_node *n, struct set *s)
{
	bool ok = true, is_asked;
	switch (class_of_test(x, n)) {
	case ABOUT_HOP:
		ok = on_hops(x, n, s);
		close_set(x, s);
		break;
	case ABOUT_WHAT:
		ok = on_whats(x, n, s);
		close_set(x, s);
		break;
	case ABOUT_ROW:
		on_rows(x, n, s);
		break;
	case ABOUT_CALL:
		on_calls(x, n, s);
		close_set(x, s);
		break;
	case ABOUT_NOTHING:
	case ABOUT_MORE: {
		enum err e = on_text(x, n, s, &is_asked);
		if (!e && book_can_pass(n) && (!is_asked || is_much(x, s))) {
			memset(s->may, 0, x->n_words * sizeof(uint64_t));
			e = book_pass(x, n, s->may);
			close_set(x, s);
			return e;
		}
		if (e || is_asked)
			return e;
		memset(s->may, 0xff, x->n_words * sizeof(uint64_t));
		break;
	}
	}
	return ok ? OK : ERR_NOMEM;
}

static enum err on_node(struct finding *x, const struct flt_node *n, struct set *out);

static enum err on_kids(struct finding *x, const struct flt_node *n, struct set *out)
{
	bool is_and = n->kind == NODE_AND;
	memset(out->may, is_and ? 0xff : 0, 2 * x->n_words * sizeof(uint64_t));
	for (const struct flt_node *k = n->kids; k; k = k->next) {
		struct set s;
		if (!set_new(x, &s))
			return ERR_NOMEM;
		enum err e = on_node(x, k, &s);
		for (size_t i = 0; i < 2 * x->n_words; i++)
			out->may[i] = is_and ? out->may[i] & s.may[i] : out->may[i] | s.may[i];
		free(s.may);
		if (e)
			return e;
	}
	return OK;
}

static enum err on_node(struct finding *x, const struct flt_node *n, struct set *out)
{
	enum err e;
	switch ((enum flt_node_kind)n->kind) {
	case NODE_OR:
	case NODE_AND:
		return on_kids(x, n, out);
	case NODE_NOT:
		e = on_node(x, n->kids, out);
		for (size_t i = 0; i < x->n_words; i++) {
			uint64_t may = out->may[i];
			out->may[i] = ~out->must[i];
			out->must[i] = ~may;
		}
		return e;
	default:
		return on_test(x, n, out);
	}
}

/* --- looking ---------------------------------------------------------------------------------- */

/* A plain message, alone in a frame that is not there. Open: the filter asks for what is not here.
 */
static enum err look(struct finding *x, uint32_t row, bool *fits, bool *is_open)
{
	const struct trk_ev *e = x->e = trk_ev(x->b->trk, row + 1);
	struct cap_msg m = {0};
	struct cap_frame fr = {.msgs = &m, .n_msgs = 1};
	enum err err = book_msg(x->b, row + 1, &m.pkt.msg);
	if (err)
		return err;
	m.pkt.bytes = str_of(m.pkt.msg->bytes, m.pkt.msg->n_bytes);
	x->c = trk_call_of(e);
	x->fr = &fr;
	x->has_missed = false;
	*fits = ask(x, flt_root(x->f));
	if (!x->has_missed) {
		x->late_ns = 999;
		x->has_missed = ask(x, flt_root(x->f)) != *fits;
		x->late_ns = 0;
	}
	*is_open = x->has_missed;
	x->fr = NULL;
	return OK;
}

/* Settles the rows that may but not must; *is_open: not without their frames. */
static enum err look_all(struct finding *x, struct set *s, bool *is_open)
{
	unsigned n = 0;
	*is_open = false;
	for (size_t i = 0; i < x->n_words; i++) {
		uint64_t open = s->may[i] & ~s->must[i];
		n += (unsigned)__builtin_popcountll(open);
		*is_open = *is_open || open & ~x->plain[i];
	}
	*is_open = *is_open || n > MAX_LOOKS;
	for (uint32_t row = 0; row < x->n && !*is_open; row++) {
		if (!(s->may[row / 64] & ~s->must[row / 64])) {
			row |= 63;
			continue;
		}
		bool fits;
		if (!has_bit(s->may, row) || has_bit(s->must, row))
			continue;
		enum err e = look(x, row, &fits, is_open);
		if (e || *is_open)
			return e;
		if (fits)
			set_bit(s->must, row);
		else
			s->may[row / 64] &= ~(1ull << row % 64);
	}
	return OK;
}

/* The number of a message of the second walk, *next being the least it may have; 0: the tracker did
 * not keep it. */
static uint32_t id_of(const struct book *b, const struct trk_packet *p, uint32_t *next)
{
	const struct trk_ev *e = trk_ev(b->trk, *next);
	while (e && e->frame_no < p->frame_no) /* a piece: no frame's message */
		e = trk_ev(b->trk, ++*next);
	return e && e->frame_no == p->frame_no && e->n_bytes == p->bytes.n ? (*next)++ : 0;
}

/* Settles them by reading all again; what must or may not fit is not asked. */
static enum err walk_all(struct finding *x, struct set *s)
{
	struct book_walk a;
	uint32_t next = 1, ids[64];
	enum err e = book_again(x->b, flt_needs(x->f), &a);
	if (e)
		return e;
	cap_walk_brief(a.walk);
	for (const struct cap_frame *fr; (fr = cap_walk_next(a.walk));) {
		bool is_open = false, fits = false;
		size_t n = 0;
		for (size_t i = 0; i < fr->n_msgs; i++) {
			uint32_t id = id_of(x->b, &fr->msgs[i].pkt, &next);
			if (id && n < ARRAY_LEN(ids) && has_bit(s->may, id - 1)) {
				ids[n++] = id;
				is_open = is_open || !has_bit(s->must, id - 1);
			}
		}
		if (is_open)
			fits = flt_match(x->f, fr);
		if (fits)
			cap_walk_shown(a.walk, fr);
		for (size_t i = 0; is_open && i < n; i++) {
			uint32_t row = ids[i] - 1;
			s->may[row / 64] &= ~(1ull << row % 64);
			s->must[row / 64] &= ~(1ull << row % 64);
			if (fits)
				set_bit(s->must, row);
		}
	}
	book_again_end(&a);
	return OK;
}

/* --- the whole -------------------------------------------------------------------------------- */

static enum err begin(struct finding *x)
{
	struct trk *t = x->b->trk;
	x->n = trk_n_rows(t);
	x->n_words = (x->n + 63u) / 64 + 1;
	x->first_ns = (int64_t)trk_stats(t)->first_us * 1'000;
	book_fields(x);
	if (!book_columns(x->b, x->n))
		return ERR_NOMEM;
	x->plain = x->b->plain;
	return OK;
}

static enum err collect(const struct finding *x, const struct set *s, uint32_t **ids, size_t *n)
{
	*n = 0;
	for (size_t i = 0; i < x->n_words; i++)
		*n += (size_t)__builtin_popcountll(s->must[i]);
	*ids = malloc((*n + 1) * sizeof **ids);
	if (!*ids)
		return ERR_NOMEM;
	*n = 0;
	for (size_t i = 0; i < x->n_words; i++)
		for (uint64_t w = s->must[i]; w; w &= w - 1)
			(*ids)[(*n)++] = (uint32_t)(64 * i) + (uint32_t)__builtin_ctzll(w) + 1;
	return OK;
}

enum err book_filter(struct book *b, struct flt *f, uint32_t **ids, size_t *n)
{
	struct finding x = {.b = b, .f = f};
	struct set s = {0};
	bool is_open = true;
	if (b->cfg.is_live || flt_needs(f) & FLT_NEEDS_CALLS)
		return ERR_UNSUPPORTED;
	enum err e = begin(&x);
	if (!e)
		e = set_new(&x, &s) ? on_node(&x, flt_root(f), &s) : ERR_NOMEM;
	for (size_t i = 0; !e && i < x.n_words; i++) { /* there is nothing behind the last row */
		uint64_t in = i < x.n / 64 ? ~0ull : i == x.n / 64 ? (1ull << x.n % 64) - 1 : 0;
		s.may[i] &= in;
		s.must[i] &= in;
	}
	if (!e)
		e = look_all(&x, &s, &is_open);
	if (!e && is_open)
		e = walk_all(&x, &s);
	if (!e)
		e = collect(&x, &s, ids, n);
	free(s.may);
	return e;
}
