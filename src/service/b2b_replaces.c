/* Replaces: which party is on the far side of a dialog that somebody names.
 *
 * A party knows its own dialog with the exchange; the other party knows another. So a Replaces that
 * names a leg of ours is translated: the call goes to the party on the far side of that leg, with a
 * Replaces that names the dialog as that one sees it. It takes the new call and ends the old one
 * itself, wherever the two calls live: nothing has to move between shards.
 *
 * The leg lives on the shard of its Call-ID; that one is asked by a message, and answers. Who asks
 * is named by the id of his call, which may be gone when the answer comes. A dialog that is none of
 * ours (the proxy forwarded it, so both parties know the same one) passes as it is.
 *
 * [RFC3891] [RFC5589 7] */
#include "service/b2b_priv.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 1024

enum found {
	FOUND_NONE,  /* not ours: pass it as it is */
	FOUND_EARLY, /* ours, but nobody has answered on its far side: a plain call will do */
	FOUND_PARTY,
	FOUND_ELSEWHERE, /* ours, and its call is on another shard: ask there */
	FOUND_RINGING,   /* ours, and its far side rings: the answer comes later */
	FOUND_NOBODY,    /* ... and did not answer, or is busy otherwise: `status` */
};

struct b2b_ask {
	struct inbox_msg inbox;
	obj_id call;
	uint16_t shard; /* who asks */
	bool is_refer;
	uint8_t found; /* enum found */
	uint16_t status;
	bool is_promised; /* `far` is kept for who asks */
	bool is_declined; /* who does not take it */
	obj_id at;        /* the leg that is meant, where that is known; 0: as `value` says */
	obj_id far;       /* PARTY: the leg of whoever is on the far side */
	struct tp_dst dst;
	uint16_t n_value, n_to, n_ruri, n_line;
	char value[TEXT_MAX]; /* of Replaces as asked */
	char to[TEXT_MAX];    /* the URI of Refer-To */
	char ruri[TEXT_MAX];  /* the far party's, and the header line for it */
	char line[TEXT_MAX];
};

static bool put(char *at, uint16_t *n, struct str s)
{
	if (s.n > TEXT_MAX)
		return false;
	if (s.n)
		memcpy(at, s.p, s.n);
	*n = (uint16_t)s.n;
	return true;
}

/* --- the shard that knows --------------------------------------------------------------------- */

static struct b2b_leg *named(struct b2b *b, const struct b2b_ask *q)
{
	struct sip_replaces r;
	if (q->at)
		return pool_find(&b->legs, q->at);
	if (sip_replaces_parse(str_of(q->value, q->n_value), &r) != OK)
		return NULL;
	struct ses *s = ses_replaced(b->dlg, &r);
	return s ? ses_ctx_of(s, &b2b_user) : NULL;
}

/* How a call to the far party names its dialog. */
static bool put_names(struct b2b_ask *q, const struct b2b_leg *far)
{
	struct b2b_names d;
	struct buf line;
	if (!b2b_leg_names(far, &d) || !put(q->ruri, &q->n_ruri, d.target))
		return false;
	buf_init_fixed(&line, q->line, sizeof(q->line));
	buf_fmt(&line, "Replaces: " STR_FMT ";to-tag=" STR_FMT ";from-tag=" STR_FMT "\r\n",
		STR_ARG(d.call_id), STR_ARG(d.remote_tag), STR_ARG(d.local_tag));
	q->n_line = (uint16_t)line.n;
	q->dst = b2b_leg_way(far);
	return line.err == OK;
}

/* It is the caller of a call that is being set up. */
static bool may_ring(const struct b2b_leg *l)
{
	const struct b2b_call *c = l->call;
	return l->is_caller && l->state == LEG_TRYING && c->side[0] == l && !c->is_closed;
}

static void look_up(struct b2b *b, struct b2b_ask *q)
{
	struct b2b_leg *l = named(b, q), *far = l ? b2b_other(l) : NULL;
	q->found = l || q->at ? FOUND_EARLY : FOUND_NONE;
	if (l && l->owner) {
		q->at = l->owner->leg;
		q->found = FOUND_ELSEWHERE;
	} else if (far && put_names(q, far)) {
		q->far = pool_id(&b->legs, far);
		q->found = FOUND_PARTY;
	} else if (l && q->is_refer && may_ring(l)) {
		q->found = l->call->is_promised ? FOUND_NOBODY : FOUND_RINGING;
		q->status = 491;
	}
	if (q->found == FOUND_RINGING) {
		l->call->promise = q;
		l->call->is_promised = true;
	}
}

/* --- who asks --------------------------------------------------------------------------------- */

/* The legs that wait give way to the one party that is meant, whose phones they are. */
static void resume_invite(struct b2b_call *c, const struct b2b_ask *q)
{
	char mem[LIMIT_AOR_BYTES + 1];
	struct buf aor;
	c->passes_replaces = q->found == FOUND_NONE;
	if (q->found != FOUND_PARTY)
		return;
	struct prx_target t = {
		.ruri = str_of(q->ruri, q->n_ruri), .q = 1000, .has_dst = true, .dst = q->dst};
	struct b2b_leg *next, *l;
	buf_init_fixed(&aor, mem, sizeof(mem));
	for (l = c->legs; l; l = next) {
		next = l->next;
		if (l->place && !aor.n)
			buf_str(&aor, l->place->aor);
		if (l->state == LEG_WAITING || l->state == LEG_SPARE)
			b2b_leg_free(l);
	}
	t.aor = buf_view(&aor);
	(void)!b2b_add_leg(c, &t, str_of(q->line, q->n_line), &l);
}

static unsigned splice(struct b2b_call *c, obj_id leg)
{
	struct b2b_leg *far = pool_find(&c->b->legs, leg);
	if (far)
		return b2b_splice(c, far);
	if (obj_id_shard(leg) == c->b->loop->shard)
		return 480;
	return b2b_far_take(c, leg) == OK ? 200 : 500;
}

static void call_anew(struct b2b_call *c, const struct b2b_ask *q)
{
	const struct b2b_config *cfg = &c->b->cfg;
	struct prx_target t[PRX_MAX_TARGETS];
	size_t n = ARRAY_LEN(t);
	struct sip_uri uri;
	struct str to = str_of(q->to, q->n_to);
	char mem[TEXT_MAX + 16], aor_mem[LIMIT_AOR_BYTES + 1];
	struct buf line, aor;
	enum code code = CODE_B2B_FAILED;
	buf_init_fixed(&aor, aor_mem, sizeof(aor_mem));
	if (sip_uri_parse(to, &uri) == OK)
		code = cfg->route(cfg->ctx, &uri, &aor, t, &n);
	buf_init_fixed(&line, mem, sizeof(mem));
	if (q->found == FOUND_NONE)
		buf_fmt(&line, "Replaces: %.*s\r\n", (int)q->n_value, q->value);
	if (code)
		b2b_transfer_failed(c, code_info(code)->status);
	else
		b2b_transfer_start(c, to, t, n, buf_view(&line));
}

/* Whether the far party was taken over. */
static bool resume_refer(struct b2b_call *c, const struct b2b_ask *q)
{
	unsigned status = q->found == FOUND_PARTY    ? splice(c, q->far)
			  : q->found == FOUND_NOBODY ? q->status
						     : 0;
	if (!status)
		call_anew(c, q);
	else if (status != 200)
		b2b_transfer_failed(c, status);
	return status == 200;
}

/* True: it is on its way to the shard that knows. */
static bool send(struct ev_loop *loop, struct b2b_ask *q, size_t shard)
{
	if (shard == loop->shard || !loop->shards)
		return false;
	q->inbox.kind = INBOX_B2B_ASK;
	ev_post(loop, shard, &q->inbox);
	return true;
}

/* A far party that answered for nobody goes to who has called him. Takes over q. */
static void decline(struct b2b *b, struct b2b_ask *q)
{
	q->is_declined = true;
	if (send(b->loop, q, obj_id_shard(q->far)))
		return;
	struct b2b_leg *l = pool_find(&b->legs, q->far);
	struct b2b_call *c = l ? l->call : NULL;
	free(q);
	if (!c || !c->is_promised)
		return;
	b2b_splice_home(l, c, false);
	b2b_call_reap(c);
}

/* Takes over q. */
static void resume(struct b2b *b, struct b2b_ask *q)
{
	struct b2b_call *c = pool_find(&b->calls, q->call);
	bool is_taken = false;
	if (c && q->is_refer) {
		is_taken = c->is_transferring && resume_refer(c, q);
	} else if (c && c->side[0] && c->side[0]->state == LEG_TRYING) {
		resume_invite(c, q);
		b2b_start_group(c);
	}
	if (q->is_promised && !is_taken)
		decline(b, q);
	else
		free(q);
	if (c)
		b2b_call_reap(c);
}

static void answer(struct b2b *b, struct b2b_ask *q)
{
	q->inbox.kind = INBOX_B2B_ANSWER;
	if (q->shard == b->loop->shard)
		resume(b, q);
	else
		ev_post(b->loop, q->shard, &q->inbox);
}

void b2b_promise_keep(struct b2b_leg *l)
{
	struct b2b_call *c = l->call;
	struct b2b_ask *q = c->promise;
	c->promise = NULL;
	q->is_promised = true;
	q->far = pool_id(&c->b->legs, l);
	q->found = FOUND_PARTY;
	answer(c->b, q);
}

void b2b_promise_break(struct b2b_call *c, unsigned status)
{
	struct b2b_ask *q = c->promise;
	c->promise = NULL;
	c->is_promised = false;
	if (!q)
		return;
	q->found = FOUND_NOBODY;
	q->status = (uint16_t)status;
	answer(c->b, q);
}

static void on_ask(void *ctx, struct ev_loop *loop, struct inbox_msg *m)
{
	struct b2b_ask *q = CONTAINER_OF(m, struct b2b_ask, inbox);
	if (q->is_declined) {
		decline(ctx, q);
		return;
	}
	look_up(ctx, q);
	if (q->found == FOUND_ELSEWHERE && send(loop, q, obj_id_shard(q->at)))
		return;
	if (q->found != FOUND_RINGING)
		answer(ctx, q);
}

static void on_answer(void *ctx, struct ev_loop *loop, struct inbox_msg *m)
{
	resume(ctx, CONTAINER_OF(m, struct b2b_ask, inbox));
}

static void discard(struct inbox_msg *m)
{
	free(CONTAINER_OF(m, struct b2b_ask, inbox));
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool ask(struct b2b_call *c, struct str value, struct str to, bool is_refer)
{
	struct b2b *b = c->b;
	struct sip_replaces r;
	if (sip_replaces_parse(value, &r) != OK)
		return false;
	struct b2b_ask *q = calloc(1, sizeof(*q));
	if (!q)
		return false;
	q->call = pool_id(&b->calls, c);
	q->shard = b->loop->shard;
	q->is_refer = is_refer;
	if (!put(q->value, &q->n_value, value) || !put(q->to, &q->n_to, to)) {
		free(q);
		return false;
	}
	size_t shard = tp_owner_of(b->tp, r.call_id, STR_NONE);
	if (send(b->loop, q, shard))
		return true;
	look_up(b, q);
	if (q->found == FOUND_ELSEWHERE && send(b->loop, q, obj_id_shard(q->at)))
		return true;
	if (q->found == FOUND_RINGING)
		return true;
	if (is_refer)
		resume_refer(c, q);
	else
		resume_invite(c, q);
	free(q);
	return is_refer;
}

bool b2b_replaces_ask_invite(struct b2b_call *c, const struct sip_msg *m)
{
	struct str v = sip_value(m, SIP_HDR_REPLACES);
	return v.n && ask(c, v, STR_NONE, false);
}

bool b2b_replaces_ask_refer(struct b2b_call *c, struct str value, struct str to)
{
	return ask(c, value, to, true);
}

void b2b_replaces_init(struct b2b *b)
{
	struct ev_shards *shards = b->cfg.shards;
	if (!shards)
		return;
	ev_inbox_handle(shards, b->loop->shard, INBOX_B2B_ASK, on_ask, b);
	ev_inbox_handle(shards, b->loop->shard, INBOX_B2B_ANSWER, on_answer, b);
	ev_inbox_discard(shards, INBOX_B2B_ASK, discard);
	ev_inbox_discard(shards, INBOX_B2B_ANSWER, discard);
}
