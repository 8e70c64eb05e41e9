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
