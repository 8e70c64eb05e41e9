/* The registrar. [RFC3261 10.3] [RFC3327] [RFC5626 6] [RFC5627 5]
 *
 * Path of a REGISTER, in the steps of 10.3: extensions (2) → digest (3), perhaps in a later turn →
 * To is ours and the user's own (4, 5) → contacts read and judged (6, 7) → one change of the
 * location, done when it is durable → 200 with all bindings (8). Everything before the change only
 * reads; the change itself is all or nothing.
 *
 * Which shard: a REGISTER belongs to the shard of its address of record, so that nonce, change and
 * answer are all in one place (docs/adr/005). The transport asks here before it knows whose it is;
 * all that counts is that the same To gets the same answer. Should the table see another shard in
 * it than this does, the change travels there and back, and all is still right.
 *
 * A request is a struct request from arrival to answer; it holds a reference to the message, whose
 * bytes the change borrows. Outgoing text is built in one buffer per shard.
 *
 * Invariants: 1. Each request is answered exactly once, here. 2. Nothing of a request with any
 * unusable Contact is stored. 3. While the location has a request, only done or drop frees it.
 */
#include "service/registrar_priv.h"

#include "base/assert.h"
#include "service/nat.h"
#include "sip/out.h"

#include <stdlib.h>
#include <string.h>

#define CACHED_REQUESTS 256

/* How often a phone shows on its connection that it lives; far below LIMIT_IDLE_US, after which the
 * transport ends one. By UDP the usual 29 s are what a NAT needs. [RFC5626 4.4, 5.4] */
#define FLOW_TIMER_S 120

/* --- requests ------------------------------------------------------------------------------- */

static struct request *request_new(struct reg *r, tsx_id st, struct tp_rx *rx)
{
	struct link *l = list_pop(&r->idle);
	struct request *q = l ? LIST_ENTRY(l, struct request, link) : malloc(sizeof(*q));
	if (!q)
		return NULL;
	r->n_idle -= l != NULL;
	q->reg = r;
	q->st = st;
	q->rx = tp_rx_ref(rx);
	q->contacts = q->few;
	q->n_contacts = 0;
	q->is_star = q->is_in_location = q->is_outbound = false;
	q->path = NULL;
	q->n_aor = 0;
	q->check.user[0] = 0;
	q->check.n_user = 0;
	list_init(&q->link);
	list_push(&r->live, &q->link);
	return q;
}

static void request_free(struct request *q)
{
	if (q->contacts != q->few)
		free(q->contacts);
	free(q->path);
	free(q);
}

static void request_end(struct request *q)
{
	struct reg *r = q->reg;
	tp_rx_unref(r->env.tp, q->rx);
	list_del(&q->link);
	if (r->n_idle >= CACHED_REQUESTS) {
		request_free(q);
		return;
	}
	if (q->contacts != q->few)
		free(q->contacts);
	free(q->path);
	list_push(&r->idle, &q->link);
	r->n_idle++;
}

/* --- answering ------------------------------------------------------------------------------ */

/* Whom the request is about, or claims to be. */
static struct str user_of(const struct request *q)
{
	struct sip_addr to;
	if (q->n_aor)
		return dom_user_of_aor(q->reg->env.dom, reg_aor(q));
	if (auth_user(&q->check).n)
		return auth_user(&q->check);
	return sip_addr_parse(sip_value(q->rx->msg, SIP_HDR_TO), &to) == OK && !to.uri_err
		       ? to.uri.user
		       : STR_NONE;
}

static void tell(struct request *q, unsigned status, enum code code, size_t n_bindings)
{
	struct reg *r = q->reg;
	const struct sip_msg *m = q->rx->msg;
	if (!r->env.on_outcome)
		return;
	struct reg_outcome o = {
		.status = status,
		.code = code,
		.auth = q->check.verdict,
		.is_fetch = !q->is_star && !q->n_contacts,
		.n_bindings = (uint16_t)n_bindings,
		.user = user_of(q),
		.aor = reg_aor(q),
		.contact = q->n_contacts ? q->contacts[0].uri : STR_NONE,
		.user_agent = sip_value(m, SIP_HDR_USER_AGENT),
		.call_id = m->call_id,
		.cseq = m->cseq,
		.from = q->rx->from,
		.proto = q->rx->proto,
		.took_us = ev_now_us(r->env.loop) - q->rx->at_us,
	};
	if (q->is_in_location) {
		o.n_added = q->change.n_added;
		o.n_refreshed = q->change.n_refreshed;
		o.n_removed = q->change.n_removed;
		o.n_evicted = q->change.n_evicted;
		o.why = str_c(q->change.why);
	}
	if (q->n_contacts) {
		o.expires_s = q->contacts[0].expires_s;
		o.is_nated = q->contacts[0].is_by_source && !q->change.flow;
	}
	r->env.on_outcome(r->env.ctx, &o);
}

/* Answers with a code of ours and ends the request. */
static void refuse(struct request *q, enum code code, struct str extra_lines)
{
	code_refuse(q->reg->env.tsx, q->st, code, extra_lines);
	tell(q, code_info(code)->status, code, 0);
	request_end(q);
}

static void refuse_fmt(struct request *q, enum code code, const char *name, uint32_t value)
{
	char mem[64];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_fmt(&b, "%s: %u\r\n", name, value);
	refuse(q, code, buf_view(&b));
}

/* `aor`: not NULL where the phone understands GRUUs [RFC5627 5.2]. */
static void put_contact(struct request *q, struct sip_out *o, const struct loc_binding *b,
			const struct sip_uri *aor)
{
	const struct reg_env *env = &q->reg->env;
	struct buf *out = o->b;
	buf_str(out, STR("Contact: <"));
	buf_str(out, b->uri);
	buf_str(out, STR(">;expires="));
	buf_u64(out, b->expires_s);
	if (b->q < 1000)
		buf_fmt(out, ";q=0.%03u", b->q);
	if (b->instance.n)
		buf_fmt(out, ";+sip.instance=\"" STR_FMT "\"", STR_ARG(b->instance));
	if (b->reg_id)
		buf_fmt(out, ";reg-id=%u", b->reg_id);
	if (b->instance.n && aor)
		gruu_put(&env->gruu, out,
			 &(struct gruu_of){.aor_uri = aor,
					   .user = dom_user_of_aor(env->dom, reg_aor(q)),
					   .instance = b->instance,
					   .call_id = b->call_id,
					   .is_sips = str_istarts(b->uri, STR("sips:")),
					   .nonce = env_random_u64(env->loop->env)});
	buf_str(out, STR("\r\n"));
}

/* What time it is, by which phones without a clock set theirs [RFC3261 10.2.7, 10.3 step 8] */
static void put_date(struct reg *r, struct sip_out *o)
{
	uint64_t now_s = env_wall_us(r->env.loop->env) / 1000000;
	if (now_s != r->date_s) {
		struct buf b;
		buf_init_fixed(&b, r->date, sizeof(r->date));
		sip_date_put(&b, now_s);
		(void)!buf_cstr(&b);
		r->date_s = now_s;
	}
	sip_out_hdr(o, SIP_HDR_DATE, str_c(r->date));
}

/* 200 with all bindings that are there now [RFC3261 10.3 step 8], the Path that was kept
 * [RFC3327 5.3], and whether a flow was registered [RFC5626 6]. */
static void accept(struct request *q)
{
	struct reg *r = q->reg;
	const struct sip_msg *m = q->rx->msg;
	struct loc_scratch scratch;
	struct loc_binding b;
	struct sip_out o = {.b = &r->out}; /* header lines for tsx_reply */
	struct sip_addr to;
	size_t at = 0, n = 0;
	bool has_gruu = sip_has_token(m, SIP_HDR_SUPPORTED, STR("gruu")) &&
			sip_addr_parse(sip_value(m, SIP_HDR_TO), &to) == OK && !to.uri_err;
	buf_clear(&r->out);
	const struct loc_rec *rec = loc_get(r->env.loc, reg_aor(q));
	while (rec && loc_next(r->env.loc, r->env.shard, rec, &at, &b, &scratch)) {
		put_contact(q, &o, &b, has_gruu ? &to.uri : NULL);
		n++;
	}
	put_date(r, &o);
	if (sip_has(m, SIP_HDR_PATH)) {
		sip_out_copy(&o, m, SIP_HDR_PATH);
		sip_out_hdr(&o, SIP_HDR_SUPPORTED, STR("path"));
	}
	if (q->is_outbound)
		sip_out_hdr(&o, SIP_HDR_REQUIRE, STR("outbound"));
	if (q->is_outbound && tp_is_reliable(q->rx->proto) && nat_is_direct(m))
		sip_out_fmt(&o, SIP_HDR_FLOW_TIMER, "%u", FLOW_TIMER_S);
	if (r->out.err) {
		buf_fini(&r->out);
		buf_init(&r->out);
		refuse(q, CODE_NO_MEMORY, STR_NONE);
		return;
	}
	enum err e = tsx_reply(r->env.tsx, q->st, 200, STR_NONE, buf_view(&r->out));
	(void)e; /* the binding is there all the same; the phone repeats what was not answered */
	tell(q, 200, CODE_NONE, n);
	request_end(q);
}

/* --- the change ----------------------------------------------------------------------------- */

static void on_changed(struct loc_change *c)
{
	struct request *q = CONTAINER_OF(c, struct request, change);
	switch (c->outcome) {
	case LOC_OK:
		accept(q);
		return;
	case LOC_ORDER: /* also the second copy of a REGISTER that was forked on its way */
		refuse(q, CODE_REG_ORDER, STR_NONE);
		return;
	case LOC_FULL:
		refuse(q, CODE_REG_TOO_MANY, STR_NONE);
		return;
	case LOC_BUSY:
		refuse(q, CODE_REG_BUSY, STR("Retry-After: 5\r\n"));
		return;
	case LOC_STORE:
		refuse(q, CODE_REG_STORE, STR("Retry-After: 30\r\n"));
		return;
	case LOC_MEMORY:
		refuse(q, CODE_NO_MEMORY, STR("Retry-After: 30\r\n"));
		return;
	}
}

static void on_dropped(struct loc_change *c)
{
	struct request *q = CONTAINER_OF(c, struct request, change);
	ASSERT(!q->reg); /* reg_free was first */
	request_free(q);
}

static void change(struct request *q)
{
	struct reg *r = q->reg;
	const struct sip_msg *m = q->rx->msg;
	q->change = (struct loc_change){
		.aor = reg_aor(q),
		.call_id = m->call_id,
		.path = q->path ? str_c(q->path) : STR_NONE,
		.user_agent = sip_value(m, SIP_HDR_USER_AGENT),
		.cseq = m->cseq,
		.is_star = q->is_star,
		.proto = (uint8_t)q->rx->proto,
		.from = q->rx->from,
		.to = q->rx->to,
		.flow = q->rx->flow,
		.contacts = q->contacts,
		.n_contacts = q->n_contacts,
		.done = on_changed,
		.drop = on_dropped,
	};
	q->is_in_location = true;
	loc_change(r->env.loc, r->env.shard, &q->change);
}

/* --- the way of a request --------------------------------------------------------------------- */

static void on_verified(struct request *q)
{
	struct reg *r = q->reg;
	if (!auth_is_ok(q->check.verdict)) {
		enum code code = auth_challenge(r->env.auth, r->env.tsx, q->st, &q->check);
		tell(q, code_info(code)->status, code, 0);
		request_end(q);
		return;
	}
	enum code code = reg_read(q);
	if (code == CODE_REG_EXPIRES_BRIEF)
		refuse_fmt(q, code, "Min-Expires", r->cfg.min_expires_s);
	else if (code == CODE_REG_PATH_UNSUPPORTED)
		refuse(q, code, STR("Unsupported: path\r\n"));
	else if (code != CODE_NONE)
		refuse(q, code, STR_NONE);
	else if (q->n_contacts || q->is_star)
		change(q);
	else
		accept(q);
}

static void on_auth_done(struct auth_check *c)
{
	on_verified(CONTAINER_OF(c, struct request, check));
}

/* Step 2: extensions that we do not have, as a list for Unsupported. */
static bool has_unsupported(struct reg *r, const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct str value;
	buf_clear(&r->lines);
	while (sip_each(m, SIP_HDR_REQUIRE, &it, &value)) {
		if (!value.n || str_ieq(value, STR("path")) || str_ieq(value, STR("outbound")) ||
		    str_ieq(value, STR("gruu")))
			continue;
		buf_str(&r->lines, r->lines.n ? STR(", ") : STR("Unsupported: "));
		buf_str(&r->lines, str_sub(value, 0, 64));
		if (r->lines.n > 1000)
			break;
	}
	if (!r->lines.n)
		return false;
	buf_str(&r->lines, STR("\r\n"));
	return true;
}

void reg_on_request(struct reg *r, tsx_id st, struct tp_rx *rx)
{
	struct request *q = request_new(r, st, rx);
	if (!q) {
		code_refuse(r->env.tsx, st, CODE_NO_MEMORY, STR("Retry-After: 5\r\n"));
		return;
	}
	q->check.verdict = AUTH_NONE;
	if (has_unsupported(r, rx->msg)) {
		refuse(q, CODE_REG_EXTENSION, r->lines.err ? STR_NONE : buf_view(&r->lines));
		return;
	}
	q->check.done = on_auth_done;
	if (auth_verify(r->env.auth, rx, &q->check) == OK)
		on_verified(q);
}

/* --- whose request it is ---------------------------------------------------------------------- */

static bool owner_of(void *ctx, const struct sip_msg *m, size_t *shard)
{
	const struct reg *r = ctx;
	struct sip_addr to;
	char mem[LIMIT_AOR_BYTES];
	struct buf aor;
	if (m->method != SIP_REGISTER)
		return false;
	buf_init_fixed(&aor, mem, sizeof(mem));
	if (sip_addr_parse(sip_value(m, SIP_HDR_TO), &to) != OK || to.uri_err ||
	    dom_aor_put(r->env.dom, &to.uri, &aor))
		return false;
	*shard = loc_shard_of(r->env.loc, buf_view(&aor));
	return true;
}

/* --- life ---------------------------------------------------------------------------------------
 */

enum err reg_new(const struct reg_env *env, const struct reg_cfg *cfg, struct reg **out)
{
	struct reg *r = calloc(1, sizeof(*r));
	if (!r)
		return ERR_NOMEM;
	r->env = *env;
	r->cfg = *cfg;
	if (!r->cfg.default_expires_s)
		r->cfg.default_expires_s = REG_HOUR_S;
	if (!r->cfg.min_expires_s)
		r->cfg.min_expires_s = 30;
	if (!r->cfg.max_expires_s)
		r->cfg.max_expires_s = 2 * REG_HOUR_S;
	if (!r->cfg.max_contacts)
		r->cfg.max_contacts = LIMIT_CONTACTS_PER_AOR;
	list_init(&r->live);
	list_init(&r->idle);
	buf_init(&r->out);
	buf_init(&r->lines);
	tp_set_owner(env->tp, owner_of, r);
	*out = r;
	return OK;
}

void reg_free(struct reg *r)
{
	if (!r)
		return;
	tp_set_owner(r->env.tp, NULL, NULL);
	LIST_EACH (&r->live, l) {
		struct request *q = LIST_ENTRY(l, struct request, link);
		list_del(&q->link);
		tp_rx_unref(r->env.tp, q->rx);
		q->reg = NULL;
		if (!q->is_in_location) { /* it waits for a nonce count */
			auth_cancel(&q->check);
			request_free(q);
		}
	}
	for (struct link *l; (l = list_pop(&r->idle));)
		free(LIST_ENTRY(l, struct request, link));
	buf_fini(&r->out);
	buf_fini(&r->lines);
	free(r);
}
