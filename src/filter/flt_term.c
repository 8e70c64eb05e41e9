/* Terms: what stands on one side of a comparison.
 *
 *	term     = sum { ("&" / "bitwise_and") sum }
 *	sum      = product { ("+" / "-") product }
 *	product  = factor { ("*" / "/" / "%") factor }
 *	factor   = ("-" / "+") factor / "{" term "}" / primary
 *	primary  = field ["#" layers] {slice} / function "(" term {"," term} ")" {slice} / literal
 *	function = "len" / "count" / "lower" / "upper" / "string" / "abs" / "min" / "max"
 *
 * A word is a field when the table knows it, else a literal: a number, an address, bytes, or
 * unquoted text, whichever the other side asks for. So a literal has no type (FLT__TYPES) until it
 * meets a term that has one, in a calculation or in a comparison (flt_type.c).
 *
 * Invariant: terms are as deep as MAX_DEPTH at most, and so is the recursion that evaluates them;
 * each level of that has an array of values on the stack.
 */
#include "base/assert.h"
#include "filter/flt_priv.h"

#define MAX_DEPTH 24

void flt_no_field(struct flt_parser *p, size_t at, size_t n, struct str name)
{
	char text[300];
	struct buf b;
	buf_init_fixed(&b, text, sizeof text);
	flt_field_explain(&b, name);
	flt_complain(p, at, n, STR_FMT, STR_ARG(buf_view(&b)));
}

static struct flt_term *new_term(struct flt_parser *p, enum flt_term_kind kind, uint8_t type)
{
	struct flt_term *t = flt_alloc(p, sizeof *t);
	if (t)
		*t = (struct flt_term){
			.kind = (uint8_t)kind, .type = type, .at = p->tok.at, .n = p->tok.n};
	return t;
}

/* The term goes from there to the end of the token before the present one. */
static void stretch(const struct flt_parser *p, struct flt_term *t, size_t from)
{
	size_t end = p->tok.at;
	while (end > from + 1 && (p->text.p[end - 1] == ' ' || p->text.p[end - 1] == '\t'))
		end--;
	t->at = from;
	t->n = end - from;
}

/* --- functions --------------------------------------------------------------------------------
 */

static const struct function {
	struct str name;
	enum flt_term_kind kind;
	bool is_list; /* takes several arguments */
	const char *wants;
} functions[] = {
	{STR_INIT("len"),    TERM_LEN,    false, "a field"                                },
	{STR_INIT("count"),  TERM_COUNT,  false, "a field"                                },
	{STR_INIT("lower"),  TERM_LOWER,  false, "a field of text"                        },
	{STR_INIT("upper"),  TERM_UPPER,  false, "a field of text"                        },
	{STR_INIT("string"), TERM_STRING, false, "a number or an address"                 },
	{STR_INIT("abs"),    TERM_ABS,    false, "a number"                               },
	{STR_INIT("min"),    TERM_MIN,    true,  "fields of one type, that can be ordered"},
	{STR_INIT("max"),    TERM_MAX,    true,  "fields of one type, that can be ordered"},
};

static bool takes(enum flt_term_kind kind, uint8_t type)
{
	bool is_quantity = flt_is_number(type) || type == FLT_TIME || type == FLT_REAL;
	bool is_address = type == FLT_IPV4 || type == FLT_IPV6 || type == FLT_ETHER;
	switch (kind) {
	case TERM_LEN:
	case TERM_COUNT:
		return true;
	case TERM_LOWER:
	case TERM_UPPER:
		return type == FLT_STR;
	case TERM_STRING:
		return flt_is_number(type) || is_address;
	case TERM_ABS:
		return is_quantity;
	default:
		return is_quantity || is_address || type == FLT_DATE || type == FLT_STR ||
		       type == FLT_BYTES;
	}
}

static uint8_t type_of_call(enum flt_term_kind kind, const struct flt_term *arg)
{
	if (kind == TERM_LEN || kind == TERM_COUNT)
		return FLT_UINT;
	if (kind == TERM_STRING)
		return FLT_STR;
	return kind == TERM_ABS && flt_is_number(arg->type) ? (uint8_t)FLT_INT : arg->type;
}

static bool check_call(struct flt_parser *p, struct flt_term *t, const struct function *f)
{
	for (struct flt_term *a = t->a; a; a = a->next) {
		if (a->type == FLT__TYPES && a != t->a && f->is_list &&
		    !flt_type_literal(p, a, t->a))
			return false;
		if (a->type == FLT__TYPES || !takes(f->kind, a->type) ||
		    (f->kind == TERM_COUNT && a->kind != TERM_FIELD)) {
			if (a->token == T_WORD)
				flt_no_field(p, a->at, a->n, a->text);
			flt_complain(p, a->at, a->n,
				     "`" STR_FMT "` takes %s, and `" STR_FMT "` is none",
				     STR_ARG(f->name), f->wants,
				     STR_ARG(flt_shown(str_sub(p->text, a->at, a->n))));
			return false;
		}
		if (a != t->a && !flt_type_pair(p, t->a, a))
			return false;
		if (a != t->a && !f->is_list) {
			flt_complain(p, a->at, a->n, "`" STR_FMT "` takes one field",
				     STR_ARG(f->name));
			return false;
		}
	}
	ASSERT(t->a);
	t->type = type_of_call(f->kind, t->a);
	return true;
}

static struct flt_term *parse_call(struct flt_parser *p, const struct flt_token *name)
{
	const struct function *f = NULL;
	for (size_t i = 0; i < ARRAY_LEN(functions); i++)
		if (str_eq(name->text, functions[i].name))
			f = &functions[i];
	if (!f) {
		flt_complain(p, name->at, name->n,
			     "there is no function `" STR_FMT
			     "`: len, count, lower, upper, string, abs, min, max",
			     STR_ARG(flt_shown(name->text)));
		return NULL;
	}
	struct flt_term *t = new_term(p, f->kind, FLT__TYPES), **tail = t ? &t->a : NULL;
	while (tail) {
		flt_next(p);
		if (p->err || !(*tail = flt_term_parse(p)))
			return NULL;
		tail = p->tok.kind == T_COMMA ? &(*tail)->next : NULL;
	}
	if (!t)
		return NULL;
	if (p->tok.kind != T_RPAREN) {
		flt_complain(p, p->tok.at, p->tok.n, "`)` is expected here");
		return NULL;
	}
	if (!check_call(p, t, f))
		return NULL;
	flt_next(p);
	stretch(p, t, name->at);
	return p->err ? NULL : t;
}

/* --- fields, literals, slices -----------------------------------------------------------------
 */

static const struct flt_field *use_field(struct flt_parser *p, struct str name)
{
	/* a point before it says that it is no literal */
	if (str_starts(name, STR(".")))
		name = str_skip(name, 1);
	const struct flt_field *f = flt_field_find(name, NULL);
	if (!f)
		return NULL;
	struct flt_use **u = &p->f->uses;
	while (*u && (*u)->field != f)
		u = &(*u)->next;
	if (*u)
		return f;
	*u = flt_alloc(p, sizeof **u);
	if (!*u)
		return NULL;
	(*u)->field = f;
	p->f->needs |= f->needs;
	return f;
}

static struct flt_term *parse_word(struct flt_parser *p)
{
	struct flt_term *t = new_term(p, TERM_LITERAL, FLT__TYPES);
	struct flt_token tok = p->tok;
	if (!t)
		return NULL;
	flt_next(p);
	if (tok.kind == T_WORD && p->tok.kind == T_LPAREN)
		return parse_call(p, &tok);
	const struct flt_field *f = tok.kind == T_WORD ? use_field(p, tok.text) : NULL;
	if (!f) {
		t->token = (uint8_t)tok.kind;
		t->text = tok.text;
		return p->err ? NULL : t;
	}
	t->kind = TERM_FIELD;
	t->type = f->type;
	t->field = f;
	if (p->tok.kind == T_HASH) {
		t->spans = flt_layers(p);
		stretch(p, t, tok.at);
	}
	return p->err ? NULL : t;
}

static struct flt_term *parse_slices(struct flt_parser *p, struct flt_term *of)
{
	while (of && p->tok.kind == T_LBRACKET) {
		bool has_bytes = flt_is_text(of->type) || of->type == FLT_IPV4 ||
				 of->type == FLT_IPV6 || of->type == FLT_ETHER;
		if (!has_bytes) {
			if (of->token == T_WORD)
				flt_no_field(p, of->at, of->n, of->text);
			flt_complain(p, of->at, of->n,
				     "`" STR_FMT "` is %s, which cannot be sliced",
				     STR_ARG(flt_shown(str_sub(p->text, of->at, of->n))),
				     flt_type_name(of->type));
			return NULL;
		}
		struct flt_term *t = new_term(p, TERM_SLICE, FLT_BYTES);
		if (!t)
			return NULL;
		t->a = of;
		t->spans = flt_spans(p);
		stretch(p, t, of->at);
		of = t->spans ? t : NULL;
		if (++p->depth > MAX_DEPTH && of) {
			flt_complain(p, t->at, t->n, "the filter is nested too deeply");
			return NULL;
		}
	}
	return of;
}

static struct flt_term *parse_primary(struct flt_parser *p)
{
	enum flt_token_kind kind = p->tok.kind;
	if (kind != T_WORD && kind != T_STRING && kind != T_CHAR) {
		flt_complain(p, p->tok.at, p->tok.n,
			     kind == T_END
				     ? "the filter ends here, where a field or value is expected"
				     : "a field or value is expected here");
		return NULL;
	}
	return parse_slices(p, parse_word(p));
}

/* --- calculations -----------------------------------------------------------------------------
 */

static const struct {
	const char *sign;
	bool takes_time;
} ops[] = {
	[OP_ADD] = {"+", true },
          [OP_SUB] = {"-", true },
          [OP_MUL] = {"*", false},
	[OP_DIV] = {"/", false},
          [OP_MOD] = {"%", false},
          [OP_BITAND] = {"&", false},
};

static bool can_calculate(enum flt_op op, uint8_t type)
{
	if (flt_is_number(type))
		return true;
	if (op == OP_BITAND)
		return type == FLT_BYTES || type == FLT_IPV4 || type == FLT_IPV6 ||
		       type == FLT_ETHER;
	return (type == FLT_TIME && ops[op].takes_time) || (type == FLT_REAL && op != OP_MOD);
}

static struct flt_term *calculate(struct flt_parser *p, enum flt_op op, struct flt_term *a,
				  struct flt_term *b)
{
	struct flt_term *t = new_term(p, TERM_ARITH, FLT__TYPES);
	if (!t)
		return NULL;
	t->op = (uint8_t)op;
	t->a = a;
	t->b = b;
	stretch(p, t, a->at);
	if (flt_is_literal(a) && flt_is_literal(b))
		return t;
	struct flt_term *typed = flt_is_literal(a) ? b : a;
	if (!can_calculate(op, typed->type)) {
		flt_complain(p, typed->at, typed->n, "`%s` has no meaning for `" STR_FMT "`: %s",
			     ops[op].sign,
			     STR_ARG(flt_shown(str_sub(p->text, typed->at, typed->n))),
			     flt_type_name(typed->type));
		return NULL;
	}
	if (!flt_type_pair(p, a, b))
		return NULL;
	/* differences are negative at times, whatever they are made of */
	t->type = flt_is_number(typed->type) ? (uint8_t)FLT_INT : typed->type;
	return t;
}

static struct flt_term *parse_factor(struct flt_parser *p)
{
	struct flt_term *t;
	if (p->err)
		return NULL;
	if (++p->depth > MAX_DEPTH) {
		flt_complain(p, p->tok.at, p->tok.n, "the filter is nested too deeply");
		return NULL;
	}
	struct flt_token tok = p->tok;
	if (tok.kind == T_LBRACE) {
		flt_next(p);
		t = flt_term_parse(p);
		if (t && p->tok.kind != T_RBRACE) {
			flt_complain(p, p->tok.at, p->tok.n, "`}` is expected here");
			t = NULL;
		}
		flt_next(p);
	} else if (tok.kind == T_ARITH && tok.op == OP_ADD) {
		flt_next(p);
		t = parse_factor(p);
	} else if (tok.kind == T_ARITH && tok.op == OP_SUB) {
		struct flt_term *minus = new_term(p, TERM_NEGATE, FLT__TYPES);
		flt_next(p);
		t = minus ? parse_factor(p) : NULL;
		if (t && t->type != FLT__TYPES && !can_calculate(OP_SUB, t->type)) {
			flt_complain(p, t->at, t->n, "`-` has no meaning for %s",
				     flt_type_name(t->type));
			t = NULL;
		}
		if (t) {
			minus->a = t;
			minus->type = flt_is_number(t->type) ? (uint8_t)FLT_INT : t->type;
			stretch(p, minus, tok.at);
			t = minus;
		}
	} else {
		t = parse_primary(p);
	}
	return p->err ? NULL : t;
}

static bool is_op(const struct flt_parser *p, unsigned level)
{
	if (p->tok.kind != T_ARITH)
		return false;
	switch (p->tok.op) {
	case OP_BITAND:
		return level == 0;
	case OP_ADD:
	case OP_SUB:
		return level == 1;
	default:
		return level == 2;
	}
}

static struct flt_term *parse_level(struct flt_parser *p, unsigned level)
{
	if (level == 3)
		return parse_factor(p);
	struct flt_term *a = parse_level(p, level + 1);
	while (a && is_op(p, level)) {
		enum flt_op op = p->tok.op;
		flt_next(p);
		struct flt_term *b = p->err ? NULL : parse_level(p, level + 1);
		a = b ? calculate(p, op, a, b) : NULL;
	}
	return a;
}

struct flt_term *flt_term_parse(struct flt_parser *p)
{
	int depth = p->depth;
	struct flt_term *t = parse_level(p, 0);
	p->depth = depth; /* each term of a list is as deep as it is, not as all before it */
	return p->err ? NULL : t;
}
