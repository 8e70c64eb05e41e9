/* Types: which values may meet, and what a literal is among them.
 *
 * A literal takes the type of the other side. Numbers of all widths may be compared, and so may
 * whatever is bytes with a slice, which is nothing else; all other types only with their own. As
 * Wireshark, a number is not quoted, and one that the field cannot hold is a slip, not a test that
 * never holds.
 */
#include "base/assert.h"
#include "filter/flt_priv.h"

#include <string.h>

static const struct {
	const char *name;  /* "`x` is ..." */
	const char *wants; /* "`x` is not ..." */
} types[] = {
	[FLT_NONE] = {"only there or not",   ""							       },
	[FLT_PROTO] = {"a protocol",          "bytes in hexadecimal, and text stands in double quotes"         },
	[FLT_UINT] = {"a number",            "a number"						       },
	[FLT_INT] = {"a number",            "a number"						       },
	[FLT_BOOL] = {"true or false",       "true or false"                                                  },
	[FLT_IPV4] = {"an IPv4 address",     "an address"						     },
	[FLT_IPV6] = {"an IPv6 address",     "an IPv6 address"                                                },
	[FLT_ETHER] = {"an Ethernet address", "an Ethernet address"                                            },
	[FLT_STR] = {"text",                "text"							   },
	[FLT_BYTES] = {"bytes",               "bytes in hexadecimal, and text stands in double quotes"         },
	[FLT_TIME] = {"a duration",          "seconds"							},
	[FLT_DATE] = {"a date",              "a date: \"2020-07-04 12:34:56\" or \"Jul 4, 2020 12:34:56.789\""},
	[FLT_REAL] = {"a number",            "a number"						       },
	[FLT__TYPES] = {"a literal",           ""							       },
};

const char *flt_type_name(uint8_t type)
{
	return types[type].name;
}

bool flt_is_text(uint8_t type)
{
	return type == FLT_STR || type == FLT_PROTO || type == FLT_BYTES;
}

bool flt_is_number(uint8_t type)
{
	return type == FLT_UINT || type == FLT_INT;
}

bool flt_is_literal(const struct flt_term *t)
{
	return t->type == FLT__TYPES;
}

static struct str text_of(const struct flt_parser *p, const struct flt_term *t)
{
	return flt_shown(str_sub(p->text, t->at, t->n));
}

/* Whether the number is one that such a field can have. */
static bool fits_width(struct flt_parser *p, const struct flt_term *t, const struct flt_term *like)
{
	unsigned width =
		like->kind == TERM_FIELD && like->type == FLT_UINT ? like->field->width : 8;
	if (width >= 8 || !(t->lit.u >> (8 * width)))
		return true;
	flt_complain(p, t->at, t->n, "`" STR_FMT "` is too large: `" STR_FMT "` is at most %llu",
		     STR_ARG(text_of(p, t)), STR_ARG(like->field->name), (1ull << (8 * width)) - 1);
	return false;
}

static bool boolean(struct str s, uint64_t *out)
{
	if (flt_lit_number(s, out)) {
		*out = *out != 0;
		return true;
	}
	*out = str_ieq(s, STR("true"));
	return *out || str_ieq(s, STR("false"));
}

static bool bytes(struct flt_parser *p, struct flt_term *t)
{
	if (t->token != T_WORD) {
		t->lit.s = t->text;
		return true;
	}
	uint8_t *mem = arena_bytes(&p->f->arena, t->text.n / 2 + 1);
	size_t n;
	if (!mem) {
		flt_no_memory(p);
		return false;
	}
	if (!flt_lit_bytes(t->text, mem, &n))
		return false;
	t->lit.s = str_of((const char *)mem, n);
	return true;
}

static bool ether(struct flt_term *t)
{
	uint8_t mem[32];
	size_t n = 0;
	if (t->text.n > 17 || !flt_lit_bytes(t->text, mem, &n) || n != 6)
		return false;
	memcpy(t->lit.ip, mem, 6);
	return true;
}

static bool read_literal(struct flt_parser *p, struct flt_term *t, uint8_t type)
{
	bool is_word = t->token == T_WORD;
	int64_t ns;
	switch ((enum flt_type)type) {
	case FLT_UINT:
	case FLT_INT:
		if (t->token == T_CHAR)
			t->lit.u = (uint8_t)t->text.p[0];
		return t->token == T_CHAR || (is_word && flt_lit_number(t->text, &t->lit.u));
	case FLT_BOOL:
		return is_word && boolean(t->text, &t->lit.u);
	case FLT_TIME:
		return is_word && flt_lit_seconds(t->text, &t->lit.i);
	case FLT_REAL:
		if (!is_word || !flt_lit_seconds(t->text, &ns))
			return false;
		t->lit.f = (double)ns / 1e9;
		return true;
	case FLT_DATE:
		return t->token != T_CHAR && flt_lit_date(t->text, &t->lit.i);
	case FLT_IPV4:
	case FLT_IPV6:
		return is_word && flt_lit_ip(t->text, type, t->lit.ip, &t->bits);
	case FLT_ETHER:
		return is_word && ether(t);
	case FLT_STR:
		t->lit.s = t->text;
		return true;
	case FLT_BYTES:
	case FLT_PROTO:
		return bytes(p, t);
	case FLT_NONE:
	case FLT__TYPES:
		break;
	}
	return false;
}

/* A leaf is checked against the width of the field it is compared with; inside a calculation any
 * number will do. */
static bool type_leaf(struct flt_parser *p, struct flt_term *t, const struct flt_term *like,
		      bool is_alone)
{
	if (!read_literal(p, t, like->type)) {
		bool is_quoted = t->token == T_STRING && flt_is_number(like->type);
		flt_complain(p, t->at, t->n, "`" STR_FMT "` is not %s%s",
			     STR_ARG(t->token == T_STRING ? text_of(p, t) : flt_shown(t->text)),
			     types[like->type].wants, is_quoted ? ": it stands in quotes" : "");
		return false;
	}
	t->type = like->type;
	return !is_alone || !flt_is_number(t->type) || fits_width(p, t, like);
}

static bool type_tree(struct flt_parser *p, struct flt_term *t, const struct flt_term *like,
		      bool is_alone)
{
	if (t->type != FLT__TYPES)
		return true;
	if (like->type == FLT_NONE) {
		flt_complain(p, like->at, like->n,
			     "`" STR_FMT "` is there or not, it has no value to compare",
			     STR_ARG(text_of(p, like)));
		return false;
	}
	if (t->kind == TERM_LITERAL)
		return type_leaf(p, t, like, is_alone);
	bool is_quantity =
		flt_is_number(like->type) || like->type == FLT_TIME || like->type == FLT_REAL;
	if (!is_quantity) {
		flt_complain(p, t->at, t->n, "this calculates a number, and `" STR_FMT "` is %s",
			     STR_ARG(text_of(p, like)), types[like->type].name);
		return false;
	}
	t->type = flt_is_number(like->type) ? (uint8_t)FLT_INT : like->type;
	return type_tree(p, t->a, like, false) && (!t->b || type_tree(p, t->b, like, false));
}

bool flt_type_literal(struct flt_parser *p, struct flt_term *t, const struct flt_term *like)
{
	return type_tree(p, t, like, true);
}

static bool has_bytes(uint8_t type)
{
	return flt_is_text(type) || type == FLT_IPV4 || type == FLT_IPV6 || type == FLT_ETHER;
}

static bool are_compatible(uint8_t a, uint8_t b)
{
	if (a == b)
		return a != FLT_NONE;
	if (flt_is_number(a) && flt_is_number(b))
		return true;
	return (a == FLT_BYTES && has_bytes(b)) || (b == FLT_BYTES && has_bytes(a));
}

bool flt_type_pair(struct flt_parser *p, struct flt_term *a, struct flt_term *b)
{
	if (a->type == FLT__TYPES && b->type == FLT__TYPES) {
		if (a->token == T_WORD)
			flt_no_field(p, a->at, a->n, a->text);
		flt_complain(p, a->at, a->n, "a test needs a field on one side");
		return false;
	}
	if (a->type == FLT__TYPES)
		return flt_type_literal(p, a, b);
	if (b->type == FLT__TYPES)
		return flt_type_literal(p, b, a);
	if (are_compatible(a->type, b->type))
		return true;
	flt_complain(p, b->at, b->n, "`" STR_FMT "` and `" STR_FMT "` are of different kinds",
		     STR_ARG(text_of(p, a)), STR_ARG(text_of(p, b)));
	return false;
}
