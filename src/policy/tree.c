/* From YAML to a tree with places, by libyaml's events.
 *
 * What a configuration does not need is refused, since it can only surprise: anchors and aliases
 * (a few lines of them name billions of nodes), several documents, keys that are no plain text, the
 * same key twice. Depth and size are bounded. Places are kept for every node, so that whatever is
 * found wrong later can be shown.
 *
 * A stack of open lists and maps stands for the recursion. Invariant: `pending` is set exactly
 * while a map on top of the stack has got a key and waits for its value. */
#include "policy/tree.h"

#include "base/assert.h"

#include <yaml.h>

void pol_diags_init(struct pol_diags *d)
{
	*d = (struct pol_diags){0};
	arena_init(&d->mem);
}

void pol_diags_fini(struct pol_diags *d)
{
	arena_fini(&d->mem);
}

static bool is_before(struct pol_at a, struct pol_at b)
{
	return a.line != b.line ? a.line < b.line : a.col < b.col;
}

[[gnu::format(printf, 4, 0)]] static void add(struct pol_diags *d, struct pol_at at,
					      bool is_warning, const char *fmt, va_list ap)
{
	struct buf b;
	char mem[600];
	if (d->n_errors + d->n_warnings >= POL_MAX_DIAGS)
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_vfmt(&b, fmt, ap);
	buf_mask(&b, 0, false);
	struct pol_diag *n = arena_alloc(&d->mem, sizeof(*n));
	struct str text = arena_str(&d->mem, buf_view(&b));
	if (!n || (!text.n && b.n)) {
		d->err = ERR_NOMEM;
		return;
	}
	*n = (struct pol_diag){.at = at, .is_warning = is_warning, .text = text};
	struct pol_diag **to = &d->first;
	while (*to && !is_before(at, (*to)->at))
		to = &(*to)->next;
	n->next = *to;
	*to = n;
	*(is_warning ? &d->n_warnings : &d->n_errors) += 1;
}

void pol_error(struct pol_diags *d, struct pol_at at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(d, at, false, fmt, ap);
	va_end(ap);
}

void pol_warn(struct pol_diags *d, struct pol_at at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(d, at, true, fmt, ap);
	va_end(ap);
}

struct open {
	struct pol_node *node, **tail;
};
struct reading {
	struct arena *mem;
	struct pol_diags *d;
	struct pol_node *root;
	struct open stack[POL_MAX_DEPTH];
	unsigned depth, n_documents;
	struct pol_node *pending; /* an entry of the map on top that has its key only */
	enum err err;
};

static struct pol_at place(const yaml_mark_t *m)
{
	return (struct pol_at){(uint32_t)m->line + 1, (uint32_t)m->column + 1};
}

static void stop(struct reading *r, struct pol_at at, const char *why)
{
	pol_error(r->d, at, "%s", why);
	r->err = ERR_SYNTAX;
}

static struct pol_node *node_new(struct reading *r, struct pol_at at, enum pol_node_kind kind)
{
	struct pol_node *n = arena_alloc(r->mem, sizeof(*n));
	if (!n) {
		r->err = ERR_NOMEM;
		return NULL;
	}
	n->kind = kind;
	n->at = at;
	return n;
}

static void hang(struct reading *r, struct pol_node *n)
{
	struct open *o = &r->stack[r->depth - 1];
	*o->tail = n;
	o->tail = &n->next;
	o->node->n++;
}

/* Puts a value where it belongs; the node of an entry exists since its key was read. */
static struct pol_node *value(struct reading *r, struct pol_at at, enum pol_node_kind kind)
{
	struct pol_node *n = r->pending;
	if (n) {
		r->pending = NULL;
		n->kind = kind;
		n->at = at;
		return n;
	}
	n = node_new(r, at, kind);
	if (!n)
		return NULL;
	if (r->depth)
		hang(r, n);
	else
		r->root = n;
	return n;
}

static bool wants_key(const struct reading *r)
{
	return r->depth && !r->pending && r->stack[r->depth - 1].node->kind == POL_MAP;
}

static struct str keep(struct reading *r, struct str s)
{
	struct str k = arena_str(r->mem, s);
	if (s.n && !k.n)
		r->err = ERR_NOMEM;
	return k;
}

static void on_scalar(struct reading *r, const yaml_event_t *ev)
{
	struct str s = str_of((const char *)ev->data.scalar.value, ev->data.scalar.length);
	struct pol_at at = place(&ev->start_mark);
	if (memchr(s.p, 0, s.n)) {
		stop(r, at, "a NUL in the text");
		return;
	}
	if (wants_key(r)) {
		struct pol_node *n = node_new(r, at, POL_SCALAR);
		if (!n)
			return;
		n->key = keep(r, s);
		n->key_at = at;
		hang(r, n);
		r->pending = n;
		return;
	}
	struct pol_node *n = value(r, at, POL_SCALAR);
	bool is_null = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && str_eq(s, STR("~"));
	if (n && !is_null)
		n->text = keep(r, s);
}

static void on_open(struct reading *r, const yaml_event_t *ev, enum pol_node_kind kind)
{
	struct pol_at at = place(&ev->start_mark);
	if (r->err)
		return;
	if (wants_key(r)) {
		stop(r, at, "a key must be a plain text");
		return;
	}
	if (r->depth == POL_MAX_DEPTH) {
		stop(r, at, "nested too deep");
		return;
	}
	struct pol_node *n = value(r, at, kind);
	if (n)
		r->stack[r->depth++] = (struct open){n, &n->first};
}

static void refuse_anchor(struct reading *r, struct pol_at at, const yaml_char_t *anchor)
{
	if (anchor)
		stop(r, at, "anchors (`&name`) are not taken; put quotes round it");
}

static void on_event(struct reading *r, const yaml_event_t *ev)
{
	struct pol_at at = place(&ev->start_mark);
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->n_documents++)
			stop(r, at, "a second document: one file is one document");
		break;
	case YAML_ALIAS_EVENT:
		stop(r, at,
		     "aliases (`*name`) are not taken; write it out, or put quotes round it");
		break;
	case YAML_SCALAR_EVENT:
		refuse_anchor(r, at, ev->data.scalar.anchor);
		on_scalar(r, ev);
		break;
	case YAML_SEQUENCE_START_EVENT:
		refuse_anchor(r, at, ev->data.sequence_start.anchor);
		on_open(r, ev, POL_LIST);
		break;
	case YAML_MAPPING_START_EVENT:
		refuse_anchor(r, at, ev->data.mapping_start.anchor);
		on_open(r, ev, POL_MAP);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		ASSERT(r->depth);
		r->depth--;
		break;
	default:
		break;
	}
}

/* libyaml says it in two halves, such as "while parsing a block mapping: did not find expected
 * key". */
static void complain(struct reading *r, const yaml_parser_t *p)
{
	struct pol_at at =
		place(p->problem_mark.line || p->problem_mark.column ? &p->problem_mark : &p->mark);
	if (p->error == YAML_MEMORY_ERROR) {
		r->err = ERR_NOMEM;
		return;
	}
	r->err = ERR_SYNTAX;
	pol_error(r->d, at, "no YAML: %s%s%s", p->context ? p->context : "", p->context ? ": " : "",
		  p->problem ? p->problem : "cannot be read");
}

enum err pol_tree_read(struct str text, struct arena *mem, struct pol_diags *d,
		       struct pol_node **out)
{
	struct reading r = {.mem = mem, .d = d};
	yaml_parser_t p;
	yaml_event_t ev;
	bool is_end = false;
	*out = NULL;
	if (text.n > POL_MAX_BYTES) {
		pol_error(d, (struct pol_at){1, 1}, "more than %u MB", POL_MAX_BYTES >> 20);
		return ERR_SYNTAX;
	}
	if (!yaml_parser_initialize(&p))
		return ERR_NOMEM;
	yaml_parser_set_input_string(&p, (const unsigned char *)(text.n ? text.p : ""), text.n);
	while (r.err == OK && !is_end) {
		if (!yaml_parser_parse(&p, &ev)) {
			complain(&r, &p);
			break;
		}
		on_event(&r, &ev);
		is_end = ev.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&p);
	if (r.err == OK)
		*out = r.root;
	return r.err;
}
