/* The filter language: parser of tests and their logic, compilation.
 *
 *	filter   = or
 *	or       = and { ("||" / "or") and }
 *	and      = not { ("&&" / "and") not }
 *	not      = ("!" / "not") not / "(" or ")" / test
 *	test     = ["any" / "all"] term [ op term { op term } / ["not"] "in" "{" element {","
 *element}
 *		   "}" ]
 *	element  = term [".." term]
 *
 * Terms are in flt_term.c, their types in flt_type.c. Each token remembers its place; the first
 * mistake ends the parse and is shown under the filter with a caret. Beyond Wireshark 4.0 a literal
 * may stand on the left (1 < frame.number < 9), as in its later versions.
 *
 * What is joined by one operator is one node with many kids, sorted by what they cost: nothing has
 * an effect but its answer, and a filter "sdp.media contains "video" && ip.addr == A" need not read
 * the SDP of everybody else. [Wireshark User's Guide 6.4]
 *
 * Invariants: nodes, terms and strings live in the filter's arena; recursion is bounded by
 * MAX_DEPTH; after compilation every term has a type, and both sides of a test compatible ones.
 */
#include "base/assert.h"
#include "filter/flt_priv.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH    100
#define MAX_LENGTH   65'536
#define COST_PATTERN 10
#define N_COSTS      16

static void explain(const struct flt_parser *p, struct buf *why)
{
	/* a long filter is shown around the mistake; control bytes would spoil the caret */
	size_t from = p->err_at > 50 ? p->err_at - 40 : 0;
	struct str shown = str_sub(p->text, from, 76);
	buf_str(why, from ? STR("...") : STR_NONE);
	size_t lead = from ? 3 : 0;
	for (size_t i = 0; i < shown.n; i++)
		buf_chr(why, (unsigned char)shown.p[i] < ' ' ? ' ' : shown.p[i]);
	buf_chr(why, '\n');
	buf_fill(why, ' ', lead + p->err_at - from);
	buf_chr(why, '^');
	size_t room = shown.n > p->err_at - from ? shown.n - (p->err_at - from) : 1;
	buf_fill(why, '~', (p->err_n < room ? p->err_n : room) - 1);
	buf_chr(why, '\n');
	buf_str(why, str_c(p->says));
}

/* --- nodes ------------------------------------------------------------------------------------ */

static struct flt_node *new_node(struct flt_parser *p, enum flt_node_kind kind)
{
	struct flt_node *n = flt_alloc(p, sizeof *n);
	if (n)
		n->kind = (uint8_t)kind;
	return n;
}

static uint8_t dearer(unsigned a, unsigned b)
{
	unsigned most = a > b ? a : b;
	return (uint8_t)(most < N_COSTS ? most : N_COSTS - 1);
}

static uint8_t cost_of(const struct flt_term *t)
{
	if (!t)
		return 0;
	uint8_t cost = t->field ? t->field->cost : 0;
	cost = dearer(cost, dearer(cost_of(t->a), cost_of(t->b)));
	return dearer(cost, cost_of(t->next));
}

/* Kids joined by one operator, the cheap ones first, otherwise in their order. */
static struct flt_node *join(struct flt_parser *p, enum flt_node_kind kind, struct flt_node *kids)
{
	if (!kids || !kids->next)
		return kids;
	struct flt_node *n = new_node(p, kind);
	if (!n)
		return NULL;
	struct flt_node *first[N_COSTS] = {NULL}, *last[N_COSTS] = {NULL};
	for (struct flt_node *k = kids, *next; k; k = next) {
		next = k->next;
		k->next = NULL;
		if (last[k->cost])
			last[k->cost]->next = k;
		else
			first[k->cost] = k;
		last[k->cost] = k;
		n->cost = dearer(n->cost, k->cost);
	}
	struct flt_node **tail = &n->kids;
	for (unsigned c = 0; c < N_COSTS; c++)
		if (first[c]) {
			*tail = first[c];
			tail = &last[c]->next;
		}
	return n;
}

/* --- tests ------------------------------------------------------------------------------------ */

static bool compile_pattern(struct flt_parser *p, struct flt_node *n, const struct flt_term *r)
{
	int code;
	PCRE2_SIZE at;
	if (r->token != T_STRING) {
		flt_complain(p, r->at, r->n, "a pattern in double quotes is expected here");
		return false;
	}
	n->re = pcre2_compile((PCRE2_SPTR)(r->text.n ? r->text.p : ""), r->text.n,
			      PCRE2_CASELESS | PCRE2_NEVER_UTF, &code, &at, NULL);
	if (!n->re) {
		char msg[120];
		pcre2_get_error_message(code, (PCRE2_UCHAR *)msg, sizeof msg);
		flt_complain(p, r->at, r->n, "the pattern cannot be read at its character %zu: %s",
			     at + 1, msg);
		return false;
	}
	pcre2_jit_compile(n->re, PCRE2_JIT_COMPLETE); /* where it cannot be: interpreted */
	n->next_re = p->f->patterns;
	p->f->patterns = n;
	return true;
}

static void only_field(struct flt_parser *p, const struct flt_term *t)
{
	if (t->token == T_WORD)
		flt_no_field(p, t->at, t->n, t->text);
	flt_complain(p, t->at, t->n, "a field is expected here, not %s",
		     t->token == T_STRING ? "text" : "a value");
}

/* `contains` and `matches` look into bytes. */
static bool check_search(struct flt_parser *p, struct flt_node *n, const struct flt_token *op)
{
	struct flt_term *l = n->left, *r = n->right;
	if (flt_is_literal(l)) {
		only_field(p, l);
		return false;
	}
	bool is_ether = l->type == FLT_ETHER && op->op == OP_CONTAINS;
	if (!flt_is_text(l->type) && !is_ether) {
		flt_complain(p, l->at, l->n,
			     "`" STR_FMT "` needs text on its left, and `" STR_FMT "` is none",
			     STR_ARG(op->text), STR_ARG(flt_shown(str_sub(p->text, l->at, l->n))));
		return false;
	}
	if (op->op == OP_MATCHES)
		return compile_pattern(p, n, r);
	/* a piece of an address is bytes, no address */
	static const struct flt_term piece = {.type = FLT_BYTES};
	return flt_is_literal(r) && is_ether ? flt_type_literal(p, r, &piece)
					     : flt_type_pair(p, l, r);
}

static struct flt_node *relate(struct flt_parser *p, struct flt_term *l, const struct flt_token *op,
			       struct flt_term *r, int quantifier)
{
	struct flt_node *n = new_node(p, NODE_TEST);
	if (!n)
		return NULL;
	n->op = (uint8_t)op->op;
	n->is_all = quantifier < 0 ? op->is_all : quantifier;
	n->left = l;
	n->right = r;
	n->cost = dearer(cost_of(l), cost_of(r));
	if (op->op != OP_CONTAINS && op->op != OP_MATCHES)
		return flt_type_pair(p, l, r) ? n : NULL;
	if (op->op == OP_MATCHES)
		n->cost = dearer(n->cost + 1u, COST_PATTERN);
	return check_search(p, n, op) ? n : NULL;
}

static bool parse_element(struct flt_parser *p, struct flt_node *n, struct flt_range ***tail)
{
	struct flt_range *e = flt_alloc(p, sizeof *e);
	if (!e || !(e->from = flt_term_parse(p)) || !flt_type_pair(p, n->left, e->from))
		return false;
	n->cost = dearer(n->cost, cost_of(e->from));
	if (p->tok.kind == T_RANGE) {
		flt_next(p);
		if (p->tok.kind == T_COMMA || p->tok.kind == T_RBRACE)
			flt_complain(p, p->tok.at, p->tok.n,
				     "the end of the range is expected here");
		if (p->err || !(e->to = flt_term_parse(p)) || !flt_type_pair(p, n->left, e->to))
			return false;
		n->cost = dearer(n->cost, cost_of(e->to));
	}
	**tail = e;
	*tail = &e->next;
	return !p->err;
}

/* p->tok is `in`. */
static struct flt_node *parse_in(struct flt_parser *p, struct flt_term *l, int quantifier)
{
	struct flt_node *n = new_node(p, NODE_IN);
	if (!n)
		return NULL;
	if (flt_is_literal(l)) {
		only_field(p, l);
		return NULL;
	}
	n->left = l;
	n->is_all = quantifier > 0;
	n->cost = cost_of(l);
	flt_next(p);
	if (p->tok.kind != T_LBRACE) {
		flt_complain(p, p->tok.at, p->tok.n, "`in` is followed by {value, value .. value}");
		return NULL;
	}
	struct flt_range **tail = &n->set;
	do {
		flt_next(p);
		if (p->err || !parse_element(p, n, &tail))
			return NULL;
	} while (p->tok.kind == T_COMMA);
	if (p->tok.kind != T_RBRACE) {
		flt_complain(p, p->tok.at, p->tok.n, "`,` or `}` is expected here");
		return NULL;
	}
	flt_next(p);
	return n;
}

static struct flt_node *negate(struct flt_parser *p, struct flt_node *of)
{
	struct flt_node *n = of ? new_node(p, NODE_NOT) : NULL;
	if (n) {
		n->kids = of;
		n->cost = of->cost;
	}
	return n;
}

static struct flt_node *exists(struct flt_parser *p, struct flt_term *t, int quantifier)
{
	if (flt_is_literal(t)) {
		only_field(p, t);
		return NULL;
	}
	bool is_call = t->kind >= TERM_LEN;
	if (is_call || quantifier >= 0) {
		flt_complain(p, p->tok.at, p->tok.n, "a comparison is expected here");
		return NULL;
	}
	struct flt_node *n = new_node(p, NODE_EXISTS);
	if (n) {
		n->left = t;
		n->cost = cost_of(t);
	}
	return n;
}

static struct flt_node *parse_test(struct flt_parser *p)
{
	int quantifier = -1;
	if (p->tok.kind == T_ANY || p->tok.kind == T_ALL) {
		quantifier = p->tok.kind == T_ALL;
		flt_next(p);
	}
	struct flt_term *l = flt_term_parse(p);
	if (!l)
		return NULL;
	if (p->tok.kind == T_IN)
		return parse_in(p, l, quantifier);
	if (p->tok.kind == T_NOT) {
		flt_next(p);
		if (p->tok.kind == T_IN)
			return negate(p, parse_in(p, l, quantifier));
		flt_complain(p, p->tok.at, p->tok.n, "`in` is expected here");
		return NULL;
	}
	if (p->tok.kind != T_OP)
		return exists(p, l, quantifier);
	struct flt_node *all = NULL, **tail = &all;
	while (p->tok.kind == T_OP) { /* a < b < c: every link must hold */
		struct flt_token op = p->tok;
		flt_next(p);
		struct flt_term *r = p->err ? NULL : flt_term_parse(p);
		*tail = r ? relate(p, l, &op, r, quantifier) : NULL;
		if (!*tail)
			return NULL;
		tail = &(*tail)->next;
		l = r;
	}
	return join(p, NODE_AND, all);
}

/* --- logic ------------------------------------------------------------------------------------ */

static struct flt_node *parse_or(struct flt_parser *p);

static struct flt_node *parse_not(struct flt_parser *p)
{
	struct flt_node *n = NULL;
	if (p->err)
		return NULL;
	if (++p->depth > MAX_DEPTH) {
		flt_complain(p, p->tok.at, p->tok.n, "the filter is nested too deeply");
		return NULL;
	}
	if (p->tok.kind == T_NOT) {
		flt_next(p);
		n = negate(p, parse_not(p));
	} else if (p->tok.kind == T_LPAREN) {
		struct flt_token open = p->tok;
		flt_next(p);
		n = parse_or(p);
		if (n && p->tok.kind != T_RPAREN) {
			if (p->tok.kind == T_END)
				flt_complain(p, open.at, 1, "this `(` is never closed");
			flt_complain(p, p->tok.at, p->tok.n, "`)`, `&&` or `||` is expected here");
			n = NULL;
		}
		flt_next(p);
	} else {
		int depth = p->depth;
		p->depth = 0; /* terms count their own */
		n = parse_test(p);
		p->depth = depth;
	}
	p->depth--;
	return p->err ? NULL : n;
}

static struct flt_node *parse_chain(struct flt_parser *p, enum flt_token_kind sign,
				    enum flt_node_kind kind,
				    struct flt_node *(*parse)(struct flt_parser *p))
{
	struct flt_node *all = parse(p), **tail = all ? &all->next : NULL;
	while (tail && p->tok.kind == sign) {
		flt_next(p);
		*tail = parse(p);
		if (!*tail)
			return NULL;
		tail = &(*tail)->next;
	}
	return join(p, kind, all);
}

static struct flt_node *parse_and(struct flt_parser *p)
{
	return parse_chain(p, T_AND, NODE_AND, parse_not);
}

static struct flt_node *parse_or(struct flt_parser *p)
{
	return parse_chain(p, T_OR, NODE_OR, parse_and);
}

static void parse(struct flt_parser *p)
{
	if (p->text.n > MAX_LENGTH) {
		flt_complain(p, MAX_LENGTH, 1, "a filter has at most %d characters", MAX_LENGTH);
		return;
	}
	flt_next(p);
	if (!p->err && p->tok.kind == T_END)
		flt_complain(p, 0, 1, "the filter is empty");
	p->f->root = parse_or(p);
	if (p->f->root && p->tok.kind != T_END)
		flt_complain(p, p->tok.at, p->tok.n, "`&&`, `||` or the end is expected here");
	if (!p->f->root)
		flt_no_memory(p);
}

enum err flt_compile(struct str text, struct flt **out, struct buf *why)
{
	struct flt *f = calloc(1, sizeof *f);
	if (!f)
		return ERR_NOMEM;
	arena_init(&f->arena);
	arena_init_in(&f->scratch, f->own, sizeof f->own);
	struct flt_parser p = {.f = f, .text = arena_str(&f->arena, text)};
	f->match = pcre2_match_data_create(1, NULL);
	f->limits = pcre2_match_context_create(NULL);
	if (!f->match || !f->limits || p.text.n != text.n) {
		flt_free(f);
		return ERR_NOMEM;
	}
	/* a hostile pattern shall not stop the walk */
	pcre2_set_match_limit(f->limits, 200'000);
	pcre2_set_depth_limit(f->limits, 10'000);
	parse(&p);
	if (p.err) {
		if (p.err == ERR_SYNTAX)
			explain(&p, why);
		flt_free(f);
		return p.err;
	}
	*out = f;
	return OK;
}

void flt_free(struct flt *f)
{
	if (!f)
		return;
	for (struct flt_node *n = f->patterns; n; n = n->next_re)
		pcre2_code_free(n->re);
	pcre2_match_data_free(f->match);
	pcre2_match_context_free(f->limits);
	arena_fini(&f->scratch);
	arena_fini(&f->arena);
	free(f);
}

unsigned flt_needs(const struct flt *f)
{
	return f->needs;
}

const struct flt_field *flt_uses(const struct flt *f, size_t i)
{
	const struct flt_use *u = f->uses;
	while (u && i--)
		u = u->next;
	return u ? u->field : NULL;
}
