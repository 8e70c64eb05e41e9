/* The exchange: what all shards share, and each shard's stack and services. It is made before the
 * shards start and freed after they have stopped; what happens in between is in dispatch.c.
 *
 * Keys: those of nonces and route tokens are kept in the store (a restart makes no phone stale and
 * drops no call), as is that of the Call-ID hash; those of branches are random per process.
 *
 * Invariants: 1. A shard's services are freed in the reverse order of their making, the stack
 * last. 2. `x` of a shard is set as soon as anything of it exists: exc_free frees what was made,
 * also after a failure half-way. */
#include "service/exchange_priv.h"

#include "base/limits.h"
#include "service/codes.h"
#include "service/steer.h"
#include "service/watch.h"
#include "transport/seen.h"

#include <stdlib.h>
#include <string.h>

struct keys {
	uint8_t nonce[16], route[16], branch[16], call_id[16];
	uint8_t ban[16], instance[16];
	struct gruu_self gruu;
};

/* What a dialog of ours refuses by itself. */
static void on_dlg_refusal(void *ctx, enum dlg_refusal why, unsigned status, struct buf *lines)
{
	static const enum code codes[] = {
		[DLG_REFUSE_ORDER] = CODE_DLG_ORDER,       [DLG_REFUSE_MERGED] = CODE_MERGED,
		[DLG_REFUSE_EXTENSION] = CODE_REQUIRE,     [DLG_REFUSE_BODY] = CODE_DLG_BODY,
		[DLG_REFUSE_CONTACT] = CODE_DLG_CONTACT,   [DLG_REFUSE_NO_DIALOG] = CODE_NO_DIALOG,
		[DLG_REFUSE_METHOD] = CODE_METHOD,         [DLG_REFUSE_FULL] = CODE_OVERLOAD,
		[DLG_REFUSE_GLARE] = CODE_DLG_GLARE,       [DLG_REFUSE_EARLY] = CODE_DLG_EARLY,
		[DLG_REFUSE_MEDIA] = CODE_DLG_MEDIA,       [DLG_REFUSE_EVENT] = CODE_EVENT,
		[DLG_REFUSE_TIMER] = CODE_DLG_TIMER,       [DLG_REFUSE_PRACK] = CODE_DLG_PRACK,
		[DLG_REFUSE_ACCEPT] = CODE_SUB_ACCEPT,     [DLG_REFUSE_INTERVAL] = CODE_SUB_BRIEF,
		[DLG_REFUSE_STATE] = CODE_SUB_STATE,       [DLG_REFUSE_CANCELLED] = CODE_CANCELLED,
		[DLG_REFUSE_REPLACES] = CODE_B2B_REPLACES, [DLG_REFUSE_REFER] = CODE_SUB_REFER,
		[DLG_REFUSE_DECLINED] = CODE_DLG_DECLINED,
	};
	if ((size_t)why < ARRAY_LEN(codes) && codes[why])
		code_warning_put(lines, codes[why]);
}

static enum err make_stack(struct exc_shard *s, const struct keys *k, const struct exc_cfg *x)
{
	struct tsx_user user = dispatch_user;
	struct dlg_config cfg = {.product = buf_view(&s->x->product), .on_refusal = on_dlg_refusal};
	user.ctx = s;
	enum err e =
		dlg_stack_new(&s->stack, s->loop, &s->blocks, &user, &cfg, k->branch, k->call_id);
	if (e == OK && x->dns)
		e = tp_set_dns_servers(s->stack.tp, x->dns);
	if (e == OK)
		tp_set_seen(s->stack.tp, s->x->seen);
	for (size_t i = 0; e == OK && i < ARRAY_LEN(x->advertise); i++)
		if (x->advertise[i].family)
			tp_advertise(s->stack.tp, &x->advertise[i]);
	return e;
}

static bool is_trusted(void *ctx, const struct addr *to)
{
	struct exc_shard *s = ctx;
	return auth_is_trusted(s->auth, to);
}

static void on_answer(void *ctx, const struct sip_msg *invite, const struct sip_msg *resp,
		      unsigned status, struct str aor)
{
	struct exc_shard *s = ctx;
	calls_on_answer(s->calls, invite, resp, status, aor);
}

static void on_miss(void *ctx, const struct sip_msg *invite, const struct sip_msg *resp,
		    struct str aor)
{
	struct exc_shard *s = ctx;
	calls_on_miss(s->calls, invite, resp, aor);
}

static void on_gone(void *ctx, const struct sip_msg *request)
{
	struct exc_shard *s = ctx;
	calls_on_end(s->calls, request);
}

static void on_sign(void *ctx, const struct sign *sign)
{
	struct exc_shard *s = ctx;
	calls_on_sign(s->calls, sign);
}

static void gather_talks(void *ctx, struct str aor)
{
	struct exc_shard *s = ctx;
	b2b_gather(s->b2b, aor);
}

static enum err make_b2b(struct exc_shard *s)
{
	struct exc *x = s->x;
	struct b2b_config b2b_cfg = {.session_s = x->session_s,
				     .realm = buf_view(&x->realm),
				     .route = dispatch_route,
				     .is_echo = dispatch_is_echo,
				     .is_trusted = is_trusted,
				     .take = steer_take,
				     .leave = steer_leave,
				     .on_deaf = steer_deaf,
				     .expand = steer_expand,
				     .on_sign = on_sign,
				     .on_leg = exc_on_leg,
				     .ctx = s,
				     .shards = x->shards,
				     .blocks = &s->blocks};
	enum err e = b2b_new(s->loop, s->stack.tp, s->stack.tsx, s->stack.dlg, &b2b_cfg, &s->b2b);
	if (e == OK)
		calls_set_carrier(s->calls, gather_talks, s);
	return e;
}

static enum err make_services(struct exc_shard *s, const struct keys *k)
{
	struct exc *x = s->x;
	struct auth_cfg auth_cfg = {
		.realm = buf_view(&x->realm), .trust = x->trust, .n_trust = x->n_trust};
	memcpy(auth_cfg.nonce_key, k->nonce, sizeof(auth_cfg.nonce_key));
	enum err e = auth_new(x->shards, s->n, &auth_cfg, x->acc, &s->auth);
	if (e)
		return e;
	loc_set_transport(x->loc, s->n, s->stack.tp);
	struct reg_env reg_env = {
		.shard = s->n,
		.loop = s->loop,
		.tp = s->stack.tp,
		.tsx = s->stack.tsx,
		.loc = x->loc,
		.auth = s->auth,
		.acc = x->acc,
		.dom = x->dom,
		.gruu = k->gruu,
		.on_outcome = exc_on_registration,
		.ctx = s,
	};
	e = reg_new(&reg_env, &(struct reg_cfg){0}, &s->reg);
	if (e)
		return e;
	s->gruu = k->gruu;
	s->self = (struct rt_self){.tp = s->stack.tp, .is_us = dispatch_is_us, .ctx = s};
	memcpy(s->self.key, k->route, sizeof(s->self.key));
	struct prx_config prx_cfg = {.realm = buf_view(&x->realm),
				     .on_answer = on_answer,
				     .on_miss = on_miss,
				     .on_gone = on_gone,
				     .on_deaf = steer_deaf,
				     .is_trusted = is_trusted,
				     .expand = steer_expand,
				     .ctx = s};
	e = prx_new(s->loop, s->stack.tp, s->stack.tsx, &s->blocks, &s->self, &prx_cfg, &s->prx);
	if (e)
		return e;
	e = evt_shard_new(x->evt, s->n, &s->stack, &s->evt);
	if (e)
		return e;
	e = calls_new(s->loop, &s->blocks, s->evt, &s->calls);
	if (e)
		return e;
	e = echo_new(s->loop, s->stack.tsx, s->stack.dlg,
		     &(struct echo_config){.on_sign = on_sign, .ctx = s}, &s->echo);
	if (e)
		return e;
	e = make_b2b(s);
	if (e)
		return e;
	pool_init(&s->waits, sizeof(struct wait), LIMIT_PENDING_AUTH, 0x42, (uint8_t)s->n);
	e = lim_new(k->call_id, &s->lim);
	if (e == OK)
		watch_start(s);
	return e;
}

static void free_shard(struct exc_shard *s)
{
	uint32_t at = 0;
	struct wait *w;
	if (s->waits.size) {
		while ((w = pool_next(&s->waits, &at))) {
			auth_cancel(&w->check);
			tp_rx_unref(s->stack.tp, w->rx);
			pool_put(&s->waits, w);
		}
		pool_fini(&s->waits);
	}
	lim_free(s->lim);
	b2b_free(s->b2b);
	echo_free(s->echo);
	prx_free(s->prx);
	calls_free(s->calls);
	evt_shard_free(s->evt);
	reg_free(s->reg);
	auth_free(s->auth);
	dlg_stack_free(&s->stack);
	block_cache_fini(&s->blocks);
}

/* Who has a registration has logged in. */
static bool on_bound(void *arg, struct str aor, const struct loc_rec *r)
{
	struct exc *x = arg;
	struct loc_scratch scratch;
	struct loc_binding b;
	size_t at = 0;
	while (loc_next(x->loc, 0, r, &at, &b, &scratch))
		ban_is_good(x->ban, &b.from);
	return true;
}

static enum err make_bans(struct exc *x, const struct exc_cfg *cfg, const struct keys *k)
{
	struct ban_cfg ban_cfg = {.trust = x->trust,
				  .n_trust = x->n_trust,
				  .never = cfg->never_ban,
				  .n_never = cfg->n_never_ban,
				  .on_ban = exc_on_ban,
				  .ctx = x};
	memcpy(ban_cfg.key, k->ban, sizeof(ban_cfg.key));
	enum err e = ban_new(x->shards, x->st, x->acc, &ban_cfg, &x->ban);
	for (size_t i = 0; e == OK && i < x->n_shards; i++)
		loc_each(x->loc, i, on_bound, x);
	return e;
}

static enum err make_shared(struct exc *x, struct env *env, const struct exc_cfg *cfg,
			    struct keys *k, struct buf *why)
{
	struct str bad = STR_NONE;
	buf_str(&x->echo_user, cfg->echo_user);
	buf_str(&x->product, cfg->product);
	enum err e = acc_realm(x->st, env, cfg->realm, &x->realm);
	if (e == ERR_SYNTAX || e == ERR_LIMIT) {
		buf_fmt(why,
			"a realm has at most %d characters, no quotes and no backslashes: not "
			"`" STR_FMT "`",
			ACC_REALM_MAX, STR_ARG(cfg->realm));
		return ERR_SYNTAX;
	}
	if (e == OK)
		e = acc_key(x->st, env, STR("nonce"), k->nonce, sizeof(k->nonce));
	if (e == OK)
		e = acc_key(x->st, env, STR("route"), k->route, sizeof(k->route));
	if (e == OK) /* subscriptions belong to the same shards after a restart */
		e = acc_key(x->st, env, STR("call-id"), k->call_id, sizeof(k->call_id));
	if (e == OK)
		e = acc_key(x->st, env, STR("gruu"), k->gruu.key, sizeof(k->gruu.key));
	if (e == OK)
		e = acc_key(x->st, env, STR("instance"), k->instance, sizeof(k->instance));
	if (e == OK)
		e = acc_new(x->shards, x->st, &x->acc);
	if (e == OK)
		e = loc_new(x->shards, x->st, &(struct loc_cfg){0}, &x->loc);
	if (e == OK)
		e = make_bans(x, cfg, k);
	if (e) {
		struct str st_text = st_why(x->st);
		buf_str(why, st_text.n ? st_text : str_c(err_text(e)));
		return e;
	}
	e = lim_news_new(x->n_shards, &x->news);
	if (e)
		return e;
	e = dom_new(cfg->domains, cfg->n_domains, buf_view(&x->realm), cfg->host_name, &bad,
		    &x->dom);
	if (e)
		buf_fmt(why, "`" STR_FMT "` is not a domain", STR_ARG(bad));
	if (e)
		return e;
	return evt_new(&(struct evt_env){.shards = x->shards,
					 .st = x->st,
					 .loc = x->loc,
					 .acc = x->acc,
					 .dom = x->dom,
					 .gruu = k->gruu},
		       &x->evt);
}

/* A trunk's host sees us from outside. */
static bool on_trunk_answer(void *ctx, const struct uac_result *r)
{
	struct exc *x = ctx;
	struct tp *tp = x->s[0].stack.tp;
	struct addr at;
	char mem[160], text[ADDR_TEXT_MAX];
	struct buf b;
	if (!tp_seen_learn(tp, x->seen, &r->dst, r->rx->msg))
		return false;
	buf_init_fixed(&b, mem, sizeof(mem));
	if (tp_local_for(tp, &r->dst, &at) == OK)
		buf_fmt(&b, "peers outside see this exchange at %s", addr_text(&at, text));
	exc_on_trunk_news(x, buf_view(&b));
	return true;
}

static enum err make_trunks(struct exc *x, const struct keys *k)
{
	struct trunks_user user = {
		.on_news = exc_on_trunk_news, .on_answer = on_trunk_answer, .ctx = x};
	memcpy(user.instance_key, k->instance, sizeof(user.instance_key));
	return trunks_new(x->shards, x->s[0].stack.dlg, &user, &x->trunks);
}

enum err exc_new(struct ev_shards *shards, struct st *st, struct env *env,
		 const struct exc_cfg *cfg, struct exc **out, struct buf *why)
{
	size_t n = ev_shards_count(shards);
	struct keys keys;
	struct exc *x = calloc(1, sizeof(*x) + n * sizeof(x->s[0]));
	if (!x)
		return ERR_NOMEM;
	x->shards = shards;
	x->st = st;
	x->n_shards = n;
	x->is_b2bua = cfg->is_b2bua;
	x->has_farewell = cfg->has_farewell;
	x->session_s = cfg->session_s;
	buf_init(&x->realm);
	buf_init(&x->echo_user);
	buf_init(&x->product);
	env_random(env, &keys, sizeof(keys));
	enum err e = ERR_NOMEM;
	x->trust = calloc(cfg->n_trust + 1, sizeof(*x->trust));
	if (x->trust) {
		if (cfg->n_trust)
			memcpy(x->trust, cfg->trust, cfg->n_trust * sizeof(*x->trust));
		x->n_trust = cfg->n_trust;
		e = ev_words_new(TP_SEEN_WORDS, &x->seen);
	}
	if (e == OK)
		e = make_shared(x, env, cfg, &keys, why);
	for (size_t i = 0; i < n && e == OK; i++) {
		struct exc_shard *s = &x->s[i];
		s->x = x;
		s->n = i;
		s->loop = ev_shard(shards, i);
		e = make_stack(s, &keys, cfg);
		if (e == ERR_SYNTAX)
			buf_fmt(why,
				"name servers are addresses (192.0.2.1, 127.0.0.1:5353), not `%s`",
				cfg->dns);
		if (e == OK)
			e = make_services(s, &keys);
	}
	if (e == OK)
		e = make_trunks(x, &keys);
	if (e == OK)
		e = evt_load(x->evt);
	if (e) {
		struct str st_text = st_why(x->st);
		if (!why->n)
			buf_str(why, st_text.n ? st_text : str_c(err_text(e)));
		exc_free(x);
		return e;
	}
	*out = x;
	return OK;
}

void exc_free(struct exc *x)
{
	if (!x)
		return;
	trunks_stop(x->trunks);
	for (size_t i = 0; i < x->n_shards; i++)
		if (x->s[i].x)
			free_shard(&x->s[i]);
	steer_free(x);
	trunks_free(x->trunks);
	evt_free(x->evt);
	ban_free(x->ban);
	loc_free(x->loc);
	acc_free(x->acc);
	dom_free(x->dom);
	lim_news_free(x->news);
	buf_fini(&x->realm);
	buf_fini(&x->echo_user);
	buf_fini(&x->product);
	ev_words_free(x->seen);
	free(x->trust);
	free(x);
}

void exc_set_tls(struct exc *x, struct net_tls *tls)
{
	for (size_t i = 0; i < x->n_shards; i++)
		tp_set_tls(x->s[i].stack.tp, tls);
}

enum err exc_listen(struct exc *x, enum tp_proto proto, const struct addr *local, const char **why)
{
	struct addr a = *local;
	for (size_t i = 0; i < x->n_shards; i++) {
		enum err e = tp_listen(x->s[i].stack.tp, proto, &a, why);
		if (e)
			return e;
		if (a.port)
			continue;
		enum tp_proto p; /* the kernel chose a port: the other shards take the same */
		struct addr got;
		for (size_t k = 0; tp_listener(x->s[i].stack.tp, k, &p, &got); k++)
			if (p == proto && addr_ip_eq(&got, &a))
				a.port = got.port;
	}
	return OK;
}

void exc_set_tap(struct exc *x, size_t shard, const struct tp_tap *tap)
{
	tp_set_tap(x->s[shard].stack.tp, tap);
}

struct str exc_realm(const struct exc *x)
{
	return buf_view(&x->realm);
}

struct acc *exc_accounts(struct exc *x)
{
	return x->acc;
}

struct loc *exc_location(struct exc *x)
{
	return x->loc;
}

const struct dom *exc_domains(const struct exc *x)
{
	return x->dom;
}

struct evt *exc_events(struct exc *x)
{
	return x->evt;
}

uint64_t exc_n_shed(struct exc *x, size_t shard)
{
	return x->s[shard].load.n_shed;
}

struct ban *exc_bans(struct exc *x)
{
	return x->ban;
}

struct tp *exc_transport(struct exc *x, size_t shard)
{
	return x->s[shard].stack.tp;
}

struct tsx_mgr *exc_transactions(struct exc *x, size_t shard)
{
	return x->s[shard].stack.tsx;
}

struct dlg_mgr *exc_dialogs(struct exc *x, size_t shard)
{
	return x->s[shard].stack.dlg;
}

void exc_proxy_stats(struct exc *x, size_t shard, struct prx_stats *out)
{
	prx_stats(x->s[shard].prx, out);
}

struct trunks *exc_trunks(struct exc *x)
{
	return x->trunks;
}

struct b2b *exc_b2b(struct exc *x, size_t shard)
{
	return x->s[shard].b2b;
}

void exc_drain(struct exc *x)
{
	ev_snap_set(&x->draining, x);
}

void exc_hangup(struct exc *x, size_t shard, bool is_all)
{
	b2b_stop(x->s[shard].b2b, is_all);
	echo_stop(x->s[shard].echo);
	if (shard == 0)
		trunks_unregister(x->trunks);
}

size_t exc_pending(struct exc *x, size_t shard)
{
	struct prx_stats p;
	struct dlg_stats d;
	prx_stats(x->s[shard].prx, &p);
	dlg_stats(x->s[shard].stack.dlg, &d);
	return p.pending + d.sessions + (shard == 0 ? trunks_leaving(x->trunks) : 0);
}

size_t exc_live(struct exc *x, size_t shard)
{
	struct tsx_stats t;
	struct dlg_stats d;
	tsx_stats(x->s[shard].stack.tsx, &t);
	dlg_stats(x->s[shard].stack.dlg, &d);
	return t.live_client + t.live_server + d.sessions;
}
