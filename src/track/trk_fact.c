/* Facts: what is kept of a message besides its row, because a verdict, a ladder or a list may need
 * it when the bytes are gone.
 *
 * A fact is kept where it first appears: every hop repeats From, Contact and SDP, and one copy is
 * enough. Here is what headers tell; of SDP see trk_fact_sdp.c.
 *
 * Memory: the call's text pages; a text is cut at MAX_TEXT.
 *
 * [RFC3261 8.1.3, 10.2, 20, 22] [RFC3326] [RFC3515] [RFC6665]
 */
#include "base/assert.h"
#include "sip/auth.h"
#include "sip/hdr.h"
#include "track/trk_priv.h"

#include <string.h>

#define MAX_VIAS 80 /* Max-Forwards is 70 */
#define MAX_HOST 60

static struct trk_fact *keep(const struct trk_intake *i, enum trk_fact_kind kind, struct str text)
{
	return trk_fact_add(i->t, i->c, i->e, kind, text);
}

static void keep_header(const struct trk_intake *i, enum trk_fact_kind kind, enum sip_hdr_id id)
{
	if (sip_has(i->m, id))
		keep(i, kind, sip_value(i->m, id));
}

static void keep_uri(const struct trk_intake *i, enum trk_fact_kind kind, enum sip_hdr_id id)
{
	struct sip_iter it = {0};
	struct str v;
	struct sip_addr a;
	if (sip_each(i->m, id, &it, &v) && !sip_addr_parse(v, &a))
		keep(i, kind, a.is_star ? STR("*") : a.uri_text);
}

static void keep_contact(const struct trk_intake *i)
{
	struct sip_addr a;
	if (!i->k->contact.p)
		keep_uri(i, TRK_F_CONTACT, SIP_HDR_CONTACT);
	else if (!sip_addr_parse(i->k->contact, &a))
		keep(i, TRK_F_CONTACT, a.is_star ? STR("*") : a.uri_text);
}

static void keep_named(const struct trk_intake *i, enum sip_hdr_id id)
{
	if (!sip_has(i->m, id))
		return;
	char mem[512];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof mem);
	buf_str(&b, sip_hdr_name(id));
	buf_str(&b, STR(": "));
	buf_str(&b, str_sub(sip_value(i->m, id), 0, sizeof mem - 64));
	keep(i, TRK_F_NEEDS, buf_view(&b));
}

static void keep_challenge(const struct trk_intake *i)
{
	bool is_proxy = i->m->status == 407;
	struct sip_challenge ch;
	enum sip_hdr_id id = is_proxy ? SIP_HDR_PROXY_AUTHENTICATE : SIP_HDR_WWW_AUTHENTICATE;
	if (!sip_has(i->m, id) || sip_challenge_parse(sip_value(i->m, id), &ch))
		return;
	struct trk_fact *f = keep(i, TRK_F_CHALLENGE, ch.realm);
	if (!f)
		return;
	f->num = hash_quick32(ch.nonce);
	f->flags = (uint8_t)((ch.stale ? TRK_CH_STALE : 0) | (is_proxy ? TRK_CH_PROXY : 0));
}

static void keep_credentials(const struct trk_intake *i)
{
	enum sip_hdr_id id = sip_has(i->m, SIP_HDR_PROXY_AUTHORIZATION)
				     ? SIP_HDR_PROXY_AUTHORIZATION
				     : SIP_HDR_AUTHORIZATION;
	struct sip_credentials cr;
	if (sip_credentials_parse(sip_value(i->m, id), &cr))
		return;
	struct trk_fact *f = keep(i, TRK_F_CREDENTIALS, cr.username);
	if (f)
		f->num = hash_quick32(cr.nonce);
}

/* Seconds asked or granted: the first Contact's own word goes before Expires. [RFC3261 10.2.1.1] */
static void keep_expires(const struct trk_intake *i)
{
	struct sip_iter it = {0};
	struct str v, p;
	struct sip_addr a;
	uint32_t s;
	bool is_there = false;
	if (sip_each(i->m, SIP_HDR_CONTACT, &it, &v) && !sip_addr_parse(v, &a) &&
	    sip_param(a.params, STR("expires"), &p))
		is_there = !sip_seconds_parse(p, &s);
	if (!is_there && sip_has(i->m, SIP_HDR_EXPIRES))
		is_there = !sip_seconds_parse(sip_value(i->m, SIP_HDR_EXPIRES), &s);
	struct trk_fact *f = is_there ? keep(i, TRK_F_EXPIRES, STR_NONE) : NULL;
	if (f)
		f->num = s;
}

/* What is inside the first element of that name, before any other. */
static struct str element(struct str xml, struct str name)
{
	size_t at;
	while ((at = str_find(xml, name)) != SIZE_MAX) {
		xml = str_skip(xml, at + name.n);
		if (!xml.n || !strchr("> \t\r\n", *xml.p))
			continue;
		struct str inside = str_skip(xml, str_chr(xml, '>'));
		inside = str_skip(inside, 1);
		return str_trim(str_sub(inside, 0, str_chr(inside, '<')));
	}
	return STR_NONE;
}

/* Of a document the state that it tells: of a person, of a dialog. [RFC3863 4.1.4] [RFC4235 4.1.1]
 */
static struct str document_says(struct str xml)
{
	struct str state = element(xml, STR("<basic"));
	return state.n ? state : element(xml, STR("<state"));
}

static void keep_body_line(const struct trk_intake *i)
{
	struct str rest, line = str_trim(str_cut(i->m->body, '\n', &rest));
	if (str_starts(line, STR("<")))
		line = document_says(i->m->body);
	if (line.n)
		keep(i, TRK_F_BODY, line);
}

/* A digit in an INFO: "Signal=5" of application/dtmf-relay, or the digit alone of application/dtmf.
 * A proxy's copy has the same CSeq from the same side. */
static void keep_info_digit(const struct trk_intake *i)
{
	uint32_t which = i->m->cseq << 1 | !!(i->e->flags & TRK_EV_CALLER);
	struct str type = sip_value(i->m, SIP_HDR_CONTENT_TYPE);
	struct trk_av *av =
		str_istarts(type, STR("application/dtmf")) ? trk_av_get(i->t, i->c) : NULL;
	if (!av || av->info_seen == which)
		return;
	av->info_seen = which;
	struct str rest, line = str_trim(str_cut(i->m->body, '\n', &rest));
	if (str_istarts(line, STR("signal")))
		line = str_trim(str_skip(str_trim(str_skip(line, 6)), 1)); /* the '=' */
	size_t n = str_c(av->info_digits).n;
	if (line.n && rtp_event_of_digit(line.p[0]) >= 0 && n < sizeof av->info_digits - 1)
		av->info_digits[n] = line.p[0];
}

/* NAT between, or a wrong address in the phone: answers go to the Via. [RFC3581 4] */
static void keep_via(const struct trk_intake *i)
{
	struct addr a;
	const struct addr *from = &i->p->from;
	if (!addr_parse(i->k->via_host, 0, &a) || addr_ip_eq(&a, from) || addr_is_loopback(from) ||
	    i->p->transport != TRK_UDP)
		return;
	struct trk_fact *f = keep(i, TRK_F_VIA, i->k->via_host);
	if (f)
		f->flags = (uint8_t)((i->k->via_has_rport ? TRK_VIA_RPORT : 0) |
				     (addr_is_private(&a) ? TRK_VIA_PRIVATE : 0));
}

/* Programs that look for open exchanges, by the name that they give themselves. */
static void keep_tool(const struct trk_intake *i)
{
	static const struct str tools[] = {
		STR_INIT("friendly-scanner"),
		STR_INIT("sipvicious"),
		STR_INIT("sip-scan"),
		STR_INIT("sipcli"),
		STR_INIT("sundayddr"),
		STR_INIT("pplsip"),
		STR_INIT("VaxSIPUserAgent"),
		STR_INIT("sivus"),
		STR_INIT("smap"),
		STR_INIT("iWar"),
		STR_INIT("scan"),
	};
	struct str ua = i->k->user_agent;
	for (unsigned k = 0; ua.n && k < ARRAY_LEN(tools); k++)
		if (str_istarts(ua, tools[k])) {
			keep(i, TRK_F_TOOL, ua);
			return;
		}
}

/* A 2xx of the one who took the call. */
static bool is_takers(const struct trk_intake *i)
{
	return i->k->method == SIP_INVITE && i->k->status / 100 == 2 && i->c->callee == i->e->from;
}

/* Who calls, and who answered; how other systems call the call. */
static void keep_for_record(struct trk_intake *i)
{
	bool is_first = i->k->is_request && trk_ev_id(i->e) == i->c->first_ev;
	struct str session = i->k->session_id;
	if (i->k->method != SIP_INVITE || (!is_first && !is_takers(i)))
		return;
	if (i->k->user_agent.n)
		keep(i, TRK_F_AGENT, i->k->user_agent);
	if (!session.p && i->k->has_more && trk_need_index(i))
		session = sip_value(i->m, SIP_HDR_SESSION_ID);
	if (session.n)
		keep(i, TRK_F_SESSION_ID, session);
}

static void keep_number(const struct trk_intake *i, enum trk_fact_kind kind, uint32_t num)
{
	struct trk_fact *f = keep(i, kind, STR_NONE);
	if (f)
		f->num = num;
}

static void keep_session(const struct trk_intake *i)
{
	struct sip_session_expires x;
	if (sip_has(i->m, SIP_HDR_SESSION_EXPIRES) &&
	    !sip_session_expires_parse(sip_value(i->m, SIP_HDR_SESSION_EXPIRES), &x))
		keep_number(i, TRK_F_SESSION, x.seconds);
}

/* The caller's own hop of its pending request. */
static bool is_first_hop(const struct trk_intake *i)
{
	return i->e->branch == i->c->branch;
}

static void invite_facts(const struct trk_intake *i)
{
	if (is_first_hop(i) || i->e->flags & TRK_EV_TO_TAG)
		keep_contact(i);
	if (is_first_hop(i))
		keep_via(i);
}

static void request_facts(const struct trk_intake *i)
{
	const struct sip_msg *m = i->m;
	if (m->method == SIP_METHOD_OTHER)
		keep(i, TRK_F_METHOD, m->method_name);
	if (i->e->flags & TRK_EV_AUTH && is_first_hop(i))
		keep_credentials(i);
	switch (m->method) {
	case SIP_INVITE:
		invite_facts(i);
		break;
	case SIP_REGISTER:
		keep_expires(i);
		keep_via(i);
		keep_contact(i);
		break;
	case SIP_SUBSCRIBE:
	case SIP_PUBLISH:
		keep_expires(i);
		keep_header(i, TRK_F_EVENT, SIP_HDR_EVENT);
		break;
	case SIP_NOTIFY:
		keep_header(i, TRK_F_EVENT, SIP_HDR_EVENT);
		keep_header(i, TRK_F_STATE, SIP_HDR_SUBSCRIPTION_STATE);
		keep_body_line(i);
		break;
	case SIP_REFER:
		keep_uri(i, TRK_F_REFER_TO, SIP_HDR_REFER_TO);
		break;
	case SIP_INFO:
		keep_info_digit(i);
		break;
	case SIP_BYE:
	case SIP_CANCEL:
		keep_header(i, TRK_F_REASON, SIP_HDR_REASON);
		break;
	default:
		break;
	}
}

/* Which dialog was asked for. [RFC3261 12.2.2] */
static void keep_tags(const struct trk_intake *i)
{
	char mem[256];
	struct buf b;
	if (!i->m->to_tag.n)
		return;
	buf_init_fixed(&b, mem, sizeof mem);
	buf_fmt(&b, "From tag " STR_FMT ", To tag " STR_FMT,
		STR_ARG(str_sub(i->m->from_tag, 0, 100)), STR_ARG(str_sub(i->m->to_tag, 0, 100)));
	keep(i, TRK_F_TAGS, buf_view(&b));
}

/* A host and port that is in the Vias again names the circle: what lies between the two. An answer
 * has the Vias of its request, the last hop's first. [RFC3261 8.1.3.3, 16.3] */
static void keep_loop(const struct trk_intake *i)
{
	struct sip_via via[MAX_VIAS];
	struct sip_iter it = {0};
	struct str v;
	unsigned n = 0, period = 1;
	while (n < MAX_VIAS && sip_each(i->m, SIP_HDR_VIA, &it, &v))
		if (!sip_via_parse(v, &via[n]))
			n++;
	while (period < n &&
	       !(str_ieq(via[0].host, via[period].host) && via[0].port == via[period].port))
		period++;
	char mem[400];
	struct buf b;
	buf_init_fixed(&b, mem, sizeof mem);
	for (unsigned k = period < n ? period : 0; k-- > 0;) {
		buf_fmt(&b, "%s" STR_FMT, b.n ? ", " : "",
			STR_ARG(str_sub(via[k].host, 0, MAX_HOST)));
		if (via[k].port)
			buf_fmt(&b, ":%u", via[k].port);
	}
	struct trk_fact *f = n ? keep(i, TRK_F_LOOP, buf_view(&b)) : NULL;
	if (f)
		f->num = n;
}

static void refusal_facts(const struct trk_intake *i)
{
	static const enum sip_hdr_id needs[] = {SIP_HDR_UNSUPPORTED, SIP_HDR_MIN_EXPIRES,
						SIP_HDR_MIN_SE, SIP_HDR_RETRY_AFTER};
	if (i->m->status == 401 || i->m->status == 407) {
		keep_challenge(i);
		return;
	}
	keep_header(i, TRK_F_REASON, SIP_HDR_REASON);
	keep_header(i, TRK_F_WARNING, SIP_HDR_WARNING);
	for (unsigned k = 0; k < ARRAY_LEN(needs); k++)
		keep_named(i, needs[k]);
	if (i->m->status == 481)
		keep_tags(i);
	if (i->m->status == 482 || i->m->status == 483)
		keep_loop(i);
	if (i->m->status == 405)
		keep_named(i, SIP_HDR_ALLOW);
	if (i->m->status == 415 || i->m->status == 406)
		keep_named(i, SIP_HDR_ACCEPT);
	if (i->m->status == 489)
		keep_named(i, SIP_HDR_ALLOW_EVENTS);
	if (i->m->status < 400)
		keep_contact(i);
}

static void response_facts(const struct trk_intake *i)
{
	const struct sip_msg *m = i->m;
	if (m->status >= 300) {
		refusal_facts(i);
		return;
	}
	if (m->status < 200) {
		uint32_t n;
		if (m->status > 100 && sip_has(m, SIP_HDR_RSEQ) &&
		    str_u32(sip_value(m, SIP_HDR_RSEQ), &n))
			keep_number(i, TRK_F_RSEQ, n);
		return;
	}
	if (m->method == SIP_INVITE || m->method == SIP_UPDATE)
		keep_session(i);
	if (is_takers(i))
		keep_contact(i);
	if (m->method == SIP_REGISTER || m->method == SIP_SUBSCRIBE)
		keep_expires(i);
}

/* Whether a refusal may say more than its status; what refusal_facts reads besides the headers that
 * are not usual. */
static bool has_grounds(const struct sip_skim *k)
{
	switch (k->status) {
	case 401:
	case 405:
	case 406:
	case 407:
	case 415:
	case 481:
	case 482:
	case 483:
	case 489:
		return true;
	default:
		return k->status < 400 || k->has_more;
	}
}

/* Whether facts may be found that the skim does not tell of. */
static bool has_more(const struct trk_intake *i)
{
	const struct sip_skim *k = i->k;
	bool is_of_invite = k->method == SIP_INVITE;
	if (!k->is_request && k->status < 200)
		return k->status > 100 && k->has_rseq;
	if (!k->is_request && k->status >= 300)
		return has_grounds(k);
	if (!k->is_request)
		return k->method == SIP_REGISTER || k->method == SIP_SUBSCRIBE ||
		       (is_takers(i) && !k->contact.p) ||
		       ((is_of_invite || k->method == SIP_UPDATE) && k->has_session);
	if (is_first_hop(i) && k->has_auth)
		return true;
	switch (k->method) {
	case SIP_ACK:
	case SIP_OPTIONS:
	case SIP_PRACK:
	case SIP_UPDATE:
	case SIP_MESSAGE:
		return false;
	case SIP_INFO:
		return k->body.n && !k->is_sdp;
	case SIP_INVITE:
		return !k->contact.p && (is_first_hop(i) || i->e->flags & TRK_EV_TO_TAG);
	case SIP_BYE:
	case SIP_CANCEL:
		return k->has_reason;
	default:
		return true;
	}
}

void trk_facts(struct trk_intake *i)
{
	if (!trk_skips(i) && !i->k->is_request && i->k->reason.n &&
	    !str_eq(i->k->reason, sip_status_reason(i->k->status)))
		keep(i, TRK_F_PHRASE, i->k->reason);
	if (!trk_skips(i) && i->k->is_request && trk_ev_id(i->e) == i->c->first_ev)
		keep_tool(i);
	if (i->t->cfg.has_agents)
		keep_for_record(i);
	if (!trk_skips(i) && has_more(i)) {
		if (!trk_need_index(i)) /* no memory */
			return;
		if (i->m->is_request)
			request_facts(i);
		else
			response_facts(i);
	} else if (!trk_skips(i) && is_takers(i)) {
		keep_contact(i);
	} else if (!trk_skips(i) && i->k->is_request && i->k->method == SIP_INVITE) {
		invite_facts(i);
	}
	if (i->k->body.n)
		trk_facts_sdp(i);
	if (i->p->is_cut && !trk_skips(i)) {
		struct trk_fact *f = keep(i, TRK_F_CUT, STR_NONE);
		if (f) {
			f->num = (uint32_t)i->p->bytes.n;
			f->flags = i->p->is_piece ? TRK_CUT_PIECE : 0;
		}
	}
}
