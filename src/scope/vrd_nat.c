/* Addresses that do not hold where they are read: private ones behind public ones, a Via that is
 * not where the request came from, a binding that a NAT forgets.
 *
 * [RFC3261 26] [RFC3581 4] [RFC5626 4.4]
 */
#include "scope/vrd_priv.h"
#include "sip/uri.h"

#define NAT_S 120u /* UDP bindings seldom live longer in silence */

static bool private_contact(struct judge *j)
{
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = trk_ev(j->t, j->history[i]);
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
		const struct trk_ev *e = trk_ev(j->t, j->history[i]);
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
		const struct trk_ev *e = trk_ev(j->t, j->history[i]);
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
	private_sdp, private_contact, via_no_rport, reg_outlives_nat, NULL,
};
