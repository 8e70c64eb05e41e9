#pragma once
/* Seen only in this folder: the tree of a file, checked against keys.def and stored into the
 * structs of config.h. */

#include "policy/config.h"

struct pol_big {
	struct pol_big *next;
	_Alignas(16) char mem[];
};
struct pol_reader {
	struct arena *mem;
	struct pol_big **big;
	struct pol_diags *d;
	enum err err; /* sticky: ERR_NOMEM */
};
/* Fills `c`; errors go into r->d. root may be NULL (an empty file). */
void pol_schema_read(struct pol_reader *r, const struct pol_node *root, struct pol_config *c);

/* values.c: kinds of values, each from one node */
typedef void pol_value_fn(struct pol_reader *r, const struct pol_node *n, const char *key,
			  void *to);
pol_value_fn pol_value_text, pol_value_texts, pol_value_yes, pol_value_dest, pol_value_dests,
	pol_value_patterns, pol_value_rewrites, pol_value_headers, pol_value_nets,
	pol_value_sources, pol_value_whens, pol_value_numbers;
bool pol_value_seconds(struct str s, uint32_t *out);          /* "20", "20s", "2m", "1h" */
void *pol_array(struct pol_reader *r, size_t n, size_t size); /* zeroed */
struct str pol_keep(struct pol_reader *r, struct str s);
/* False when it is none, which has been said. */
bool pol_is_text(struct pol_reader *r, const struct pol_node *n, const char *key);
bool pol_pattern_make(struct pol_reader *r, const struct pol_node *at, struct str text,
		      struct pol_pattern *out);
bool pol_when_make(struct str text, struct pol_when *out);

/* check.c: names found, contradictions told */
void pol_check(struct pol_reader *r, struct pol_config *c);
/* check_rules.c: rules that no call ever reaches, rules that do nothing or two things */
void pol_check_rules(struct pol_reader *r, struct pol_config *c);
/* What a rule or trunk does to headers. */
void pol_check_headers(struct pol_reader *r, const struct pol_headers *set,
		       const struct pol_texts *remove);
struct pol_dest *pol_dest_find(struct pol_reader *r, struct pol_config *c, struct pol_dest *to);
