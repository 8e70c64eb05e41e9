/* What an operator asks of a shard: its registrations and subscriptions in parts, its counters, the
 * end of a registration or of a call.
 *
 * A part is a slice of the bindings' table (a 256th), or all subscriptions of the shard at once:
 * these are bounded by the dialogs' pool and change places while the question is away, so that a
 * place in the pool would not say where to go on. What is read here belongs to the shard; rows are
 * written at once, and nothing is kept.
 *
 * A registration is deleted as a phone would do it: "Contact: *" under a Call-ID of our own, which
 * goes to the shard of its AOR, into the journal, and to whoever watches. [RFC3261 10.2.2] A call
 * is hung up where one of its dialogs is ours; of a call that is only proxied no one but its ends
 * can send BYE. */
#include "admin/admin_priv.h"

#include "base/assert.h"
#include "dialog/session.h"
#include "dialog/subscription.h"
#include "service/accounts.h"
#include "service/ban.h"
#include "service/proxy.h"
#include "service/trunks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- registrations --------------------------------------------------------------------------- */

struct reg_walk {
	struct adm_ask *q;
	size_t shard;
};

static bool emit_binding(struct adm_ask *q, struct str aor, const struct loc_binding *b)
{
	struct adm_row r;
	char source[ADDR_TEXT_MAX];
	adm_row_init(&r, ADM_registration);
	adm_text(&r, ADM_F_registration_aor, aor);
	adm_text(&r, ADM_F_registration_contact, b->uri);
	adm_text(&r, ADM_F_registration_source, str_c(addr_text(&b->from, source)));
	adm_text(&r, ADM_F_registration_transport, tp_proto_name((enum tp_proto)b->proto));
	adm_number(&r, ADM_F_registration_expires, b->expires_s);
	adm_text(&r, ADM_F_registration_user_agent, b->user_agent);
	adm_number(&r, ADM_F_registration_age, b->age_s);
	adm_number(&r, ADM_F_registration_q, b->q);
	adm_number(&r, ADM_F_registration_nat, b->is_nated);
	adm_number(&r, ADM_F_registration_down, b->is_down);
	adm_text(&r, ADM_F_registration_path, b->path);
	adm_text(&r, ADM_F_registration_instance, b->instance);
	adm_text(&r, ADM_F_registration_call_id, b->call_id);
	return adm_emit(q, &r);
}

static bool on_record(void *arg, struct str aor, const struct loc_rec *rec)
{
	struct reg_walk *w = arg;
	struct loc *l = exc_location(w->q->adm->exc);
	struct loc_scratch scratch;
	struct loc_binding b;
	size_t cursor = 0;
	while (loc_next(l, w->shard, rec, &cursor, &b, &scratch))
		if (!emit_binding(w->q, aor, &b))
			return false;
	return true;
}

/* "1001" is short for 1001 at our own domain. */
static bool find_aor(struct adm_ask *q, char aor[ADM_TEXT_MAX])
{
	struct buf b;
	buf_init_fixed(&b, aor, ADM_TEXT_MAX);
	if (str_chr(str_c(q->key), '@') == SIZE_MAX)
		dom_aor_of_user(exc_domains(q->adm->exc), str_c(q->key), &b);
	else
		buf_str(&b, str_c(q->key));
	return buf_cstr(&b) != NULL;
}

static bool registrations_of(struct adm_ask *q, size_t shard)
{
	char aor[ADM_TEXT_MAX];
	struct loc *l = exc_location(q->adm->exc);
	struct reg_walk w = {.q = q, .shard = shard};
	q->place = q->end - 1; /* any shard can tell: no other is asked */
	if (!find_aor(q, aor))
		return true;
	memcpy(q->key, aor, sizeof(q->key));
	const struct loc_rec *r = loc_get(l, str_c(aor));
	if (r)
		(void)on_record(&w, str_c(aor), r);
	return true;
}

static bool registrations_part(struct adm_ask *q, size_t shard)
{
	struct reg_walk w = {.q = q, .shard = shard};
	if (q->key[0])
		return registrations_of(q, shard);
	loc_each_of(exc_location(q->adm->exc), shard, q->cursor++, on_record, &w);
	return q->cursor == LOC_PARTS;
}

struct removal {
	struct loc_change change;
	struct adm_ask *q;
	char aor[ADM_TEXT_MAX], call_id[40];
};

static void free_removal(struct loc_change *c)
{
	struct removal *r = CONTAINER_OF(c, struct removal, change);
	adm_ask_free(r->q);
	free(r);
}

static void on_removed(struct loc_change *c)
{
	struct removal *r = CONTAINER_OF(c, struct removal, change);
	struct adm_ask *q = r->q;
	q->n_rows = c->n_removed;
	if (c->outcome == LOC_OK && c->n_removed)
		adm_answer(q, ADM_DONE, "");
	else if (c->outcome == LOC_OK)
		adm_answer(q, ADM_NO_SUCH, "nothing is registered under that address");
	else
		adm_answer(q, ADM_FAILED, c->why[0] ? c->why : "the store refused; try again");
	free(r);
}

static void delete_registration(struct adm_ask *q, size_t shard)
{
	struct ev_loop *l = ev_shard(q->adm->shards, shard);
	struct removal *r = calloc(1, sizeof(*r));
	if (!r || !find_aor(q, r->aor)) {
		adm_answer(q, ADM_FAILED, r ? "that address is too long" : "not enough memory");
		free(r);
		return;
	}
	r->q = q;
	snprintf(r->call_id, sizeof(r->call_id), "operator-%016llx",
		 (unsigned long long)env_random_u64(l->env));
	r->change = (struct loc_change){.aor = str_c(r->aor),
					.call_id = str_c(r->call_id),
					.cseq = 1,
					.is_star = true,
					.done = on_removed,
					.drop = free_removal};
	loc_change(exc_location(q->adm->exc), shard, &r->change);
}

/* ---- subscriptions --------------------------------------------------------------------------- */

static bool subscriptions_part(struct adm_ask *q, size_t shard)
{
	uint32_t at = 0;
	struct sub *s;
	while ((s = sub_next_notified(exc_dialogs(q->adm->exc, shard), &at))) {
		struct adm_row r;
		const struct dlg *d = sub_dialog(s);
		adm_row_init(&r, ADM_subscription);
		adm_text(&r, ADM_F_subscription_event, sub_event_of(s));
		adm_text(&r, ADM_F_subscription_resource, dlg_local(d));
		adm_text(&r, ADM_F_subscription_watcher, dlg_remote_target(d));
		adm_text(&r, ADM_F_subscription_call_id, dlg_call_id(d));
		(void)adm_emit(q, &r);
		if (q->is_more)
			break;
	}
	return true;
}

/* ---- trunks and rules: on shard 0 ------------------------------------------------------------ */

static uint64_t seconds_between(uint64_t from_us, uint64_t to_us)
{
	return to_us > from_us ? (to_us - from_us) / 1'000'000 : 0;
}

static bool trunks_part(struct adm_ask *q, size_t shard)
{
	static const char *const states[] = {
		[TRUNK_UNKNOWN] = "unknown", [TRUNK_UP] = "up", [TRUNK_DOWN] = "down"};
	const struct trunks *t = exc_trunks(q->adm->exc);
	uint64_t now_us = ev_now_us(ev_shard(q->adm->shards, shard));
	struct trunk_line l;
	size_t at = 0;
	while (!shard && trunks_next(t, &at, &l)) {
		struct adm_row r;
		char address[ADDR_TEXT_MAX];
		adm_row_init(&r, ADM_trunk);
		adm_text(&r, ADM_F_trunk_name, l.trunk);
		adm_text(&r, ADM_F_trunk_host, l.host);
		adm_text(&r, ADM_F_trunk_state, str_c(states[l.state]));
		if (l.does_register)
			adm_number(&r, ADM_F_trunk_registered, l.is_registered);
		adm_number(&r, ADM_F_trunk_calls, trunks_calls(t, l.slot));
		adm_text(&r, ADM_F_trunk_why, l.why);
		if (l.since_us)
			adm_number(&r, ADM_F_trunk_since, seconds_between(l.since_us, now_us));
		if (l.expires_us)
			adm_number(&r, ADM_F_trunk_expires, seconds_between(now_us, l.expires_us));
		if (l.at.family)
			adm_text(&r, ADM_F_trunk_address, str_c(addr_text(&l.at, address)));
		if (!adm_emit(q, &r))
			break;
	}
	return true;
}

static void put_patterns(struct buf *b, const char *what, const struct pol_patterns *p)
{
	for (size_t i = 0; i < p->n; i++)
		buf_fmt(b, "%s" STR_FMT, i ? "," : b->n ? what : what + 1, STR_ARG(p->v[i].text));
}

static void put_act(struct buf *b, const struct pol_route *t)
{
	if (t->reject)
		buf_fmt(b, "reject %u " STR_FMT, t->reject, STR_ARG(t->reason.s));
	else if (t->trunk.n)
		buf_str(b, STR("trunk"));
	else if (t->redirect.n)
		buf_str(b, STR("redirect"));
	else if (t->user.text.n)
		buf_fmt(b, "user " STR_FMT, STR_ARG(t->user.text));
	else if (t->group.text.n)
		buf_fmt(b, "group " STR_FMT, STR_ARG(t->group.text));
	else
		buf_str(b, STR("continue"));
	for (size_t i = 0; i < t->trunk.n; i++)
		buf_fmt(b, " " STR_FMT, STR_ARG(t->trunk.v[i].s));
	for (size_t i = 0; i < t->redirect.n; i++)
		buf_fmt(b, " " STR_FMT, STR_ARG(t->redirect.v[i].text));
}

static bool emit_rule(struct adm_ask *q, const struct pol_route *t)
{
	struct adm_row r;
	struct buf match, act;
	char name[32];
	buf_init(&match);
	buf_init(&act);
	put_patterns(&match, " from ", &t->from);
	put_patterns(&match, " to ", &t->to);
	put_patterns(&match, " host ", &t->host);
	put_act(&act, t);
	snprintf(name, sizeof(name), "line %u", t->place.at.line);
	adm_row_init(&r, ADM_route);
	adm_text(&r, ADM_F_route_rule, t->name.s.n ? t->name.s : str_c(name));
	adm_number(&r, ADM_F_route_line, t->place.at.line);
	adm_text(&r, ADM_F_route_match, buf_view(&match));
	adm_text(&r, ADM_F_route_act, buf_view(&act));
	bool goes_on = match.err == OK && act.err == OK && adm_emit(q, &r);
	if (match.err || act.err)
		q->out.err = ERR_NOMEM;
	buf_fini(&match);
	buf_fini(&act);
	return goes_on;
}

static bool routes_part(struct adm_ask *q, size_t shard)
{
	const struct pol_config *c = shard ? NULL : exc_policy(q->adm->exc);
	while (c && q->cursor < c->routes.n && q->out.n < ADM_PIECE)
		if (!emit_rule(q, pol_route_at(c, q->cursor++)))
			return true;
	return !c || q->cursor >= c->routes.n;
}

/* ---- all of it ------------------------------------------------------------------------------- */

bool adm_shard_part(struct adm_ask *q, size_t shard)
{
	switch (q->kind) {
	case ADM_registration:
		return registrations_part(q, shard);
	case ADM_subscription:
		return subscriptions_part(q, shard);
	case ADM_trunk:
		return trunks_part(q, shard);
	case ADM_ban:
		if (shard == 0)
			adm_bans_list(q);
		return true;
	default:
		return routes_part(q, shard);
	}
}

bool adm_shard_delete(struct adm_ask *q, size_t shard)
{
	if (q->kind == ADM_registration) {
		delete_registration(q, shard);
		return true;
	}
	if (q->kind == ADM_ban) {
		adm_bans_delete(q);
		return true;
	}
	struct ses *s = ses_find_call(exc_dialogs(q->adm->exc, shard), str_c(q->key));
	if (!s)
		return false;
	ses_hangup(s, STR("SIP;cause=200;text=\"Ended by the operator\""));
	q->n_rows = 1;
	adm_answer(q, ADM_DONE, "");
	return true;
}

static void on_reloaded(void *ctx, enum err e)
{
	adm_answer(ctx, e == OK ? ADM_DONE : ADM_FAILED,
		   e == OK ? "" : "the accounts cannot be read; those in memory stay in force");
}

void adm_shard_reload(struct adm_ask *q)
{
	acc_reload(exc_accounts(q->adm->exc), on_reloaded, q);
}

static void measure_messages(struct adm_ask *q, size_t shard)
{
	uint64_t *m = q->metrics;
	struct tp_stats t;
	struct tsx_stats x;
	tp_stats(exc_transport(q->adm->exc, shard), &t);
	tsx_stats(exc_transactions(q->adm->exc, shard), &x);
	m[ADM_M_received_total] += t.n_received;
	m[ADM_M_sent_total] += t.n_sent;
	m[ADM_M_moved_total] += t.n_moved;
	m[ADM_M_unheard_total] += t.n_unheard;
	m[ADM_M_garbage_total] += t.n_garbage;
	m[ADM_M_dropped_no_memory_total] += t.n_no_memory;
	m[ADM_M_udp_full_total] += t.n_udp_full;
	m[ADM_M_icmp_errors_total] += t.n_icmp;
	m[ADM_M_transactions] += x.live_client + x.live_server;
	m[ADM_M_retransmits_sent_total] += x.retransmits_sent;
	m[ADM_M_retransmits_absorbed_total] += x.retransmits_absorbed;
	m[ADM_M_timeouts_total] += x.timeouts;
	m[ADM_M_transport_errors_total] += x.transport_errors;
}

void adm_shard_measure(struct adm_ask *q, size_t shard)
{
	struct exc *x = q->adm->exc;
	uint64_t *m = q->metrics;
	struct loc_stats l;
	struct dlg_stats d;
	struct prx_stats p;
	loc_stats(exc_location(x), shard, &l);
	dlg_stats(exc_dialogs(x, shard), &d);
	exc_proxy_stats(x, shard, &p);
	m[ADM_M_shed_total] += exc_n_shed(x, shard);
	if (shard == 0) {
		struct ban_stats bans;
		ban_stats(exc_bans(x), &bans);
		m[ADM_M_bans] = bans.n_banned;
		m[ADM_M_bans_total] = bans.n_bans;
	}
	m[ADM_M_accounts] = acc_count(exc_accounts(x));
	m[ADM_M_registered_addresses] += l.n_aors;
	m[ADM_M_bindings] += l.n_bindings;
	m[ADM_M_binding_bytes] += l.bytes;
	m[ADM_M_binding_changes_total] += l.n_changes;
	m[ADM_M_binding_expired_total] += l.n_expired;
	m[ADM_M_subscriptions] += d.subscriptions;
	m[ADM_M_own_sessions] += d.sessions;
	m[ADM_M_pending_requests] += exc_pending(x, shard);
	m[ADM_M_forwarded_total] += p.n_forwarded;
	m[ADM_M_forked_total] += p.n_forked;
	m[ADM_M_cancelled_total] += p.n_cancelled;
	m[ADM_M_loops_total] += p.n_loops;
	measure_messages(q, shard);
}
