/* PUBLISH: what a phone says of its owner's presence; and the way of anything that is put to an
 * address (publications, offline messages, mailbox counts) from the shard of a request to the
 * address's.
 *
 * A publication is soft state: it lives as long as it is refreshed. It is answered when it is
 * written, so that a phone which goes on after a restart finds it by the tag that it was given.
 * What the store refuses is published all the same (its phone hears 412 after a restart, and
 * publishes again, RFC 3903 4.5). The document is checked on the request's shard, and cut into
 * elements where it is known what stands beside it. [RFC3903]
 */
#include "service/events_priv.h"
#include "service/pidf.h"

#include <stdlib.h>
#include <string.h>

#define MIN_S     60u
#define MAX_S     3600u
#define DEFAULT_S 3600u

/* ---- going and coming back ------------------------------------------------------------------- */

/* Answers; p has come back. */
static void finish(struct evt_shard *s, struct evt_put *p)
{
	char mem[96];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	if (!p->st) {
		/* nobody waits */
	} else if (p->code != CODE_NONE) {
		bool is_later = code_info(p->code)->status / 100 == 5;
		code_refuse(s->stack->tsx, p->st, p->code,
			    is_later ? STR("Retry-After: 30\r\n") : STR_NONE);
	} else {
		if (p->op == EVT_PUT_PUBLICATION)
			buf_fmt(&b, "SIP-ETag: %016llx\r\nExpires: %u\r\n",
				(unsigned long long)p->etag, p->expires_s);
		enum err e = tsx_reply(s->stack->tsx, p->st, p->status, STR_NONE, buf_view(&b));
		if (e != OK && e != ERR_STATE)
			tsx_drop(s->stack->tsx, p->st);
	}
	free(p);
}

static void on_answer(void *ctx, struct ev_loop *loop, struct inbox_msg *m)
{
	finish(ctx, CONTAINER_OF(m, struct evt_put, inbox));
}

void evt_answer(struct evt_put *p, enum code code, unsigned status)
{
	p->code = code;
	p->status = status;
	p->inbox.kind = INBOX_EVENT_ANSWER;
	ev_post(p->at->loop, p->from, &p->inbox);
}

static void on_put(void *ctx, struct ev_loop *loop, struct inbox_msg *m)
{
	struct evt_shard *s = ctx;
	struct evt_put *p = CONTAINER_OF(m, struct evt_put, inbox);
	struct evt_res *r = evt_res_get(s, str_of(p->text, p->n_aor));
	p->at = s;
	if (!r)
		evt_answer(p, CODE_NO_MEMORY, 0);
	else if (p->op == EVT_PUT_PUBLICATION)
		evt_publish_arrived(r, p);
	else if (p->op == EVT_PUT_MESSAGE)
		evt_message_arrived(r, p);
	else
		evt_mailbox_arrived(r, p);
}

struct evt_put *evt_put_new(enum evt_put_op op, struct str aor, struct str from, struct str to,
			    struct str type, struct str date, struct str body)
{
	struct evt_put *p =
		calloc(1, sizeof(*p) + aor.n + from.n + to.n + type.n + date.n + body.n);
	const struct str all[] = {aor, from, to, type, date, body};
	if (!p)
		return NULL;
	p->inbox.kind = INBOX_EVENT_PUT;
	p->op = (uint8_t)op;
	p->n_aor = aor.n;
	p->n_from = from.n;
	p->n_to = to.n;
	p->n_type = type.n;
	p->n_date = date.n;
	p->n_body = body.n;
	char *at = p->text;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i].n)
			memcpy(at, all[i].p, all[i].n);
		at += all[i].n;
	}
	return p;
}

void evt_put_send(struct evt_shard *s, struct evt_put *p)
{
	p->from = (uint16_t)s->n;
	ev_post(s->loop, evt_home(s, str_of(p->text, p->n_aor)), &p->inbox);
}

/* ---- on the request's shard ------------------------------------------------------------------ */

static bool read_etag(struct str s, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		unsigned v = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
			     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
						    : 16;
		if (v == 16)
			return false;
		*out = *out << 4 | v;
	}
	return s.n == 16;
}

struct asked {
	uint32_t expires_s;
	uint64_t etag;
	bool has_etag;
};

/* What RFC 3903 6 checks, in its order; the elements of the document go into `out`. */
static enum code judge(const struct sip_msg *m, struct asked *a, struct buf *out)
{
	struct str match = sip_value(m, SIP_HDR_SIP_IF_MATCH);
	a->has_etag = match.n;
	a->expires_s = DEFAULT_S;
	if (sip_count(m, SIP_HDR_SIP_IF_MATCH) > 1 || str_chr(match, ',') != SIZE_MAX)
		return CODE_PUBLISH_BODY;
	if (match.n && !read_etag(match, &a->etag))
		return CODE_PUBLISH_ETAG; /* none of ours */
	if (sip_has(m, SIP_HDR_EXPIRES) &&
	    sip_seconds_parse(sip_value(m, SIP_HDR_EXPIRES), &a->expires_s) != OK)
		a->expires_s = DEFAULT_S;
	if (a->expires_s && a->expires_s < MIN_S)
		return CODE_PUBLISH_BRIEF;
	if (a->expires_s > MAX_S)
		a->expires_s = MAX_S;
	if (!m->body.n)
		return match.n ? CODE_NONE : CODE_PUBLISH_BODY;
	if (!sip_media_type_is(sip_value(m, SIP_HDR_CONTENT_TYPE), STR("application"),
			       STR("pidf+xml")))
		return CODE_PUBLISH_TYPE;
	if (m->body.n > LIMIT_PUBLICATION_BYTES)
		return CODE_PUBLISH_LARGE;
	enum err e = pidf_elements_put(m->body, 0, out);
	return e == ERR_SYNTAX ? CODE_PUBLISH_BODY : e != OK ? CODE_NO_MEMORY : CODE_NONE;
}

void evt_on_publish(struct evt_shard *s, tsx_id st, struct tp_rx *rx, struct str user,
		    struct str aor)
{
	struct sip_event ev;
	struct asked a = {0};
	struct str lines = STR_NONE;
	enum code code;
	buf_clear(&s->doc);
	if (sip_event_parse(sip_value(rx->msg, SIP_HDR_EVENT), &ev) != OK ||
	    !str_ieq(ev.package, evt_info(EVT_PRESENCE)->event)) {
		code = CODE_EVENT;
		lines = STR("Allow-Events: presence\r\n");
	} else if (!acc_has(s->e->env.acc, dom_user_of_aor(s->e->env.dom, aor))) {
		code = CODE_NO_USER;
	} else if (user.n && !str_eq(user, dom_user_of_aor(s->e->env.dom, aor))) {
		code = CODE_NOT_YOURS;
	} else {
		code = judge(rx->msg, &a, &s->doc);
		lines = code == CODE_PUBLISH_BRIEF  ? STR("Min-Expires: 60\r\n")
			: code == CODE_PUBLISH_TYPE ? STR("Accept: application/pidf+xml\r\n")
						    : STR_NONE;
	}
	/* the document as it came: its ids get the place it is given there */
	struct evt_put *p = code == CODE_NONE
				    ? evt_put_new(EVT_PUT_PUBLICATION, aor, STR_NONE, STR_NONE,
						  STR_NONE, STR_NONE, rx->msg->body)
				    : NULL;
	if (!p) {
		code_refuse(s->stack->tsx, st, code == CODE_NONE ? CODE_NO_MEMORY : code, lines);
		return;
	}
	p->st = st;
	p->etag = a.etag;
	p->has_etag = a.has_etag;
	p->expires_s = a.expires_s;
	evt_put_send(s, p);
}

/* ---- on the address's shard ------------------------------------------------------------------ */

static struct evt_pub *find_pub(struct evt_res *r, uint64_t etag)
{
	LIST_EACH (&r->pubs, l) {
		struct evt_pub *p = LIST_ENTRY(l, struct evt_pub, link);
		if (p->etag == etag)
			return p;
	}
	return NULL;
}

/* The lowest place that no publication has; one that is modified keeps its own. */
static unsigned free_slot(struct evt_res *r, const struct evt_pub *old)
{
	uint32_t used = 0;
	if (old)
		return old->slot;
	LIST_EACH (&r->pubs, l)
		used |= 1u << LIST_ENTRY(l, struct evt_pub, link)->slot;
	return (unsigned)__builtin_ctz(~used);
}

/* ---- in the journal -------------------------------------------------------------------------- */

enum { RECORD_HEAD = 16 };

void evt_pub_record(const struct evt_res *r, const struct evt_pub *p, struct buf *key,
		    struct buf *value)
{
	buf_clear(key);
	buf_chr(key, 'p');
	buf_str(key, evt_aor(r));
	buf_chr(key, '\n');
	buf_chr(key, (char)('A' + p->slot));
	if (!value)
		return;
	struct ev_loop *loop = r->s->loop;
	uint64_t now = ev_now_us(loop),
		 left_s = p->ends_us > now ? (p->ends_us - now) / 1000000 : 0;
	buf_clear(value);
	evt_put_le(value, p->etag, 8);
	evt_put_le(value, env_wall_us(loop->env) / 1000000 + left_s, 8);
	buf_put(value, p->body, p->n);
}

/* False: nothing is written, and nobody will tell. */
static bool save(struct evt_res *r, struct evt_pub *p, struct evt_put *put)
{
	struct evt_shard *s = r->s;
	evt_pub_record(r, p, &s->key_text, &s->record);
	if (!s->journal || s->key_text.err != OK || s->record.err != OK ||
	    evt_write(s, buf_view(&s->key_text), buf_view(&s->record),
		      (struct evt_waits){.put = put}) != OK)
		return false;
	s->live_bytes += s->key_text.n + s->record.n - p->n_record;
	p->n_record = (uint32_t)(s->key_text.n + s->record.n);
	return true;
}

void evt_pub_load(struct evt_shard *s, struct str aor, struct str key, struct str value)
{
	uint64_t now_s = env_wall_us(s->loop->env) / 1000000;
	struct str slot = str_skip(key, 2 + aor.n);
	uint64_t ends_s = value.n >= RECORD_HEAD ? evt_get_le(value, 8, 8) : 0;
	if (ends_s <= now_s || slot.n != 1 || slot.p[0] < 'A' ||
	    slot.p[0] >= 'A' + (char)LIMIT_PUBLICATIONS)
		return;
	struct str body = str_skip(value, RECORD_HEAD);
	struct evt_res *r = evt_res_get(s, aor);
	struct evt_pub *p = r ? malloc(sizeof(*p) + body.n) : NULL;
	if (!p) {
		if (r)
			evt_res_tidy(r);
		return;
	}
	uint64_t left_s = ends_s - now_s < MAX_S ? ends_s - now_s : MAX_S; /* the clock may step */
	*p = (struct evt_pub){.etag = evt_get_le(value, 0, 8),
			      .ends_us = ev_now_us(s->loop) + left_s * 1000000,
			      .slot = (uint8_t)(slot.p[0] - 'A'),
			      .n_record = (uint32_t)(key.n + value.n),
			      .n = body.n};
	if (body.n)
		memcpy(p->body, body.p, body.n);
	list_init(&p->link);
	list_push(&r->pubs, &p->link);
	r->n_pubs++;
	s->live_bytes += p->n_record;
	evt_res_plan(r);
}

void evt_pub_free(struct evt_res *r, struct evt_pub *p)
{
	r->s->live_bytes -= p->n_record;
	r->n_pubs--;
	list_del(&p->link);
	free(p);
}

void evt_pub_end(struct evt_res *r, struct evt_pub *p)
{
	struct evt_shard *s = r->s;
	if (p->n_record) {
		evt_pub_record(r, p, &s->key_text, NULL);
		(void)!evt_write(s, buf_view(&s->key_text), STR_NONE, (struct evt_waits){0});
	}
	evt_pub_free(r, p);
}

/* ---- one takes another's place --------------------------------------------------------------- */

static void replace(struct evt_res *r, struct evt_pub *old, struct evt_pub *fresh)
{
	if (old)
		evt_pub_free(r, old);
	if (fresh) {
		list_push(&r->pubs, &fresh->link);
		r->n_pubs++;
	}
	evt_res_changed(r, EVT_PRESENCE);
}

static struct evt_pub *pub_new(struct evt_res *r, const struct evt_put *p, struct evt_pub *old)
{
	struct evt_shard *s = r->s;
	struct str doc = str_of(p->text + p->n_aor, p->n_body);
	unsigned slot = free_slot(r, old);
	buf_clear(&s->doc);
	if (pidf_elements_put(doc, slot, &s->doc) != OK)
		return NULL;
	struct evt_pub *pub = malloc(sizeof(*pub) + s->doc.n);
	if (!pub)
		return NULL;
	*pub = (struct evt_pub){.slot = (uint8_t)slot, .n = s->doc.n};
	list_init(&pub->link);
	if (pub->n)
		memcpy(pub->body, s->doc.p, pub->n);
	return pub;
}

void evt_publish_arrived(struct evt_res *r, struct evt_put *p)
{
	struct evt_pub *old = p->has_etag ? find_pub(r, p->etag) : NULL, *pub = old;
	enum code code = CODE_NONE;
	if (p->has_etag && !old) {
		code = CODE_PUBLISH_ETAG;
	} else if (!old && r->n_pubs >= LIMIT_PUBLICATIONS) {
		code = CODE_PUBLISH_TOO_MANY;
	} else if (!p->expires_s) {
		if (old) {
			evt_pub_end(r, old);
			evt_res_changed(r, EVT_PRESENCE);
		}
		pub = NULL;
	} else if (p->n_body) {
		pub = pub_new(r, p, old);
		if (pub)
			replace(r, old, pub);
		else
			code = CODE_NO_MEMORY;
	}
	p->etag = env_random_u64(r->s->loop->env);
	if (code == CODE_NONE && pub) {
		pub->etag = p->etag;
		pub->ends_us = ev_now_us(r->s->loop) + p->expires_s * 1000000ull;
	}
	evt_res_plan(r);
	if (code != CODE_NONE || !pub || !save(r, pub, p))
		evt_answer(p, code, 200);
	evt_res_tidy(r);
}

/* ---- making ---------------------------------------------------------------------------------- */

static void free_put(struct inbox_msg *m)
{
	free(CONTAINER_OF(m, struct evt_put, inbox));
}

void evt_put_init(struct evt_shard *s)
{
	struct ev_shards *shards = s->e->env.shards;
	ev_inbox_handle(shards, s->n, INBOX_EVENT_PUT, on_put, s);
	ev_inbox_handle(shards, s->n, INBOX_EVENT_ANSWER, on_answer, s);
	ev_inbox_discard(shards, INBOX_EVENT_PUT, free_put);
	ev_inbox_discard(shards, INBOX_EVENT_ANSWER, free_put);
}
