#pragma once
/* The compiled filter, shared by parser and evaluator. */

#include "base/arena.h"
#include "scope/flt.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum flt_op {
	OP_NONE,
	OP_EQ,
	OP_NE,
	OP_GT,
	OP_GE,
	OP_LT,
	OP_LE,
	OP_CONTAINS,
	OP_MATCHES,
	OP_ADD,
	OP_SUB,
	OP_MUL,
	OP_DIV,
	OP_MOD,
	OP_BITAND,
};

struct flt_span { /* of a slice, or of layers */
	struct flt_span *next;
	int32_t from, n; /* from < 0: from the end */
	int32_t to;      /* inclusive, when is_to */
	bool is_to, is_open;
};

enum flt_term_kind {
	TERM_LITERAL,
	TERM_FIELD,
	TERM_SLICE,  /* of a */
	TERM_NEGATE, /* a */
	TERM_ARITH,  /* a op b */
	TERM_LEN,
	TERM_COUNT,
	TERM_LOWER,
	TERM_UPPER,
	TERM_STRING,
	TERM_ABS,
	TERM_MIN, /* of a, a->next ... */
	TERM_MAX,
};

struct flt_term {
	uint8_t kind, type; /* enum flt_term_kind, flt_type (of the values it yields) */
	uint8_t op;         /* TERM_ARITH: enum flt_op */
	uint8_t bits;       /* literal of FLT_IPV4, FLT_IPV6: of its prefix */
	const struct flt_field *field;
	struct flt_term *a, *b, *next; /* next: argument of a function */
	struct flt_span *spans;        /* of a slice; of a field: the layers wanted */
	struct flt_val lit;
	size_t at, n; /* place in the filter */
	/* while parsing, of a literal without a type yet: */
	uint8_t token; /* enum flt_token_kind */
	struct str text;
};

enum flt_node_kind {
	NODE_OR,  /* of kids */
	NODE_AND, /* of kids */
	NODE_NOT, /* kids: one */
	NODE_EXISTS,
	NODE_TEST,
	NODE_IN
};

struct flt_range { /* an element of {...} */
	struct flt_range *next;
	struct flt_term *from, *to; /* to: NULL when it is no range */
};

struct flt_node {
	uint8_t kind, op; /* enum flt_node_kind, flt_op */
	uint8_t cost;
	bool is_all; /* every value must fit, not just one */
	struct flt_node *kids, *next;
	struct flt_term *left, *right; /* right: NULL of NODE_EXISTS, NODE_IN */
	struct flt_range *set;
	pcre2_code *re;
	struct flt_node *next_re; /* all nodes with a pattern, to free them */
};

struct flt_use {
	struct flt_use *next;
	const struct flt_field *field;
};

struct flt {
	struct arena arena;
	struct flt_node *root;
	struct flt_node *patterns;
	struct flt_use *uses;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	struct arena scratch; /* strings made while evaluating; begins in `own` */
	uint8_t needs;
	/* while evaluating */
	flt_source_fn *get;
	void *get_arg;
	_Alignas(16) char own[8'192]; /* enough for nearly every frame: no malloc */
};

/* --- the parser's state, shared with the lexer ------------------------------------------------ */

enum flt_token_kind {
	T_END,
	T_WORD,
	T_STRING,
	T_CHAR,
	T_LPAREN,
	T_RPAREN,
	T_LBRACE,
	T_RBRACE,
	T_LBRACKET,
	T_COMMA,
	T_RANGE,
	T_HASH,
	T_OP,    /* a comparison */
	T_ARITH, /* + - * / % & */
	T_IN,
	T_AND,
	T_OR,
	T_NOT,
	T_ANY,
	T_ALL,
	T_ERROR
};

struct flt_token {
	enum flt_token_kind kind;
	enum flt_op op;
	bool is_all;     /* of the operator: != and === */
	struct str text; /* as written; T_STRING, T_CHAR: unescaped, without quotes */
	size_t at, n;    /* place in the filter */
};

struct flt_parser {
	struct flt *f;
	struct str text;
	size_t at; /* of the lexer */
	struct flt_token tok;
	int depth;
	enum err err;
	size_t err_at, err_n;
	char says[400];
};

/* flt_lex.c: reads the next token into p->tok. */
void flt_next(struct flt_parser *p);
/* What stands in [...], p->tok being the bracket: the spans in order; NULL after a mistake. Goes on
 * to the next token. */
struct flt_span *flt_spans(struct flt_parser *p);
/* After `#`: a number, or [...]. */
struct flt_span *flt_layers(struct flt_parser *p);
/* Notes a mistake at that place, unless there is one already. */
[[gnu::format(printf, 4, 5)]] void flt_complain(struct flt_parser *p, size_t at, size_t n,
						const char *fmt, ...);
void flt_no_memory(struct flt_parser *p);
void *flt_alloc(struct flt_parser *p, size_t n); /* of the filter, zeroed; NULL notes it */
int flt_hex_digit(char c);                       /* -1 when it is none */
struct str flt_shown(struct str s);              /* what is quoted of it in a message */

/* flt_term.c */
/* A term by precedence; literals in it have no type yet. NULL after a mistake. */
struct flt_term *flt_term_parse(struct flt_parser *p);
/* flt_type.c */
/* Whether a literal is what the term comes down to: it takes its type from the other side. */
bool flt_is_literal(const struct flt_term *t);
/* Gives a literal the type of `like`, or complains. */
bool flt_type_literal(struct flt_parser *p, struct flt_term *t, const struct flt_term *like);
/* Brings the types of both sides together, or complains. */
bool flt_type_pair(struct flt_parser *p, struct flt_term *a, struct flt_term *b);
bool flt_is_text(uint8_t type);   /* has bytes in val.s */
bool flt_is_number(uint8_t type); /* whole numbers */
const char *flt_type_name(uint8_t type);
/* "there is no field ...": at that term. */
void flt_no_field(struct flt_parser *p, size_t at, size_t n, struct str name);

/* flt_lit.c: what a literal says as a value of a type; false when it is none. */
bool flt_lit_number(struct str s, uint64_t *out);
bool flt_lit_seconds(struct str s, int64_t *ns);
bool flt_lit_date(struct str s, int64_t *ns);
/* Bytes in hexadecimal, "49:4e", "49.4e", "49-4e", "494e", "d"; out holds s.n / 2 + 1. */
bool flt_lit_bytes(struct str s, uint8_t *out, size_t *n);
/* With /bits. */
bool flt_lit_ip(struct str s, uint8_t type, uint8_t ip[16], uint8_t *bits);

/* flt_val.c: a value as text, as string() and -T fields give it. */
void flt_put(struct buf *b, uint8_t type, uint8_t base, uint8_t width, const struct flt_val *v);

/* flt_eval.c: flt_match_from of a part of the filter. */
bool flt_node_match_from(struct flt *f, const struct flt_node *n, flt_source_fn *get, void *arg);
static inline const struct flt_node *flt_root(const struct flt *f)
{
	return f->root;
}

/* flt_eval.c: the bytes of a value; of an address those in *v itself. */
struct str flt_bytes(uint8_t type, const struct flt_val *v);
