/* The exchange's eye on those who abuse it: rates, scanners, credentials.
 *
 * Rates are token buckets (limit.h): one for each user at an address and method, one for each
 * address. The address's is shared out among the shards, over which Call-IDs spread its requests
 * evenly. What is over a rate is answered 503 at first, and then hardly any more; and each speaks
 * against the address (ban.h). Exempt addresses (loopback, --never-ban) have the first kind of
 * bucket only, trusted ones none.
 *
 * Scanners are known by name (scanners.def) and hear nothing, from their first message on; the
 * guard drops them before there is a transaction.
 *
 * [RFC3261 26.1, 22] */
#include "service/watch.h"

#include "base/limits.h"
#include "service/codes.h"
#include "service/steer.h"

static void shed(struct exc_shard *s, tsx_id st, enum code code)
{
	enum err e = code_reply_and_forget(s->stack.tsx, st, code, 0, STR("Retry-After: 10\r\n"));
	if (e != OK && e != ERR_STATE)
		tsx_drop(s->stack.tsx, st);
}

static struct ban_sight sight_of(const struct tp_rx *rx, struct str user)
{
	return (struct ban_sight){.from = rx->from,
				  .is_stream = rx->proto != TP_UDP,
				  .user = user,
				  .agent = sip_value(rx->msg, SIP_HDR_USER_AGENT),
				  .request = rx->msg->method_name};
}

/* ---- the guard ------------------------------------------------------------------------------- */

/* Addresses of trunks change with the policy; who is none at the time is judged. */
static bool is_exempt(struct exc_shard *s, const struct addr *from)
{
	return ban_is_exempt(s->x->ban, from) || steer_is_trunk(s, from);
}

static void note(struct exc_shard *s, enum ban_deed what, const struct ban_sight *by)
{
	if (!is_exempt(s, &by->from))
		ban_deed(s->x->ban, s->n, what, by);
}

static bool may(void *ctx, enum tp_proto proto, const struct addr *from)
{
	const struct exc_shard *s = ctx;
	return ban_may(s->x->ban, s->n, from, proto != TP_UDP);
}

static bool is_scanner(const struct sip_msg *m)
{
	return ban_is_scanner(sip_value(m, SIP_HDR_USER_AGENT)) ||
	       str_starts(sip_value(m, SIP_HDR_FROM), STR("\"sipvicious\""));
}

static bool takes(void *ctx, const struct tp_rx *rx)
{
	struct exc_shard *s = ctx;
	const struct sip_msg *m = rx->msg;
	const struct sip_diag *why;
	if (!m->is_request)
		return true;
	if (!m->to_tag.n && is_scanner(m) && !ban_is_trusted(s->x->ban, &rx->from)) {
		struct ban_sight by = sight_of(rx, STR_NONE);
		note(s, BAN_SCANNER, &by);
		return false;
	}
	if (m->worst && sip_msg_verdict(m, &why) > 0) {
		struct ban_sight by = sight_of(rx, STR_NONE);
		note(s, BAN_MALFORMED, &by);
	}
	return true;
}

static void on_garbage(void *ctx, enum tp_proto proto, const struct addr *from)
{
	struct exc_shard *s = ctx;
	struct ban_sight by = {
		.from = *from, .is_stream = proto != TP_UDP, .request = STR("not SIP")};
	note(s, BAN_MALFORMED, &by);
}

void watch_start(struct exc_shard *s)
{
	struct tp_guard guard = {.ctx = s, .may = may, .takes = takes, .on_garbage = on_garbage};
	tp_set_guard(s->stack.tp, &guard);
}

/* ---- credentials ----------------------------------------------------------------------------- */

void watch_credentials(struct exc_shard *s, enum auth_verdict v, const struct ban_sight *by)
{
	switch (v) {
	case AUTH_OK:
		ban_logged_in(s->x->ban, s->n, by);
		break;
	case AUTH_NONE:
		ban_asked(s->x->ban, s->n, by);
		break;
	case AUTH_WRONG_PASSWORD:
		note(s, BAN_PASSWORD, by);
		break;
	case AUTH_UNKNOWN_USER:
		note(s, BAN_UNKNOWN, by);
		break;
	case AUTH_MALFORMED:
	case AUTH_WRONG_ALG:
		note(s, BAN_MALFORMED, by);
		break;
	case AUTH_TRUSTED:
	case AUTH_DISABLED: /* and the rest: the password was right */
	case AUTH_STALE:
	case AUTH_REPLAYED:
	case AUTH_FOREIGN_NONCE:
	case AUTH_WRONG_URI:
	case AUTH__N:
		break;
	}
}

void watch_request(struct exc_shard *s, const struct tp_rx *rx, const struct auth_check *c)
{
	struct str user = auth_user(c);
	struct sip_uri to;
	if (c->verdict == AUTH_TRUSTED)
		return;
	/* who scans changes whom he asks for; who dials numbers to see which get out, too */
	if (!user.n && sip_uri_parse(rx->msg->ruri, &to) == OK)
		user = to.user;
	struct ban_sight by = sight_of(rx, user);
	watch_credentials(s, c->verdict, &by);
}

/* ---- rates ----------------------------------------------------------------------------------- */

static void name_storm(struct exc_shard *s, const struct tp_rx *rx, struct str user)
{
	struct exc *x = s->x;
	char mem[512], from[ADDR_TEXT_MAX];
	struct buf b;
	struct str agent = sip_value(rx->msg, SIP_HDR_USER_AGENT);
	if (!x->note || !lim_is_news(x->news, s->lim, s->n, ev_now_us(s->loop), &rx->from, user,
				     rx->msg->method_name))
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_fmt(&b,
		"%s storms: user " STR_FMT " starts " STR_FMT
		" requests faster than %d a second; it is held back",
		addr_text(&rx->from, from), STR_ARG(user), STR_ARG(rx->msg->method_name),
		LIMIT_STARTS_PER_S);
	if (agent.n)
		buf_fmt(&b, " (" STR_FMT ")", STR_ARG(str_sub(agent, 0, 80)));
	struct exc_note n = {.kind = EXC_NOTE_STORM,
			     .shard = s->n,
			     .at_us = ev_now_us(s->loop),
			     .text = buf_view(&b),
			     .user = user,
			     .call_id = rx->msg->call_id,
			     .from = rx->from};
	x->note(x->note_ctx, &n);
}

static bool hold_back(struct exc_shard *s, tsx_id st, const struct tp_rx *rx, struct str user,
		      enum lim_answer answer, enum ban_deed deed)
{
	struct ban_sight by = sight_of(rx, user);
	note(s, deed, &by);
	if (answer == LIM_DROP)
		tsx_drop(s->stack.tsx, st);
	else
		shed(s, st, deed == BAN_STORM ? CODE_STORM : CODE_FLOOD);
	return false;
}

/* All users of one address together. */
static bool is_within_source_rate(struct exc_shard *s, tsx_id st, const struct tp_rx *rx,
				  struct str user)
{
	uint32_t share = (uint32_t)s->x->n_shards;
	struct lim_rate rate = {.per_s = (LIMIT_SOURCE_PER_S + share - 1) / share,
				.burst = (LIMIT_SOURCE_BURST + share - 1) / share};
	struct addr key = rx->from;
	if (ban_is_exempt(s->x->ban, &key))
		return true;
	if (key.family == ADDR_V6) /* as the bans have it: a host may have all of its /64 */
		key = ban_key(&key);
	enum lim_answer a =
		lim_take(s->lim, ev_now_us(s->loop), rate, &key, STR_NONE, STR_NONE, NULL);
	return a == LIM_PASS || hold_back(s, st, rx, user, a, BAN_FLOOD);
}

bool watch_rate(struct exc_shard *s, tsx_id st, struct tp_rx *rx)
{
	static const struct lim_rate rate = {.per_s = LIMIT_STARTS_PER_S,
					     .burst = LIMIT_STARTS_BURST};
	const struct sip_msg *m = rx->msg;
	struct sip_addr from;
	struct str user = STR_NONE;
	if (auth_is_trusted(s->auth, &rx->from) || steer_is_trunk(s, &rx->from))
		return true;
	if (sip_addr_parse(sip_value(m, SIP_HDR_FROM), &from) == OK && !from.uri_err)
		user = from.uri.user;
	enum lim_answer a =
		lim_take(s->lim, ev_now_us(s->loop), rate, &rx->from, user, m->method_name, NULL);
	if (a == LIM_FIRST)
		name_storm(s, rx, user);
	if (a != LIM_PASS)
		return hold_back(s, st, rx, user, a, BAN_STORM);
	return is_within_source_rate(s, st, rx, user);
}

/* ---- load ------------------------------------------------------------------------------------ */

bool watch_load(struct exc_shard *s, tsx_id st, struct tp_rx *rx)
{
	uint64_t now = ev_now_us(s->loop), waited = now - rx->at_us,
		 standing = tp_behind_us(s->stack.tp);
	if (!load_sheds(&s->load, now, waited > standing ? waited : standing,
			rx->msg->method == SIP_REGISTER))
		return true;
	shed(s, st, CODE_SHED);
	return false;
}
