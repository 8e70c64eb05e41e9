/* Transfer: a party sends REFER, and the exchange itself does what it asks for.
 *
 *     transferor ──REFER──► exchange ──INVITE──► target          (late offer, RFC 3725 flow I)
 *     transferor ◄─NOTIFY 100, 180─┤ ◄──180, 200 + offer──┤
 *     transferee ◄──re-INVITE with that offer──┤
 *                 ──200 + answer──► ──ACK + answer──► target
 *     transferor ◄─NOTIFY 200─┤
 *
 * The transferee needs to know nothing of REFER and keeps his dialog; he stays also when the
 * transferor hangs up early, as most phones do. When the target refuses, the old call goes on as it
 * was, if the transferor is still there. A Refer-To with Replaces (attended) is a call to whoever
 * is on the far side of the dialog that it names, with Replaces in that one's terms
 * (b2b_replaces.c).
 *
 * [RFC3515] [RFC5589] [RFC3891] [RFC3892] [RFC3725 4.1] */
#include "service/b2b_priv.h"

#include <stdlib.h>

#define RING_US  180000000ull
#define LEAVE_US 2000000ull /* for the transferor to hang up by himself */

/* The URI to call, and the Replaces value in it, unescaped into `mem`. */
static bool read_target(const struct sip_msg *m, struct str *text, struct sip_uri *uri,
			struct buf *replaces)
{
	struct sip_addr a;
	struct str rest, method;
	if (sip_count(m, SIP_HDR_REFER_TO) != 1 ||
	    sip_addr_parse(sip_value(m, SIP_HDR_REFER_TO), &a) != OK || a.uri_err != OK)
		return false;
	*text = a.uri_text;
	rest = a.uri.headers;
	if (rest.n)
		text->n = (size_t)(rest.p - 1 - text->p);
	while (rest.n) {
		struct str value = str_cut(rest, '&', &rest);
		struct str name = str_cut(value, '=', &value);
		if (str_ieq(name, STR("Replaces")) && !sip_unescape(replaces, value))
			return false;
	}
	return sip_uri_parse(*text, uri) == OK && replaces->err == OK &&
	       (!sip_param(uri->params, STR("method"), &method) || str_ieq(method, STR("INVITE")));
}

static bool is_side(const struct b2b_call *c, const struct b2b_leg *l)
{
	return c->side[0] == l || c->side[1] == l;
}

static bool is_echo(const struct b2b *b, const struct sip_uri *uri)
{
	return b->cfg.is_echo && b->cfg.is_echo(b->cfg.ctx, uri);
}

/* Not now: a change of who talks is under way, or he is alone. */
static bool is_busy(const struct b2b_leg *l)
{
	const struct b2b_call *c = l->call;
	return c->transferor || c->is_transferring || c->own || c->meet || !is_side(c, l) ||
	       !b2b_other(l);
}

/* Why a REFER of l cannot be done; CODE_NONE: it can. */
static enum code judge(const struct b2b_leg *l, struct tp_rx *rx)
{
	const struct b2b_call *c = l->call;
	const struct b2b_config *cfg = &c->b->cfg;
	struct prx_target t[PRX_MAX_TARGETS];
	size_t n = ARRAY_LEN(t);
	struct sip_uri uri;
	struct str text;
	char mem[512], aor_mem[LIMIT_AOR_BYTES + 1];
	struct buf replaces, aor;
	buf_init_fixed(&replaces, mem, sizeof(mem));
	buf_init_fixed(&aor, aor_mem, sizeof(aor_mem));
	if (l->owner ? l->owner->is_lent : is_busy(l))
		return CODE_B2B_BUSY;
	if (!read_target(rx->msg, &text, &uri, &replaces))
		return CODE_B2B_REFER;
	if (replaces.n || is_echo(c->b, &uri))
		return CODE_NONE;
	return cfg->route(cfg->ctx, &uri, &aor, t, &n);
}

unsigned b2b_ask_refer(struct b2b_leg *l, struct tp_rx *rx, struct buf *lines)
{
	struct b2b *b = l->call->b;
	if (!b->cfg.route)
		return 0;
	enum code code = judge(l, rx);
	if (code == CODE_NONE)
		return 202;
	if (code == CODE_B2B_BUSY)
		return b2b_put_busy(b, lines);
	code_warning_put(lines, code);
	return code_info(code)->status;
}

/* --- calling the target ----------------------------------------------------------------------- */

/* Referred-By names a part of the REFER's body, signed by who sent it. [RFC3892 4] */
static bool has_token(const struct tp_rx *refer)
{
	struct sip_addr a;
	struct str cid;
	return refer && refer->msg->body.n &&
	       sip_addr_parse(sip_value(refer->msg, SIP_HDR_REFERRED_BY), &a) == OK &&
	       sip_param(a.params, STR("cid"), &cid);
}

static enum err call_target(struct b2b_leg *l, const struct b2b_leg *transferee, struct str to)
{
	struct b2b *b = l->call->b;
	const struct b2b_place *p = l->place;
	struct b2b_names names;
	struct sip_addr from;
	struct str token = STR_NONE;
	char mem[600], uuid[SIP_UUID];
	struct buf name;
	buf_init_fixed(&name, mem, sizeof(mem));
	buf_fmt(&name, "<" STR_FMT ">", STR_ARG(to));
	if (name.err != OK || !b2b_leg_names(transferee, &names) ||
	    sip_addr_parse(names.remote, &from) != OK)
		return ERR_STATE;
	if (has_token(l->call->refer))
		token = b2b_whole_body(l, l->call->refer->msg, STR_NONE);
	struct ses_call call = {
		.enclosed = token,
		.account = {.from = names.remote, .contact_user = from.uri.user},
		.target = p->ruri.n ? p->ruri : to,
		.to = buf_view(&name),
		.headers = p->lines,
		.dst = p->has_dst ? &p->dst : NULL,
		.is_late_offer = true,
		.session_s = b->cfg.session_s,
		.uuid = b2b_leg_uuid(transferee, NULL, uuid),
	};
	enum err e = ses_call(b->dlg, &call, &b2b_user, l, &l->ses);
	if (e == OK)
		b2b_tell_started(l, call.account.from, call.to, STR_NONE, p->aor);
	return e;
}

static void cancel_legs(struct b2b_call *c, const struct b2b_leg *but, struct str reason)
{
	for (struct b2b_leg *l = c->legs; l; l = l->next)
		if (l != but && l->is_transfer && !is_side(c, l))
			b2b_hangup(l, reason);
}

static void on_ring_timer(struct tmr *t)
{
	struct b2b_call *c = CONTAINER_OF(t, struct b2b_call, timer);
	for (struct b2b_leg *l = c->legs; l; l = l->next)
		if (l->is_transfer && l->state == LEG_TRYING)
			b2b_leg_hangup(l, STR("SIP;cause=408;text=\"No answer\""));
}

struct b2b_leg *b2b_transferee(const struct b2b_call *c)
{
	for (int i = 0; i < 2; i++)
		if (c->side[i] && c->side[i] != c->transferor && !c->side[i]->is_joining)
			return c->side[i];
	return NULL;
}

/* Who asked for it goes with each INVITE, in his words where he has some. [RFC3892 2.2] */
static struct str own_lines(struct b2b_call *c, struct str lines)
{
	struct buf *b = &c->b->lines;
	struct b2b_names names;
	struct str who = c->refer ? sip_value(c->refer->msg, SIP_HDR_REFERRED_BY) : STR_NONE;
	if (!who.n && c->transferor && b2b_leg_names(c->transferor, &names))
		who = names.remote;
	buf_clear(b);
	if (who.n)
		buf_fmt(b, "Referred-By: " STR_FMT "\r\n", STR_ARG(who));
	buf_str(b, STR("Supported: replaces\r\n"));
	buf_str(b, lines);
	return buf_view(b);
}

void b2b_transfer_start(struct b2b_call *c, struct str to, const struct prx_target *t, size_t n,
			struct str lines)
{
	struct b2b_leg *e = b2b_transferee(c), *l;
	c->is_busy = true;
	for (size_t i = 0; e && i < n; i++) {
		if (b2b_add_leg(c, &t[i], own_lines(c, lines), &l) != OK)
			break;
		l->is_transfer = true;
		l->state = LEG_TRYING;
		if (b2b_check_sips(l) == CODE_NONE && call_target(l, e, to) == OK) {
			b2b_tell_leg(l, e);
		} else {
			l->ses = NULL;
			l->state = LEG_OVER;
		}
	}
	c->is_busy = false;
	ev_timer(c->b->loop, &c->timer, RING_US, on_ring_timer);
	b2b_transfer_failed(c, 480); /* unless something rings */
}

void b2b_set_side(struct b2b_call *c, const struct b2b_leg *keep, struct b2b_leg *l)
{
	c->side[c->side[0] == keep] = l;
	b2b_introduce(c);
}

static void to_echo(struct b2b_call *c)
{
	struct b2b_leg *e = b2b_transferee(c);
	b2b_set_side(c, e, NULL);
	if (!b2b_own_start(c, e, B2B_OWN_ECHO))
		b2b_transfer_echoed(c, e, false);
}

void b2b_on_refer(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_call *c = l->call;
	const struct b2b_config *cfg = &c->b->cfg;
	struct prx_target t[PRX_MAX_TARGETS];
	size_t n = ARRAY_LEN(t);
	struct sip_uri uri;
	struct str text;
	char mem[512], aor_mem[LIMIT_AOR_BYTES + 1];
	struct buf replaces, aor;
	buf_init_fixed(&replaces, mem, sizeof(mem));
	buf_init_fixed(&aor, aor_mem, sizeof(aor_mem));
	if (is_busy(l)) { /* asked of another shard */
		b2b_leg_notify(l, 491);
		return;
	}
	c->transferor = l;
	c->is_transferring = true;
	c->b->stats.n_transfers++;
	tp_rx_unref(c->b->tp, c->refer);
	c->refer = tp_rx_ref(ev->rx);
	b2b_leg_notify(l, 100);
	if (!read_target(ev->rx->msg, &text, &uri, &replaces)) {
		b2b_transfer_failed(c, 400);
		return;
	}
	if (is_echo(c->b, &uri)) {
		to_echo(c);
		return;
	}
	if (replaces.n && b2b_replaces_ask_refer(c, buf_view(&replaces), text))
		return;
	enum code code = cfg->route(cfg->ctx, &uri, &aor, t, &n);
	if (code)
		b2b_transfer_failed(c, code_info(code)->status);
	else
		b2b_transfer_start(c, text, t, n, STR_NONE);
}

/* --- how it goes ------------------------------------------------------------------------------ */

void b2b_transfer_progress(struct b2b_call *c, unsigned status)
{
	if (c->transferor && c->is_transferring)
		b2b_leg_notify(c->transferor, status);
}

/* It is over, whatever came of it. */
static void conclude(struct b2b_call *c)
{
	c->is_transferring = false;
	tp_rx_unref(c->b->tp, c->refer);
	c->refer = NULL;
}

void b2b_transfer_failed(struct b2b_call *c, unsigned status)
{
	if (!c->is_transferring || c->is_busy)
		return;
	for (const struct b2b_leg *l = c->legs; l; l = l->next)
		if (l->is_transfer && (l->state == LEG_TRYING || l->is_joining))
			return;
	conclude(c);
	ev_timer_stop(c->b->loop, &c->timer);
	struct b2b_leg *t = c->transferor, *e = b2b_transferee(c);
	if (t) {
		b2b_leg_notify(t, status);
		c->transferor = NULL;
	} else if (e) {
		b2b_hangup(e, STR("SIP;cause=480;text=\"Transfer failed\""));
	}
}

/* The target has answered, with an offer for the transferee. */
void b2b_transfer_answered(struct b2b_leg *l, const struct ses_event *ev)
{
	struct b2b_call *c = l->call;
	struct b2b_leg *e = b2b_transferee(c);
	struct str sdp;
	if (!c->is_transferring || !e || !ses_sdp(ev->rx, &sdp)) {
		b2b_hangup(l, STR_NONE);
		b2b_transfer_failed(c, 488);
		return;
	}
	cancel_legs(c, l, STR("SIP;cause=200;text=\"Call completed elsewhere\""));
	ev_timer_stop(c->b->loop, &c->timer);
	l->is_joining = true;
	b2b_set_side(c, e, l);
	b2b_meet_with(c, l, ev->rx);
}

static void on_leave_timer(struct tmr *t)
{
	struct b2b_call *c = CONTAINER_OF(t, struct b2b_call, timer);
	if (c->transferor)
		b2b_hangup(c->transferor, STR("SIP;cause=200;text=\"Transferred\""));
}

/* The transferee is in good hands: the transferor may go. */
static void let_go(struct b2b_call *c)
{
	conclude(c);
	if (!c->transferor)
		return;
	b2b_leg_notify(c->transferor, 200);
	ev_timer(c->b->loop, &c->timer, LEAVE_US, on_leave_timer);
}

void b2b_transfer_echoed(struct b2b_call *c, struct b2b_leg *e, bool is_good)
{
	if (is_good) {
		let_go(c);
		return;
	}
	b2b_own_end(c);
	if (c->transferor)
		b2b_set_side(c, e, c->transferor);
	b2b_transfer_failed(c, 488);
}

void b2b_transfer_joined(struct b2b_call *c, unsigned status, bool is_touched)
{
	struct b2b_leg *t = c->transferor, *e = b2b_transferee(c), *l = NULL;
	for (int i = 0; i < 2; i++)
		if (c->side[i] && c->side[i]->is_joining)
			l = c->side[i];
	if (!l)
		return;
	l->is_joining = false;
	if (status != 200) {
		b2b_set_side(c, e, t);
		b2b_splice_return(l, is_touched);
		b2b_transfer_failed(c, status);
		return;
	}
	l->is_transfer = false;
	let_go(c);
	b2b_splice_done(l);
}
