/* Messages for those who are not there, and the counts of mailboxes.
 *
 * A MESSAGE to an account that nobody is registered for is answered 202 once it is in the journal,
 * and stays until its recipient has answered it 2xx, or until it expires. When he registers (or
 * refreshes) they are sent to him one after the other, in the order in which they came; a failure
 * ends the round, the next registration begins a new one. So each is delivered at least once, and
 * after a crash between his 200 and our journal once more.
 *
 * A mailbox count is told to the subscriptions of message-summary. Phones that do not subscribe get
 * it in a NOTIFY of their own, as long as nobody subscribes: when it changes, and when they
 * register.
 *
 * Records: 'm' address \n serial → message; 'b' address → counts. [RFC3428 5, 7] [RFC3842]
 */
#include "service/events_priv.h"
#include "sip/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_S     (3u * 86400) /* when the sender says nothing */
#define KEEP_MAX_S (7u * 86400)
#define MAILBOX_N  8

/* ---- records --------------------------------------------------------------------------------- */

struct parts {
	struct str from, to, type, date, body;
};

static size_t size_of(const struct evt_message *m)
{
	return m->n_from + m->n_to + m->n_type + m->n_date + m->n_body;
}

static struct parts cut(struct str rest, size_t n_from, size_t n_to, size_t n_type, size_t n_date)
{
	struct parts t;
	t.from = str_sub(rest, 0, n_from);
	t.to = str_sub(rest, n_from, n_to);
	t.type = str_sub(rest, n_from + n_to, n_type);
	t.date = str_sub(rest, n_from + n_to + n_type, n_date);
	t.body = str_skip(rest, n_from + n_to + n_type + n_date);
	return t;
}

static struct parts parts_of(const struct evt_message *m)
{
	struct str rest = str_of(m->text, size_of(m));
	return cut(rest, m->n_from, m->n_to, m->n_type, m->n_date);
}

void evt_message_record(const struct evt_message *m, struct buf *key, struct buf *value)
{
	buf_clear(key);
	buf_chr(key, 'm');
	buf_str(key, evt_aor(m->res));
	buf_fmt(key, "\n%016llx", (unsigned long long)m->serial);
	if (!value)
		return;
	buf_clear(value);
	evt_put_le(value, m->ends_s, 8);
	evt_put_le(value, m->n_from, 4);
	evt_put_le(value, m->n_to, 4);
	evt_put_le(value, m->n_type, 4);
	evt_put_le(value, m->n_date, 4);
	buf_put(value, m->text, size_of(m));
}

void evt_mailbox_record(const struct evt_res *r, struct buf *key, struct buf *value)
{
	buf_clear(key);
	buf_clear(value);
	buf_chr(key, 'b');
	buf_str(key, evt_aor(r));
	evt_put_le(value, r->n_new, 4);
	evt_put_le(value, r->n_old, 4);
}

void evt_mailbox_load(struct evt_shard *s, struct str aor, struct str value)
{
	struct evt_res *r = value.n == MAILBOX_N ? evt_res_get(s, aor) : NULL;
	if (!r)
		return;
	r->n_new = (uint32_t)evt_get_le(value, 0, 4);
	r->n_old = (uint32_t)evt_get_le(value, 4, 4);
	r->has_mailbox = true;
	s->live_bytes += 1 + aor.n + value.n;
}

static struct evt_message *message_new(struct evt_res *r, const struct parts *t)
{
	struct evt_message *m =
		calloc(1, sizeof(*m) + t->from.n + t->to.n + t->type.n + t->date.n + t->body.n);
	if (!m)
		return NULL;
	const struct str all[] = {t->from, t->to, t->type, t->date, t->body};
	char *at = m->text;
	list_init(&m->link);
	m->res = r;
	m->n_from = t->from.n;
	m->n_to = t->to.n;
	m->n_type = t->type.n;
	m->n_date = t->date.n;
	m->n_body = t->body.n;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i].n)
			memcpy(at, all[i].p, all[i].n);
		at += all[i].n;
	}
	r->n_messages++;
	r->s->n_messages++;
	r->s->message_bytes += size_of(m);
	r->s->live_bytes += size_of(m) + 64;
	return m;
}

void evt_message_free(struct evt_message *m)
{
	struct evt_shard *s = m->res->s;
	s->n_messages--;
	s->message_bytes -= size_of(m);
	s->live_bytes -= size_of(m) + 64;
	m->res->n_messages--;
	list_del(&m->link);
	free(m->put);
	free(m);
}

/* A record that cannot be deleted for want of memory is delivered again after a restart. */
static void forget(struct evt_message *m)
{
	struct evt_shard *s = m->res->s;
	if (s->journal) {
		evt_message_record(m, &s->key_text, NULL);
		(void)!evt_write(s, buf_view(&s->key_text), STR_NONE, (struct evt_waits){0});
	}
	evt_message_free(m);
}

/* In order of serial: the journal may have been rewritten in another. */
static void enter(struct evt_res *r, struct evt_message *m)
{
	struct link *at = r->messages.prev;
	while (at != &r->messages && LIST_ENTRY(at, struct evt_message, link)->serial > m->serial)
		at = at->prev;
	list_add_after(at, &m->link);
}

void evt_message_load(struct evt_shard *s, struct str aor, struct str key, struct str value)
{
	enum { HEAD = 24 };
	size_t n[4];
	unsigned long long serial = 0;
	char hex[20];
	for (unsigned i = 0; i < ARRAY_LEN(n); i++)
		n[i] = (size_t)evt_get_le(value, 8 + 4 * i, 4);
	struct evt_res *r = value.n >= HEAD ? evt_res_get(s, aor) : NULL;
	if (!r || !str_copy(hex, sizeof(hex), str_skip(key, 2 + aor.n)) ||
	    sscanf(hex, "%llx", &serial) != 1)
		return;
	struct parts t = cut(str_skip(value, HEAD), n[0], n[1], n[2], n[3]);
	struct evt_message *m = message_new(r, &t);
	if (!m) {
		evt_res_tidy(r);
		return;
	}
	m->serial = serial;
	m->ends_s = evt_get_le(value, 0, 8);
	if (serial > s->message_serial)
		s->message_serial = serial;
	enter(r, m);
}

void evt_messages_expire(void *arg, struct hnode *node)
{
	struct evt_res *r = CONTAINER_OF(node, struct evt_res, node);
	uint64_t now_s = env_wall_us(r->s->loop->env) / 1000000;
	if (r->sending)
		return;
	LIST_EACH (&r->messages, l) {
		struct evt_message *m = LIST_ENTRY(l, struct evt_message, link);
		if (m->ends_s <= now_s)
			forget(m);
	}
	evt_res_tidy(r);
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* [RFC3261 20.17] */
static struct str date_of(const struct evt_shard *s, const struct sip_msg *m, char mem[40])
{
	struct str date = sip_value(m, SIP_HDR_DATE);
	struct buf b;
	if (date.n)
		return date;
	buf_init_fixed(&b, mem, 40);
	sip_date_put(&b, env_wall_us(s->loop->env) / 1000000);
	return buf_view(&b);
}

void evt_on_message(struct evt_shard *s, tsx_id st, struct tp_rx *rx, struct str aor)
{
	const struct sip_msg *m = rx->msg;
	uint32_t keep_s = KEEP_S;
	char mem[40];
	enum code code = CODE_NONE;
	if (sip_has(m, SIP_HDR_EXPIRES) &&
	    sip_seconds_parse(sip_value(m, SIP_HDR_EXPIRES), &keep_s) != OK)
		keep_s = KEEP_S;
	if (!keep_s) /* now or never [RFC3428 7] */
		code = CODE_OFFLINE;
	else if (m->n_bytes > LIMIT_MESSAGE_BYTES)
		code = CODE_PUBLISH_LARGE;
	struct evt_put *p =
		code == CODE_NONE
			? evt_put_new(EVT_PUT_MESSAGE, aor, sip_value(m, SIP_HDR_FROM),
				      sip_value(m, SIP_HDR_TO), sip_value(m, SIP_HDR_CONTENT_TYPE),
				      date_of(s, m, mem), m->body)
			: NULL;
	if (!p) {
		code_refuse(s->stack->tsx, st, code == CODE_NONE ? CODE_NO_MEMORY : code, STR_NONE);
		return;
	}
	p->st = st;
	p->expires_s = keep_s < KEEP_MAX_S ? keep_s : KEEP_MAX_S;
	evt_put_send(s, p);
}

void evt_message_stored(struct evt_message *m, enum err e)
{
	struct evt_res *r = m->res;
	struct evt_put *p = m->put;
	m->put = NULL;
	if (e == OK)
		enter(r, m);
	else
		evt_message_free(m);
	evt_answer(p, e == OK ? CODE_NONE : CODE_MESSAGE_STORE, 202);
	if (e == OK)
		evt_deliver(r); /* he may have come meanwhile */
	else
		evt_res_tidy(r);
}

void evt_message_arrived(struct evt_res *r, struct evt_put *p)
{
	struct evt_shard *s = r->s;
	size_t n = p->n_from + p->n_to + p->n_type + p->n_date + p->n_body;
	struct parts t =
		cut(str_of(p->text + p->n_aor, n), p->n_from, p->n_to, p->n_type, p->n_date);
	uint64_t wall_us = env_wall_us(s->loop->env);
	bool is_full = r->n_messages >= LIMIT_MESSAGES_PER_USER ||
		       s->message_bytes >= LIMIT_MESSAGES_BYTES;
	struct evt_message *m = is_full ? NULL : message_new(r, &t);
	if (!m) {
		evt_answer(p, is_full ? CODE_MAILBOX_FULL : CODE_NO_MEMORY, 0);
		evt_res_tidy(r);
		return;
	}
	s->message_serial = wall_us > s->message_serial ? wall_us : s->message_serial + 1;
	m->serial = s->message_serial;
	m->ends_s = wall_us / 1000000 + p->expires_s;
	m->put = p;
	evt_message_record(m, &s->key_text, &s->record);
	enum err e = s->key_text.err != OK || s->record.err != OK ? ERR_NOMEM : OK;
	if (e == OK && s->journal)
		e = evt_write(s, buf_view(&s->key_text), buf_view(&s->record),
			      (struct evt_waits){.message = m});
	if (e != OK || !s->journal)
		evt_message_stored(m, e);
}

void evt_mailbox_arrived(struct evt_res *r, struct evt_put *p)
{
	struct evt_shard *s = r->s;
	bool is_news = r->n_new != p->n_new || r->n_old != p->n_old;
	r->n_new = p->n_new;
	r->n_old = p->n_old;
	evt_mailbox_record(r, &s->key_text, &s->record);
	if (s->journal && s->key_text.err == OK && s->record.err == OK)
		(void)!evt_write(s, buf_view(&s->key_text), buf_view(&s->record),
				 (struct evt_waits){0});
	s->live_bytes += r->has_mailbox ? 0 : s->key_text.n + s->record.n;
	r->has_mailbox = true;
	if (is_news) {
		r->has_mail_news = true;
		evt_res_changed(r, EVT_MWI);
		evt_deliver(r);
	}
	evt_answer(p, CODE_NONE, 200);
}

/* From any thread. */
enum err evt_set_mailbox(struct evt *e, struct str aor, uint32_t n_new, uint32_t n_old)
{
	struct evt_put *p =
		evt_put_new(EVT_PUT_MAILBOX, aor, STR_NONE, STR_NONE, STR_NONE, STR_NONE, STR_NONE);
	size_t home = loc_shard_of(e->env.loc, aor);
	if (!p)
		return ERR_NOMEM;
	p->from = (uint16_t)home;
	p->n_new = n_new;
	p->n_old = n_old;
	ev_send(e->env.shards, home, &p->inbox);
	return OK;
}

/* ---- delivering ------------------------------------------------------------------------------ */

struct way { /* to one of his phones */
	struct loc_targets found;
	struct str proxy, routes; /* of its Path */
	char mem[1024];
};

/* False: nobody is there. The first hop of a Path is the next hop, the others are Routes. */
static bool find_way(struct evt_res *r, struct way *w)
{
	struct sip_addr first;
	struct buf b;
	if (loc_lookup(r->s->e->env.loc, r->s->n, evt_aor(r), &w->found) || !w->found.n)
		return false;
	struct str path = w->found.t[0].path;
	w->proxy = w->routes = STR_NONE;
	if (!path.n)
		return true;
	size_t end = str_chr(path, '>');
	if (sip_addr_parse(str_sub(path, 0, end + 1), &first) != OK)
		return false;
	w->proxy = first.uri_text;
	struct str rest = str_trim(str_skip(path, end + 1));
	buf_init_fixed(&b, w->mem, sizeof(w->mem));
	if (rest.n > 1)
		buf_fmt(&b, "Route: " STR_FMT "\r\n", STR_ARG(str_skip(rest, 1)));
	w->routes = buf_view(&b);
	return b.err == OK;
}

/* Our address that his phone has registered at; false: none has. */
static bool put_address(struct evt_res *r, struct buf *b)
{
	struct loc *loc = r->s->e->env.loc;
	const struct loc_rec *rec = loc_get(loc, evt_aor(r));
	struct loc_scratch scratch;
	struct loc_binding c;
	size_t at = 0;
	if (!rec || !loc_next(loc, r->s->n, rec, &at, &c, &scratch) || !c.to.family)
		return false;
	addr_put_host(b, &c.to);
	return true;
}

/* By a name of ours that phones know: of --domain, else what they have registered at. */
static void put_uri(struct evt_res *r, struct buf *b)
{
	struct dom *dom = r->s->e->env.dom;
	struct str host = dom_first(dom);
	buf_str(b, STR("<sip:"));
	sip_escape_user(b, dom_user_of_aor(dom, evt_aor(r)));
	buf_chr(b, '@');
	if (host.n || !put_address(r, b))
		buf_str(b, host.n ? host : dom_canonical(dom));
	buf_chr(b, '>');
}

/* req->to empty: as the exchange calls him. */
static enum err send(struct evt_res *r, struct uac_request *req, struct str from, struct str lines,
		     const struct uac_user *user, struct uac **out)
{
	struct evt_shard *s = r->s;
	struct way w;
	char to_mem[LIMIT_AOR_BYTES * 4], mem[1400];
	struct buf to, b;
	if (!find_way(r, &w))
		return ERR_NOTFOUND;
	buf_init_fixed(&to, to_mem, sizeof(to_mem));
	buf_init_fixed(&b, mem, sizeof(mem));
	put_uri(r, &to);
	buf_str(&b, w.routes);
	buf_str(&b, lines);
	if (to.err != OK || b.err != OK)
		return ERR_LIMIT;
	struct uac_account acc = {.from = from.n ? from : buf_view(&to), .proxy = w.proxy};
	req->ruri = w.found.t[0].uri;
	req->to = req->to.n ? req->to : buf_view(&to);
	req->headers = buf_view(&b);
	req->dst = w.found.t[0].has_dst && !w.proxy.n ? &w.found.t[0].dst : NULL;
	return uac_send(s->stack->dlg, &acc, req, user, r, out);
}

static void on_notified(void *ctx, struct uac *u, const struct uac_result *res);

static const struct uac_user notified_user = {.on_done = on_notified};

static void notify_mailbox(struct evt_res *r)
{
	struct evt_shard *s = r->s;
	struct uac_request req = {.method = STR("NOTIFY"), .has_contact = true};
	char mem[LIMIT_AOR_BYTES * 4];
	struct buf entity;
	if (!r->has_mail_news || r->notifying || r->n_watchers[EVT_MWI])
		return;
	buf_init_fixed(&entity, mem, sizeof(mem));
	put_uri(r, &entity);
	struct evt_view v = {.res = r,
			     .s = s,
			     .aor = evt_aor(r),
			     .entity = str_sub(buf_view(&entity), 1, entity.n - 2)};
	buf_clear(&s->doc);
	evt_body_put(EVT_MWI, &v, &s->doc);
	req.content_type = evt_info(EVT_MWI)->type;
	req.body = buf_view(&s->doc);
	if (s->doc.err == OK && entity.err == OK &&
	    send(r, &req, STR_NONE,
		 STR("Event: message-summary\r\nSubscription-State: terminated\r\n"),
		 &notified_user, &r->notifying) == OK)
		r->has_mail_news = false;
}

static void on_notified(void *ctx, struct uac *u, const struct uac_result *res)
{
	struct evt_res *r = ctx;
	r->notifying = NULL;
	if (res->how == UAC_FINAL && res->status / 100 == 2)
		notify_mailbox(r); /* what has changed meanwhile */
	else
		r->has_mail_news = true; /* when he registers the next time */
	evt_res_tidy(r);
}

static void send_next(struct evt_res *r);

static void on_sent(void *ctx, struct uac *u, const struct uac_result *res)
{
	struct evt_res *r = ctx;
	r->sending = NULL;
	if (res->how == UAC_FINAL && res->status / 100 == 2 && !list_is_empty(&r->messages)) {
		forget(LIST_ENTRY(r->messages.next, struct evt_message, link));
		send_next(r);
	}
	evt_res_tidy(r);
}

static const struct uac_user sent_user = {.on_done = on_sent};

static void send_next(struct evt_res *r)
{
	uint64_t now_s = env_wall_us(r->s->loop->env) / 1000000;
	while (!r->sending && !list_is_empty(&r->messages)) {
		struct evt_message *m = LIST_ENTRY(r->messages.next, struct evt_message, link);
		if (m->ends_s <= now_s) {
			forget(m);
			continue;
		}
		struct parts t = parts_of(m);
		struct uac_request req = {.method = STR("MESSAGE"),
					  .to = t.to,
					  .content_type = t.type,
					  .body = t.body};
		char mem[80];
		struct buf date;
		buf_init_fixed(&date, mem, sizeof(mem));
		buf_fmt(&date, "Date: " STR_FMT "\r\n", STR_ARG(t.date));
		if (send(r, &req, t.from, date.err == OK ? buf_view(&date) : STR_NONE, &sent_user,
			 &r->sending) != OK)
			return;
	}
}

void evt_deliver(struct evt_res *r)
{
	send_next(r);
	notify_mailbox(r);
	evt_res_tidy(r);
}
