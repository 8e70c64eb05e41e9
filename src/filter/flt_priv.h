#pragma once
/* The state of the parser, shared by lexer, terms and types. */

#include "filter/flt_tree.h"

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
