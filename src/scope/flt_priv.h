#pragma once
/* The compiled filter, shared by parser and evaluator. */

#include "base/arena.h"
#include "scope/flt.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum flt_op { OP_NONE, OP_EQ, OP_NE, OP_GT, OP_GE, OP_LT, OP_LE, OP_CONTAINS, OP_MATCHES };

enum flt_term_kind { TERM_FIELD, TERM_LITERAL, TERM_LEN, TERM_COUNT, TERM_LOWER, TERM_UPPER };

struct flt_term {
	uint8_t kind, type; /* enum flt_term_kind, flt_type (of the values it yields) */
	const struct flt_field *field;
	struct flt_val lit;
	struct addr_net net; /* literal of FLT_ADDR */
};

enum flt_node_kind { NODE_OR, NODE_AND, NODE_NOT, NODE_EXISTS, NODE_TEST, NODE_IN };

struct flt_range { /* an element of {...} */
	struct flt_range *next;
	struct flt_term from, to;
	bool is_range;
};

struct flt_node {
	uint8_t kind, op; /* enum flt_node_kind, flt_op */
	bool is_all;      /* every value must fit, not just one */
	struct flt_node *a, *b;
	struct flt_term left, right;
	struct flt_range *set;
	pcre2_code *re;
	struct flt_node *next_re; /* all nodes with a pattern, to free them */
};

struct flt {
	struct arena arena;
	struct flt_node *root;
	struct flt_node *patterns;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	struct arena scratch; /* strings made by lower() and upper() */
	bool needs_media;
};

/* --- the parser's state, shared with the lexer ---------------------------------------------------
 */

enum flt_token_kind {
	T_END,
	T_WORD,
	T_STRING,
	T_LPAREN,
	T_RPAREN,
	T_LBRACE,
	T_RBRACE,
	T_COMMA,
	T_RANGE,
	T_OP,
	T_IN,
	T_AND,
	T_OR,
	T_NOT,
	T_ERROR
};

struct flt_token {
	enum flt_token_kind kind;
	enum flt_op op;
	bool is_all;     /* of the operator: != and === */
	struct str text; /* as written; T_STRING: unescaped, without quotes */
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
	char says[240];
};

/* Reads the next token into p->tok. */
void flt_next(struct flt_parser *p);
/* Notes a mistake at that place, unless there is one already. */
void flt_complain(struct flt_parser *p, size_t at, size_t n, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void flt_no_memory(struct flt_parser *p);
int flt_hex_digit(char c); /* -1 when it is none */
