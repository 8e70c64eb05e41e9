/* How registrations, subscriptions and other requests ended, and what a challenge came to.
 *
 * One Call-ID may hold many requests: a phone keeps it for all its registrations. The verdict is
 * about the last one, and says what went before where that matters.
 *
 * A challenge is a question, not a refusal. It becomes a finding when nobody answered it, or when
 * the answer was challenged again and not because the nonce had grown old. Whether the password,
 * the user name or the account is wrong, a server does not tell outsiders; only the exchange's own
 * hint does.
 *
 * [RFC3261 10, 17.1.2, 22] [RFC7616 3.3] [RFC6665 4]
 */
#include "base/assert.h"
#include "track/vrd_priv.h"

#include <string.h>

static struct str method_of(const struct tsx *x)
{
	const struct trk_fact *f = trk_fact(x->req, TRK_F_METHOD);
	return f ? trk_fact_text(f) : sip_method_name((enum sip_method)x->method);
}

/* --- authentication --------------------------------------------------------------------------- */

static const struct trk_ev *challenge_before(struct judge *j, const struct trk_ev *req)
{
	const struct trk_ev *found = NULL;
	for (uint32_t i = 0; i < j->n_history && j->history[i] != req; i++) {
		const struct trk_ev *e = j->history[i];
		if (trk_fact(e, TRK_F_CHALLENGE))
			found = e;
	}
	return found;
}

static struct str realm_of(const struct trk_ev *e)
{
	return trk_fact_text(trk_fact(e, TRK_F_CHALLENGE));
}

static bool not_answered(struct judge *j, const struct tsx *x)
{
	bool was_old = x->req->flags & TRK_EV_AUTH;
	struct vrd_finding *f = vrd_find(j, VRD_AUTH_NONE);
	vrd_say_peer(j, x->final->from);
	vrd_say(j,
		" asked for credentials (%u, realm \"" STR_FMT "\") and got no second " STR_FMT
		"%s",
		x->final->status, STR_ARG(realm_of(x->final)), STR_ARG(method_of(x)),
		was_old ? ": those that it sent at first were for another nonce" : "");
	uint64_t seen = vrd_since(x->final->at_us, trk_now_us(j->t));
	if (seen < 2'000'000) {
		vrd_say(j, " in the ");
		vrd_say_duration(j, seen);
		vrd_say(j, " that were seen");
		f->confidence = 50;
	}
	vrd_evidence(f, x->req);
	vrd_evidence(f, x->final);
	return true;
}

bool vrd_auth(struct judge *j, const struct tsx *x)
{
	if (!x->final || (x->final->status != 401 && x->final->status != 407))
		return false;
	const struct trk_fact *again = trk_fact(x->final, TRK_F_CHALLENGE);
	const struct trk_ev *before = challenge_before(j, x->req);
	if (!(x->req->flags & TRK_EV_AUTH) || !before || !again)
		return not_answered(j, x);
	if (again->flags & TRK_CH_STALE) { /* and never tried again */
		not_answered(j, x);
		vrd_say(j, "; the nonce had expired (stale)");
		return true;
	}
	const struct trk_fact *cr = trk_fact(x->req, TRK_F_CREDENTIALS);
	if (!cr && j->last_credentials)
		cr = trk_fact(j->last_credentials, TRK_F_CREDENTIALS);
	const struct trk_fact *ch = trk_fact(before, TRK_F_CHALLENGE);
	struct vrd_finding *f = vrd_find(j, VRD_AUTH_WRONG);
	if (cr && ch && cr->num != ch->num)
		f->confidence = 60; /* it answered another nonce than the one it was given */
	vrd_say_peer(j, x->final->from);
	vrd_say(j, " refused the credentials of \"" STR_FMT "\"%s (%u, realm \"" STR_FMT "\"%s): ",
		STR_ARG(trk_fact_text(cr)), j->hint ? "" : " by asking again", x->final->status,
		STR_ARG(trk_fact_text(again)),
		ch && ch->num == again->num ? ", the same nonce" : "");
	if (j->hint)
		vrd_say_hint(j, f);
	else
		vrd_say(j, "wrong password, or a user that it does not know");
	vrd_evidence(f, before);
	vrd_evidence(f, x->req);
	vrd_evidence(f, x->final);
	return true;
}

static bool challenged(struct judge *j)
{
	return j->head && vrd_auth(j, j->head);
}

/* --- no answer -------------------------------------------------------------------------------- */

static bool is_notify_only(struct judge *j)
{
	return j->c->kind == TRK_SUB && !j->head && vrd_last(j, SIP_NOTIFY);
}

/* Also the last resort: nothing else fits what a hostile capture may hold. */
static bool not_seen(struct judge *j)
{
	struct vrd_finding *f = vrd_find(j, VRD_REQ_MID);
	vrd_say(j, "seen only in part: the request is not here");
	vrd_evidence(f, trk_ev(j->t, j->c->first_ev));
	return true;
}

static bool unanswered(struct judge *j)
{
	struct tsx *x = j->head ? vrd_tail(j) : NULL;
	if (!x || j->c->status >= 200)
		return false;
	bool is_dead = (x->n_sent > 1 || vrd_icmp(j, x)) && !x->trying && !x->final;
	struct vrd_finding *f = vrd_find(j, is_dead ? VRD_REQ_NO_ANSWER : VRD_REQ_UNFINISHED);
	if (vrd_icmp(j, x))
		f->confidence = 100;
	else if (x->n_sent < 4)
		f->confidence = 70;
	addr_put(&j->v->text, &j->c->peers[x->to].addr);
	if (is_dead) {
		vrd_say(j, " never answered: " STR_FMT " sent %u time%s", STR_ARG(method_of(x)),
			x->n_sent, x->n_sent > 1 ? "s, " : "");
		if (x->n_sent > 1)
			vrd_say_times(j, x);
		vrd_say_icmp(j, x);
	} else {
		vrd_say(j, " has not answered the " STR_FMT " so far", STR_ARG(method_of(x)));
	}
	vrd_evidence(f, x->req);
	return true;
}

/* --- registrations ---------------------------------------------------------------------------- */

static void say_refusal(struct judge *j, const struct trk_ev *e)
{
	vrd_say(j, ": ");
	vrd_say_answer(j, e);
	vrd_say(j, " from ");
	vrd_say_peer(j, e->from);
	vrd_say_why(j, e);
}

static bool register_refused(struct judge *j)
{
	static const struct {
		uint16_t status;
		enum vrd_rule rule;
		const char *text;
	} rows[] = {
		{403, VRD_REG_FORBIDDEN,    "the registrar does not let this user register"},
		{404, VRD_REG_UNKNOWN_USER, "the registrar does not know this user"        },
		{423, VRD_REG_TOO_BRIEF,    "the registration interval is too short"       },
	};
	const struct trk_ev *e = j->c->kind == TRK_REG ? vrd_origin(j, j->c->status) : NULL;
	for (unsigned i = 0; e && i < ARRAY_LEN(rows); i++)
		if (rows[i].status == e->status) {
			struct vrd_finding *f = vrd_find(j, rows[i].rule);
			vrd_say(j, "%s", rows[i].text);
			say_refusal(j, e);
			vrd_say_credentials(j, e);
			vrd_evidence(f, e);
			return true;
		}
	return false;
}

/* First request or answer of a transaction that says how long. */
static const struct trk_fact *expires_of(const struct tsx *x)
{
	const struct trk_fact *f = x->final ? trk_fact(x->final, TRK_F_EXPIRES) : NULL;
	return f ? f : trk_fact(x->req, TRK_F_EXPIRES);
}

static bool is_removal(const struct tsx *x)
{
	const struct trk_fact *f = trk_fact(x->req, TRK_F_EXPIRES);
	return f && f->num == 0;
}

/* Registrations that went well under this Call-ID before x, on its hop. */
static const struct tsx *registered_before(const struct judge *j, const struct tsx *x)
{
	const struct tsx *found = NULL;
	for (const struct tsx *k = j->tsx; k < x; k++)
		if (k->method == SIP_REGISTER && k->final && k->final->status < 300 &&
		    k->from == x->from && !is_removal(k))
			found = k;
	return found;
}

static bool registered(struct judge *j)
{
	struct tsx *x = j->head;
	if (j->c->kind != TRK_REG || !x || !x->final || x->final->status >= 300)
		return false;
	const struct trk_fact *contact = trk_fact(x->req, TRK_F_CONTACT);
	struct vrd_finding *f;
	if (is_removal(x)) {
		f = vrd_find(j, VRD_REG_REMOVED);
		const struct tsx *k = registered_before(j, x);
		if (k) {
			vrd_say(j, "registered, and after ");
			vrd_say_duration(j, vrd_since(k->final->at_us, x->final->at_us));
			vrd_say(j, " unregistered");
			vrd_evidence(f, k->final);
		} else {
			vrd_say(j, "unregistered");
		}
	} else if (!contact) {
		f = vrd_find(j, VRD_REG_OK);
		vrd_say(j, "asked for its bindings");
	} else {
		f = vrd_find(j, VRD_REG_OK);
		const struct trk_fact *e = expires_of(x);
		vrd_say(j, "registered");
		if (e)
			vrd_say(j, " for %u s", e->num);
		vrd_say(j, " at " STR_FMT, STR_ARG(trk_fact_text(contact)));
	}
	vrd_evidence(f, x->final);
	return true;
}

/* --- subscriptions ---------------------------------------------------------------------------- */

static struct str package_of(const struct tsx *x)
{
	const struct trk_fact *f = x ? trk_fact(x->req, TRK_F_EVENT) : NULL;
	return f ? trk_fact_text(f) : STR("an unnamed event");
}

static bool subscribe_refused(struct judge *j)
{
	const struct trk_ev *e =
		j->c->kind == TRK_SUB && j->c->status == 489 ? vrd_origin(j, 489) : NULL;
	if (!e)
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_SUB_BAD_EVENT);
	vrd_say(j, "the server does not offer " STR_FMT, STR_ARG(package_of(j->head)));
	say_refusal(j, e);
	vrd_evidence(f, e);
	return true;
}

static struct tsx *notify_answered(struct judge *j, bool is_ok)
{
	for (unsigned i = j->n_tsx; i-- > 0;) {
		struct tsx *x = &j->tsx[i];
		if (x->method == SIP_NOTIFY && x->final && (x->final->status < 300) == is_ok)
			return x;
	}
	return NULL;
}

static void say_notify(struct judge *j, struct vrd_finding *f)
{
	unsigned n = 0;
	struct tsx *last = NULL;
	for (unsigned i = 0; i < j->n_tsx; i++)
		if (j->tsx[i].method == SIP_NOTIFY) {
			/* count it on the subscriber's hop only */
			if (!last || j->tsx[i].to == last->to ||
			    j->tsx[i].req->cseq != last->req->cseq)
				n++;
			last = &j->tsx[i];
		}
	vrd_say(j, ", %u notification%s", n, n == 1 ? "" : "s");
	const struct trk_fact *line = last ? trk_fact(last->req, TRK_F_BODY) : NULL;
	if (line)
		vrd_say(j, ", the last says \"" STR_FMT "\"", STR_ARG(trk_fact_text(line)));
	if (last)
		vrd_evidence(f, last->req);
}

static bool subscribed(struct judge *j)
{
	struct tsx *x = j->head;
	if (j->c->kind != TRK_SUB || !x || !x->final || x->final->status >= 300)
		return false;
	struct vrd_finding *f;
	struct tsx *n = vrd_last(j, SIP_NOTIFY);
	if (!n && vrd_since(x->final->at_us, trk_now_us(j->t)) > 1'000'000) {
		f = vrd_find(j, VRD_SUB_NO_NOTIFY);
		vrd_say(j, "subscribed to " STR_FMT ", but no NOTIFY came", STR_ARG(package_of(x)));
	} else if (is_removal(x)) {
		f = vrd_find(j, VRD_SUB_ENDED);
		vrd_say(j, "ended its subscription to " STR_FMT, STR_ARG(package_of(x)));
		say_notify(j, f);
	} else {
		f = vrd_find(j, VRD_SUB_OK);
		vrd_say(j, "subscribed to " STR_FMT, STR_ARG(package_of(x)));
		const struct trk_fact *e = expires_of(x);
		if (e)
			vrd_say(j, " for %u s", e->num);
		say_notify(j, f);
	}
	vrd_evidence(f, x->final);
	return true;
}

/* A NOTIFY without its SUBSCRIBE: of an older subscription, or unasked. */
static bool notified(struct judge *j)
{
	if (!is_notify_only(j))
		return false;
	struct tsx *n = vrd_last(j, SIP_NOTIFY);
	struct vrd_finding *f;
	if (n->final && n->final->status >= 300) {
		f = vrd_find(j, VRD_NOTIFY_REFUSED);
		vrd_say(j, "notified of " STR_FMT ", but refused", STR_ARG(package_of(n)));
		say_refusal(j, n->final);
	} else if (!n->final) {
		f = vrd_find(j, n->n_sent > 1 ? VRD_REQ_NO_ANSWER : VRD_REQ_UNFINISHED);
		addr_put(&j->v->text, &j->c->peers[n->to].addr);
		vrd_say(j, " has not answered the NOTIFY of " STR_FMT ", sent %u time%s",
			STR_ARG(package_of(n)), n->n_sent, n->n_sent > 1 ? "s" : "");
	} else {
		f = vrd_find(j, VRD_NOTIFY_OK);
		vrd_say(j, "notified of " STR_FMT, STR_ARG(package_of(n)));
		say_notify(j, f);
	}
	vrd_evidence(f, n->req);
	return true;
}

/* --- everything else -------------------------------------------------------------------------- */

static bool request_done(struct judge *j)
{
	struct tsx *x = j->head;
	if (!x)
		return false;
	const struct trk_ev *e = vrd_origin(j, j->c->status);
	if (!e)
		e = x->final;
	if (!e)
		return false;
	bool is_ok = j->c->status < 300;
	struct vrd_finding *f = vrd_find(j, is_ok ? VRD_REQ_OK : VRD_REQ_REFUSED);
	/* an OPTIONS is answered when it is answered at all */
	if (x->method == SIP_OPTIONS && !is_ok)
		f->severity = VRD_NOTE;
	vrd_say(j, STR_FMT " %s", STR_ARG(method_of(x)), is_ok ? "accepted" : "refused");
	say_refusal(j, e);
	vrd_say(j, ", after ");
	vrd_say_duration(j, vrd_since(j->c->first_us, j->c->end_us));
	vrd_evidence(f, e);
	return true;
}

vrd_rule_fn *const vrd_other_outcomes[] = {
	notified,          challenged, unanswered,   register_refused, registered,
	subscribe_refused, subscribed, request_done, not_seen,         NULL,
};

/* Shared with the notes: a NOTIFY that was refused within a subscription that stands. */
static bool notify_refused(struct judge *j)
{
	struct tsx *n = j->head && j->c->kind == TRK_SUB ? notify_answered(j, false) : NULL;
	struct vrd_finding *f = n ? vrd_find(j, VRD_NOTIFY_REFUSED) : NULL;
	if (!f)
		return false;
	vrd_say(j, "a NOTIFY was refused");
	say_refusal(j, n->final);
	vrd_evidence(f, n->req);
	vrd_evidence(f, n->final);
	return true;
}

static bool stale(struct judge *j)
{
	if (!j->head || !j->head->final || j->head->final->status >= 300)
		return false;
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *ch = trk_fact(e, TRK_F_CHALLENGE);
		if (!ch || !(ch->flags & TRK_CH_STALE))
			continue;
		struct vrd_finding *f = vrd_find(j, VRD_AUTH_STALE);
		if (!f)
			return false;
		vrd_say(j, "the nonce had expired on the way (stale), the second try went through");
		vrd_evidence(f, e);
		return true;
	}
	return false;
}

vrd_rule_fn *const vrd_other_notes[] = {notify_refused, stale, NULL};
