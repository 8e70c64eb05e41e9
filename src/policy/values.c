/* The kinds of values that keys.def names, each read from one node of the tree: patterns, times,
 * networks, destinations, and lists of them. Where one text is wanted a list of one does not do;
 * where a list is wanted one text does. Names of other things are only kept here: check.c finds
 * them, when the whole file is known. */
#include "policy/schema.h"

#include "base/assert.h"

#include <stdlib.h>

#define REST STR("...")
#define BIG  (1u << 20) /* bytes of an array that gets memory of its own */

static void *big_array(struct pol_reader *r, size_t bytes)
{
	struct pol_big *b = calloc(1, sizeof(*b) + bytes);
	if (!b)
		return NULL;
	b->next = *r->big;
	*r->big = b;
	return b->mem;
}

void *pol_array(struct pol_reader *r, size_t n, size_t size)
{
	void *p = !n               ? NULL
		  : n * size > BIG ? big_array(r, n * size)
				   : arena_alloc(r->mem, n * size);
	if (n && !p)
		r->err = ERR_NOMEM;
	return p;
}

struct str pol_keep(struct pol_reader *r, struct str s)
{
	struct str k = arena_str(r->mem, s);
	if (s.n && !k.n)
		r->err = ERR_NOMEM;
	return k;
}

bool pol_is_text(struct pol_reader *r, const struct pol_node *n, const char *key)
{
	if (n->kind == POL_SCALAR && n->text.n)
		return true;
	pol_error(r->d, n->at, "`%s` wants a text", key);
	return false;
}

void pol_value_text(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_text *t = to;
	if (pol_is_text(r, n, key))
		*t = (struct pol_text){pol_keep(r, n->text), n->at};
}

/* Walks a text or a list of texts; *cursor starts at NULL. */
static const struct pol_node *next_of(const struct pol_node *n, const struct pol_node *cursor)
{
	if (n->kind == POL_LIST)
		return cursor ? cursor->next : n->first;
	return cursor ? NULL : n;
}

static size_t count(const struct pol_node *n)
{
	return n->kind == POL_LIST ? n->n : 1;
}

void pol_value_texts(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_texts *t = to;
	t->v = pol_array(r, count(n), sizeof(*t->v));
	for (const struct pol_node *c = NULL; t->v && (c = next_of(n, c));)
		if (pol_is_text(r, c, key))
			t->v[t->n++] = (struct pol_text){pol_keep(r, c->text), c->at};
}

void pol_value_yes(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	static const char *const yes[] = {"yes", "true", "on"}, *const no[] = {"no", "false",
									       "off"};
	uint8_t *out = to;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (str_ieq(n->text, str_c(yes[i])) || str_ieq(n->text, str_c(no[i]))) {
			*out = str_ieq(n->text, str_c(yes[i])) ? POL_YES : POL_NO;
			return;
		}
	pol_error(r->d, n->at, "`%s` is yes or no, not `" STR_FMT "`", key, STR_ARG(n->text));
}

bool pol_value_seconds(struct str s, uint32_t *out)
{
	static const struct {
		char letter;
		uint32_t seconds;
	} unit[] = {
		{'s', 1   },
                {'m', 60  },
                {'h', 3600}
        };
	uint32_t times = 1;
	for (size_t i = 0; i < ARRAY_LEN(unit); i++)
		if (s.n > 1 && s.p[s.n - 1] == unit[i].letter) {
			times = unit[i].seconds;
			s = str_sub(s, 0, s.n - 1);
			break;
		}
	if (!str_u32(s, out) || *out > 10'000'000)
		return false;
	*out *= times;
	return true;
}

void pol_value_dest(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_dest *d = to;
	if (pol_is_text(r, n, key))
		*d = (struct pol_dest){.text = pol_keep(r, n->text), .at = n->at};
}

void pol_value_dests(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_dests *t = to;
	t->v = pol_array(r, count(n), sizeof(*t->v));
	for (const struct pol_node *c = NULL; t->v && (c = next_of(n, c));)
		pol_value_dest(r, c, key, &t->v[t->n++]);
}

void pol_value_numbers(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_numbers *t = to;
	if (n->kind != POL_MAP) {
		pol_error(r->d, n->at,
			  "`%s` wants numbers, each with where it goes: `\"200\": sales`", key);
		return;
	}
	t->v = pol_array(r, n->n, sizeof(*t->v));
	for (const struct pol_node *c = n->first; t->v && c; c = c->next) {
		struct pol_number *x = &t->v[t->n++];
		x->name = (struct pol_text){pol_keep(r, c->key), c->key_at};
		pol_value_dest(r, c, key, &x->to);
	}
}

/* ---- patterns -------------------------------------------------------------------------------- */

bool pol_pattern_make(struct pol_reader *r, const struct pol_node *at, struct str text,
		      struct pol_pattern *out)
{
	size_t rest = str_find(text, REST);
	*out = (struct pol_pattern){.text = pol_keep(r, text), .at = at->at};
	out->has_rest = rest != SIZE_MAX;
	out->head = str_sub(out->text, 0, rest);
	out->tail = out->has_rest ? str_skip(out->text, rest + 3) : STR_NONE;
	if (str_find(out->tail, REST) == SIZE_MAX)
		return true;
	out->head = str_sub(out->tail, 0, out->tail.n - 3);
	out->is_inside = rest == 0 && str_ends(out->tail, REST) &&
			 str_find(out->head, REST) == SIZE_MAX &&
			 str_chr(out->head, '?') == SIZE_MAX;
	out->has_rest = false;
	if (out->is_inside)
		return true;
	pol_error(r->d, at->at, "`...` may stand once in a pattern, or at both ends");
	return false;
}

void pol_value_patterns(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_patterns *t = to;
	t->v = pol_array(r, count(n), sizeof(*t->v));
	for (const struct pol_node *c = NULL; t->v && (c = next_of(n, c));)
		if (pol_is_text(r, c, key))
			t->n += pol_pattern_make(r, c, c->text, &t->v[t->n]);
}

void pol_value_rewrites(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_rewrites *t = to;
	if (n->kind != POL_MAP) {
		pol_error(r->d, n->at, "`%s` wants patterns: `\"00...\": \"+...\"`", key);
		return;
	}
	t->v = pol_array(r, n->n, sizeof(*t->v));
	for (const struct pol_node *c = n->first; t->v && c; c = c->next) {
		struct pol_rewrite *w = &t->v[t->n];
		if (!pol_is_text(r, c, key) || !pol_pattern_make(r, c, c->key, &w->from) ||
		    !pol_pattern_make(r, c, c->text, &w->to))
			continue;
		w->from.at = c->key_at;
		if (w->from.is_inside || w->to.is_inside)
			pol_error(r->d, c->key_at, "`...` stands once in what is rewritten");
		if (w->to.has_rest && !w->from.has_rest)
			pol_error(r->d, c->at,
				  "`...` has nothing to stand for: `" STR_FMT "` has none",
				  STR_ARG(c->key));
		if (str_chr(w->to.text, '?') != SIZE_MAX)
			pol_error(r->d, c->at, "`?` cannot stand in what is put in its place");
		t->n++;
	}
}

void pol_value_headers(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_headers *t = to;
	if (n->kind != POL_MAP) {
		pol_error(r->d, n->at, "`%s` wants header names, each with a text", key);
		return;
	}
	t->v = pol_array(r, n->n, sizeof(*t->v));
	for (const struct pol_node *c = n->first; t->v && c; c = c->next) {
		struct pol_header *h = &t->v[t->n];
		h->name = (struct pol_text){pol_keep(r, c->key), c->key_at};
		if (pol_is_text(r, c, key) && pol_pattern_make(r, c, c->text, &h->value))
			t->n++;
	}
}

/* ---- where from ------------------------------------------------------------------------------ */

void pol_value_sources(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_sources *t = to;
	t->v = pol_array(r, count(n), sizeof(*t->v));
	for (const struct pol_node *c = NULL; t->v && (c = next_of(n, c));) {
		if (!pol_is_text(r, c, key))
			continue;
		struct pol_source *s = &t->v[t->n++];
		s->text = (struct pol_text){pol_keep(r, c->text), c->at};
		s->is_net = addr_net_parse(c->text, &s->net);
	}
}

void pol_value_nets(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_sources *t = to;
	pol_value_sources(r, n, key, to);
	for (size_t i = 0; i < t->n; i++)
		if (!t->v[i].is_net)
			pol_error(r->d, t->v[i].text.at,
				  "`%s` wants networks such as 192.0.2.0/24, not `" STR_FMT "`",
				  key, STR_ARG(t->v[i].text.s));
}

/* ---- when ------------------------------------------------------------------------------------ */

static bool parse_day(struct str s, unsigned *out)
{
	static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
	for (unsigned i = 0; i < ARRAY_LEN(days); i++)
		if (str_ieq(s, str_c(days[i]))) {
			*out = i;
			return true;
		}
	return false;
}

static bool parse_days(struct str s, struct pol_when *w)
{
	unsigned from, to;
	struct str rest = s, head = str_cut(s, '-', &rest);
	if (!parse_day(head, &from))
		return false;
	to = from;
	if (head.n < s.n && !parse_day(rest, &to))
		return false;
	for (unsigned d = from;; d = (d + 1) % 7) {
		w->days |= (uint8_t)(1 << d);
		if (d == to)
			return true;
	}
}

static bool parse_clock(struct str s, uint16_t *out)
{
	uint32_t h, m;
	struct str rest = s, head = str_cut(s, ':', &rest);
	if (!str_u32(head, &h) || rest.n != 2 || !str_u32(rest, &m) || h > 24 || m > 59 ||
	    h * 60 + m > 24 * 60)
		return false;
	*out = (uint16_t)(h * 60 + m);
	return true;
}

static bool parse_date(struct str s, struct pol_when *w)
{
	uint32_t y, m, d;
	struct str rest = s, part = str_cut(s, '-', &rest);
	if (part.n != 4 || !str_u32(part, &y))
		return false;
	part = str_cut(rest, '-', &rest);
	if (part.n != 2 || !str_u32(part, &m) || rest.n != 2 || !str_u32(rest, &d) || !m ||
	    m > 12 || !d || d > 31)
		return false;
	w->date = y * 10000 + m * 100 + d;
	return true;
}

bool pol_when_make(struct str text, struct pol_when *w)
{
	*w = (struct pol_when){.to_min = 24 * 60};
	if (!str_trim(text).n)
		return false;
	for (struct str rest = text, part; rest.n;) {
		part = str_cut(rest, ' ', &rest);
		struct str end = part, begin = str_cut(part, '-', &end);
		if (!part.n || parse_date(part, w) || parse_days(part, w))
			continue;
		if (!parse_clock(begin, &w->from_min) || !parse_clock(end, &w->to_min))
			return false;
	}
	return true;
}

void pol_value_whens(struct pol_reader *r, const struct pol_node *n, const char *key, void *to)
{
	struct pol_whens *t = to;
	t->v = pol_array(r, count(n), sizeof(*t->v));
	for (const struct pol_node *c = NULL; t->v && (c = next_of(n, c));) {
		if (!pol_is_text(r, c, key))
			continue;
		if (pol_when_make(c->text, &t->v[t->n]))
			t->n++;
		else
			pol_error(r->d, c->at,
				  "`%s` wants times such as `mon-fri 08:00-18:00`, `sat` or "
				  "`2026-12-24`, not `" STR_FMT "`",
				  key, STR_ARG(c->text));
	}
}
