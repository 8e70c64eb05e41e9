#pragma once
/* A YAML text as a tree whose nodes know their place, and what is wrong with it. Scalars are text:
 * what a number or a yes is, the schema says. */

#include "base/arena.h"

struct pol_at { /* both from 1; 0: nowhere */
	uint32_t line, col;
};

struct pol_diag {
	struct pol_diag *next;
	struct pol_at at;
	bool is_warning;
	struct str text;
};
struct pol_diags { /* in the order of their places */
	struct arena mem;
	struct pol_diag *first;
	size_t n_errors, n_warnings;
	enum err err; /* ERR_NOMEM: some are missing */
};
void pol_diags_init(struct pol_diags *d);
void pol_diags_fini(struct pol_diags *d);
[[gnu::format(printf, 3, 4)]] void pol_error(struct pol_diags *d, struct pol_at at, const char *fmt,
					     ...);
[[gnu::format(printf, 3, 4)]] void pol_warn(struct pol_diags *d, struct pol_at at, const char *fmt,
					    ...);

enum pol_node_kind { POL_SCALAR, POL_LIST, POL_MAP };
struct pol_node {
	enum pol_node_kind kind;
	struct pol_at at, key_at;
	struct str key;  /* when it is an entry of a map */
	struct str text; /* of a scalar; "~" and nothing at all are empty */
	struct pol_node *first, *next;
	size_t n; /* children */
};
#define POL_MAX_DEPTH 12
#define POL_MAX_BYTES (64u << 20) /* a hundred thousand numbers take 5 MB */
#define POL_MAX_DIAGS 200

/* Nodes lie in `mem`. *out is NULL for an empty text. ERR_SYNTAX: `d` says where and why. */
enum err pol_tree_read(struct str text, struct arena *mem, struct pol_diags *d,
		       struct pol_node **out);
