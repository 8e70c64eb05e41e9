/* Legs that are to ring: where each goes, as whom, and its INVITE in the caller's words.
 *
 * A leg that goes out by a trunk takes a seat there first, and calls as the trunk's user with its
 * password, since the caller cannot answer a challenge that he never sees. Which header fields
 * cross is b2b_headers.c's.
 *
 * [RFC3261 12.1.2, 13.2.1, 22.2] [RFC5626 7] */
#include "service/b2b_priv.h"

#include <stdlib.h>
#include <string.h>

/* --- legs that are to ring -------------------------------------------------------------------- */

static struct str put_text(char **at, struct str s)
{
	if (s.n)
		memcpy(*at, s.p, s.n);
	struct str r = str_of(*at, s.n);
	*at += s.n;
	return r;
}

enum err b2b_add_leg(struct b2b_call *c, const struct prx_target *t, struct str lines,
		     struct b2b_leg **out)
{
	size_t n = t->ruri.n + t->path.n + lines.n + t->aor.n + t->diversion.n;
	struct b2b_place *p = malloc(sizeof(*p) + n);
	struct b2b_leg *l = p ? b2b_leg_new(c) : NULL;
	if (!l) {
		free(p);
		return ERR_NOMEM;
	}
	char *at = p->text;
	*p = (struct b2b_place){
		.has_dst = t->has_dst, .is_tls = rt_is_sips(t->ruri), .dst = t->dst};
	p->ruri = fwd_copy_ruri(t->ruri, c->is_sips, at);
	at += t->ruri.n;
	p->path = put_text(&at, t->path);
	p->lines = put_text(&at, lines);
	p->aor = put_text(&at, t->aor);
	if (c->steps)
		p->headers = c->steps->v[t->step].headers;
	if (t->diversion.n)
		p->headers.diversion = put_text(&at, t->diversion);
	l->place = p;
	l->q = t->q;
	l->step = t->step;
	l->trunk = t->trunk;
	l->is_outside = t->is_outside;
	p->row = t->row ? t->row
			: hist_target(c->hist, t->way, t->ruri, (enum hist_by)t->by, t->is_outside);
	l->host = t->host;
	*out = l;
	return OK;
}

/* Route of the binding's Path: the first is the account's proxy, the rest a header line. */
static struct str first_hop(struct buf *lines, struct str path)
{
	struct sip_addr a;
	size_t n = str_chr(path, '>');
	if (n == SIZE_MAX || sip_addr_parse(str_sub(path, 0, n + 1), &a) != OK)
		return STR_NONE;
	struct str rest = str_trim(str_skip(path, n + 1));
	if (rest.n && *rest.p == ',')
		buf_fmt(lines, "Route: %.*s\r\n", (int)(rest.n - 1), rest.p + 1);
	return a.uri_text;
}

static bool is_trusted(const struct b2b *b, const struct b2b_place *p)
{
	return p->has_dst && b->cfg.is_trusted && b->cfg.is_trusted(b->cfg.ctx, &p->dst.to);
}

const struct fwd_headers *b2b_headers_of(const struct b2b_call *c, const struct b2b_leg *l)
{
	if (l->place)
		return &l->place->headers;
	return c->steps ? &c->steps->v[l->step].headers : NULL;
}

/* From: the caller's own; the number that a rule asserts for him; the account of a trunk, at its
 * host. In b->text where it is made here. */
static struct str from_of(struct b2b_leg *l, const struct sip_addr *from,
			  const struct b2b_account *acc)
{
	struct buf *b = &l->call->b->text;
	const struct fwd_headers *h = b2b_headers_of(l->call, l);
	struct str user = h && h->caller.n ? h->caller : acc->user;
	struct str host = from->uri.host;
	struct sip_uri u;
	if (!user.n)
		return STR_NONE;
	if (l->trunk && sip_uri_parse(l->place->ruri, &u) == OK)
		host = u.host;
	bool is_ref = str_chr(host, ':') != SIZE_MAX;
	buf_clear(b);
	if (from->display.n)
		buf_fmt(b, "\"" STR_FMT "\" ", STR_ARG(from->display));
	buf_fmt(b, "<sip:" STR_FMT "@%s" STR_FMT "%s>", STR_ARG(user), is_ref ? "[" : "",
		STR_ARG(host), is_ref ? "]" : "");
	return buf_view(b);
}

/* What a callee says reliably is final, and the caller, who sees one dialog, can be told the
 * description of one callee only: so where another may answer in his place, both wait for the 200.
 * [RFC3262 5] */
static bool may_be_reliable(const struct b2b_call *c)
{
	unsigned n = 0;
	for (const struct b2b_leg *l = c->legs; l; l = l->next)
		n += !l->is_caller && l->state != LEG_SPARE;
	return n == 1 && (!c->steps || c->steps->n == 1) && ses_can_reliable(c->side[0]->ses);
}

bool b2b_is_bound(const struct b2b_call *c)
{
	return c->side[0] && c->side[0]->ses && ses_has_bound_sdp(c->side[0]->ses);
}

/* Whom it replaces: as the caller says, or in the callee's terms; who asks for Replaces by Require
 * does not want to be a call of its own where it is not known. [RFC3891 6.2] */
static void put_replaces(const struct b2b_leg *l, const struct sip_msg *m)
{
	const struct b2b_call *c = l->call;
	struct buf *lines = &c->b->lines;
	if (c->passes_replaces)
		buf_fmt(lines, "Replaces: " STR_FMT "\r\n",
			STR_ARG(sip_value(m, SIP_HDR_REPLACES)));
	buf_str(lines, l->place->lines);
	if ((c->passes_replaces || l->place->lines.n) && !l->is_transfer &&
	    sip_has_token(m, SIP_HDR_REQUIRE, STR("replaces")))
		buf_str(lines, STR("Require: replaces\r\n"));
}

/* The INVITE of a leg in the caller's words. */
static enum err call_out(struct b2b_leg *l, const struct b2b_account *acc)
{
	struct b2b_call *c = l->call;
	struct b2b *b = c->b;
	struct b2b_leg *a = c->side[0];
	const struct b2b_place *p = l->place;
	const struct sip_msg *m = ses_invite(a->ses)->msg;
	struct sip_addr from;
	struct str sdp;
	char uuid[SIP_UUID];
	struct b2b_way way = {.headers = b2b_headers_of(c, l),
			      .realm = b->cfg.realm,
			      .is_trusted = c->is_trusted,
			      .is_next_trusted = is_trusted(b, p),
			      .hist = l->is_transfer ? NULL : c->hist,
			      .row = p->row,
			      .has_history = c->has_history};
	way.is_outside = l->is_outside && !way.is_next_trusted;
	bool has_sdp = ses_sdp(ses_invite(a->ses), &sdp);
	bool is_hidden = hist_wants_privacy(m, STR("user")) && !way.is_next_trusted;
	if (has_sdp && b2b_set_body(l, m) != OK)
		return ERR_NOMEM;
	if (sip_addr_parse(sip_value(m, SIP_HDR_FROM), &from) != OK)
		return ERR_SYNTAX;
	buf_clear(&b->lines);
	struct str hop = first_hop(&b->lines, p->path);
	buf_str(&b->lines, STR("Supported: replaces\r\n"));
	b2b_put_request(&b->lines, m, &way);
	put_replaces(l, m);
	struct str by = from_of(l, &from, acc);
	struct ses_call call = {
		.account = {.from = is_hidden
					    ? STR("\"Anonymous\" <sip:anonymous@anonymous.invalid>")
				    : by.n ? by
					   : sip_value(m, SIP_HDR_FROM),
			    .contact_user = acc->user.n ? acc->user
					    : is_hidden ? STR_NONE
							: from.uri.user,
			    .auth_user = acc->auth_user,
			    .password = acc->password,
			    .proxy = hop},
		.target = p->ruri.n ? p->ruri : m->ruri,
		.to = l->trunk ? STR_NONE : sip_value(m, SIP_HDR_TO),
		.headers = buf_view(&b->lines),
		.dst = p->has_dst ? &p->dst : NULL,
		.is_late_offer = !has_sdp,
		.max_forwards = m->has_max_forwards ? (uint8_t)(m->max_forwards - 1) : 69,
		.is_reliable = may_be_reliable(c),
		.is_reliable_needed = sip_has_token(m, SIP_HDR_REQUIRE, STR("100rel")),
		.session_s = b->cfg.session_s,
		.uuid = ses_peer_uuid(a->ses, NULL, uuid),
	};
	enum err e = b->lines.err ? b->lines.err : b->text.err;
	if (e != OK)
		return e;
	l->is_saying = true;
	e = ses_call(b->dlg, &call, &b2b_user, l, &l->ses);
	l->is_saying = false;
	return e;
}

static struct str call_id_of(const struct b2b_leg *l)
{
	return l->far ? l->far->names.call_id : ses_call_id(l->ses);
}

void b2b_tell_leg(const struct b2b_leg *l, const struct b2b_leg *of)
{
	const struct b2b_config *cfg = &l->call->b->cfg;
	if (cfg->on_leg)
		cfg->on_leg(cfg->ctx, call_id_of(of), call_id_of(l));
}

/* The dialog with a phone of ours is a matter of lamps. */
void b2b_tell_started(struct b2b_leg *l, struct str from, struct str to, struct str caller_aor,
		      struct str callee_aor)
{
	const struct b2b_config *cfg = &l->call->b->cfg;
	if (!cfg->on_sign || (!caller_aor.n && !callee_aor.n))
		return;
	struct sign s = {.kind = SIGN_STARTED,
			 .call_id = ses_call_id(l->ses),
			 .caller_tag = l->is_caller ? ses_invite(l->ses)->msg->from_tag
						    : ses_local_tag(l->ses),
			 .from = from,
			 .to = to,
			 .caller_aor = caller_aor,
			 .callee_aor = callee_aor};
	cfg->on_sign(cfg->ctx, &s);
	l->is_told = true;
}

enum code b2b_check_sips(const struct b2b_leg *l)
{
	const struct b2b_place *p = l->place;
	bool is_secure = p->has_dst ? tp_is_secure(p->dst.proto) : l->call->is_sips;
	if (l->call->is_sips && ((p->ruri.n && !p->is_tls) || !is_secure))
		return CODE_NO_SECURE_HOP;
	return p->is_tls && !is_secure ? CODE_SIPS_ONLY : CODE_NONE;
}

void b2b_tell_deaf(const struct b2b_leg *l, const struct sip_msg *refusal)
{
	const struct b2b_config *cfg = &l->call->b->cfg;
	if (l->trunk && !l->is_caller && !l->is_given_up && cfg->on_deaf)
		cfg->on_deaf(cfg->ctx, l->trunk, l->host, refusal);
}

enum code b2b_take_seat(struct b2b_leg *l, struct b2b_account *acc)
{
	const struct b2b_config *cfg = &l->call->b->cfg;
	enum code code = l->trunk ? cfg->take(cfg->ctx, l->trunk, acc) : CODE_NONE;
	l->has_seat = l->trunk && code == CODE_NONE;
	return code;
}

void b2b_start(struct b2b_leg *l)
{
	struct b2b_account acc = {0};
	enum err e = ERR_LIMIT;
	l->state = LEG_TRYING;
	hist_start(l->call->hist, b2b_row(l));
	l->code = (uint16_t)b2b_check_sips(l);
	if (!l->code)
		l->code = (uint16_t)b2b_take_seat(l, &acc);
	if (!l->code)
		e = call_out(l, &acc);
	if (e == OK) {
		b2b_tell_leg(l, l->call->side[0]);
		const struct sip_msg *m = ses_invite(l->call->side[0]->ses)->msg;
		b2b_tell_started(l, sip_value(m, SIP_HDR_FROM), sip_value(m, SIP_HDR_TO), STR_NONE,
				 l->place->aor);
		return;
	}
	b2b_leave(l);
	l->ses = NULL;
	l->state = LEG_OVER;
	l->status = e == ERR_LIMIT || e == ERR_NOMEM ? 503 : 500;
	hist_hear(l->call->hist, b2b_row(l), NULL, l->status);
}

bool b2b_start_spare(struct b2b_leg *l)
{
	struct b2b_call *c = l->call;
	const struct b2b_leg *primary = l->place && l->place->primary ? l->place->primary : l;
	bool is_dead = l->status == 430 || l->status == 408 || (l->status == 503 && !b2b_final(l));
	if (c->is_closed || l->is_given_up || !is_dead || b2b_is_bound(c))
		return false;
	for (struct b2b_leg *s = c->legs; s; s = s->next)
		if (s->state == LEG_SPARE && s->place->primary == primary) {
			b2b_start(s);
			return s->state == LEG_TRYING;
		}
	return false;
}
