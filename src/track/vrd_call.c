/* How a call ended: the outcome rules, tried in the order of vrd_call_outcomes.
 *
 *	answered?  lost ACK, else who hung up and after how long
 *	refused?   challenge, CANCEL, a hop that never answered, nobody at the phone, else by status
 *	neither?   what is pending
 *
 * "The caller's hop" is where the first INVITE with the last CSeq was seen; its final response is
 * the call's. Whose answer it was is told by the first response with that status on any hop.
 *
 * [RFC3261 8.1.3, 9, 13, 15, 17.1.1, 21, 22] [RFC3264 6] [RFC3326]
 */
#include "base/assert.h"
#include "sdp/sdp.h"
#include "sip/uri.h"
#include "track/vrd_priv.h"

#include <stdlib.h>
#include <string.h>

#define MAX_UDP     1'300u     /* larger requests have to go over TCP [RFC3261 18.1.1] */
#define NEAR_END_US 2'000'000u /* too near to the end of the capture to say "never" */

bool vrd_is_near_end(const struct judge *j, uint64_t at_us)
{
	return vrd_since(at_us, trk_now_us(j->t)) < NEAR_END_US;
}

static bool same_host(const struct judge *j, uint8_t a, uint8_t b)
{
	const struct trk_call *c = j->c;
	if (a >= c->n_peers || b >= c->n_peers)
		return false;
	return a == b || (!j->has_ports && addr_ip_eq(&c->peers[a].addr, &c->peers[b].addr));
}

static struct str called(const struct judge *j)
{
	return trk_user(j->c->to).n   ? trk_user(j->c->to)
	       : trk_host(j->c->to).n ? trk_host(j->c->to)
				      : STR("the callee");
}

/* --- answered --------------------------------------------------------------------------------- */

static bool is_acked(const struct judge *j, const struct tsx *x)
{
	for (unsigned i = 0; i < j->n_acks; i++)
		if (j->acks[i]->cseq == x->req->cseq && same_host(j, j->acks[i]->to, x->to))
			return true;
	return false;
}

/* Why an ACK may not come: it goes where the 200 says. [RFC3261 12.2.1.1] */
static void say_ack_way(struct judge *j, const struct tsx *x)
{
	const struct trk_fact *f = NULL;
	for (uint32_t i = 0; i < j->n_history && !f; i++) {
		const struct trk_ev *e = j->history[i];
		if (e->status >= 200 && e->status < 300 && e->method == SIP_INVITE)
			f = trk_fact(e, TRK_F_CONTACT);
	}
	struct sip_uri u;
	const struct addr *src = &j->c->peers[x->final_from].addr;
	if (!f || sip_uri_parse(trk_fact_text(f), &u))
		return;
	if (u.is_ip && !addr_ip_eq(&u.ip, src)) {
		vrd_say(j, "; the Contact in the answer is %s" STR_FMT ", while it came from ",
			addr_is_private(&u.ip) ? "the private address " : "", STR_ARG(u.host));
		vrd_say_peer(j, x->final_from);
	} else if (!(x->final->flags & TRK_EV_ROUTED) && j->c->n_peers > 2) {
		vrd_say(j, "; without Record-Route in the answer the ACK goes straight to " STR_FMT,
			STR_ARG(u.host));
	}
}

static bool lost_ack(struct judge *j)
{
	if (!j->c->answer_us)
		return false;
	struct tsx *x = NULL;
	for (unsigned i = 0; i < j->n_tsx; i++) {
		struct tsx *k = &j->tsx[i];
		if (k->method == SIP_INVITE && k->req->cseq == j->c->cseq && k->final &&
		    k->final->status < 300 && k->n_final >= 2 && !is_acked(j, k))
			x = k;
	}
	struct vrd_finding *f = x ? vrd_find(j, VRD_CALL_LOST_ACK) : NULL;
	if (!f)
		return false;
	f->confidence = x->n_final >= 4 ? 95 : 70;
	vrd_say(j, "answered, but the ACK never reached ");
	vrd_say_peer(j, x->final_from);
	vrd_say(j, ": it sent its ");
	vrd_say_answer(j, x->final);
	vrd_say(j, " %u times in ", x->n_final);
	vrd_say_duration(j, vrd_since(x->final->at_us, x->last_final_us));
	if (j->c->ender != TRK_NO_PEER) {
		vrd_say(j, ", then %s hung up after ",
			j->c->is_ended_by_caller ? "the caller" : "the callee");
		vrd_say_duration(j, vrd_since(x->final->at_us, j->c->end_us));
	}
	if (j->n_acks) {
		vrd_say(j, "; an ACK was sent to ");
		vrd_say_peer(j, j->acks[0]->to);
		vrd_say(j, " and not seen beyond");
		vrd_evidence(f, j->acks[0]);
	} else {
		vrd_say(j, "; no ACK was seen from the caller");
	}
	say_ack_way(j, x);
	vrd_evidence(f, x->final);
	return true;
}

/* Ended by whom neither end was known to be. */
static bool is_from_elsewhere(struct judge *j)
{
	const struct trk_call *c = j->c;
	struct tsx *tail = vrd_tail(j);
	return !same_host(j, c->ender, c->caller) && !same_host(j, c->ender, c->callee) &&
	       !(tail && same_host(j, c->ender, tail->to)) && c->n_peers > 2;
}

/* A host that has neither got nor sent an INVITE is an end that has moved. */
bool vrd_is_from_between(struct judge *j)
{
	bool is_known = false;
	for (unsigned i = 0; i < j->n_tsx && !is_known; i++) {
		const struct tsx *x = &j->tsx[i];
		is_known = x->method == SIP_INVITE &&
			   (same_host(j, x->from, j->c->ender) || same_host(j, x->to, j->c->ender));
	}
	return is_known && is_from_elsewhere(j);
}

static void say_ender(struct judge *j)
{
	const struct trk_call *c = j->c;
	if (!vrd_is_from_between(j)) {
		vrd_say(j, "the %s hung up", c->is_ended_by_caller ? "caller" : "callee");
		if (is_from_elsewhere(j)) {
			vrd_say(j, ", from another address: ");
			vrd_say_peer(j, c->ender);
		}
		return;
	}
	vrd_say(j, "ended from between them, by ");
	vrd_say_peer(j, c->ender);
}

/* The exchange itself knows that it was in the way of the end. */
static bool stopped(struct judge *j)
{
	const struct trk_call *c = j->c;
	uint64_t at_us = c->end_us ? c->end_us : trk_now_us(j->t);
	if (!c->stop || c->status >= 300)
		return false;
	struct vrd_finding *f = vrd_find(j, c->stop == TRK_STOP_CUT ? VRD_CALL_CUT : VRD_CALL_LEFT);
	if (c->answer_us) {
		vrd_say(j, "answered after ");
		vrd_say_duration(j, vrd_since(c->first_us, c->answer_us));
		vrd_say(j, ", up for ");
		vrd_say_duration(j, vrd_since(c->answer_us, at_us));
	} else {
		vrd_say(j, c->ring_us ? "it rang for " : "without an answer for ");
		vrd_say_duration(j, vrd_since(c->ring_us ? c->ring_us : c->first_us, at_us));
	}
	vrd_say(j, c->stop == TRK_STOP_CUT ? "; a restart of the exchange ended it"
					   : "; then the exchange stopped");
	vrd_evidence(f, j->head ? j->head->req : NULL);
	return true;
}

static bool answered(struct judge *j)
{
	const struct trk_call *c = j->c;
	if (!c->answer_us)
		return false;
	bool is_up = c->ender == TRK_NO_PEER;
	struct vrd_finding *f = vrd_find(j, is_up ? VRD_CALL_UP : VRD_CALL_ANSWERED);
	vrd_say(j, "answered after ");
	vrd_say_duration(j, vrd_since(c->first_us, c->answer_us));
	if (is_up && vrd_since(c->answer_us, trk_now_us(j->t)) < 1'000'000) {
		vrd_say(j, "; what was seen ends here");
	} else if (is_up) {
		vrd_say(j, ", not hung up in the ");
		vrd_say_duration(j, vrd_since(c->answer_us, trk_now_us(j->t)));
		vrd_say(j, " seen since");
	} else {
		vrd_say(j, ", talked ");
		vrd_say_duration(j, vrd_since(c->answer_us, c->end_us));
		vrd_say(j, ", ");
		say_ender(j);
	}
	vrd_evidence(f, vrd_origin(j, c->status));
	bool has_reason = false; /* once, though the BYE passes on each hop */
	for (unsigned i = 0; i < j->n_tsx; i++) {
		struct tsx *x = &j->tsx[i];
		if (x->method != SIP_BYE || x->req->branch != c->end_branch)
			continue;
		const struct trk_fact *r = trk_fact(x->req, TRK_F_REASON);
		if (r && !has_reason) {
			vrd_say(j, " (");
			vrd_say_reason(j, trk_fact_text(r));
			vrd_say(j, ")");
		}
		has_reason |= r != NULL;
		vrd_evidence(f, x->req);
	}
	return true;
}

/* --- refused ---------------------------------------------------------------------------------- */

static bool challenged(struct judge *j)
{
	return j->head && vrd_auth(j, j->head);
}

struct tsx *vrd_callers_cancel(struct judge *j)
{
	struct tsx *x = NULL;
	for (unsigned i = 0; i < j->n_tsx; i++)
		if (j->tsx[i].method == SIP_CANCEL && j->tsx[i].req->cseq == j->c->cseq && !x)
			x = &j->tsx[i];
	bool is_callers = x && j->head && same_host(j, x->from, j->head->from) &&
			  same_host(j, x->to, j->head->to);
	return is_callers ? x : NULL;
}

static bool cancelled(struct judge *j)
{
	const struct trk_call *c = j->c;
	struct tsx *x = vrd_callers_cancel(j);
	if (!x || (c->status && c->status != 487 && c->status != 408))
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_CALL_CANCELLED);
	vrd_say(j, "the caller gave up after ");
	vrd_say_duration(j, vrd_since(c->first_us, x->req->at_us));
	if (c->ring_us) {
		vrd_say(j, "; it rang for ");
		vrd_say_duration(j, vrd_since(c->ring_us, x->req->at_us));
	} else if (j->head->trying) {
		vrd_say(j, ", before it rang");
	} else {
		vrd_say(j, ", without any answer so far");
	}
	const struct trk_fact *r = trk_fact(x->req, TRK_F_REASON);
	if (r) {
		vrd_say(j, " (");
		vrd_say_reason(j, trk_fact_text(r));
		vrd_say(j, ")");
	}
	const struct trk_ev *e = c->status ? vrd_origin(j, c->status) : NULL;
	if (c->status == 408 && e) {
		vrd_say(j, "; in the end came ");
		vrd_say_answer(j, e);
	}
	vrd_evidence(f, x->req);
	vrd_evidence(f, e);
	return true;
}

/* A hop whose INVITE brought nothing back at all. */
static bool next_hop_dead(struct judge *j)
{
	struct tsx *x = j->head ? vrd_tail(j) : NULL;
	if (!x || x->trying || x->ringing || x->final)
		return false;
	/* an ACK or a BYE within the dialog: there was an answer, on another way */
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		if (e->flags & TRK_EV_TO_TAG && e->flags & TRK_EV_REQUEST && e->tag &&
		    e->cseq >= x->req->cseq && !j->c->status)
			return false;
	}
	bool is_reported = j->c->status == 408 || j->c->status == 504 || j->c->status == 503 ||
			   j->c->status == 480 || j->c->status == 500;
	if (x->n_sent < 2 && !(is_reported && x != j->head) && !vrd_icmp(j, x))
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_CALL_NEXT_HOP_DEAD);
	if (vrd_icmp(j, x))
		f->confidence = 100;
	else if (x->n_sent < 3 && !is_reported)
		f->confidence = 70;
	addr_put(&j->v->text, &j->c->peers[x->to].addr);
	vrd_say(j, " never answered: INVITE sent %u time%s", x->n_sent, x->n_sent > 1 ? "s" : "");
	if (x->n_sent > 1) {
		vrd_say(j, ", ");
		vrd_say_times(j, x);
	}
	vrd_evidence(f, x->req);
	if (x->req->n_bytes > MAX_UDP && j->c->peers[x->to].transport == TRK_UDP)
		vrd_say(j,
			"; with its %u bytes it goes in pieces over UDP, which many a firewall "
			"drops",
			x->req->n_bytes);
	vrd_say_icmp(j, x);
	const struct trk_ev *e = j->c->status ? vrd_origin(j, j->c->status) : NULL;
	if (e) {
		vrd_say(j, "; then ");
		vrd_say_peer(j, e->from);
		vrd_say(j, " answered ");
		vrd_say_answer(j, e);
		vrd_evidence(f, e);
	}
	return true;
}

static bool no_answer(struct judge *j)
{
	const struct trk_call *c = j->c;
	bool fits = c->status == 408 || c->status == 487 || c->status == 480;
	const struct trk_ev *e = fits ? vrd_origin(j, c->status) : NULL;
	if (!e || !c->ring_us)
		return false;
	if (c->status == 480 && vrd_since(c->ring_us, c->end_us) < 3'000'000)
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_CALL_NO_ANSWER);
	vrd_say(j, "nobody answered: it rang for ");
	vrd_say_duration(j, vrd_since(c->ring_us, c->end_us));
	vrd_say(j, ", then ");
	vrd_say_answer(j, e);
	vrd_say(j, " from ");
	vrd_say_peer(j, e->from);
	vrd_say_why(j, e);
	vrd_evidence(f, e);
	return true;
}

static const struct trk_ev *last_with(const struct judge *j, enum trk_fact_kind kind,
				      bool is_request)
{
	for (uint32_t i = j->n_history; i-- > 0;) {
		const struct trk_ev *e = j->history[i];
		if (!(e->flags & TRK_EV_REQUEST) == !is_request && trk_fact(e, kind))
			return e;
	}
	return NULL;
}

/* A live tracker keeps the offer as it was: its codecs are named only here. */
static void say_live_offer(struct judge *j, const struct trk_ev *e)
{
	struct sdp *s = e ? malloc(sizeof *s) : NULL;
	if (s && !sdp_parse(trk_fact_text(trk_fact(e, TRK_F_OFFER)), s) && s->n_media) {
		vrd_say(j, "; offered: ");
		sdp_print_formats(s, 0, &j->v->text);
	}
	free(s);
}

static bool no_common_codec(struct judge *j)
{
	unsigned s = j->c->status;
	const struct trk_ev *e = s == 488 || s == 606 || s == 415 ? vrd_origin(j, s) : NULL;
	if (!e)
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_CALL_NO_COMMON_CODEC);
	vrd_say_peer(j, e->from);
	vrd_say(j, " does not accept the media: ");
	vrd_say_answer(j, e);
	const struct trk_ev *offer = last_with(j, TRK_F_CODECS, true);
	if (offer) {
		const struct trk_fact *sdp = trk_fact(offer, TRK_F_SDP);
		vrd_say(j, "; offered: " STR_FMT "%s",
			STR_ARG(trk_fact_text(trk_fact(offer, TRK_F_CODECS))),
			sdp && sdp->flags & TRK_SD_SECURE ? ", encrypted" : "");
		vrd_evidence(f, offer);
	}
	say_live_offer(j, offer ? NULL : last_with(j, TRK_F_OFFER, true));
	const struct trk_ev *has = last_with(j, TRK_F_CODECS, false);
	if (has)
		vrd_say(j, "; it has: " STR_FMT,
			STR_ARG(trk_fact_text(trk_fact(has, TRK_F_CODECS))));
	vrd_say_why(j, e);
	vrd_evidence(f, e);
	return true;
}

static const struct {
	uint16_t from, to;
	enum vrd_rule rule;
	const char *text; /* %s: who was called */
} by_status[] = {
	{300, 399, VRD_CALL_REDIRECTED,      "the call was sent elsewhere"                      },
	{403, 403, VRD_CALL_FORBIDDEN,       "the call is not allowed"                          },
	{404, 404, VRD_CALL_UNKNOWN_USER,    "%s is not known there"                            },
	{410, 410, VRD_CALL_UNKNOWN_USER,    "%s is gone for good"                              },
	{416, 416, VRD_CALL_UNKNOWN_USER,    "the server cannot handle this kind of address"    },
	{420, 421, VRD_CALL_EXTENSION,       "a demanded extension is missing"                  },
	{422, 422, VRD_CALL_TIMER_TOO_SMALL, "the session timer is too short for the other side"},
	{480, 480, VRD_CALL_UNAVAILABLE,     "%s is not available"                              },
	{481, 481, VRD_CALL_GONE,            "the other side does not know this dialog"         },
	{482, 483, VRD_CALL_LOOP,            "the call went round in a circle"                  },
	{484, 485, VRD_CALL_UNKNOWN_USER,    "the number %s is incomplete or ambiguous"         },
	{486, 486, VRD_CALL_BUSY,            "%s is busy"                                       },
	{487, 487, VRD_CALL_CANCELLED,       "the call was ended before it was answered"        },
	{491, 491, VRD_CALL_REFUSED,         "both sides changed the session at once"           },
	{500, 599, VRD_CALL_SERVER_ERROR,    "a server failed"                                  },
	{600, 600, VRD_CALL_BUSY,            "%s is busy everywhere"                            },
	{603, 603, VRD_CALL_DECLINED,        "%s declined"                                      },
	{604, 604, VRD_CALL_UNKNOWN_USER,    "%s exists nowhere"                                },
	{400, 699, VRD_CALL_REFUSED,         "the call was refused"                             },
};

static void say_called(struct judge *j, const char *text)
{
	const char *at = strstr(text, "%s");
	if (!at) {
		vrd_say(j, "%s", text);
		return;
	}
	vrd_say(j, "%.*s" STR_FMT "%s", (int)(at - text), text, STR_ARG(called(j)), at + 2);
}

static void say_loop(struct judge *j, const struct trk_ev *e)
{
	const struct trk_fact *k = trk_fact(e, TRK_F_LOOP);
	if (!k)
		return;
	if (k->n)
		vrd_say(j, "; its %u Via lines name again and again: " STR_FMT, k->num,
			STR_ARG(trk_fact_text(k)));
	else
		vrd_say(j,
			"; its %u Via lines name no host twice: it began with a small "
			"Max-Forwards, "
			"or a server between writes no Via",
			k->num);
}

static bool refused(struct judge *j)
{
	const struct trk_call *c = j->c;
	const struct trk_ev *e = c->status >= 300 ? vrd_origin(j, c->status) : NULL;
	for (unsigned i = 0; e && i < ARRAY_LEN(by_status); i++) {
		if (c->status < by_status[i].from || c->status > by_status[i].to)
			continue;
		struct vrd_finding *f = vrd_find(j, by_status[i].rule);
		say_called(j, by_status[i].text);
		if (c->status < 400) {
			const struct trk_fact *to = trk_fact(e, TRK_F_CONTACT);
			if (to)
				vrd_say(j, ", to " STR_FMT, STR_ARG(trk_fact_text(to)));
		}
		vrd_say(j, ": ");
		vrd_say_answer(j, e);
		vrd_say(j, " from ");
		vrd_say_peer(j, e->from);
		if (c->ring_us) {
			vrd_say(j, ", after it rang for ");
			vrd_say_duration(j, vrd_since(c->ring_us, c->end_us));
		}
		vrd_say_why(j, e);
		vrd_say_tags(j, e);
		say_loop(j, e);
		vrd_say_credentials(j, e);
		vrd_evidence(f, e);
		return true;
	}
	return false;
}

/* --- neither ---------------------------------------------------------------------------------- */

static bool partly_seen(struct judge *j)
{
	if (j->head && j->head->method == SIP_INVITE)
		return false;
	struct vrd_finding *f = vrd_find(j, VRD_CALL_MID);
	vrd_say(j, "seen only in part: the INVITE is not here");
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		if (e->method != SIP_INVITE || e->status < 200)
			continue;
		vrd_say(j, "; its answer is ");
		vrd_say_answer(j, e);
		vrd_say(j, " from ");
		vrd_say_peer(j, e->from);
		vrd_evidence(f, e);
		break;
	}
	if (j->c->ender != TRK_NO_PEER) {
		vrd_say(j, "; the side of ");
		vrd_say_peer(j, j->c->ender);
		vrd_say(j, " hung up");
		struct tsx *bye = vrd_last(j, SIP_BYE);
		if (bye)
			vrd_evidence(f, bye->req);
	}
	return true;
}

static bool pending(struct judge *j)
{
	const struct trk_call *c = j->c;
	bool is_ringing = c->ring_us;
	struct vrd_finding *f = vrd_find(j, is_ringing ? VRD_CALL_RINGING : VRD_CALL_UNFINISHED);
	uint64_t rung = is_ringing ? vrd_since(c->ring_us, trk_now_us(j->t)) : 0;
	if (is_ringing && rung < 1'000'000) {
		vrd_say(j, "it rings; what was seen ends here");
	} else if (is_ringing) {
		vrd_say(j, "it rings, and in the following ");
		vrd_say_duration(j, rung);
		vrd_say(j, " nothing more was seen");
	} else if (j->head->trying) {
		vrd_say(j, "on its way (100 Trying from ");
		vrd_say_peer(j, j->head->trying->from);
		vrd_say(j, "), and nothing more was seen");
	} else {
		vrd_say(j, "INVITE sent to ");
		vrd_say_peer(j, j->head->to);
		vrd_say(j, ", no answer seen");
	}
	vrd_evidence(f, j->head->req);
	vrd_evidence(f, j->head->ringing);
	return true;
}

vrd_rule_fn *const vrd_call_outcomes[] = {
	partly_seen,   lost_ack,  stopped,         answered, challenged, cancelled,
	next_hop_dead, no_answer, no_common_codec, refused,  pending,    NULL,
};
