/* Links from a leg's Call-ID to that of the call's first leg, told by the exchange when it makes
 *one (EXC_NOTE_LEG): nothing is guessed. A leg of a leg is linked to the root, so a link is one
 *step.
 *
 *	linked ── leg judged ──► what it came to is kept ──┐
 *	  │                                                ├─ root judged: record ─► gone
 *	  └── root judged first: the leg is looked at then ┘   (it stays linked until it is judged)
 *
 * The record of a call tells of its caller's side, and of its legs: their Call-IDs, the phone that
 * answered, and what went wrong there. Of a call that was answered only the leg that talked can
 * spoil the verdict: that another phone of a group could not be reached is no fault of it.
 *
 * Invariants: 1. No link leads to a leg. 2. A link whose two calls the tracker has forgotten goes
 * with the next sweep, so that links are bounded by its calls. */
#include "admin/legs.h"

#include "admin/record.h"
#include "base/assert.h"
#include "base/hash.h"
#include "event/env.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SWEEP 1'024u
#define MAX_TEXT    2'000u /* of all legs in one record */

struct came_to { /* its texts are borrowed, or in `mem` */
	bool is_answered;
	uint32_t no; /* of the tracker: who came first */
	enum vrd_severity worst;
	uint64_t targets;
	struct str phone, agent, verdict; /* verdict: the worst of what was found */
	char mem[];
};

struct call_id {
	size_t n;
	char p[];
};

struct link_of { /* small: each call that talks has one */
	struct hnode by_leg, by_root;
	struct came_to *what; /* heap; NULL: the leg was not judged yet */
	struct call_id
		*then; /* heap: a call that it goes on with when `root` has ended; NULL: none */
	uint32_t n_leg, n_root;
	bool is_told; /* the root has its record; this waits for the leg's end */
	char ids[];   /* leg's, root's */
};

struct adm_legs {
	struct htab by_leg, by_root;
	uint8_t key[16];
	size_t sweep_at;
	struct vrd v;
};

static uint64_t hash(const struct adm_legs *l, struct str s)
{
	return htab_hash(l->key, s.p, s.n);
}

static struct str leg_of(const struct link_of *k)
{
	return str_of(k->ids, k->n_leg);
}

static struct str root_of(const struct link_of *k)
{
	return str_of(k->ids + k->n_leg, k->n_root);
}

static struct link_of *find(const struct adm_legs *l, struct str leg)
{
	for (struct hnode *n = htab_first(&l->by_leg, hash(l, leg)); n; n = htab_next(n)) {
		struct link_of *k = CONTAINER_OF(n, struct link_of, by_leg);
		if (str_eq(leg_of(k), leg))
			return k;
	}
	return NULL;
}

/* `after` NULL: the first one. */
static struct link_of *next_of(const struct adm_legs *l, struct str root, struct link_of *after)
{
	struct hnode *n =
		after ? htab_next(&after->by_root) : htab_first(&l->by_root, hash(l, root));
	for (; n; n = htab_next(n)) {
		struct link_of *k = CONTAINER_OF(n, struct link_of, by_root);
		if (str_eq(root_of(k), root))
			return k;
	}
	return NULL;
}

static void del(struct adm_legs *l, struct link_of *k)
{
	htab_del(&l->by_leg, &k->by_leg);
	htab_del(&l->by_root, &k->by_root);
	free(k->what);
	free(k->then);
	free(k);
}

struct sweep {
	struct adm_legs *l;
	const struct trk *t; /* NULL: all go */
};

static void sweep_one(void *arg, struct hnode *n)
{
	struct sweep *s = arg;
	struct link_of *k = CONTAINER_OF(n, struct link_of, by_leg);
	if (!s->t || (!trk_find(s->t, leg_of(k)) && !trk_find(s->t, root_of(k))))
		del(s->l, k);
}

static void go_on_with(struct link_of *k, struct str of)
{
	if (!k)
		return;
	free(k->then);
	k->then = malloc(sizeof(*k->then) + of.n);
	if (!k->then)
		return;
	k->then->n = of.n;
	memcpy(k->then->p, of.p, of.n);
}

void adm_legs_add(struct adm_legs *l, const struct trk *t, struct str of, struct str call_id)
{
	struct str root = adm_legs_root(l, of);
	struct link_of *k = find(l, call_id);
	if (!call_id.n || !root.n || str_eq(root, call_id))
		return;
	if (next_of(l, call_id, NULL)) { /* no leg, since it has some: the other way round */
		go_on_with(find(l, of), call_id);
		return;
	}
	if (k) {
		go_on_with(k, of);
		return;
	}
	if (l->by_leg.n >= l->sweep_at) {
		struct sweep s = {l, t};
		htab_each(&l->by_leg, sweep_one, &s);
		l->sweep_at = FIRST_SWEEP + 2 * l->by_leg.n;
	}
	k = calloc(1, offsetof(struct link_of, ids) + call_id.n + root.n);
	if (!k)
		return;
	memcpy(k->ids, call_id.p, call_id.n);
	memcpy(k->ids + call_id.n, root.p, root.n);
	k->n_leg = (uint32_t)call_id.n;
	k->n_root = (uint32_t)root.n;
	htab_add(&l->by_leg, &k->by_leg, hash(l, leg_of(k)));
	htab_add(&l->by_root, &k->by_root, hash(l, root_of(k)));
}

struct str adm_legs_root(const struct adm_legs *l, struct str call_id)
{
	const struct link_of *k = find(l, call_id);
	if (k && k->is_told)
		return STR_NONE;
	return k ? root_of(k) : call_id;
}

bool adm_legs_has(const struct adm_legs *l, struct str call_id)
{
	return find(l, call_id) || next_of(l, call_id, NULL);
}

/* Those that it passed on are in the memory of the phones. In an answered call of its own there
 * were but two, and the other one took it. */
void adm_legs_cut(const struct adm_legs *l, struct trk *t, uint64_t now_us)
{
	for (struct trk_call *c = trk_first(t); c; c = trk_after(t, c))
		if (adm_legs_has(l, c->call_id) ||
		    (c->phase == TRK_ANSWERED && c->n_peers <= 2 && c->callee != c->caller))
			trk_stop(t, c, TRK_STOP_CUT, now_us);
}

size_t adm_legs_n(const struct adm_legs *l)
{
	return l->by_leg.n;
}

/* ---- what a leg came to ---------------------------------------------------------------------- */

/* The record of the leg has all of it. */
static void look(struct came_to *out, struct trk *t, const struct trk_call *c, const struct vrd *v,
		 struct buf *texts)
{
	struct st_cdr row;
	adm_record(&row, texts, t, c, v);
	*out = (struct came_to){.is_answered = c->answer_us > 0,
				.no = c->no,
				.worst = v->n ? v->worst : VRD_OK,
				.targets = row.v[ST_CDR_targets].n,
				.phone = row.v[ST_CDR_answered_at].s,
				.agent = row.v[ST_CDR_callee_agent].s,
				.verdict = STR_NONE};
	for (size_t i = 0; i < v->n && !out->verdict.n; i++)
		if (v->f[i].severity == v->worst)
			out->verdict = v->f[i].text;
}

/* The same for longer than the tracker has it. */
static void keep(struct link_of *k, struct trk *t, const struct trk_call *c, const struct vrd *v)
{
	struct came_to w;
	struct buf texts;
	buf_init(&texts);
	look(&w, t, c, v, &texts);
	struct str *parts[] = {&w.phone, &w.agent, &w.verdict};
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		n += parts[i]->n;
	struct came_to *what = malloc(sizeof(*what) + n);
	if (what) {
		char *at = what->mem;
		for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
			if (parts[i]->n)
				memcpy(at, parts[i]->p, parts[i]->n);
			parts[i]->p = at;
			at += parts[i]->n;
		}
		*what = w;
		free(k->what);
		k->what = what;
	}
	buf_fini(&texts);
}

bool adm_legs_judged(struct adm_legs *l, struct trk *t, const struct trk_call *c,
		     const struct vrd *v)
{
	struct link_of *k = find(l, c->call_id);
	if (!k)
		return false;
	const struct trk_call *root = trk_find(t, root_of(k));
	if (k->is_told || !root || root->is_judged) {
		bool is_told = k->is_told;
		del(l, k);
		return is_told;
	}
	keep(k, t, c, v);
	return true;
}

/* ---- the call's record ----------------------------------------------------------------------- */

static bool goes_on(const struct trk_call *c)
{
	return c && c->phase == TRK_ANSWERED && !c->is_judged;
}

/* Into `w` what all of its legs tell of the call. */
static void gather(struct came_to *w, const struct came_to *leg, bool is_answered)
{
	w->targets += leg->targets;
	if (leg->is_answered && (!w->is_answered || leg->no < w->no)) {
		w->is_answered = true;
		w->no = leg->no;
		w->phone = leg->phone;
		w->agent = leg->agent;
	}
	/* of a refusal the leg knows the reason */
	bool is_worse =
		leg->worst > w->worst || (leg->worst == w->worst && !is_answered && !w->verdict.n);
	bool counts = leg->worst >= VRD_WARN && (leg->is_answered || !is_answered);
	if (is_worse && counts) {
		w->worst = leg->worst;
		w->verdict = leg->verdict;
	}
}

static void set(struct st_cdr *row, enum st_cdr_column c, struct str s)
{
	if (s.n)
		row->v[c] = (struct st_val){.s = s, .is_set = true};
}

/* Places in `texts`, which may move while it grows. */
struct part {
	size_t from, n;
};

static struct part put(struct buf *b, struct str a, const char *between, struct str s)
{
	struct part p = {.from = b->n};
	buf_fmt(b, STR_FMT "%s" STR_FMT, STR_ARG(a), between, STR_ARG(s));
	p.n = b->n - p.from;
	return p;
}

static struct str at(const struct buf *b, struct part p)
{
	return b->err ? STR_NONE : str_sub(buf_view(b), p.from, p.n);
}

static void fill(struct st_cdr *row, struct buf *texts, const struct came_to *w, struct str legs)
{
	struct part ids = put(texts, legs, "", STR_NONE),
		    phone = put(texts, w->phone, "", STR_NONE),
		    agent = put(texts, w->agent, "", STR_NONE), verdict = {0};
	if (w->verdict.n)
		verdict =
			put(texts, row->v[ST_CDR_verdict].s, "; towards the callee: ", w->verdict);
	set(row, ST_CDR_legs, at(texts, ids));
	set(row, ST_CDR_answered_at, at(texts, phone));
	set(row, ST_CDR_callee_agent, at(texts, agent));
	if (w->targets)
		row->v[ST_CDR_targets] = (struct st_val){.n = w->targets, .is_set = true};
	if (!w->verdict.n)
		return;
	set(row, ST_CDR_verdict, at(texts, verdict));
	set(row, ST_CDR_severity, str_c(vrd_severity_name(w->worst)));
}

/* A leg that was joined with another call is that one's from now on. */
static void move(struct adm_legs *l, const struct trk *t, struct link_of *k)
{
	struct call_id *of = k->then;
	const struct trk_call *x = trk_find(t, leg_of(k));
	k->then = NULL;
	if (of && goes_on(x)) {
		del(l, k);
		adm_legs_add(l, t, str_of(of->p, of->n), x->call_id);
	}
	free(of);
}

/* Its legs that talk on: the first of them has the others. */
static void part(struct adm_legs *l, const struct trk *t, struct str root)
{
	const struct trk_call *first = NULL;
	struct link_of *k, *next;
	for (k = next_of(l, root, NULL); k; k = next) {
		next = next_of(l, root, k);
		move(l, t, k);
	}
	for (k = next_of(l, root, NULL); k; k = next_of(l, root, k)) {
		const struct trk_call *x = trk_find(t, leg_of(k));
		if (goes_on(x) && (!first || x->no < first->no))
			first = x;
	}
	for (k = next_of(l, root, NULL); k; k = next) {
		const struct trk_call *x = trk_find(t, leg_of(k));
		next = next_of(l, root, k);
		if (k->is_told)
			continue;
		del(l, k);
		if (first && goes_on(x) && x != first)
			adm_legs_add(l, t, first->call_id, x->call_id);
	}
}

void adm_legs_record(struct adm_legs *l, struct trk *t, const struct trk_call *c,
		     const struct vrd *v, struct st_cdr *row, struct buf *texts)
{
	struct came_to w = {.worst = v->n ? v->worst : VRD_OK};
	struct buf ids;
	struct link_of *k = next_of(l, c->call_id, NULL);
	if (!k)
		return;
	buf_init(&ids);
	for (; k; k = next_of(l, c->call_id, k)) {
		const struct trk_call *x = trk_find(t, leg_of(k));
		bool is_going_on = goes_on(x);
		if (!k->what && x && vrd_judge(&l->v, t, x) == OK)
			keep(k, t, x, &l->v);
		if (k->what && is_going_on) /* of its verdict nothing is known yet */
			k->what->worst = VRD_OK;
		k->is_told = x && !x->is_judged && !is_going_on;
		if (k->what)
			gather(&w, k->what, c->answer_us > 0);
		if (k->what && !is_going_on && ids.n < MAX_TEXT)
			buf_fmt(&ids, "%s" STR_FMT, ids.n ? " " : "", STR_ARG(leg_of(k)));
	}
	fill(row, texts, &w, ids.err ? STR_NONE : buf_view(&ids));
	part(l, t, c->call_id);
	buf_fini(&ids);
}

const struct trk_call *adm_legs_talking(const struct adm_legs *l, const struct trk *t,
					const struct trk_call *c)
{
	for (struct link_of *k = next_of(l, c->call_id, NULL); k; k = next_of(l, c->call_id, k)) {
		const struct trk_call *x = trk_find(t, leg_of(k));
		if (goes_on(x))
			return x;
	}
	return NULL;
}

/* ---- making it ------------------------------------------------------------------------------- */

enum err adm_legs_new(struct adm_legs **out)
{
	struct adm_legs *l = calloc(1, sizeof(*l));
	if (!l)
		return ERR_NOMEM;
	env_entropy(l->key, sizeof(l->key));
	l->sweep_at = FIRST_SWEEP;
	vrd_init(&l->v);
	if (htab_init(&l->by_leg, 256) || htab_init(&l->by_root, 256)) {
		adm_legs_free(l);
		return ERR_NOMEM;
	}
	*out = l;
	return OK;
}

void adm_legs_free(struct adm_legs *l)
{
	struct sweep all = {l, NULL};
	if (!l)
		return;
	if (l->by_root.buckets)
		htab_each(&l->by_leg, sweep_one, &all);
	htab_fini(&l->by_leg);
	htab_fini(&l->by_root);
	vrd_fini(&l->v);
	free(l);
}
