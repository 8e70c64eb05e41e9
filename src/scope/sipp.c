/* A recorded call as a SIPp scenario.
 *
 * A side is a host: whatever it sent becomes <send>, whatever it received <recv>, in the order of
 * the capture, each once (SIPp resends by itself). What came between two of its messages in time
 * becomes a <pause> before what it sent. Where several parties share a host (a lab on one machine)
 * the port tells them apart.
 *
 * SIPp knows the message that came last, so a response is made of that. When something else came
 * since the INVITE (CANCEL), its Via lines and CSeq are taken from variables that were set then.
 * Branches count steps, so that CANCEL and the ACK of a refusal can name their INVITE's.
 *
 * A provisional response is optional, unless the side's next step waits for it (CANCEL, PRACK).
 *
 * [RFC3261 8, 9, 12, 17] [RFC3262]
 */
#include "scope/sipp.h"

#include "scope/sipp_priv.h"
#include "sip/hdr.h"

#include <stdlib.h>

#define LEAST_PAUSE_US 20'000
#define TIMEOUT_MS     32'000

struct step {
	uint32_t id;
	bool is_out;
};

struct scenario {
	struct buf *out;
	struct book *book;
	const struct trk_call *call;
	struct sipp_side side;
	struct step *steps;
	unsigned n_steps;
	unsigned n_written;  /* steps of the scenario, pauses too */
	unsigned invite_at;  /* the number of the last INVITE sent */
	uint64_t last_us;    /* of the step before */
	uint16_t refused;    /* final status >= 300 of the last INVITE sent, 0 none */
	uint8_t last_method; /* enum sip_method of the request received last */
	bool last_has_tag;   /* it had a To tag */
	bool has_begun;      /* callee: the INVITE came */
	bool has_rseq;       /* a reliable provisional response came [RFC3262] */
};

static bool is_self(const struct scenario *s, const struct addr *a)
{
	/* on a host of its own a side may use several ports */
	return addr_ip_eq(&s->side.self, &s->side.remote) ? addr_eq(a, &s->side.self)
							  : addr_ip_eq(a, &s->side.self);
}

static const struct trk_ev *row(const struct scenario *s, unsigned i)
{
	return trk_ev(book_trk(s->book), s->steps[i].id);
}

/* Finds the parties: the first request of the caller, or the last INVITE that reached the callee.
 */
static bool find_side(struct scenario *s, const struct trk_ev *const *rows, uint32_t n)
{
	const struct trk_call *c = s->call;
	for (uint32_t i = 0; i < n; i++) {
		const struct trk_ev *e = rows[i];
		if (!(e->flags & TRK_EV_REQUEST) || e->flags & TRK_EV_TO_TAG)
			continue;
		if (s->side.side == TRK_SIDE_CALLER) {
			s->side.self = c->peers[e->from].addr;
			s->side.remote = c->peers[e->to].addr;
			return true;
		}
		if (e->to == c->callee && e->method == SIP_INVITE) {
			s->side.self = c->peers[e->to].addr;
			s->side.remote = c->peers[e->from].addr;
		}
	}
	return s->side.self.family != ADDR_NONE;
}

/* Whether the callee is no more than who refused on behalf of it: the exchange itself. */
static bool has_callee(const struct trk_call *c)
{
	return c->callee != TRK_NO_PEER && c->callee != c->caller;
}

static enum err line_up(struct scenario *s)
{
	uint32_t n;
	const struct trk_ev *const *rows = trk_history(book_trk(s->book), s->call, &n);
	if (!rows)
		return ERR_NOMEM;
	if (!find_side(s, rows, n))
		return ERR_NOTFOUND;
	s->steps = calloc(n, sizeof *s->steps);
	if (!s->steps)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct trk_ev *e = rows[i];
		bool is_out = is_self(s, &s->call->peers[e->from].addr);
		bool is_in = is_self(s, &s->call->peers[e->to].addr);
		if (is_out != is_in && !(e->flags & (TRK_EV_RETRANS | TRK_EV_DUPLICATE)))
			s->steps[s->n_steps++] = (struct step){trk_ev_id(e), is_out};
	}
	return s->n_steps ? OK : ERR_NOTFOUND;
}

/* --- receiving -------------------------------------------------------------------------------- */

/* A method in an attribute: peers write what is no token. */
static void put_method(struct buf *b, struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '"' || name.p[i] == '<' || name.p[i] == '&')
			buf_fmt(b, "&#%d;", name.p[i]);
		else
			sipp_escape(b, str_sub(name, i, 1));
}

static void expect_request(struct scenario *s, const struct sip_msg *m)
{
	bool is_first = s->side.side == TRK_SIDE_CALLEE && m->method == SIP_INVITE && !s->has_begun;
	buf_str(s->out, STR("  <recv request=\""));
	put_method(s->out, m->method_name);
	if (is_first) {
		s->has_begun = true;
		buf_str(s->out,
			STR("\" rrs=\"true\">\n    <action>\n"
			    "      <ereg regexp=\"Via: ([[:print:][:cntrl:]]*Via: )?[[:print:]]+\" "
			    "search_in=\"msg\" assign_to=\"vias,via\" />\n"
			    "      <ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"CSeq:\" "
			    "assign_to=\"cseq\" />\n"
			    "      <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" "
			    "assign_to=\"from\" />\n"
			    "      <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" "
			    "assign_to=\"to\" />\n"
			    "    </action>\n  </recv>\n"));
	} else {
		buf_fmt(s->out, "\" timeout=\"%u\" />\n", TIMEOUT_MS);
	}
	s->last_method = m->method;
	s->last_has_tag = m->to_tag.n > 0;
}

static void expect_response(struct scenario *s, const struct sip_msg *m, bool is_awaited)
{
	bool of_invite = m->method == SIP_INVITE;
	bool is_optional = m->status < 200 && !is_awaited;
	buf_fmt(s->out, "  <recv response=\"%u\"", m->status);
	if (is_optional)
		buf_str(s->out, STR(" optional=\"true\""));
	else
		buf_fmt(s->out, " timeout=\"%u\"", TIMEOUT_MS);
	if (m->status == 401 || m->status == 407)
		buf_str(s->out, STR(" auth=\"true\""));
	if (of_invite && m->status > 100 && m->status < 300)
		buf_str(s->out, STR(" rrs=\"true\""));
	bool is_reliable = m->status < 200 && sip_has(m, SIP_HDR_RSEQ);
	s->has_rseq = s->has_rseq || is_reliable;
	if (is_reliable)
		buf_str(s->out, STR(">\n    <action>\n      <ereg regexp=\"[0-9]+\" "
				    "search_in=\"hdr\" header=\"RSeq:\" assign_to=\"rseq\" />\n"
				    "    </action>\n  </recv>\n"));
	else
		buf_str(s->out, STR(" />\n"));
	if (of_invite && m->status >= 200)
		s->refused = m->status >= 300 ? m->status : 0;
}

/* --- sending ---------------------------------------------------------------------------------- */

static struct sipp_msg describe(struct scenario *s, const struct sip_msg *m)
{
	struct sipp_msg x = {.m = m};
	bool is_ack_of_refusal = m->is_request && m->method == SIP_ACK && s->refused;
	if (!m->is_request) {
		bool is_late = m->method == SIP_INVITE && s->last_method != SIP_INVITE;
		x.via = is_late && s->side.side == TRK_SIDE_CALLEE ? SIPP_VIA_KEPT : SIPP_VIA_LAST;
		x.adds_tag = m->to_tag.n && !s->last_has_tag;
	} else if (m->method == SIP_CANCEL || is_ack_of_refusal) {
		x.via = SIPP_VIA_BRANCH;
		x.back = s->n_written - s->invite_at;
		x.to_refusal = is_ack_of_refusal;
	} else {
		x.via = SIPP_VIA_OWN;
		x.in_dialog = m->to_tag.n > 0;
	}
	return x;
}

static void pause_for(struct scenario *s, uint64_t at_us)
{
	if (at_us < s->last_us + LEAST_PAUSE_US || !s->last_us)
		return;
	buf_fmt(s->out, "  <pause milliseconds=\"%llu\" />\n",
		(unsigned long long)((at_us - s->last_us) / 1'000));
	s->n_written++;
}

static void send(struct scenario *s, const struct sip_msg *m)
{
	bool is_resent =
		m->is_request ? m->method != SIP_ACK : m->method == SIP_INVITE && m->status >= 200;
	buf_fmt(s->out, "  <send%s>\n    <![CDATA[\n", is_resent ? " retrans=\"500\"" : "");
	struct sipp_msg x = describe(s, m);
	sipp_message(s->out, &s->side, &x);
	buf_str(s->out, STR("\n    ]]>\n  </send>\n"));
	if (m->is_request && m->method == SIP_INVITE) {
		s->invite_at = s->n_written;
		s->refused = 0;
	}
}

/* --- the whole -------------------------------------------------------------------------------- */

/* A comment must not hold "--". */
static void put_comment(struct buf *b, struct str text)
{
	size_t from = b->n;
	buf_plain(b, text);
	for (size_t i = from; i < b->n; i++)
		if (b->p[i] == '-' && i > from && b->p[i - 1] == '-')
			b->p[i] = '_';
}

static void begin(struct scenario *s)
{
	bool is_caller = s->side.side == TRK_SIDE_CALLER;
	const char *role = is_caller ? "caller" : "callee";
	buf_fmt(s->out,
		"<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n"
		"<!-- The %s's side of a recorded call, made by rung.\n     Call-ID: ",
		role);
	put_comment(s->out, s->call->call_id);
	buf_str(s->out, STR("\n     Was at "));
	addr_put(s->out, &s->side.self);
	buf_str(s->out, STR(", talking to "));
	addr_put(s->out, &s->side.remote);
	buf_fmt(s->out, ".\n     Play it: sipp -sf THIS.xml -m 1 -i OWN-ADDRESS -p 5060%s%s\n-->\n",
		is_caller ? " -au USER -ap PASSWORD" : "",
		is_caller ? " EXCHANGE:5060" : "   (registered at the exchange before)");
	buf_fmt(s->out, "<scenario name=\"recorded %s\">\n", role);
}

static enum err put_step(struct scenario *s, unsigned i)
{
	const struct sip_msg *m;
	uint64_t at_us = row(s, i)->at_us;
	bool is_out = s->steps[i].is_out;
	enum err e = book_msg(s->book, s->steps[i].id, &m);
	if (e)
		return e;
	if (is_out) {
		pause_for(s, at_us);
		send(s, m);
	} else if (m->is_request) {
		expect_request(s, m);
	} else {
		bool is_last = i + 1 == s->n_steps;
		expect_response(s, m, !is_last && s->steps[i + 1].is_out);
	}
	s->n_written++;
	s->last_us = at_us;
	return OK;
}

enum err sipp_put(struct buf *out, struct book *b, const struct trk_call *c, enum trk_side side)
{
	struct scenario s = {.out = out, .book = b, .call = c, .side.side = side};
	if (side == TRK_SIDE_CALLEE && !has_callee(c))
		return ERR_NOTFOUND;
	enum err e = line_up(&s);
	if (!e) {
		begin(&s);
		for (unsigned i = 0; i < s.n_steps && !e; i++)
			e = put_step(&s, i);
		if (s.has_begun)
			buf_str(out, STR("  <Reference variables=\"vias,via,cseq,from,to\" />\n"));
		if (s.has_rseq)
			buf_str(out, STR("  <Reference variables=\"rseq\" />\n"));
		buf_str(out, STR("</scenario>\n"));
	}
	free(s.steps);
	return e ? e : out->err;
}
