/* Asking a compiled filter about a frame, or about whatever a source gives the values of.
 *
 * A term yields the values of its field (or its one literal); a test holds when any pair of values
 * fits, or with `all` (and `!=`) when all do. A field that is not there yields no value, and then
 * no test about it holds: `sip.Method != "INVITE"` is false for a frame without SIP. A slice beyond
 * the end of a value leaves that value out. [Wireshark User's Guide 6.4]
 *
 * Invariants: evaluation allocates only for what it makes: lower(), upper(), string(), slices of
 * several pieces, `&` over bytes; the recursion is as deep as the parser allowed; a pattern may
 * take a bounded number of steps.
 */
#include "base/assert.h"
#include "filter/flt_priv.h"

#include <string.h>

struct yield { /* the values of a term */
	unsigned n;
	struct flt_val v[FLT_MAX_VALUES];
};

struct str flt_bytes(uint8_t type, const struct flt_val *v)
{
	if (type == FLT_IPV4 || type == FLT_IPV6 || type == FLT_ETHER)
		return str_of((const char *)v->ip, type == FLT_IPV4   ? 4
						   : type == FLT_IPV6 ? 16
								      : 6);
	return v->s;
}

/* --- terms ------------------------------------------------------------------------------------ */

static void yield(struct flt *f, const struct flt_term *t, struct yield *y);

/* Where a span begins and ends in n things; false when it goes beyond. */
static bool locate(const struct flt_span *s, size_t n, size_t *at, size_t *len)
{
	int64_t from = s->from < 0 ? (int64_t)n + s->from : s->from;
	int64_t to = from + s->n;
	if (s->is_open)
		to = (int64_t)n;
	else if (s->is_to)
		to = (s->to < 0 ? (int64_t)n + s->to : s->to) + 1;
	if (from < 0 || to <= from || to > (int64_t)n)
		return false;
	*at = (size_t)from;
	*len = (size_t)(to - from);
	return true;
}

static bool slice(struct flt *f, const struct flt_span *spans, struct str s, struct str *out)
{
	size_t at = 0, len = 0, total = 0;
	ASSERT(spans); /* the lexer gives one at least */
	for (const struct flt_span *p = spans; p; p = p->next) {
		if (!locate(p, s.n, &at, &len))
			return false;
		total += len;
	}
	if (!spans->next) {
		*out = str_sub(s, at, len);
		return true;
	}
	char *mem = arena_bytes(&f->scratch, total);
	size_t n = 0;
	for (const struct flt_span *p = spans; mem && p; p = p->next)
		if (locate(p, s.n, &at, &len)) {
			memcpy(mem + n, s.p + at, len);
			n += len;
		}
	*out = str_of(mem, n);
	return mem != NULL;
}

static void slice_all(struct flt *f, const struct flt_term *t, struct yield *y)
{
	unsigned n = 0;
	for (unsigned i = 0; i < y->n; i++) {
		struct str s = flt_bytes(t->a->type, &y->v[i]), part;
		if (s.p == (const char *)y->v[i].ip) /* an address: it moves with the value */
			s = arena_str(&f->scratch, s);
		if (!slice(f, t->spans, s, &part))
			continue;
		y->v[n].layer = y->v[i].layer;
		y->v[n++].s = part;
	}
	y->n = n;
}

/* Values of the layers wanted: #1 is the outermost header of its protocol. */
static void keep_layers(const struct flt_term *t, struct yield *y)
{
	unsigned n = 0, last = 0;
	for (unsigned i = 0; i < y->n; i++)
		if (y->v[i].layer > last)
			last = y->v[i].layer;
	for (unsigned i = 0; i < y->n; i++) {
		bool is_wanted = false;
		int64_t layer = y->v[i].layer;
		for (const struct flt_span *s = t->spans; s; s = s->next) {
			int64_t from = s->from < 0 ? (int64_t)last + 1 + s->from : s->from;
			int64_t to = s->is_open ? (int64_t)last : from + s->n - 1;
			if (s->is_to)
				to = s->to < 0 ? (int64_t)last + 1 + s->to : s->to;
			is_wanted = is_wanted || (layer >= from && layer <= to);
		}
		if (is_wanted)
			y->v[n++] = y->v[i];
	}
	y->n = n;
}

static struct str cased(struct flt *f, struct str s, bool is_upper)
{
	char *mem = arena_bytes(&f->scratch, s.n);
	if (!mem)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (is_upper && c >= 'a' && c <= 'z')
			c = (char)(c - 32);
		else if (!is_upper && c >= 'A' && c <= 'Z')
			c = (char)(c + 32);
		mem[i] = c;
	}
	return str_of(mem, s.n);
}

static struct str as_text(struct flt *f, uint8_t type, const struct flt_val *v)
{
	char text[64];
	struct buf b;
	buf_init_fixed(&b, text, sizeof text);
	flt_put(&b, type, FLT_DEC, 8, v);
	return arena_str(&f->scratch, buf_view(&b));
}

static uint64_t length(const struct flt_term *t, const struct flt_val *v)
{
	if (t->type == FLT_UINT && t->field)
		return t->field->width;
	if (flt_is_number(t->type) || t->type == FLT_REAL)
		return 8;
	if (t->type == FLT_TIME || t->type == FLT_DATE)
		return 16;
	if (t->type == FLT_BOOL || t->type == FLT_NONE)
		return t->type == FLT_BOOL;
	return flt_bytes(t->type, v).n;
}

static int order(uint8_t ta, const struct flt_val *a, uint8_t tb, const struct flt_val *b)
{
	if (ta == FLT_REAL)
		return a->f < b->f ? -1 : a->f > b->f;
	if ((ta == FLT_UINT && tb == FLT_UINT) || ta == FLT_BOOL)
		return a->u < b->u ? -1 : a->u > b->u;
	if (flt_is_number(ta) || ta == FLT_TIME || ta == FLT_DATE)
		return a->i < b->i ? -1 : a->i > b->i;
	struct str x = flt_bytes(ta, a), y = flt_bytes(tb, b);
	if (ta != FLT_STR && x.n != y.n) /* as Wireshark orders bytes: the shorter is less */
		return x.n < y.n ? -1 : 1;
	return str_cmp(x, y);
}

/* min() and max(): the arguments' one best value. */
static void best(struct flt *f, const struct flt_term *t, struct yield *y)
{
	struct yield more;
	struct flt_val v = {.layer = 1};
	bool has = false;
	for (const struct flt_term *a = t->a; a; a = a->next) {
		yield(f, a, &more);
		for (unsigned i = 0; i < more.n; i++) {
			int o = has ? order(a->type, &more.v[i], t->a->type, &v) : 0;
			if (!has || (t->kind == TERM_MIN ? o < 0 : o > 0))
				v = more.v[i];
			has = true;
		}
	}
	y->n = has;
	y->v[0] = v;
}

/* --- calculations ----------------------------------------------------------------------------- */

/* Wraps where it must; a division by zero has no result. */
static bool whole(enum flt_op op, uint64_t a, uint64_t b, int64_t *out)
{
	int64_t x = (int64_t)a, y = (int64_t)b;
	bool can_divide = y != 0 && !(x == INT64_MIN && y == -1);
	switch (op) {
	case OP_ADD:
		*out = (int64_t)(a + b);
		return true;
	case OP_SUB:
		*out = (int64_t)(a - b);
		return true;
	case OP_MUL:
		*out = (int64_t)(a * b);
		return true;
	case OP_DIV:
		*out = can_divide ? x / y : 0;
		return can_divide;
	case OP_MOD:
		*out = can_divide ? x % y : 0;
		return can_divide;
	default:
		*out = (int64_t)(a & b);
		return true;
	}
}

static bool real(enum flt_op op, double a, double b, double *out)
{
	if (op == OP_DIV && b == 0)
		return false;
	*out = op == OP_ADD ? a + b : op == OP_SUB ? a - b : op == OP_MUL ? a * b : a / b;
	return true;
}

static bool mask(struct flt *f, const struct flt_term *t, const struct flt_val *a,
		 const struct flt_val *b, struct flt_val *out)
{
	struct str x = flt_bytes(t->a->type, a), y = flt_bytes(t->b->type, b);
	if (x.n != y.n)
		return false;
	char *mem = t->type == FLT_BYTES ? arena_bytes(&f->scratch, x.n) : (char *)out->ip;
	for (size_t i = 0; mem && i < x.n; i++)
		mem[i] = (char)(x.p[i] & y.p[i]);
	if (t->type == FLT_BYTES)
		out->s = str_of(mem, x.n);
	return mem != NULL;
}

static bool calculate(struct flt *f, const struct flt_term *t, const struct flt_val *a,
		      const struct flt_val *b, struct flt_val *out)
{
	*out = *a;
	if (t->type == FLT_REAL)
		return real((enum flt_op)t->op, a->f, b->f, &out->f);
	if (flt_is_number(t->type) || t->type == FLT_TIME)
		return whole((enum flt_op)t->op, a->u, b->u, &out->i);
	return mask(f, t, a, b, out);
}

[[gnu::noinline]] static void arithmetic(struct flt *f, const struct flt_term *t, struct yield *y)
{
	struct yield l, r;
	yield(f, t->a, &l);
	yield(f, t->b, &r);
	y->n = 0;
	for (unsigned i = 0; i < l.n; i++)
		for (unsigned k = 0; k < r.n && y->n < FLT_MAX_VALUES; k++)
			y->n += calculate(f, t, &l.v[i], &r.v[k], &y->v[y->n]);
}

static void negate(uint8_t type, struct flt_val *v)
{
	if (type == FLT_REAL)
		v->f = -v->f;
	else
		v->i = (int64_t)(0 - v->u);
}

static void call(struct flt *f, const struct flt_term *t, struct yield *y)
{
	for (unsigned i = 0; i < y->n; i++) {
		struct flt_val *v = &y->v[i];
		bool is_negative = t->type == FLT_REAL ? v->f < 0 : v->i < 0;
		switch ((enum flt_term_kind)t->kind) {
		case TERM_LEN:
			v->u = length(t->a, v);
			break;
		case TERM_LOWER:
		case TERM_UPPER:
			v->s = cased(f, v->s, t->kind == TERM_UPPER);
			break;
		case TERM_STRING:
			v->s = as_text(f, t->a->type, v);
			break;
		case TERM_ABS:
			if (is_negative)
				negate(t->type, v);
			break;
		case TERM_NEGATE:
			negate(t->type, v);
			break;
		default:
			break;
		}
	}
}

static void yield(struct flt *f, const struct flt_term *t, struct yield *y)
{
	switch ((enum flt_term_kind)t->kind) {
	case TERM_LITERAL:
		y->n = 1;
		y->v[0] = t->lit;
		return;
	case TERM_FIELD:
		y->n = f->get(f->get_arg, t->field, y->v);
		if (t->spans)
			keep_layers(t, y);
		return;
	case TERM_SLICE:
		yield(f, t->a, y);
		slice_all(f, t, y);
		return;
	case TERM_ARITH:
		arithmetic(f, t, y);
		return;
	case TERM_MIN:
	case TERM_MAX:
		best(f, t, y);
		return;
	case TERM_COUNT:
		yield(f, t->a, y);
		y->v[0].u = y->n;
		y->n = y->n ? 1 : 0;
		return;
	case TERM_NEGATE:
	case TERM_LEN:
	case TERM_LOWER:
	case TERM_UPPER:
	case TERM_STRING:
	case TERM_ABS:
		yield(f, t->a, y);
		call(f, t, y);
		return;
	}
}

/* --- tests ------------------------------------------------------------------------------------ */

/* The order of two values of a comparison; addresses only as far as a prefix goes. */
static int compare(const struct flt_term *l, const struct flt_val *a, const struct flt_term *r,
		   const struct flt_val *b)
{
	uint8_t bits = l->bits ? l->bits : r->bits;
	if (l->type != r->type || (l->type != FLT_IPV4 && l->type != FLT_IPV6) || !bits)
		return order(l->type, a, r->type, b);
	int o = memcmp(a->ip, b->ip, bits / 8);
	if (o || bits % 8 == 0)
		return o;
	int last = bits / 8, high = 0xff00 >> bits % 8 & 0xff;
	return (a->ip[last] & high) - (b->ip[last] & high);
}

/* What `contains` and `matches` look into: of a protocol all that it carries. */
static struct str haystack(const struct flt_term *t, const struct flt_val *v)
{
	return t->type == FLT_PROTO ? str_of(v->s.p, v->u) : flt_bytes(t->type, v);
}

static bool contains(struct str s, struct str what)
{
	return what.n && str_find(s, what) != SIZE_MAX;
}

/* A compiled pattern has a stack of its own, which a long text may fill: then it is interpreted. */
static bool matches(struct flt *f, const pcre2_code *re, struct str s)
{
	PCRE2_SPTR p = (PCRE2_SPTR)(s.n ? s.p : "");
	int rc = pcre2_match(re, p, s.n, 0, 0, f->match, f->limits);
	if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
		rc = pcre2_match(re, p, s.n, 0, PCRE2_NO_JIT, f->match, f->limits);
	return rc >= 0;
}

static bool fits(struct flt *f, const struct flt_node *n, const struct flt_val *a,
		 const struct flt_val *b)
{
	const struct flt_term *l = n->left, *r = n->right;
	switch ((enum flt_op)n->op) {
	case OP_EQ:
		return compare(l, a, r, b) == 0;
	case OP_NE:
		return compare(l, a, r, b) != 0;
	case OP_GT:
		return compare(l, a, r, b) > 0;
	case OP_GE:
		return compare(l, a, r, b) >= 0;
	case OP_LT:
		return compare(l, a, r, b) < 0;
	case OP_LE:
		return compare(l, a, r, b) <= 0;
	case OP_CONTAINS:
		return contains(haystack(l, a), flt_bytes(r->type, b));
	case OP_MATCHES:
		return matches(f, n->re, haystack(l, a));
	default:
		return false;
	}
}

[[gnu::noinline]] static bool test(struct flt *f, const struct flt_node *n)
{
	struct yield l, r;
	yield(f, n->left, &l);
	if (!l.n)
		return false;
	if (n->op == OP_MATCHES)
		r.n = 1; /* the pattern */
	else
		yield(f, n->right, &r);
	if (!r.n)
		return false;
	for (unsigned i = 0; i < l.n; i++)
		for (unsigned k = 0; k < r.n; k++)
			if (fits(f, n, &l.v[i], &r.v[k]) != n->is_all)
				return !n->is_all;
	return n->is_all;
}

/* Whether a value is an element of the set: equal to one of its values, or between two. */
static bool in_range(const struct flt_node *n, const struct flt_range *e, const struct flt_val *v,
		     const struct yield *from, const struct yield *to)
{
	for (unsigned i = 0; i < from->n; i++) {
		int o = compare(n->left, v, e->from, &from->v[i]);
		if (!e->to && o == 0)
			return true;
		for (unsigned k = 0; o >= 0 && e->to && k < to->n; k++)
			if (compare(n->left, v, e->to, &to->v[k]) <= 0)
				return true;
	}
	return false;
}

static bool in_element(struct flt *f, const struct flt_node *n, const struct flt_range *e,
		       const struct yield *l)
{
	struct yield from, to;
	yield(f, e->from, &from);
	if (e->to)
		yield(f, e->to, &to);
	for (unsigned i = 0; i < l->n; i++)
		if (in_range(n, e, &l->v[i], &from, &to) != n->is_all)
			return !n->is_all;
	return n->is_all && l->n;
}

/* A set is short for its elements joined by `or`, so that `all x in {1, 2}` wants all values of x
 * in one of them. */
[[gnu::noinline]] static bool test_in(struct flt *f, const struct flt_node *n)
{
	struct yield l;
	yield(f, n->left, &l);
	for (const struct flt_range *e = n->set; l.n && e; e = e->next)
		if (in_element(f, n, e, &l))
			return true;
	return false;
}

/* A field exists when it has a value; a calculation when its result is not zero. */
[[gnu::noinline]] static bool exists(struct flt *f, const struct flt_node *n)
{
	struct yield y;
	const struct flt_term *t = n->left;
	yield(f, t, &y);
	if (t->kind != TERM_ARITH && t->kind != TERM_NEGATE)
		return y.n > 0;
	for (unsigned i = 0; i < y.n; i++) {
		struct str s = flt_bytes(t->type, &y.v[i]);
		bool is_bytes = flt_is_text(t->type) || t->type == FLT_IPV4 ||
				t->type == FLT_IPV6 || t->type == FLT_ETHER;
		bool is_set = !is_bytes && y.v[i].u != 0;
		for (size_t k = 0; is_bytes && k < s.n; k++)
			is_set = is_set || s.p[k];
		if (is_set)
			return true;
	}
	return false;
}

/* The values have frames of their own (noinline), and this one stays small. */
static bool eval(struct flt *f, const struct flt_node *n)
{
	switch ((enum flt_node_kind)n->kind) {
	case NODE_OR:
		for (const struct flt_node *k = n->kids; k; k = k->next)
			if (eval(f, k))
				return true;
		return false;
	case NODE_AND:
		for (const struct flt_node *k = n->kids; k; k = k->next)
			if (!eval(f, k))
				return false;
		return true;
	case NODE_NOT:
		return !eval(f, n->kids);
	case NODE_EXISTS:
		return exists(f, n);
	case NODE_TEST:
		return test(f, n);
	case NODE_IN:
		return test_in(f, n);
	}
	return false;
}

bool flt_node_match_from(struct flt *f, const struct flt_node *n, flt_source_fn *get, void *arg)
{
	arena_reset(&f->scratch);
	f->get = get;
	f->get_arg = arg;
	return eval(f, n);
}

bool flt_match_from(struct flt *f, flt_source_fn *get, void *arg)
{
	return flt_node_match_from(f, f->root, get, arg);
}

struct frame_ref {
	const struct cap_frame *fr;
};

static unsigned from_frame(void *arg, const struct flt_field *field, struct flt_val *out)
{
	return flt_field_get(field, ((struct frame_ref *)arg)->fr, out);
}

bool flt_match(struct flt *f, const struct cap_frame *fr)
{
	struct frame_ref ref = {fr};
	return flt_match_from(f, from_frame, &ref);
}
