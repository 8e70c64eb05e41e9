/* The filter language: parser by precedence, type check.
 *
 *	filter   = or
 *	or       = and { ("||" / "or") and }
 *	and      = not { ("&&" / "and") not }
 *	not      = ("!" / "not") not / "(" or ")" / test
 *	test     = ["any" / "all"] term [ op term { op term } / "in" "{" element {"," element} "}" ]
 *	element  = literal [".." literal]
 *	term     = field / function "(" field ")" / literal
 *	literal  = "string" / r"raw" / word
 *	function = "len" / "count" / "lower" / "upper"
 *
 * A word is a field when the table knows it (or it stands where only a field can), else a literal:
 * a number, an address with optional /bits, true or false, or unquoted text, whichever the other
 * side of the test asks for. Each token remembers its place; the first mistake ends the parse and
 * is shown under the filter with a caret.
 *
 * Invariants: nodes and strings live in the filter's arena; recursion is bounded by MAX_DEPTH;
 * after compilation both terms of a test have one type.
 *
 * Meaning: [Wireshark 4.0 User's Guide 6.4].
 */
#include "base/assert.h"
#include "scope/flt_priv.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH  100
#define MAX_LENGTH 65'536

/* What is quoted in a message: never all of a long token. */
static struct str shown(struct str s)
{
	return str_sub(s, 0, 50);
}

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

/* --- terms ---------------------------------------------------------------------------------- */

struct raw_term { /* a term before its literal has a type */
	struct flt_term t;
	struct flt_token tok;
	bool is_literal;
};

static void no_field(struct flt_parser *p, const struct flt_token *t)
{
	struct str near = STR_NONE;
	flt_field_find(t->text, &near);
	if (near.n)
		flt_complain(p, t->at, t->n,
			     "there is no field `" STR_FMT "`; did you mean `" STR_FMT "`?",
			     STR_ARG(shown(t->text)), STR_ARG(near));
	else
		flt_complain(p, t->at, t->n,
			     "there is no field `" STR_FMT "` (`rung scope --fields` lists them)",
			     STR_ARG(shown(t->text)));
}

static bool parse_function(struct flt_parser *p, struct raw_term *r)
{
	static const struct {
		const char *name;
		enum flt_term_kind kind;
	} functions[] = {
		{"len",   TERM_LEN  },
		{"count", TERM_COUNT},
		{"lower", TERM_LOWER},
		{"upper", TERM_UPPER}
        };
	struct flt_token name = r->tok;
	flt_next(p);
	const struct flt_field *f =
		p->tok.kind == T_WORD ? flt_field_find(p->tok.text, NULL) : NULL;
	if (p->tok.kind == T_WORD && !f) {
		no_field(p, &p->tok);
		return false;
	}
	if (!f) {
		flt_complain(p, p->tok.at, p->tok.n, "a field is expected here");
		return false;
	}
	struct flt_token arg = p->tok;
	flt_next(p);
	if (p->tok.kind != T_RPAREN) {
		flt_complain(p, p->tok.at, p->tok.n, "`)` is expected here");
		return false;
	}
	flt_next(p);
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		if (!str_eq(name.text, str_c(functions[i].name)))
			continue;
		bool is_text = f->type == FLT_STR || f->type == FLT_PROTO;
		if (functions[i].kind != TERM_COUNT && !is_text) {
			flt_complain(p, arg.at, arg.n,
				     "`%s` takes a field of text, and `" STR_FMT "` is none",
				     functions[i].name, STR_ARG(f->name));
			return false;
		}
		bool is_number = functions[i].kind == TERM_LEN || functions[i].kind == TERM_COUNT;
		r->t = (struct flt_term){.kind = functions[i].kind,
					 .type = is_number ? FLT_UINT : FLT_STR,
					 .field = f};
		return true;
	}
	flt_complain(p, name.at, name.n,
		     "there is no function `" STR_FMT "`: len, count, lower, upper",
		     STR_ARG(shown(name.text)));
	return false;
}

static bool parse_term(struct flt_parser *p, struct raw_term *r)
{
	*r = (struct raw_term){.tok = p->tok};
	if (p->tok.kind == T_STRING) {
		r->is_literal = true;
		flt_next(p);
		return !p->err;
	}
	if (p->tok.kind != T_WORD) {
		flt_complain(p, p->tok.at, p->tok.n,
			     p->tok.kind == T_END
				     ? "the filter ends here, where a field or value is "
				       "expected"
				     : "a field or value is expected here");
		return false;
	}
	flt_next(p);
	if (p->tok.kind == T_LPAREN)
		return parse_function(p, r);
	const struct flt_field *f = flt_field_find(r->tok.text, NULL);
	if (f)
		r->t = (struct flt_term){.kind = TERM_FIELD, .type = f->type, .field = f};
	else
		r->is_literal = true;
	return !p->err;
}

static bool number(struct str s, uint64_t *out)
{
	char text[32], *end;
	if (!s.n || s.p[0] == '-' || s.p[0] == '+' || !str_copy(text, sizeof text, s))
		return false;
	*out = strtoull(text, &end, 0);
	return *end == '\0' && end != text;
}

static bool seconds(struct str s, uint64_t *out)
{
	bool is_negative = s.n && s.p[0] == '-';
	if (is_negative)
		s = str_skip(s, 1);
	struct str frac;
	struct str whole = str_cut(s, '.', &frac);
	uint64_t sec, ns = 0, scale = 100'000'000;
	if (!str_u64(whole, &sec) || sec > 9'000'000'000 || frac.n > 9)
		return false;
	for (size_t i = 0; i < frac.n; i++, scale /= 10) {
		if (frac.p[i] < '0' || frac.p[i] > '9')
			return false;
		ns += (uint64_t)(frac.p[i] - '0') * scale;
	}
	*out = sec * 1'000'000'000 + ns;
	if (is_negative)
		*out = 0 - *out;
	return true;
}

static bool boolean(struct str s, uint64_t *out)
{
	*out = str_ieq(s, STR("true")) || str_eq(s, STR("1"));
	return *out || str_ieq(s, STR("false")) || str_eq(s, STR("0"));
}

/* "49:4e:56" or "49.4e" or "494e56" as bytes; only for protocols, where text is rarer. */
static bool hex_bytes(struct flt_parser *p, struct str s, struct str *out)
{
	char *mem = arena_bytes(&p->f->arena, s.n / 2 + 1);
	if (!mem)
		return false;
	size_t n = 0;
	for (size_t i = 0; i < s.n;) {
		if (i + 1 >= s.n || flt_hex_digit(s.p[i]) < 0 || flt_hex_digit(s.p[i + 1]) < 0)
			return false;
		mem[n++] = (char)(flt_hex_digit(s.p[i]) * 16 + flt_hex_digit(s.p[i + 1]));
		i += 2;
		if (i < s.n && (s.p[i] == ':' || s.p[i] == '.' || s.p[i] == '-'))
			i++;
	}
	*out = str_of(mem, n);
	return n > 0;
}

/* Gives a literal the type that the other side of its test has. */
static bool type_literal(struct flt_parser *p, struct raw_term *r, enum flt_type type)
{
	static const char *const wants[] = {"text",       "a number", "true or false",
					    "an address", "text",     "seconds"};
	struct flt_term *t = &r->t;
	struct str s = r->tok.text;
	*t = (struct flt_term){.kind = TERM_LITERAL, .type = (uint8_t)type};
	bool ok = true;
	switch (type) {
	case FLT_UINT:
		ok = number(s, &t->lit.u);
		break;
	case FLT_BOOL:
		ok = boolean(s, &t->lit.u);
		break;
	case FLT_TIME:
		ok = seconds(s, &t->lit.u);
		break;
	case FLT_ADDR:
		ok = addr_net_parse(s, &t->net);
		t->lit.addr = t->net.base;
		break;
	case FLT_STR:
		t->lit.s = s;
		break;
	case FLT_PROTO:
		t->lit.s = s;
		if (r->tok.kind == T_WORD && str_chr(s, ':') != SIZE_MAX)
			ok = hex_bytes(p, s, &t->lit.s);
		break;
	}
	if (!ok)
		flt_complain(p, r->tok.at, r->tok.n, "`" STR_FMT "` is not %s", STR_ARG(shown(s)),
			     wants[type]);
	return ok;
}

/* --- tests ---------------------------------------------------------------------------------- */

static struct flt_node *node(struct flt_parser *p, enum flt_node_kind kind, struct flt_node *a,
			     struct flt_node *b)
{
	struct flt_node *n = arena_alloc(&p->f->arena, sizeof *n);
	if (!n) {
		flt_no_memory(p);
		return NULL;
	}
	n->kind = kind;
	n->a = a;
	n->b = b;
	return n;
}

static void use_field(struct flt_parser *p, const struct flt_term *t)
{
	if (t->field && t->field->needs_media)
		p->f->needs_media = true;
}

static bool compile_pattern(struct flt_parser *p, struct flt_node *n, const struct flt_token *tok)
{
	int code;
	PCRE2_SIZE at;
	n->re = pcre2_compile((PCRE2_SPTR)(tok->text.n ? tok->text.p : ""), tok->text.n,
			      PCRE2_CASELESS | PCRE2_NEVER_UTF, &code, &at, NULL);
	if (!n->re) {
		char msg[120];
		pcre2_get_error_message(code, (PCRE2_UCHAR *)msg, sizeof msg);
		flt_complain(p, tok->at, tok->n,
			     "the pattern cannot be read at its character %zu: %s", at + 1, msg);
		return false;
	}
	n->next_re = p->f->patterns;
	p->f->patterns = n;
	return true;
}

static bool check_operator(struct flt_parser *p, struct flt_node *n, const struct raw_term *l,
			   const struct raw_term *r, const struct flt_token *op)
{
	bool is_text = n->left.type == FLT_STR || n->left.type == FLT_PROTO;
	bool wants_text = n->op == OP_CONTAINS || n->op == OP_MATCHES;
	if (wants_text && !is_text) {
		flt_complain(p, l->tok.at, l->tok.n,
			     "`" STR_FMT "` needs text on its left, and `" STR_FMT "` is none",
			     STR_ARG(op->text), STR_ARG(shown(l->tok.text)));
		return false;
	}
	if (n->op != OP_MATCHES)
		return true;
	if (!r->is_literal) {
		flt_complain(p, r->tok.at, r->tok.n, "a pattern in double quotes is expected here");
		return false;
	}
	return compile_pattern(p, n, &r->tok);
}

/* left op right, with their types brought together. */
static struct flt_node *relate(struct flt_parser *p, struct raw_term *l, const struct flt_token *op,
			       struct raw_term *r, int quantifier)
{
	if (l->is_literal && r->is_literal) {
		if (l->tok.kind == T_WORD)
			no_field(p, &l->tok);
		flt_complain(p, l->tok.at, l->tok.n, "a test needs a field on one side");
		return NULL;
	}
	if (l->is_literal && !type_literal(p, l, (enum flt_type)r->t.type))
		return NULL;
	if (r->is_literal && !type_literal(p, r, (enum flt_type)l->t.type))
		return NULL;
	bool both_text = (l->t.type == FLT_STR || l->t.type == FLT_PROTO) &&
			 (r->t.type == FLT_STR || r->t.type == FLT_PROTO);
	if (l->t.type != r->t.type && !both_text) {
		flt_complain(p, r->tok.at, r->tok.n,
			     "`" STR_FMT "` and `" STR_FMT "` are of different kinds",
			     STR_ARG(shown(l->tok.text)), STR_ARG(shown(r->tok.text)));
		return NULL;
	}
	struct flt_node *n = node(p, NODE_TEST, NULL, NULL);
	if (!n)
		return NULL;
	n->op = op->op;
	n->is_all = quantifier < 0 ? op->is_all : quantifier;
	n->left = l->t;
	n->right = r->t;
	use_field(p, &n->left);
	use_field(p, &n->right);
	return check_operator(p, n, l, r, op) ? n : NULL;
}

static bool parse_element(struct flt_parser *p, struct flt_node *n, struct flt_range ***tail)
{
	struct flt_range *e = arena_alloc(&p->f->arena, sizeof *e);
	if (!e) {
		flt_no_memory(p);
		return false;
	}
	struct raw_term r = {.tok = p->tok, .is_literal = true};
	enum flt_type type = (enum flt_type)n->left.type;
	if (p->tok.kind != T_WORD && p->tok.kind != T_STRING) {
		flt_complain(p, p->tok.at, p->tok.n, "a value is expected here");
		return false;
	}
	if (!type_literal(p, &r, type))
		return false;
	e->from = r.t;
	flt_next(p);
	if (p->tok.kind == T_RANGE) {
		flt_next(p);
		r = (struct raw_term){.tok = p->tok, .is_literal = true};
		if (p->tok.kind != T_WORD && p->tok.kind != T_STRING) {
			flt_complain(p, p->tok.at, p->tok.n,
				     "the end of the range is expected here");
			return false;
		}
		if (!type_literal(p, &r, type))
			return false;
		e->is_range = true;
		e->to = r.t;
		flt_next(p);
	}
	**tail = e;
	*tail = &e->next;
	return !p->err;
}

static struct flt_node *parse_in(struct flt_parser *p, const struct raw_term *l, int quantifier)
{
	struct flt_node *n = node(p, NODE_IN, NULL, NULL);
	if (!n)
		return NULL;
	if (l->is_literal) {
		if (l->tok.kind == T_WORD)
			no_field(p, &l->tok);
		flt_complain(p, l->tok.at, l->tok.n, "a field is expected here, not text");
		return NULL;
	}
	n->left = l->t;
	n->is_all = quantifier > 0;
	use_field(p, &n->left);
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

static struct flt_node *parse_test(struct flt_parser *p)
{
	int quantifier = -1;
	bool is_any = p->tok.kind == T_WORD && str_eq(p->tok.text, STR("any"));
	if (is_any || (p->tok.kind == T_WORD && str_eq(p->tok.text, STR("all")))) {
		quantifier = !is_any;
		flt_next(p);
	}
	struct raw_term l, r;
	if (!parse_term(p, &l))
		return NULL;
	if (p->tok.kind == T_IN)
		return parse_in(p, &l, quantifier);
	if (p->tok.kind != T_OP) {
		if (l.is_literal) {
			if (l.tok.kind == T_WORD)
				no_field(p, &l.tok);
			flt_complain(p, l.tok.at, l.tok.n, "a field is expected here, not text");
			return NULL;
		}
		if (l.t.kind != TERM_FIELD || quantifier >= 0) {
			flt_complain(p, p->tok.at, p->tok.n, "a comparison is expected here");
			return NULL;
		}
		struct flt_node *n = node(p, NODE_EXISTS, NULL, NULL);
		if (n)
			n->left = l.t;
		use_field(p, &l.t);
		return n;
	}
	struct flt_node *all = NULL;
	while (p->tok.kind == T_OP) { /* a < b < c: every link must hold */
		struct flt_token op = p->tok;
		flt_next(p);
		if (p->err || !parse_term(p, &r))
			return NULL;
		struct raw_term again = r;
		struct flt_node *n = relate(p, &l, &op, &r, quantifier);
		if (!n)
			return NULL;
		all = all ? node(p, NODE_AND, all, n) : n;
		if (!all)
			return NULL;
		l = again;
	}
	return all;
}

/* --- logic ---------------------------------------------------------------------------------- */

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
		n = parse_not(p);
		n = n ? node(p, NODE_NOT, n, NULL) : NULL;
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
		n = parse_test(p);
	}
	p->depth--;
	return p->err ? NULL : n;
}

static struct flt_node *parse_and(struct flt_parser *p)
{
	struct flt_node *n = parse_not(p);
	while (n && p->tok.kind == T_AND) {
		flt_next(p);
		struct flt_node *b = parse_not(p);
		n = b ? node(p, NODE_AND, n, b) : NULL;
	}
	return n;
}

static struct flt_node *parse_or(struct flt_parser *p)
{
	struct flt_node *n = parse_and(p);
	while (n && p->tok.kind == T_OR) {
		flt_next(p);
		struct flt_node *b = parse_and(p);
		n = b ? node(p, NODE_OR, n, b) : NULL;
	}
	return n;
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
	arena_init(&f->scratch);
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

bool flt_needs_media(const struct flt *f)
{
	return f->needs_media;
}
