#pragma once
/* The compiled filter, for those who ask its parts one by one: the evaluator, and what holds its
 * answers in columns (scope/book_find.c). */

#include "base/arena.h"
#include "filter/flt.h"

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
