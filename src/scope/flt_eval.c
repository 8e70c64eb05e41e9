/* Asking a compiled filter about a frame.
 *
 * A term yields the values of its field in the frame (or its one literal); a test holds when any
 * pair of values fits, or with `all` (and `!=`) when all do. A field that is not there yields no
 * value, and then no test about it holds: `sip.Method != "INVITE"` is false for a frame without
 * SIP. [Wireshark User's Guide 6.4.6]
 *
 * Invariants: evaluation allocates only in lower() and upper(); the recursion is as deep as the
 * parser allowed; a pattern may take a bounded number of steps.
 */
#include "scope/flt_priv.h"

#include <string.h>

struct yield { /* the values of a term */
	unsigned n;
	struct flt_val v[FLT_MAX_VALUES];
};

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

static void yield(struct flt *f, const struct flt_term *t, const struct cap_frame *fr,
		  struct yield *y)
{
	if (t->kind == TERM_LITERAL) {
		y->n = 1;
		y->v[0] = t->lit;
		return;
	}
	y->n = flt_field_get(t->field, fr, y->v);
	switch ((enum flt_term_kind)t->kind) {
	case TERM_LEN:
		for (unsigned i = 0; i < y->n; i++)
			y->v[i].u = y->v[i].s.n;
		break;
	case TERM_COUNT:
		y->v[0].u = y->n;
		y->n = y->n ? 1 : 0;
		break;
	case TERM_LOWER:
	case TERM_UPPER:
		for (unsigned i = 0; i < y->n; i++)
			y->v[i].s = cased(f, y->v[i].s, t->kind == TERM_UPPER);
		break;
	case TERM_FIELD:
	case TERM_LITERAL:
		break;
	}
}

static int order(enum flt_type type, const struct flt_val *a, const struct flt_val *b)
{
	switch (type) {
	case FLT_STR:
	case FLT_PROTO:
		return str_cmp(a->s, b->s);
	case FLT_ADDR:
		return memcmp(a->addr.ip, b->addr.ip, sizeof a->addr.ip);
	case FLT_TIME:
		return (int64_t)a->u < (int64_t)b->u ? -1 : (int64_t)a->u > (int64_t)b->u;
	case FLT_UINT:
	case FLT_BOOL:
		break;
	}
	return a->u < b->u ? -1 : a->u > b->u;
}

static bool is_equal(const struct flt_term *left, const struct flt_term *right,
		     const struct flt_val *a, const struct flt_val *b)
{
	if (left->type == FLT_ADDR) {
		if (right->kind == TERM_LITERAL)
			return addr_net_has(&right->net, &a->addr);
		if (left->kind == TERM_LITERAL)
			return addr_net_has(&left->net, &b->addr);
		return addr_ip_eq(&a->addr, &b->addr);
	}
	return order((enum flt_type)left->type, a, b) == 0;
}

static bool fits(struct flt *f, const struct flt_node *n, const struct flt_val *a,
		 const struct flt_val *b)
{
	enum flt_type type = (enum flt_type)n->left.type;
	switch ((enum flt_op)n->op) {
	case OP_EQ:
		return is_equal(&n->left, &n->right, a, b);
	case OP_NE:
		return !is_equal(&n->left, &n->right, a, b);
	case OP_GT:
		return order(type, a, b) > 0;
	case OP_GE:
		return order(type, a, b) >= 0;
	case OP_LT:
		return order(type, a, b) < 0;
	case OP_LE:
		return order(type, a, b) <= 0;
	case OP_CONTAINS:
		return str_find(a->s, b->s) != SIZE_MAX;
	case OP_MATCHES:
		return pcre2_match(n->re, (PCRE2_SPTR)(a->s.n ? a->s.p : ""), a->s.n, 0, 0,
				   f->match, f->limits) >= 0;
	case OP_NONE:
		break;
	}
	return false;
}

[[gnu::noinline]] static bool test(struct flt *f, const struct flt_node *n,
				   const struct cap_frame *fr)
{
	struct yield l, r;
	yield(f, &n->left, fr, &l);
	if (!l.n)
		return false;
	yield(f, &n->right, fr, &r);
	if (!r.n)
		return false;
	for (unsigned i = 0; i < l.n; i++)
		for (unsigned k = 0; k < r.n; k++)
			if (fits(f, n, &l.v[i], &r.v[k]) != n->is_all)
				return !n->is_all;
	return n->is_all;
}

static bool in_set(const struct flt_node *n, const struct flt_val *v)
{
	for (const struct flt_range *r = n->set; r; r = r->next) {
		if (!r->is_range && is_equal(&n->left, &r->from, v, &r->from.lit))
			return true;
		if (r->is_range && order((enum flt_type)n->left.type, v, &r->from.lit) >= 0 &&
		    order((enum flt_type)n->left.type, v, &r->to.lit) <= 0)
			return true;
	}
	return false;
}

[[gnu::noinline]] static bool test_in(struct flt *f, const struct flt_node *n,
				      const struct cap_frame *fr)
{
	struct yield l;
	yield(f, &n->left, fr, &l);
	for (unsigned i = 0; i < l.n; i++)
		if (in_set(n, &l.v[i]) != n->is_all)
			return !n->is_all;
	return n->is_all && l.n;
}

[[gnu::noinline]] static bool exists(const struct flt_node *n, const struct cap_frame *fr)
{
	struct flt_val v[FLT_MAX_VALUES];
	return flt_field_get(n->left.field, fr, v) > 0;
}

/* A chain of a thousand comparisons is as deep: the values have frames of their own (noinline), and
 * this one stays small. */
static bool eval(struct flt *f, const struct flt_node *n, const struct cap_frame *fr)
{
	switch ((enum flt_node_kind)n->kind) {
	case NODE_OR:
		return eval(f, n->a, fr) || eval(f, n->b, fr);
	case NODE_AND:
		return eval(f, n->a, fr) && eval(f, n->b, fr);
	case NODE_NOT:
		return !eval(f, n->a, fr);
	case NODE_EXISTS:
		return exists(n, fr);
	case NODE_TEST:
		return test(f, n, fr);
	case NODE_IN:
		return test_in(f, n, fr);
	}
	return false;
}

bool flt_match(struct flt *f, const struct cap_frame *fr)
{
	arena_reset(&f->scratch);
	return eval(f, f->root, fr);
}
