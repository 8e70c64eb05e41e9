/* The schema at work: keys.def as tables, and one reader for all blocks.
 *
 * A block is a struct; a key is an offset in it and a way to read a value. So there is no code per
 * key: what keys.def does not list is unknown, and told together with the nearest key that is known
 * there. Reading goes on after an error, so that all of a file's errors come at once; what could
 * not be read stays zero, and nothing of the result is used then.
 *
 * A map is searched for doubles by sorting: a hundred thousand users are no reason to wait. */
#include "policy/schema.h"

#include "base/assert.h"

#include <stddef.h>
#include <stdlib.h>

enum shape {
	SHAPE_VALUE,
	SHAPE_COUNT,
	SHAPE_SECONDS,
	SHAPE_WORD,
	SHAPE_ONE,
	SHAPE_LIST,
	SHAPE_NAMED
};

struct block;
struct key {
	const char *key, *kind, *doc;
	enum shape shape;
	size_t off;
	pol_value_fn *read;
	const struct block *block;
	uint32_t min, max;
	const char *words;
};
struct block {
	const char *name;
	const struct key *keys;
	size_t n_keys, size;
	const char *shorthand; /* the key that a plain text or list stands for */
};

#define READ_TEXT     pol_value_text
#define READ_TEXTS    pol_value_texts
#define READ_YES      pol_value_yes
#define READ_DEST     pol_value_dest
#define READ_DESTS    pol_value_dests
#define READ_PATTERNS pol_value_patterns
#define READ_REWRITE  pol_value_rewrites
#define READ_HEADERS  pol_value_headers
#define READ_NETS     pol_value_nets
#define READ_SOURCES  pol_value_sources
#define READ_WHEN     pol_value_whens
#define READ_NUMBERS  pol_value_numbers

#define BLOCK(name, type)                                                                          \
	typedef type name##_type;                                                                  \
	static const struct key name##_keys[] = {
#define KEY(in, name, how, field, text)                                                            \
	{.key = (name),                                                                            \
	 .kind = #how,                                                                             \
	 .doc = (text),                                                                            \
	 .off = offsetof(in##_type, field),                                                        \
	 .read = READ_##how},
#define NUM(in, name, how, field, least, most, text)                                               \
	{.key = (name),                                                                            \
	 .kind = #how,                                                                             \
	 .doc = (text),                                                                            \
	 .off = offsetof(in##_type, field),                                                        \
	 .shape = SHAPE_##how,                                                                     \
	 .min = (least),                                                                           \
	 .max = (most)},
#define WORD(in, name, field, list, text)                                                          \
	{.key = (name),                                                                            \
	 .kind = "WORD",                                                                           \
	 .doc = (text),                                                                            \
	 .off = offsetof(in##_type, field),                                                        \
	 .shape = SHAPE_WORD,                                                                      \
	 .words = (list)},
#define SUB(in, name, how, field, of, text)                                                        \
	{.key = (name),                                                                            \
	 .kind = #how,                                                                             \
	 .doc = (text),                                                                            \
	 .off = offsetof(in##_type, field),                                                        \
	 .shape = SHAPE_##how,                                                                     \
	 .block = &of##_block},
#define END(of, plain)                                                                             \
	}                                                                                          \
	;                                                                                          \
	static const struct block of##_block = {                                                   \
		.name = #of,                                                                       \
		.keys = of##_keys,                                                                 \
		.n_keys = ARRAY_LEN(of##_keys),                                                    \
		.size = sizeof(of##_type),                                                         \
		.shorthand = (plain),                                                              \
	};
#include "policy/keys.def"

/* ---- reading --------------------------------------------------------------------------------- */

static void read_block(struct pol_reader *r, const struct block *b, const struct pol_node *n,
		       void *to);

static int by_key(const void *a, const void *b)
{
	const struct pol_node *const *x = a, *const *y = b;
	int c = str_cmp((*x)->key, (*y)->key);
	return c ? c : (*x)->key_at.line < (*y)->key_at.line ? -1 : 1;
}

static void check_doubles(struct pol_reader *r, const struct pol_node *map)
{
	size_t n = 0;
	if (map->n < 2)
		return;
	const struct pol_node **v = malloc(map->n * sizeof(struct pol_node *));
	if (!v) {
		r->err = ERR_NOMEM;
		return;
	}
	for (const struct pol_node *c = map->first; c; c = c->next)
		v[n++] = c;
	qsort(v, n, sizeof(struct pol_node *), by_key);
	for (size_t i = 1; i < n; i++)
		if (str_eq(v[i]->key, v[i - 1]->key))
			pol_error(r->d, v[i]->key_at,
				  "`" STR_FMT "` a second time (first in line %u)",
				  STR_ARG(v[i]->key), v[i - 1]->key_at.line);
	free((void *)v);
}

static const struct key *find_key(const struct block *b, struct str name)
{
	for (size_t i = 0; i < b->n_keys; i++)
		if (str_eq(name, str_c(b->keys[i].key)))
			return &b->keys[i];
	return NULL;
}

static void unknown_key(struct pol_reader *r, const struct block *b, const struct pol_node *n)
{
	struct str names[64], near;
	ASSERT(b->keys && b->n_keys <= ARRAY_LEN(names));
	for (size_t i = 0; i < b->n_keys; i++)
		names[i] = str_c(b->keys[i].key);
	near = str_nearest(n->key, names, b->n_keys);
	if (near.n)
		pol_error(r->d, n->key_at, "unknown key `" STR_FMT "`, did you mean `" STR_FMT "`?",
			  STR_ARG(n->key), STR_ARG(near));
	else
		pol_error(r->d, n->key_at,
			  "unknown key `" STR_FMT "` (docs/guide/keys.md has them all)",
			  STR_ARG(n->key));
}

static void read_number(struct pol_reader *r, const struct key *k, const struct pol_node *n,
			uint32_t *to)
{
	bool is_time = k->shape == SHAPE_SECONDS;
	if (!pol_is_text(r, n, k->key))
		return;
	bool is_ok = is_time ? pol_value_seconds(n->text, to) : str_u32(n->text, to);
	if (!is_ok)
		pol_error(r->d, n->at, "`%s` wants %s, not `" STR_FMT "`", k->key,
			  is_time ? "a time such as 20s or 2m" : "a whole number",
			  STR_ARG(n->text));
	else if (*to < k->min || *to > k->max)
		pol_error(r->d, n->at, "`%s` must be from %u to %u%s", k->key, k->min, k->max,
			  is_time ? " seconds" : "");
}

static void read_word(struct pol_reader *r, const struct key *k, const struct pol_node *n,
		      uint8_t *to)
{
	struct str rest = str_c(k->words), names[8], near;
	size_t n_names = 0;
	if (!pol_is_text(r, n, k->key))
		return;
	while (rest.n && n_names < ARRAY_LEN(names)) {
		names[n_names++] = str_cut(rest, '|', &rest);
		if (str_eq(names[n_names - 1], n->text)) {
			*to = (uint8_t)n_names;
			return;
		}
	}
	near = str_nearest(n->text, names, n_names);
	if (near.n)
		pol_error(r->d, n->at, "`%s` cannot be `" STR_FMT "`, did you mean `" STR_FMT "`?",
			  k->key, STR_ARG(n->text), STR_ARG(near));
	else
		pol_error(r->d, n->at, "`%s` cannot be `" STR_FMT "`: it is one of %s", k->key,
			  STR_ARG(n->text), k->words);
}

static void read_many(struct pol_reader *r, const struct key *k, const struct pol_node *n,
		      struct pol_list *to)
{
	bool is_named = k->shape == SHAPE_NAMED;
	if (n->kind != (is_named ? POL_MAP : POL_LIST)) {
		if (n->kind != POL_SCALAR || n->text.n)
			pol_error(r->d, n->at, "`%s` wants %s", k->key,
				  is_named ? "names, each with what belongs to it" : "a list");
		return;
	}
	if (is_named)
		check_doubles(r, n);
	to->v = pol_array(r, n->n, k->block->size);
	if (!to->v)
		return;
	char *at = to->v;
	for (const struct pol_node *c = n->first; c; c = c->next, at += k->block->size, to->n++) {
		struct pol_text *name = (struct pol_text *)(void *)at;
		*name = (struct pol_text){pol_keep(r, c->key), is_named ? c->key_at : c->at};
		if (is_named && !c->key.n)
			pol_error(r->d, c->key_at, "an empty name");
		read_block(r, k->block, c, at);
	}
}

static void read_key(struct pol_reader *r, const struct key *k, const struct pol_node *n, void *to)
{
	void *field = (char *)to + k->off;
	switch (k->shape) {
	case SHAPE_VALUE:
		if (n->kind == POL_MAP && k->read != pol_value_rewrites &&
		    k->read != pol_value_headers && k->read != pol_value_numbers)
			pol_error(r->d, n->at, "`%s` wants a text%s", k->key,
				  k->read == pol_value_text || k->read == pol_value_dest
					  ? ""
					  : " or a list");
		else
			k->read(r, n, k->key, field);
		break;
	case SHAPE_COUNT:
	case SHAPE_SECONDS:
		read_number(r, k, n, field);
		break;
	case SHAPE_WORD:
		read_word(r, k, n, field);
		break;
	case SHAPE_ONE:
		read_block(r, k->block, n, field);
		break;
	case SHAPE_LIST:
	case SHAPE_NAMED:
		read_many(r, k, n, field);
		break;
	}
}

static void read_block(struct pol_reader *r, const struct block *b, const struct pol_node *n,
		       void *to)
{
	if (n->kind == POL_SCALAR && !n->text.n)
		return; /* `100:` is a user of whom nothing more is said */
	if (n->kind != POL_MAP) {
		if (b->shorthand)
			read_key(r, find_key(b, str_c(b->shorthand)), n, to);
		else
			pol_error(r->d, n->at,
				  "this must be a block of keys (see `%s` in "
				  "docs/guide/keys.md)",
				  b->name);
		return;
	}
	check_doubles(r, n);
	uint64_t seen = 0; /* a key's second value, which is an error, is not read */
	for (const struct pol_node *c = n->first; c; c = c->next) {
		const struct key *k = find_key(b, c->key);
		uint64_t bit = k ? 1ull << (k - b->keys) : 0;
		if (!k)
			unknown_key(r, b, c);
		else if (!(seen & bit))
			read_key(r, k, c, to);
		seen |= bit;
	}
}

void pol_schema_read(struct pol_reader *r, const struct pol_node *root, struct pol_config *c)
{
	if (root)
		read_block(r, &root_block, root, c);
}

/* ---- for people ------------------------------------------------------------------------------ */

static const char *kind_text(const struct key *k)
{
	static const char *const text[][2] = {
		{"TEXT",     "text"               },
		{"TEXTS",    "text or list"       },
		{"YES",      "yes or no"          },
		{"DEST",     "destination"        },
		{"PATTERNS", "patterns"           },
		{"REWRITE",  "pattern: pattern"   },
		{"HEADERS",  "name: text"         },
		{"NETS",     "networks"           },
		{"SOURCES",  "networks, trunks"   },
		{"WHEN",     "times"              },
		{"NUMBERS",  "number: destination"},
		{"COUNT",    "number"             },
		{"SECONDS",  "time"               },
		{"ONE",      "block"              },
		{"LIST",     "list of blocks"     },
		{"NAMED",    "name: block"        },
	};
	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		if (str_eq(str_c(k->kind), str_c(text[i][0])))
			return text[i][1];
	return "word";
}

static void put_row(struct buf *out, const struct key *k)
{
	buf_fmt(out, "| `%s` | ", k->key);
	if (k->words) {
		struct str rest = str_c(k->words);
		while (rest.n) {
			struct str word = str_cut(rest, '|', &rest);
			buf_fmt(out, "`" STR_FMT "`%s", STR_ARG(word), rest.n ? ", " : "");
		}
	} else {
		buf_str(out, str_c(kind_text(k)));
	}
	if (k->max)
		buf_fmt(out, ", %u to %u", k->min, k->max);
	if (k->block)
		buf_fmt(out, " ([%s](#%s))", k->block->name, k->block->name);
	buf_fmt(out, " | %s |\n", k->doc);
}

void pol_keys_put(struct buf *out)
{
	static const struct block *const blocks[] = {&root_block,    &domain_block, &user_block,
						     &forward_block, &group_block,  &member_block,
						     &trunk_block,   &host_block,   &route_block};
	buf_str(out,
		STR("# Every key of the configuration\n\n`rung check --keys` prints this page; "
		    "[config.md](config.md) tells how to use them.\n"));
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		const struct block *b = blocks[i];
		buf_fmt(out, "\n## %s\n\n", b->name);
		if (b->shorthand)
			buf_fmt(out, "A plain text or list in its place means `%s`.\n\n",
				b->shorthand);
		buf_str(out, STR("| key | value | meaning |\n|---|---|---|\n"));
		for (size_t k = 0; k < b->n_keys; k++)
			put_row(out, &b->keys[k]);
	}
}
