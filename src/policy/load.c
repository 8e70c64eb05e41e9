/* A file's text becomes a policy: tree, schema, check. The policy is built whole or not at all; the
 * tree is forgotten, and texts live in the policy's arena. */
#include "policy/schema.h"

#include <stdlib.h>

static enum err read_all(struct str text, struct pol_config *c, struct pol_diags *d)
{
	struct pol_reader r = {.mem = &c->mem, .big = &c->big, .d = d};
	struct arena tree;
	struct pol_node *root;
	arena_init(&tree);
	enum err e = pol_tree_read(text, &tree, d, &root);
	if (e == OK) {
		pol_schema_read(&r, root, c);
		if (r.err == OK)
			pol_check(&r, c);
		e = r.err;
	}
	arena_fini(&tree);
	if (e == OK)
		e = d->err;
	return e == OK && d->n_errors ? ERR_SYNTAX : e;
}

enum err pol_load(struct str text, struct pol_config **out, struct pol_diags *d)
{
	struct pol_config *c = calloc(1, sizeof(*c));
	if (!c)
		return ERR_NOMEM;
	arena_init(&c->mem);
	enum err e = read_all(text, c, d);
	if (e) {
		pol_free(c);
		return e;
	}
	*out = c;
	return OK;
}

void pol_free(struct pol_config *c)
{
	if (!c)
		return;
	if (c->has_names)
		htab_fini(&c->names);
	while (c->big) {
		struct pol_big *b = c->big;
		c->big = b->next;
		free(b);
	}
	arena_fini(&c->mem);
	free(c);
}

void pol_diags_put(const struct pol_diags *d, struct str file, struct buf *out)
{
	for (const struct pol_diag *n = d->first; n; n = n->next)
		buf_fmt(out, STR_FMT ":%u:%u: %s: " STR_FMT "\n", STR_ARG(file), n->at.line,
			n->at.col, n->is_warning ? "warning" : "error", STR_ARG(n->text));
	if (d->n_errors + d->n_warnings >= POL_MAX_DIAGS)
		buf_fmt(out, STR_FMT ": and more\n", STR_ARG(file));
}
