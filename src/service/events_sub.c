/* Subscriptions: each on the shard of its Call-ID. The dialog layer keeps the protocol; here is
 * whose it is, what it may see, and the way of a document from the address's shard into a NOTIFY.
 *
 * Path: SUBSCRIBE → package, permission, bounds → sub_accept → the record is written (EVT 's') →
 * 200. Meanwhile the address's shard is asked (WATCH); its answer is the first NOTIFY's body. A
 * change pokes (`is_dirty`); when a NOTIFY may be sent, `body` asks for the document (FETCH) and
 * waits. A list has many members, one question each, and sends when all have been answered.
 *
 * Nothing of the state is kept here: 20,000 subscriptions are 20,000 dialogs and no documents.
 *
 * Invariants: 1. n_asked counts the members whose `asked` is set. 2. A subscription is in by_user
 * and in the journal from its acceptance to on_end; dropping it with the process leaves the record,
 * which the next one reads. 3. A document that was fetched is sent, or replaced by a whole one.
 * [RFC6665]
 */
#include "service/events_priv.h"

#include <stdlib.h>
#include <string.h>

static const struct sub_notifier notifier;

/* ---- life ------------------------------------------------------------------------------------ */

static struct str user_of(const struct evt_sub *x)
{
	return str_of(x->text, x->n_user);
}

static struct str aor_of(const struct evt_sub *x)
{
	return str_of(x->text + x->n_user, x->n_aor);
}

static struct evt_sub *sub_new(struct evt_shard *s, unsigned pkg, struct str user, struct str aor)
{
	if (user.n > UINT8_MAX || aor.n > UINT8_MAX)
		return NULL;
	struct evt_sub *x = pool_get(&s->subs);
	if (!x)
		return NULL;
	x->text = malloc(user.n + aor.n + 1);
	if (!x->text) {
		pool_put(&s->subs, x);
		return NULL;
	}
	if (user.n)
		memcpy(x->text, user.p, user.n);
	memcpy(x->text + user.n, aor.p, aor.n);
	x->s = s;
	x->pkg = (uint8_t)pkg;
	x->n_user = (uint8_t)user.n;
	x->n_aor = (uint8_t)aor.n;
	return x;
}

static void free_members(struct evt_sub *x)
{
	bool is_own = x->members == &x->one; /* its address is in x->text */
	for (unsigned i = 0; i < x->n_members; i++) {
		free(is_own ? NULL : x->members[i].aor);
		free(x->members[i].body);
	}
	if (!is_own)
		free(x->members);
	x->members = NULL;
	x->n_members = x->n_asked = 0;
}

static void sub_gone(struct evt_sub *x)
{
	struct evt_shard *s = x->s;
	if (x->is_in_table)
		htab_del(&s->by_user, &x->node);
	s->live_bytes -= x->n_record;
	free_members(x);
	free(x->text);
	pool_put(&s->subs, x);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* The address as this watcher calls it: his To, or for a member of a list the same with its name.
 */
static struct str entity_of(struct evt_sub *x, const struct evt_member *m)
{
	struct buf *b = &x->s->entity;
	struct sip_addr to;
	buf_clear(b);
	bool is_to = x->sub && sip_addr_parse(dlg_local(sub_dialog(x->sub)), &to) == OK;
	if (is_to && !x->is_list)
		return to.uri_text;
	if (!m)
		return is_to ? to.uri_text : aor_of(x);
	buf_str(b, STR("sip:"));
	sip_escape_user(b, dom_user_of_aor(x->s->e->env.dom, str_of(m->aor, m->n_aor)));
	buf_chr(b, '@');
	if (is_to && to.uri_err == OK) {
		bool is_v6 = to.uri.is_ip && to.uri.ip.family == ADDR_V6;
		buf_str(b, is_v6 ? STR("[") : STR_NONE);
		buf_str(b, to.uri.host);
		buf_str(b, is_v6 ? STR("]") : STR_NONE);
	} else {
		buf_str(b, dom_canonical(x->s->e->env.dom));
	}
	return buf_view(b);
}

/* False without memory. */
static bool ask(struct evt_sub *x, unsigned i, enum evt_ask_op op, bool is_full)
{
	struct evt_shard *s = x->s;
	struct evt_member *m = &x->members[i];
	struct str user = user_of(x);
	struct str entity = op == EVT_UNWATCH ? STR_NONE : entity_of(x, m);
	if (entity.n > UINT16_MAX)
		entity = STR_NONE;
	struct evt_ask *a = malloc(sizeof(*a) + m->n_aor + user.n + entity.n);
	if (!a)
		return false;
	*a = (struct evt_ask){
		.h = {.inbox.kind = INBOX_EVENT_ASK,
		      .is_full = is_full,
		      .member = (uint16_t)i,
		      .sub = pool_id(&s->subs, x),
		      .serial = ++s->serial},
		.op = (uint8_t)op,
		.pkg = x->pkg,
		.from = (uint16_t)s->n,
		.version = x->sub ? sub_n_notified(x->sub) : 0,
		.n_aor = m->n_aor,
		.n_uri = (uint8_t)user.n,
		.n_entity = (uint16_t)entity.n,
	};
	memcpy(a->text, m->aor, m->n_aor);
	if (user.n)
		memcpy(a->text + m->n_aor, user.p, user.n);
	if (entity.n)
		memcpy(a->text + m->n_aor + user.n, entity.p, entity.n);
	size_t home = evt_home(s, str_of(m->aor, m->n_aor));
	if (op != EVT_UNWATCH) {
		m->asked = a->h.serial;
		m->is_dirty = m->has_answer = false;
		x->n_asked++;
	}
	ev_post(s->loop, home, &a->h.inbox);
	return true;
}

static void unwatch_all(struct evt_sub *x)
{
	for (unsigned i = 0; i < x->n_members; i++)
		(void)ask(x, i, EVT_UNWATCH, false); /* else the next poke finds nobody */
}

static bool fill_members(struct evt_sub *x)
{
	x->generation = acc_generation(x->s->e->env.acc);
	if (x->is_list)
		return evt_list_fill(x);
	x->members = &x->one;
	x->one = (struct evt_member){.n_aor = x->n_aor, .aor = x->text + x->n_user};
	x->n_members = 1;
	return true;
}

static void on_tell(void *ctx, struct ev_loop *loop, struct inbox_msg *msg)
{
	struct evt_shard *s = ctx;
	struct evt_head *h = CONTAINER_OF(msg, struct evt_head, inbox);
	struct evt_sub *x = pool_find(&s->subs, h->sub);
	struct evt_member *m = x && h->member < x->n_members ? &x->members[h->member] : NULL;
	if (m && !h->serial) {
		m->is_dirty = true;
		if (x->sub)
			sub_notify(x->sub);
	} else if (m && m->asked == h->serial) {
		struct evt_tell *t = CONTAINER_OF(h, struct evt_tell, h);
		free(m->body);
		m->n_body = h->is_lost ? 0 : t->n;
		m->body = m->n_body ? malloc(m->n_body) : NULL;
		if (m->body)
			memcpy(m->body, t->body, m->n_body);
		m->asked = 0;
		m->has_answer = true;
		m->is_full = h->is_full;
		m->is_news = h->is_news;
		x->n_asked--;
		if (!x->n_asked && x->sub)
			sub_ready(x->sub);
	}
	free(h); /* the first member of either */
}

/* ---- what the dialog layer asks -------------------------------------------------------------- */

static bool is_needed(const struct evt_sub *x, const struct evt_member *m, bool is_full)
{
	if (m->asked)
		return false;
	if (m->has_answer)
		return is_full && !m->is_full;
	return is_full || m->is_dirty || !x->is_list;
}

/* An answer is sent once. */
static void drop_answers(struct evt_sub *x)
{
	for (unsigned i = 0; i < x->n_members; i++) {
		free(x->members[i].body);
		x->members[i].body = NULL;
		x->members[i].has_answer = false;
	}
}

static enum err body(void *ctx, struct sub *s, struct str *content_type, struct buf *out)
{
	struct evt_sub *x = ctx;
	bool is_full = sub_owes_full(s), is_news = false, is_newer = false;
	x->sub = s;
	for (unsigned i = 0; i < x->n_members; i++)
		if (is_needed(x, &x->members[i], is_full) &&
		    !ask(x, i, EVT_FETCH, is_full || x->is_list))
			return ERR_NOMEM;
	if (x->n_asked)
		return ERR_MORE;
	for (unsigned i = 0; i < x->n_members; i++) {
		is_news |= x->members[i].has_answer && x->members[i].is_news;
		is_newer |= x->members[i].is_dirty; /* poked since it was asked */
	}
	if (is_newer)
		sub_notify(s);
	enum err e = is_news || is_full ? OK : ERR_STATE;
	if (e == OK && x->is_list) {
		*content_type = buf_view(&x->s->e->list_type);
		evt_list_put(x, entity_of(x, NULL), is_full, sub_n_notified(s), out);
	} else if (e == OK) {
		buf_put(out, x->one.body, x->one.body ? x->one.n_body : 0);
	}
	drop_answers(x);
	return e;
}

static void on_refresh(void *ctx, struct sub *s, uint32_t expires_s)
{
	struct evt_sub *x = ctx;
	if (!x->is_list || x->generation == acc_generation(x->s->e->env.acc))
		return;
	unwatch_all(x); /* colleagues have come or gone */
	free_members(x);
	(void)fill_members(x); /* without memory the list is empty until the next refresh */
}

static void on_end(void *ctx, struct sub *s, const struct sub_end *end)
{
	struct evt_sub *x = ctx;
	x->sub = s;
	if (x->n_record) {
		evt_sub_record(x, &x->s->key_text, NULL);
		/* without memory for it: who restarts finds it, and its NOTIFY ends it */
		(void)!evt_write(x->s, buf_view(&x->s->key_text), STR_NONE, (struct evt_waits){0});
	}
	unwatch_all(x);
	sub_gone(x);
}

/* ---- the journal ----------------------------------------------------------------------------- */

void evt_sub_record(struct evt_sub *x, struct buf *key, struct buf *value)
{
	const struct dlg *d = sub_dialog(x->sub);
	buf_clear(key);
	buf_chr(key, 's');
	buf_str(key, dlg_call_id(d));
	buf_chr(key, '\n');
	buf_str(key, dlg_local_tag(d));
	if (!value)
		return;
	buf_clear(value);
	buf_chr(value, (char)(x->pkg | x->is_list << 7));
	buf_chr(value, (char)x->n_user);
	buf_chr(value, (char)x->n_aor);
	buf_put(value, x->text, (size_t)x->n_user + x->n_aor);
	sub_keep(x->sub, value);
}

struct str evt_sub_call_id(struct str key)
{
	return str_sub(key, 1, str_chr(key, '\n') - 1);
}

void evt_sub_saved(struct evt_shard *s, obj_id sub, enum err e)
{
	struct evt_sub *x = pool_find(&s->subs, sub);
	if (x)
		sub_saved(x->sub, e);
}

static enum err save(void *ctx, struct sub *sub)
{
	struct evt_sub *x = ctx;
	struct evt_shard *s = x->s;
	x->sub = sub;
	if (!s->journal)
		return OK;
	evt_sub_record(x, &s->key_text, &s->record);
	if (s->key_text.err != OK || s->record.err != OK)
		return ERR_NOMEM;
	enum err e = evt_write(s, buf_view(&s->key_text), buf_view(&s->record),
			       (struct evt_waits){.sub = pool_id(&s->subs, x)});
	if (e != OK)
		return e;
	s->live_bytes += s->key_text.n + s->record.n - x->n_record;
	x->n_record = (uint32_t)(s->key_text.n + s->record.n);
	return ERR_MORE;
}

static const struct sub_notifier notifier = {
	.body = body, .save = save, .on_refresh = on_refresh, .on_end = on_end};

static struct sub_accept accept_of(const struct evt_sub *x)
{
	const struct evt_info *info = evt_info(x->pkg);
	return (struct sub_accept){
		.event = info->event,
		.content_type = x->is_list ? STR("multipart/related") : info->type,
		.contact_user = dom_user_of_aor(x->s->e->env.dom, aor_of(x)),
		.gap_us = info->gap_us,
		.headers = x->is_list ? STR("Require: eventlist\r\n") : STR_NONE,
	};
}

static void enter(struct evt_sub *x)
{
	struct str user = user_of(x);
	htab_add(&x->s->by_user, &x->node, htab_hash(x->s->e->key, user.p, user.n));
	x->is_in_table = true;
	for (unsigned i = 0; i < x->n_members; i++)
		if (!x->members[i].asked)
			(void)ask(x, i, EVT_WATCH, true); /* else `body` does */
}

void evt_sub_load(struct evt_shard *s, struct str value, uint64_t within_us)
{
	if (value.n < 3)
		return;
	unsigned head = (uint8_t)value.p[0];
	size_t n_user = (uint8_t)value.p[1], n_aor = (uint8_t)value.p[2];
	struct str user = str_sub(value, 3, n_user), aor = str_sub(value, 3 + n_user, n_aor);
	if ((head & 0x7f) >= EVT__N || aor.n < n_aor)
		return;
	struct evt_sub *x = sub_new(s, head & 0x7f, user, aor);
	if (!x)
		return;
	x->is_list = head & 0x80;
	struct sub_accept acc = accept_of(x);
	if (!fill_members(x) || sub_restore(s->stack->dlg, str_skip(value, 3 + n_user + n_aor),
					    &acc, within_us, &notifier, x, &x->sub)) {
		sub_gone(x);
		return;
	}
	enter(x);
}

/* ---- SUBSCRIBE ------------------------------------------------------------------------------- */

static bool find_package(const struct sip_msg *m, unsigned *pkg)
{
	struct sip_event ev;
	if (sip_event_parse(sip_value(m, SIP_HDR_EVENT), &ev) != OK)
		return false;
	for (*pkg = 0; *pkg < EVT__N; ++*pkg)
		if (str_ieq(ev.package, evt_info(*pkg)->event))
			return true;
	return false;
}

/* Who subscribes: the account; for a trusted source whom its From names. */
static struct str subscriber(struct evt_shard *s, const struct sip_msg *m, struct str user,
			     struct buf *out)
{
	struct sip_addr from;
	if (user.n)
		dom_aor_of_user(s->e->env.dom, user, out);
	else if (sip_addr_parse(sip_value(m, SIP_HDR_FROM), &from) == OK && from.uri_err == OK)
		(void)!sip_aor_put(out, &from.uri);
	return out->err == OK ? buf_view(out) : STR_NONE;
}

static bool has_room(struct evt_shard *s, struct str user, struct str aor, unsigned pkg)
{
	unsigned n = 0, n_alike = 0;
	struct hnode *h = htab_first(&s->by_user, htab_hash(s->e->key, user.p, user.n));
	for (; h; h = htab_next(h)) {
		struct evt_sub *x = CONTAINER_OF(h, struct evt_sub, node);
		if (!str_eq(user_of(x), user))
			continue;
		n++;
		n_alike += x->pkg == pkg && str_eq(aor_of(x), aor);
	}
	return n < LIMIT_SUBS_PER_USER && n_alike < LIMIT_SUBS_ALIKE;
}

static bool is_account(const struct evt_shard *s, struct str aor)
{
	return acc_has(s->e->env.acc, dom_user_of_aor(s->e->env.dom, aor));
}

static enum code judge(struct evt_shard *s, const struct sip_msg *m, struct str user,
		       struct str aor, unsigned pkg, bool is_list)
{
	const struct evt_info *info = evt_info(pkg);
	bool is_own = !user.n || str_eq(user, dom_user_of_aor(s->e->env.dom, aor));
	if (is_list && info->is_own)
		return CODE_NO_LIST;
	if (is_list && !sip_has_token(m, SIP_HDR_SUPPORTED, STR("eventlist")))
		return CODE_LIST_NEEDED;
	if (info->is_own && !is_own)
		return pkg == EVT_MWI ? CODE_MAILBOX : CODE_NOT_YOURS;
	return is_list || is_account(s, aor) ? CODE_NONE : CODE_NO_USER;
}

bool evt_is_list(const struct evt_shard *s, struct str user)
{
	return str_eq(user, STR("colleagues")) && !acc_has(s->e->env.acc, user);
}

/* [RFC3515 2.4.4] */
static bool is_refer(const struct sip_msg *m)
{
	struct sip_event ev;
	return sip_event_parse(sip_value(m, SIP_HDR_EVENT), &ev) == OK &&
	       str_ieq(ev.package, STR("refer"));
}

void evt_on_subscribe(struct evt_shard *s, tsx_id st, struct tp_rx *rx, struct str user,
		      struct str aor)
{
	struct tsx_mgr *tsx = s->stack->tsx;
	unsigned pkg;
	char mem[LIMIT_AOR_BYTES + 1];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	if (!find_package(rx->msg, &pkg) && is_refer(rx->msg)) {
		code_refuse(tsx, st, CODE_SUB_REFER, STR_NONE);
		return;
	}
	if (!find_package(rx->msg, &pkg)) {
		evt_allow_put(&b);
		code_refuse(tsx, st, CODE_EVENT, buf_view(&b));
		return;
	}
	bool is_list = evt_is_list(s, dom_user_of_aor(s->e->env.dom, aor));
	enum code code = judge(s, rx->msg, user, aor, pkg, is_list);
	struct str who = subscriber(s, rx->msg, user, &b);
	if (code == CODE_NONE && !has_room(s, who, aor, pkg))
		code = CODE_TOO_MANY_SUBSCRIPTIONS;
	if (code != CODE_NONE) {
		code_refuse(tsx, st, code,
			    code == CODE_TOO_MANY_SUBSCRIPTIONS ? STR("Retry-After: 60\r\n")
			    : code == CODE_LIST_NEEDED          ? STR("Require: eventlist\r\n")
								: STR_NONE);
		return;
	}
	struct evt_sub *x = sub_new(s, pkg, who, aor);
	if (x)
		x->is_list = is_list;
	if (!x || !fill_members(x)) {
		if (x)
			sub_gone(x);
		code_refuse(tsx, st, CODE_OVERLOAD, STR("Retry-After: 5\r\n"));
		return;
	}
	struct sub_accept acc = accept_of(x);
	struct sub *sub;
	if (sub_accept(s->stack->dlg, st, rx, &acc, &notifier, x, &sub) != OK) {
		sub_gone(x);
		return;
	}
	x->sub = sub;
	enter(x);
}

/* ---- making ---------------------------------------------------------------------------------- */

static void free_tell(struct inbox_msg *m)
{
	free(CONTAINER_OF(m, struct evt_head, inbox));
}

void evt_sub_init(struct evt_shard *s)
{
	pool_init(&s->subs, sizeof(struct evt_sub), LIMIT_DIALOGS, 0x43, (uint8_t)s->n);
	ev_inbox_handle(s->e->env.shards, s->n, INBOX_EVENT_TELL, on_tell, s);
	ev_inbox_discard(s->e->env.shards, INBOX_EVENT_TELL, free_tell);
}

void evt_sub_fini(struct evt_shard *s)
{
	uint32_t at = 0;
	struct evt_sub *x;
	while ((x = pool_next(&s->subs, &at))) {
		sub_drop(x->sub);
		sub_gone(x);
	}
	pool_fini(&s->subs);
	htab_fini(&s->by_user);
}
