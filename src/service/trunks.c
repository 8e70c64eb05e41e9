/* Trunks: slots, words, and what every shard asks.
 *
 * A slot is a trunk's number. It belongs to a name for as long as a policy in force has it, and
 * beyond that while calls go over it: so a call counts on through any reload, and gives its seat
 * back to the trunk that it took it from. The words of a slot are how many calls there are, and
 * for each host whether it is down. Seats are exact over all shards: who adds one too many takes
 * it back.
 *
 * Where registrations were accepted is a snapshot, published by shard 0 when it changes: calls from
 * there are the trunk's.
 *
 * Ownership: lines belong to shard 0 (trunk_lines.c). Words live from trunks_new to trunks_free. */
#include "service/trunks_priv.h"

#include "base/assert.h"
#include "base/hash.h"
#include "sip/hdr.h"

#include <stdlib.h>
#include <string.h>

/* ---- what calls find out --------------------------------------------------------------------- */

#define DOUBT_S     30u  /* where no Retry-After says for how long */
#define DOUBT_MAX_S 600u /* whatever it says */

struct doubt {
	struct inbox_msg msg;
	uint16_t slot;
	uint32_t host, for_s;
	unsigned status;
};

void trunks_doubt(struct trunks *t, uint16_t slot, uint32_t host, const struct sip_msg *refusal)
{
	struct doubt *d = calloc(1, sizeof(*d));
	struct str rest;
	if (!d)
		return; /* the next call finds out again */
	*d = (struct doubt){.msg.kind = INBOX_TRUNK_DOUBT, .slot = slot, .host = host};
	if (refusal) {
		struct str value = str_cut(sip_value(refusal, SIP_HDR_RETRY_AFTER), ';', &rest);
		d->status = refusal->status;
		if (sip_seconds_parse(str_trim(str_cut(value, '(', &rest)), &d->for_s) != OK)
			d->for_s = 0;
	}
	if (!d->for_s)
		d->for_s = DOUBT_S;
	if (d->for_s > DOUBT_MAX_S)
		d->for_s = DOUBT_MAX_S;
	ev_send(t->shards, 0, &d->msg);
}

/* Somebody is there who says 503: the only one who could take calls is asked again, since that may
 * have been about one call. */
static bool is_last(const struct trunks *t, const struct line *l)
{
	LIST_EACH (&((struct trunks *)t)->lines, link) {
		const struct line *o = LIST_ENTRY(link, struct line, link);
		if (o != l && o->slot == l->slot && o->state != TRUNK_DOWN)
			return false;
	}
	return true;
}

static void on_doubt(void *ctx, struct ev_loop *loop, struct inbox_msg *m)
{
	struct trunks *t = ctx;
	struct doubt *d = CONTAINER_OF(m, struct doubt, msg);
	LIST_EACH (&t->lines, link) {
		struct line *l = LIST_ENTRY(link, struct line, link);
		if (l->slot == d->slot && hash_quick32(l->host) == d->host &&
		    !(d->status && is_last(t, l)))
			line_doubt(l, d->status, d->for_s);
	}
	free(d);
}

static void discard_doubt(struct inbox_msg *m)
{
	free(CONTAINER_OF(m, struct doubt, msg));
}

/* ---- life -------------------------------------------------------------------------------------
 */

enum err trunks_new(struct ev_shards *shards, struct dlg_mgr *m, const struct trunks_user *user,
		    struct trunks **out)
{
	struct trunks *t = calloc(1, sizeof(*t));
	if (!t)
		return ERR_NOMEM;
	enum err e = ev_words_new((size_t)LIMIT_TRUNKS * TRUNK_WORDS, &t->words);
	if (e) {
		free(t);
		return e;
	}
	t->shards = shards;
	t->loop = ev_shard(shards, 0);
	t->m = m;
	t->user = *user;
	list_init(&t->lines);
	list_init(&t->leaving);
	ev_inbox_handle(shards, 0, INBOX_TRUNK_DOUBT, on_doubt, t);
	ev_inbox_discard(shards, INBOX_TRUNK_DOUBT, discard_doubt);
	*out = t;
	return OK;
}

void trunks_unregister(struct trunks *t)
{
	LIST_EACH (&t->lines, l)
		line_end(LIST_ENTRY(l, struct line, link), true);
}

size_t trunks_leaving(const struct trunks *t)
{
	size_t n = 0;
	LIST_EACH (&((struct trunks *)t)->leaving, l)
		n++;
	return n;
}

void trunks_stop(struct trunks *t)
{
	if (!t)
		return;
	LIST_EACH (&t->lines, l)
		line_free(LIST_ENTRY(l, struct line, link));
	LIST_EACH (&t->leaving, l)
		line_free(LIST_ENTRY(l, struct line, link));
}

void trunks_free(struct trunks *t)
{
	if (!t)
		return;
	free(ev_snap_get(&t->peers));
	for (size_t i = 0; i < LIMIT_TRUNKS; i++)
		free((char *)t->name[i].p);
	ev_words_free(t->words);
	free(t);
}

/* ---- what all shards ask --------------------------------------------------------------------- */

bool trunks_is_up(const struct trunks *t, uint16_t slot, size_t host)
{
	return host >= LIMIT_TRUNK_HOSTS || !ev_words_get(t->words, trunk_word(slot, 1 + host));
}

bool trunks_take(struct trunks *t, uint16_t slot, uint32_t max_calls)
{
	uint32_t n = ev_words_add(t->words, trunk_word(slot, 0), 1);
	if (!max_calls || n <= max_calls)
		return true;
	trunks_leave(t, slot);
	return false;
}

void trunks_leave(struct trunks *t, uint16_t slot)
{
	ev_words_add(t->words, trunk_word(slot, 0), -1);
}

uint32_t trunks_calls(const struct trunks *t, uint16_t slot)
{
	return ev_words_get(t->words, trunk_word(slot, 0));
}

bool trunks_knows(struct trunks *t, uint16_t slot, const struct addr *from)
{
	const struct peers *p = ev_snap_get(&t->peers);
	for (size_t i = 0; p && i < p->n; i++)
		if (p->v[i].slot == slot && addr_ip_eq(&p->v[i].at, from))
			return true;
	return false;
}

static void free_peers(struct ev_retired *node)
{
	free(CONTAINER_OF(node, struct peers, retired));
}

void trunks_publish(struct trunks *t)
{
	struct peers *old = ev_snap_get(&t->peers), *p;
	size_t n = 0;
	LIST_EACH (&t->lines, l)
		n++;
	p = malloc(sizeof(*p) + n * sizeof(p->v[0]));
	if (!p)
		return; /* the next registration tries again */
	p->n = 0;
	LIST_EACH (&t->lines, link) {
		const struct line *l = LIST_ENTRY(link, struct line, link);
		if (l->is_registered)
			p->v[p->n++] = (struct peer){l->slot, l->at};
	}
	ev_snap_set(&t->peers, p);
	if (old)
		ev_retire(t->loop, &old->retired, free_peers);
}

/* ---- a policy -------------------------------------------------------------------------------- */

/* LIMIT_TRUNKS: there is none free. */
static size_t slot_of(struct trunks *t, struct str name)
{
	size_t free_at = LIMIT_TRUNKS;
	for (size_t i = LIMIT_TRUNKS; i--;) {
		if (t->name[i].n && str_eq(t->name[i], name))
			return i;
		if (!t->is_used[i] && !trunks_calls(t, (uint16_t)i))
			free_at = i;
	}
	if (free_at == LIMIT_TRUNKS)
		return LIMIT_TRUNKS;
	char *copy = malloc(name.n + 1);
	if (!copy)
		return LIMIT_TRUNKS;
	memcpy(copy, name.p, name.n);
	free((char *)t->name[free_at].p);
	t->name[free_at] = str_of(copy, name.n);
	return free_at;
}

static struct line *find_line(struct trunks *t, uint16_t slot, const struct pol_trunk *p,
			      const struct pol_host *h)
{
	LIST_EACH (&t->lines, link) {
		struct line *l = LIST_ENTRY(link, struct line, link);
		if (l->slot == slot && str_eq(l->host, h->host.s) && str_eq(l->user, p->user.s) &&
		    str_eq(l->auth_user, p->auth_user.s) && str_eq(l->password, p->password.s) &&
		    l->does_register == (p->does_register == POL_YES) && l->probe_s == p->probe_s)
			return l;
	}
	return NULL;
}

/* Another line has the same Contact at the same registrar. */
static bool has_heir(struct trunks *t, const struct line *old)
{
	LIST_EACH (&t->lines, link) {
		const struct line *l = LIST_ENTRY(link, struct line, link);
		if (l != old && l->is_kept && l->does_register && str_eq(l->host, old->host) &&
		    str_eq(l->user, old->user))
			return true;
	}
	return false;
}

static enum err keep_or_make(struct trunks *t, const struct pol_trunk *p, uint16_t slot,
			     struct link *fresh)
{
	const struct pol_host *h = p->hosts.v;
	for (size_t i = 0; i < p->hosts.n && i < LIMIT_TRUNK_HOSTS; i++) {
		struct line *l = find_line(t, slot, p, &h[i]);
		if (!l) {
			l = line_new(t, slot, p, i);
			if (!l)
				return ERR_NOMEM;
			list_push(fresh, &l->link);
		}
		l->is_kept = true;
		l->host_at = (uint8_t)i;
	}
	return OK;
}

/* What was learned of hosts is said again in the order of the new file. */
static void set_words(struct trunks *t)
{
	for (uint16_t slot = 0; slot < LIMIT_TRUNKS; slot++)
		for (size_t i = 0; i < LIMIT_TRUNK_HOSTS; i++)
			ev_words_set(t->words, trunk_word(slot, 1 + i), 0);
	LIST_EACH (&t->lines, link) {
		const struct line *l = LIST_ENTRY(link, struct line, link);
		ev_words_set(t->words, trunk_word(l->slot, 1u + l->host_at),
			     l->state == TRUNK_DOWN);
	}
}

enum err trunks_set(struct trunks *t, const struct pol_config *c, uint16_t *slot)
{
	struct link fresh;
	enum err e = OK;
	size_t n = c ? c->trunks.n : 0;
	bool used[LIMIT_TRUNKS] = {0};
	list_init(&fresh);
	LIST_EACH (&t->lines, link)
		LIST_ENTRY(link, struct line, link)->is_kept = false;
	for (size_t i = 0; i < n && e == OK; i++) {
		const struct pol_trunk *p = pol_trunk_at(c, (uint32_t)i);
		size_t at = slot_of(t, p->name.s);
		if (at == LIMIT_TRUNKS) {
			e = ERR_LIMIT;
			break;
		}
		slot[i] = (uint16_t)at;
		used[at] = t->is_used[at] = true; /* not given away twice */
		e = keep_or_make(t, p, slot[i], &fresh);
	}
	if (e) { /* slots of names that are not in force are free again with the next file */
		LIST_EACH (&fresh, link)
			line_free(LIST_ENTRY(link, struct line, link));
		return e;
	}
	memcpy(t->is_used, used, sizeof(used));
	LIST_EACH (&fresh, link) {
		struct line *l = LIST_ENTRY(link, struct line, link);
		list_del(&l->link);
		list_push(&t->lines, &l->link);
		line_start(l);
	}
	LIST_EACH (&t->lines, link) {
		struct line *l = LIST_ENTRY(link, struct line, link);
		if (!l->is_kept)
			line_end(l, !has_heir(t, l));
	}
	set_words(t);
	trunks_publish(t);
	return OK;
}

bool trunks_next(const struct trunks *t, size_t *at, struct trunk_line *out)
{
	size_t i = 0;
	LIST_EACH (&((struct trunks *)t)->lines, link) {
		const struct line *l = LIST_ENTRY(link, struct line, link);
		if (i++ != *at)
			continue;
		*at = i;
		*out = (struct trunk_line){.trunk = l->trunk,
					   .host = l->host,
					   .why = str_c(l->why),
					   .state = l->state,
					   .does_register = l->does_register,
					   .is_registered = l->is_registered,
					   .is_probed = l->probe_s > 0,
					   .slot = l->slot,
					   .since_us = l->since_us,
					   .expires_us = l->expires_us,
					   .at = l->at};
		return true;
	}
	return false;
}
