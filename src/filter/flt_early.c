/* What a filter says while some of its fields have no value yet.
 *
 * A test about such a field is open; `and` is false with one false kid, `or` true with one true
 * kid, whatever is open beside; else one open kid leaves them open. So most frames of a live
 * capture are decided when they come, though the filter asks how calls end.
 */
#include "filter/flt_tree.h"

struct early {
	struct flt *f;
	const struct cap_frame *fr;
	bool (*is_open)(const struct flt_field *f);
};

static unsigned from_frame(void *arg, const struct flt_field *field, struct flt_val *out)
{
	return flt_field_get(field, ((struct early *)arg)->fr, out);
}

static bool is_open_term(const struct early *x, const struct flt_term *t)
{
	for (; t; t = t->next)
		if ((t->field && x->is_open(t->field)) || is_open_term(x, t->a) ||
		    is_open_term(x, t->b))
			return true;
	return false;
}

static bool is_open_test(const struct early *x, const struct flt_node *n)
{
	for (const struct flt_range *e = n->set; e; e = e->next)
		if (is_open_term(x, e->from) || is_open_term(x, e->to))
			return true;
	return is_open_term(x, n->left) || is_open_term(x, n->right);
}

static enum flt_said say(struct early *x, const struct flt_node *n)
{
	enum flt_said said, all;
	switch ((enum flt_node_kind)n->kind) {
	case NODE_OR:
	case NODE_AND:
		all = n->kind == NODE_AND ? FLT_YES : FLT_NO;
		for (const struct flt_node *k = n->kids; k; k = k->next) {
			said = say(x, k);
			if (said == (n->kind == NODE_AND ? FLT_NO : FLT_YES))
				return said;
			all = said == FLT_OPEN ? FLT_OPEN : all;
		}
		return all;
	case NODE_NOT:
		said = say(x, n->kids);
		return said == FLT_OPEN ? FLT_OPEN : said == FLT_NO ? FLT_YES : FLT_NO;
	default:
		if (is_open_test(x, n))
			return FLT_OPEN;
		return flt_node_match_from(x->f, n, from_frame, x) ? FLT_YES : FLT_NO;
	}
}

enum flt_said flt_match_so_far(struct flt *f, const struct cap_frame *fr,
			       bool (*is_open)(const struct flt_field *f))
{
	struct early x = {f, fr, is_open};
	return say(&x, flt_root(f));
}
