/* What is known of an address, and who watches it: on the address's own shard, which alone changes
 * it.
 *
 * A change gets the next number of the address (stamp) and pokes each watcher of its package: a
 * message without contents. The subscription asks for a document when it may send one, and gets
 * what is new since it last asked; so a burst of changes costs one document, and order is what this
 * one shard says it is. A watcher that was poked and has not asked is not poked again.
 *
 * Dialogs are kept only while somebody watches them: calls are not told of to an address that
 * nobody looks at (the words of `watched` are a filter over the hash of addresses, read by all
 * shards). The first watcher makes all shards tell what they have (EVENT_GATHER). A dialog that has
 * ended stays GONE_US, so that watchers hear how; later only a whole document takes it back
 * (`purged`).
 *
 * Invariants: 1. A res lives while anything is known of it. 2. watched[hash] counts the dialog
 * watchers of its addresses. 3. Each question is answered once. [RFC6665 4.2] [RFC4235 3]
 */
#include "service/events_priv.h"

#include <stdlib.h>
#include <string.h>

#define GONE_US    5000000ull
#define DELIVER_US 10000ull /* after the answer to the REGISTER */

/* ---- life ------------------------------------------------------------------------------------ */

static uint64_t hash_of(const struct evt_shard *s, struct str aor)
{
	return htab_hash(s->e->key, aor.p, aor.n);
}

struct evt_res *evt_res_find(struct evt_shard *s, struct str aor)
{
	for (struct hnode *n = htab_first(&s->res, hash_of(s, aor)); n; n = htab_next(n)) {
		struct evt_res *r = CONTAINER_OF(n, struct evt_res, node);
		if (str_eq(evt_aor(r), aor))
			return r;
	}
	return NULL;
}

static bool is_open(struct evt_shard *s, struct str aor)
{
	return loc_get(s->e->env.loc, aor) != NULL;
}

struct evt_res *evt_res_get(struct evt_shard *s, struct str aor)
{
	struct evt_res *r = evt_res_find(s, aor);
	if (r || aor.n > LIMIT_AOR_BYTES)
		return r;
	r = calloc(1, sizeof(*r) + aor.n);
	if (!r)
		return NULL;
	r->s = s;
	list_init(&r->watchers);
	list_init(&r->pubs);
	list_init(&r->dialogs);
	list_init(&r->messages);
	list_init(&r->gone);
	r->is_open = is_open(s, aor);
	r->n_aor = (uint8_t)aor.n;
	memcpy(r->aor, aor.p, aor.n);
	htab_add(&s->res, &r->node, hash_of(s, aor));
	return r;
}

static void res_free(struct evt_res *r)
{
	struct evt_shard *s = r->s;
	ev_timer_stop(s->loop, &r->timer);
	ev_timer_stop(s->loop, &r->deliver);
	uac_drop(r->sending);
	uac_drop(r->notifying);
	LIST_EACH (&r->watchers, l)
		free(LIST_ENTRY(l, struct evt_watcher, link));
	LIST_EACH (&r->pubs, l)
		free(LIST_ENTRY(l, struct evt_pub, link));
	LIST_EACH (&r->dialogs, l)
		free(LIST_ENTRY(l, struct evt_known_dialog, link));
	LIST_EACH (&r->messages, l)
		evt_message_free(LIST_ENTRY(l, struct evt_message, link));
	evt_gone_free(r);
	htab_del(&s->res, &r->node);
	free(r);
}

void evt_res_tidy(struct evt_res *r)
{
	bool is_known = !list_is_empty(&r->watchers) || r->n_pubs || r->n_messages ||
			r->has_mailbox || r->sending || r->notifying;
	if (!is_known)
		res_free(r);
}

/* ---- changes --------------------------------------------------------------------------------- */

static struct evt_tell *tell_new(obj_id sub, unsigned member, struct str body)
{
	struct evt_tell *t = malloc(sizeof(*t) + body.n);
	if (!t)
		return NULL;
	*t = (struct evt_tell){
		.h = {.inbox.kind = INBOX_EVENT_TELL, .member = (uint16_t)member, .sub = sub},
		.n = body.n
        };
	if (body.n)
		memcpy(t->body, body.p, body.n);
	return t;
}

void evt_poke(struct evt_watcher *w)
{
	struct evt_shard *s = w->res->s;
	struct evt_tell *t = w->is_poked ? NULL : tell_new(w->sub, w->member, STR_NONE);
	if (t)
		ev_post(s->loop, w->shard, &t->h.inbox);
	s->has_unpoked |= !t && !w->is_poked;
	w->is_poked |= t != NULL;
}

void evt_res_changed(struct evt_res *r, unsigned pkg)
{
	r->stamps[pkg] = ++r->stamp;
	if (!r->n_watchers[pkg])
		return;
	LIST_EACH (&r->watchers, l) {
		struct evt_watcher *w = LIST_ENTRY(l, struct evt_watcher, link);
		if (w->pkg == pkg)
			evt_poke(w);
	}
}

/* Those that could not be told for want of memory. */
void evt_poke_again(void *arg, struct hnode *node)
{
	struct evt_res *r = CONTAINER_OF(node, struct evt_res, node);
	LIST_EACH (&r->watchers, l) {
		struct evt_watcher *w = LIST_ENTRY(l, struct evt_watcher, link);
		if (!w->has_seen || w->seen < r->stamps[w->pkg])
			evt_poke(w);
	}
}

static void on_timer(struct tmr *t);

/* The next publication that expires, the next dead dialog to be forgotten. */
void evt_res_plan(struct evt_res *r)
{
	uint64_t due = UINT64_MAX, now = ev_now_us(r->s->loop);
	LIST_EACH (&r->pubs, l) {
		struct evt_pub *p = LIST_ENTRY(l, struct evt_pub, link);
		due = p->ends_us < due ? p->ends_us : due;
	}
	LIST_EACH (&r->dialogs, l) {
		struct evt_known_dialog *d = LIST_ENTRY(l, struct evt_known_dialog, link);
		if (d->gone_us && d->gone_us + GONE_US < due)
			due = d->gone_us + GONE_US;
	}
	if (due == UINT64_MAX)
		ev_timer_stop(r->s->loop, &r->timer);
	else
		ev_timer(r->s->loop, &r->timer, due > now ? due - now : 0, on_timer);
}

static void forget_dialog(struct evt_res *r, struct evt_known_dialog *d)
{
	if (d->stamp > r->purged)
		r->purged = d->stamp;
	list_del(&d->link);
	r->n_dialogs--;
	free(d);
}

static void on_timer(struct tmr *t)
{
	struct evt_res *r = CONTAINER_OF(t, struct evt_res, timer);
	uint64_t now = ev_now_us(r->s->loop);
	bool has_changed = false;
	LIST_EACH (&r->pubs, l) {
		struct evt_pub *p = LIST_ENTRY(l, struct evt_pub, link);
		if (p->ends_us > now)
			continue;
		evt_pub_end(r, p);
		has_changed = true;
	}
	LIST_EACH (&r->dialogs, l) {
		struct evt_known_dialog *d = LIST_ENTRY(l, struct evt_known_dialog, link);
		if (d->gone_us && d->gone_us + GONE_US <= now)
			forget_dialog(r, d);
	}
	if (has_changed)
		evt_res_changed(r, EVT_PRESENCE);
	evt_res_plan(r);
	evt_res_tidy(r);
}

/* ---- watchers -------------------------------------------------------------------------------- */

static size_t word_of(const struct evt_shard *s, struct str aor)
{
	return (size_t)(hash_of(s, aor) % EVT_WORDS);
}

static void count_watched(struct evt_res *r, int change)
{
	struct evt_shard *s = r->s;
	size_t i = word_of(s, evt_aor(r));
	ev_words_set(s->watched, i, ev_words_get(s->watched, i) + (uint32_t)change);
}

struct evt_watch evt_watch_of(struct evt_shard *s, struct str aor)
{
	return (struct evt_watch){(uint16_t)evt_home(s, aor), (uint16_t)word_of(s, aor)};
}

bool evt_is_watched(struct evt_shard *s, struct evt_watch w)
{
	return ev_words_get(s->e->s[w.home]->watched, w.word) != 0;
}

static void gather(struct evt_res *r)
{
	struct evt_shard *s = r->s;
	for (size_t i = 0; i < s->e->n; i++) {
		struct evt_gather_msg *g = malloc(sizeof(*g) + r->n_aor);
		if (!g)
			return; /* the lamp learns of calls from their next change on */
		g->inbox.kind = INBOX_EVENT_GATHER;
		g->n_aor = r->n_aor;
		memcpy(g->aor, r->aor, r->n_aor);
		ev_post(s->loop, i, &g->inbox);
	}
}

static void tell_winfo(struct evt_res *r, unsigned pkg)
{
	for (unsigned i = 0; i < EVT__N; i++)
		if (i != pkg && evt_info(i)->base == pkg)
			evt_res_changed(r, i);
}

static struct evt_watcher *find_watcher(struct evt_res *r, const struct evt_ask *a)
{
	LIST_EACH (&r->watchers, l) {
		struct evt_watcher *w = LIST_ENTRY(l, struct evt_watcher, link);
		if (w->sub == a->h.sub && w->member == a->h.member)
			return w;
	}
	return NULL;
}

static struct evt_watcher *add_watcher(struct evt_res *r, const struct evt_ask *a)
{
	struct evt_shard *s = r->s;
	if (r->n_watchers[a->pkg] >= LIMIT_WATCHERS)
		return NULL;
	struct evt_watcher *w = calloc(1, sizeof(*w) + a->n_uri);
	if (!w)
		return NULL;
	w->res = r;
	w->sub = a->h.sub;
	w->member = a->h.member;
	w->shard = a->from;
	w->pkg = a->pkg;
	w->id = ++s->serial;
	w->n_uri = a->n_uri;
	memcpy(w->uri, a->text + a->n_aor, a->n_uri);
	list_push(&r->watchers, &w->link);
	s->n_watchers++;
	bool is_first = !r->n_watchers[a->pkg]++;
	if (a->pkg == EVT_DIALOG) {
		count_watched(r, 1);
		if (is_first)
			gather(r);
	}
	tell_winfo(r, a->pkg);
	return w;
}

static void del_watcher(struct evt_watcher *w)
{
	struct evt_res *r = w->res;
	unsigned pkg = w->pkg;
	list_del(&w->link);
	free(w);
	r->s->n_watchers--;
	r->n_watchers[pkg]--;
	if (pkg == EVT_DIALOG)
		count_watched(r, -1);
	if (pkg == EVT_DIALOG && !r->n_watchers[pkg]) {
		LIST_EACH (&r->dialogs, l)
			forget_dialog(r, LIST_ENTRY(l, struct evt_known_dialog, link));
		evt_res_plan(r);
	}
	if (pkg == EVT_REG)
		evt_gone_told(r);
	tell_winfo(r, pkg);
	evt_res_tidy(r);
}

/* ---- questions ------------------------------------------------------------------------------- */

/* Takes a. */
static void answer_ask(struct evt_shard *s, struct evt_ask *a, struct evt_res *r,
		       struct evt_watcher *w)
{
	struct evt_view v = {
		.res = r,
		.s = s,
		.aor = str_of(a->text, a->n_aor),
		.entity = str_of(a->text + a->n_aor + a->n_uri, a->n_entity),
		.version = a->version,
		.since = w ? w->seen : 0,
		.is_full = a->h.is_full || !w || !w->has_seen,
		.has_seen = w && w->has_seen,
	};
	bool is_news = v.is_full || w->seen < r->stamps[a->pkg];
	struct evt_tell *t = NULL;
	buf_clear(&s->doc);
	if (is_news)
		evt_body_put(a->pkg, &v, &s->doc);
	if (s->doc.err == OK)
		t = tell_new(a->h.sub, a->h.member, buf_view(&s->doc));
	if (w) {
		w->is_poked = false;
		w->seen = t ? r->stamp : w->seen;
		w->has_seen |= t != NULL;
		if (a->pkg == EVT_REG)
			evt_gone_told(r);
	}
	if (!t) {
		s->has_unpoked = true;
		a->h.is_lost = true;
		a->h.inbox.kind = INBOX_EVENT_TELL;
		ev_post(s->loop, a->from, &a->h.inbox);
		return;
	}
	t->h.serial = a->h.serial;
	t->h.is_full = v.is_full;
	t->h.is_news = is_news;
	ev_post(s->loop, a->from, &t->h.inbox);
	free(a);
}

static void on_ask(void *ctx, struct ev_loop *loop, struct inbox_msg *m)
{
	struct evt_shard *s = ctx;
	struct evt_ask *a = CONTAINER_OF(m, struct evt_ask, h.inbox);
	struct str aor = str_of(a->text, a->n_aor);
	bool is_end = a->op == EVT_UNWATCH;
	struct evt_res *r = is_end ? evt_res_find(s, aor) : evt_res_get(s, aor);
	struct evt_watcher *w = r ? find_watcher(r, a) : NULL;
	if (is_end) {
		if (w)
			del_watcher(w);
		free(a);
		return;
	}
	if (r && !w)
		w = add_watcher(r, a);
	answer_ask(s, a, r, w);
	if (r && !w)
		evt_res_tidy(r);
}

/* ---- dialogs of calls ------------------------------------------------------------------------ */

static struct str add_text(char **at, struct str s)
{
	struct str out = str_of(*at, s.n);
	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return out;
}

static struct evt_known_dialog *known_new(const struct evt_dialog *d)
{
	size_t n = d->call_id.n + d->local_tag.n + d->remote_tag.n + d->local.n + d->remote.n +
		   d->remote_name.n;
	struct evt_known_dialog *k = calloc(1, sizeof(*k) + n);
	if (!k)
		return NULL;
	char *at = k->text;
	list_init(&k->link);
	k->d = *d;
	k->d.call_id = add_text(&at, d->call_id);
	k->d.local_tag = add_text(&at, d->local_tag);
	k->d.remote_tag = add_text(&at, d->remote_tag);
	k->d.local = add_text(&at, d->local);
	k->d.remote = add_text(&at, d->remote);
	k->d.remote_name = add_text(&at, d->remote_name);
	return k;
}

void evt_tell_dialog(struct evt_shard *s, struct str aor, const struct evt_dialog *d)
{
	struct evt_dialog_msg *m = aor.n <= LIMIT_AOR_BYTES ? malloc(sizeof(*m) + aor.n) : NULL;
	if (!m)
		return;
	m->inbox.kind = INBOX_EVENT_DIALOG;
	m->known = known_new(d);
	m->n_aor = (uint8_t)aor.n;
	memcpy(m->aor, aor.p, aor.n);
	if (m->known)
		ev_post(s->loop, evt_home(s, aor), &m->inbox);
	else
		free(m);
}

/* Room for one more: the oldest that has ended goes. False: there is none. */
static bool make_room(struct evt_res *r)
{
	if (r->n_dialogs < LIMIT_KNOWN_DIALOGS)
		return true;
	LIST_EACH (&r->dialogs, l) {
		struct evt_known_dialog *d = LIST_ENTRY(l, struct evt_known_dialog, link);
		if (!d->gone_us)
			continue;
		forget_dialog(r, d);
		return true;
	}
	return false;
}

static bool is_same(const struct evt_dialog *a, const struct evt_dialog *b)
{
	return a->call == b->call && a->fork == b->fork && a->is_initiator == b->is_initiator;
}

/* Takes k. False: it says nothing new. */
static bool learn_dialog(struct evt_res *r, struct evt_known_dialog *k)
{
	struct evt_known_dialog *old = NULL;
	LIST_EACH (&r->dialogs, l) {
		struct evt_known_dialog *d = LIST_ENTRY(l, struct evt_known_dialog, link);
		if (is_same(&d->d, &k->d))
			old = d;
	}
	bool is_over = k->d.state == EVT_TERMINATED;
	bool is_old_news = old && (old->gone_us || (old->d.state == k->d.state &&
						    str_eq(old->d.remote_tag, k->d.remote_tag)));
	if (is_old_news || (!old && (is_over || !make_room(r)))) {
		free(k);
		return false;
	}
	if (old) {
		list_del(&old->link);
		free(old);
	} else {
		r->n_dialogs++;
	}
	k->stamp = r->stamp + 1;
	k->gone_us = is_over ? ev_now_us(r->s->loop) : 0;
	list_push(&r->dialogs, &k->link);
	return true;
}

static void on_dialog(void *ctx, struct ev_loop *loop, struct inbox_msg *m)
{
	struct evt_dialog_msg *d = CONTAINER_OF(m, struct evt_dialog_msg, inbox);
	struct evt_res *r = evt_res_find(ctx, str_of(d->aor, d->n_aor));
	if (!r || !r->n_watchers[EVT_DIALOG]) {
		free(d->known);
	} else if (learn_dialog(r, d->known)) {
		evt_res_changed(r, EVT_DIALOG);
		evt_res_plan(r);
	}
	free(d);
}

static void on_gather(void *ctx, struct ev_loop *loop, struct inbox_msg *m)
{
	struct evt_shard *s = ctx;
	struct evt_gather_msg *g = CONTAINER_OF(m, struct evt_gather_msg, inbox);
	if (s->gather)
		s->gather(s->gather_ctx, str_of(g->aor, g->n_aor));
	free(g);
}

/* ---- registrations --------------------------------------------------------------------------- */

static void on_deliver(struct tmr *t)
{
	evt_deliver(CONTAINER_OF(t, struct evt_res, deliver));
}

void evt_on_location(void *ctx, size_t shard, const struct loc_event *ev)
{
	struct evt *e = ctx;
	struct evt_shard *s = e->s[shard];
	struct evt_res *r = s ? evt_res_find(s, ev->aor) : NULL;
	if (!r)
		return;
	bool was_open = r->is_open;
	r->is_open = is_open(s, ev->aor);
	if (was_open != r->is_open && !r->n_pubs)
		evt_res_changed(r, EVT_PRESENCE);
	if (ev->kind != LOC_REFRESHED) {
		evt_gone_note(r, ev);
		evt_res_changed(r, EVT_REG);
	}
	r->has_mail_news |= ev->kind == LOC_ADDED && r->has_mailbox;
	bool has_come = ev->kind == LOC_ADDED || ev->kind == LOC_REFRESHED;
	if (has_come && (r->n_messages || r->has_mail_news))
		ev_timer(s->loop, &r->deliver, DELIVER_US, on_deliver);
}

/* ---- making ---------------------------------------------------------------------------------- */

static void free_ask(struct inbox_msg *m)
{
	free(CONTAINER_OF(m, struct evt_ask, h.inbox));
}

static void free_dialog(struct inbox_msg *m)
{
	struct evt_dialog_msg *d = CONTAINER_OF(m, struct evt_dialog_msg, inbox);
	free(d->known);
	free(d);
}

static void free_gather(struct inbox_msg *m)
{
	free(CONTAINER_OF(m, struct evt_gather_msg, inbox));
}

void evt_home_init(struct evt_shard *s)
{
	struct ev_shards *shards = s->e->env.shards;
	ev_inbox_handle(shards, s->n, INBOX_EVENT_ASK, on_ask, s);
	ev_inbox_handle(shards, s->n, INBOX_EVENT_DIALOG, on_dialog, s);
	ev_inbox_handle(shards, s->n, INBOX_EVENT_GATHER, on_gather, s);
	ev_inbox_discard(shards, INBOX_EVENT_ASK, free_ask);
	ev_inbox_discard(shards, INBOX_EVENT_DIALOG, free_dialog);
	ev_inbox_discard(shards, INBOX_EVENT_GATHER, free_gather);
}

static void free_res(void *arg, struct hnode *node)
{
	res_free(CONTAINER_OF(node, struct evt_res, node));
}

void evt_home_fini(struct evt_shard *s)
{
	if (s->res.buckets)
		htab_each(&s->res, free_res, NULL);
	htab_fini(&s->res);
}
