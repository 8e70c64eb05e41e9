/* Addresses that do not hold where they are read: private ones behind public ones, a Via that is
 * not where the request came from, a binding that a NAT forgets.
 *
 * [RFC3261 26] [RFC3581 4] [RFC5626 4.4]
 */
#include "sip/uri.h"
#include "track/trk_priv.h"
#include "track/vrd_priv.h"

#define BINDING_S 25u  /* the shortest that are met */
#define NAT_S     120u /* UDP bindings seldom live longer in silence */

static bool private_contact(struct judge *j)
{
	for (uint32_t i = 0; i < j->n_history && !j->t->cfg.has_flows; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *k = trk_fact(e, TRK_F_CONTACT);
		const struct addr *src = &j->c->peers[e->from].addr;
		struct sip_uri u;
		if (!k || (e->status >= 300 && e->status < 400) ||
		    sip_uri_parse(trk_fact_text(k), &u) || !u.is_ip || !addr_is_private(&u.ip) ||
		    addr_is_private(src) || addr_is_loopback(src))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_PRIVATE_CONTACT);
		if (!f)
			return false;
		vrd_say(j,
			"the Contact names the private address " STR_FMT ", the packet came from ",
			STR_ARG(u.host));
		addr_put_ip(&j->v->text, src);
		vrd_evidence(f, e);
		return true;
	}
	return false;
}

static bool private_sdp(struct judge *j)
{
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *s = trk_fact(e, TRK_F_SDP);
		if (!s || !(s->flags & TRK_SD_PRIVATE))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_PRIVATE_SDP);
		if (!f)
			return false;
		vrd_say_peer(j, e->from);
		vrd_say(j, " asks for its audio at the private address " STR_FMT,
			STR_ARG(trk_fact_text(s)));
		vrd_evidence(f, e);
		return true;
	}
	return false;
}

/* The answer goes to the address of the packet, but to the port of the Via: without rport a NAT has
 * no binding there. [RFC3261 18.2.2] [RFC3581 4] */
static bool via_no_rport(struct judge *j)
{
	for (uint32_t i = 0; vrd_has_fact(j, TRK_F_VIA) && i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *k = trk_fact(e, TRK_F_VIA);
		const struct addr *src = &j->c->peers[e->from].addr;
		if (!k || k->flags & TRK_VIA_RPORT || addr_is_private(src))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_VIA_NO_RPORT);
		if (!f)
			return false;
		vrd_say(j, "the Via names %s" STR_FMT ", the packet came from ",
			k->flags & TRK_VIA_PRIVATE ? "the private address " : "",
			STR_ARG(trk_fact_text(k)));
		addr_put_ip(&j->v->text, src);
		vrd_say(j, ", and does not ask for rport: the answer may not find its way back");
		vrd_evidence(f, e);
		return true;
	}
	return false;
}

static bool same_uri_host(const struct trk_ev *e, const struct addr *a)
{
	struct sip_uri u;
	const struct trk_fact *k = trk_fact(e, TRK_F_CONTACT);
	return k && !sip_uri_parse(trk_fact_text(k), &u) && u.is_ip && addr_ip_eq(&u.ip, a);
}

static bool private_uri(const struct trk_ev *e)
{
	struct sip_uri u;
	const struct trk_fact *k = trk_fact(e, TRK_F_CONTACT);
	return k && !sip_uri_parse(trk_fact_text(k), &u) && u.is_ip && addr_is_private(&u.ip);
}

/* The address that the SDP asks for media at; the next hop keeps it only where it differs. */
static bool sdp_addr(const struct trk_ev *e, const struct trk_ev *before, struct addr *out)
{
	const struct trk_fact *k = trk_fact(e, TRK_F_SDP);
	if (!k && before && e->flags & TRK_EV_SDP)
		k = trk_fact(before, TRK_F_SDP);
	return k && addr_parse(trk_fact_text(k), 0, out);
}

/* One message on both sides of a NAT: it has the same branch there, for no proxy is between. What
 * differs, the NAT's helper (ALG) has changed; what is private still, it has forgotten. */
static bool alg_seen(struct judge *j, const struct tsx *x, const struct tsx *y)
{
	const struct addr *src = &j->c->peers[y->from].addr;
	struct addr was, is;
	bool has_sdp = sdp_addr(x->req, NULL, &was) && sdp_addr(y->req, x->req, &is);
	bool sdp_new = has_sdp && !addr_ip_eq(&was, &is);
	bool contact_new = private_uri(x->req) && same_uri_host(y->req, src);
	bool contact_old = private_uri(y->req);
	bool sdp_old = has_sdp && !sdp_new && addr_is_private(&is);
	if (addr_is_private(src) || !(sdp_new || contact_new) || !(contact_old || sdp_old))
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_ALG);
	if (!f)
		return false;
	vrd_say(j, "between ");
	vrd_say_peer(j, x->from);
	vrd_say(j, " and ");
	vrd_say_peer(j, y->from);
	vrd_say(j, " somebody put a public address into the %s and left the private one in the %s",
		contact_new ? "Contact" : "SDP", contact_old ? "Contact" : "SDP");
	vrd_evidence(f, x->req);
	vrd_evidence(f, y->req);
	return true;
}

static bool alg(struct judge *j)
{
	for (unsigned i = 0; i < j->n_tsx; i++)
		for (unsigned k = i + 1; k < j->n_tsx; k++) {
			const struct tsx *x = &j->tsx[i], *y = &j->tsx[k];
			if (x->method == SIP_INVITE && y->method == SIP_INVITE &&
			    x->req->branch == y->req->branch && x->req->cseq == y->req->cseq &&
			    x->from != y->from && alg_seen(j, x, y))
				return true;
		}
	return false;
}

/* From the outside alone: the Via is private, the SDP has the address of the NAT, the Contact has
 * not. A phone that asked a STUN server does the same. */
static bool alg_guessed(struct judge *j)
{
	for (unsigned i = 0; vrd_has_fact(j, TRK_F_VIA) && i < j->n_tsx && !vrd_has(j, VRD_ALG);
	     i++) {
		const struct trk_ev *e = j->tsx[i].req;
		const struct trk_fact *via = trk_fact(e, TRK_F_VIA), *sdp = trk_fact(e, TRK_F_SDP);
		const struct addr *src = &j->c->peers[j->tsx[i].from].addr;
		struct addr a;
		if (!via || !(via->flags & TRK_VIA_PRIVATE) || addr_is_private(src) || !sdp ||
		    sdp->flags & TRK_SD_SAVP || !sdp_addr(e, NULL, &a) || !addr_ip_eq(&a, src) ||
		    !private_uri(e))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_ALG);
		if (!f)
			return false;
		f->confidence = 50;
		f->severity = VRD_NOTE;
		vrd_say(j, "the SDP has the public address ");
		addr_put_ip(&j->v->text, src);
		vrd_say(j, ", Via and Contact have private ones: a NAT's SIP helper (ALG) changed "
			   "one and not the others, or the phone asked a STUN server");
		vrd_evidence(f, e);
		return true;
	}
	return false;
}

/* A request towards the phone that registered or called from behind a NAT, after a long time
 * without a packet there. */
static bool binding_gone(struct judge *j)
{
	const struct trk_ev *invite = j->head ? j->head->req : NULL;
	const struct trk_fact *via = invite ? trk_fact(invite, TRK_F_VIA) : NULL;
	for (unsigned i = 0; via && via->flags & TRK_VIA_PRIVATE && i < j->n_tsx; i++) {
		const struct tsx *x = &j->tsx[i];
		uint64_t last = 0;
		if (x->to != invite->from || x->final || x->trying || x->n_sent < 2 ||
		    j->c->peers[x->to].transport != TRK_UDP)
			continue;
		for (uint32_t k = 0; k < j->n_history && j->history[k] != x->req; k++) {
			const struct trk_ev *e = j->history[k];
			if (e->from == x->to || e->to == x->to)
				last = e->at_us;
		}
		uint64_t us = vrd_since(last, x->req->at_us);
		struct vrd_finding *f = last && us >= BINDING_S * 1'000'000ull
						? vrd_find(j, VRD_BINDING_GONE)
						: NULL;
		if (!f)
			continue;
		vrd_say(j, "the ");
		trk_ev_put(&j->v->text, x->req);
		vrd_say(j, " to ");
		vrd_say_peer(j, x->to);
		vrd_say(j, ", behind NAT, was never answered; no message had passed there for ");
		vrd_say_duration(j, us);
		vrd_say(j, ": the NAT had forgotten the way");
		vrd_evidence(f, x->req);
		return true;
	}
	return false;
}

static bool reg_outlives_nat(struct judge *j)
{
	const struct tsx *x = j->c->kind == TRK_REG ? j->head : NULL;
	const struct trk_fact *via = x ? trk_fact(x->req, TRK_F_VIA) : NULL;
	const struct trk_fact *s =
		x && x->final && x->final->status < 300 ? trk_fact(x->final, TRK_F_EXPIRES) : NULL;
	if (!via || !(via->flags & TRK_VIA_PRIVATE) || !s || s->num <= NAT_S ||
	    addr_is_private(&j->c->peers[x->from].addr))
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_REG_OUTLIVES_NAT);
	if (!f)
		return false;
	vrd_say(j,
		"a phone behind NAT registered for %u s over UDP: between the registrations calls "
		"to it may get lost",
		s->num);
	vrd_evidence(f, x->req);
	vrd_evidence(f, x->final);
	return true;
}

vrd_rule_fn *const vrd_nat_notes[] = {
	private_sdp, private_contact, via_no_rport, reg_outlives_nat,
	alg,         alg_guessed,     binding_gone, NULL,
};
