/* The verdict: the framework of its rules.
 *
 * A call's rows are sorted into transactions, one per hop: what was sent how often, what came back,
 * how often that was repeated, and the ACK. Then rules are tried: of the outcome rules the first
 * that fits says how it ended; every other rule that fits adds a finding. Rules only read. Each
 * takes its severity, confidence, RFC section and remedy from vrd.def, writes one sentence and
 * names the messages that prove it.
 *
 * A rule states what was seen, and says so where something could also have passed elsewhere: the
 * capture point sees only its own wire.
 *
 * Invariants:
 * 1. Sentences lie one behind the other in v->text; text_at[i] is where the i-th begins. They
 *    become strings only at the end, because the buffer may move.
 * 2. The first finding is the outcome's, the others are in the order of vrd_notes.
 *
 * Ownership: v owns the text; ids in it are the tracker's.
 */
#include "base/assert.h"
#include "sip/hdr.h"
#include "track/vrd_priv.h"

#include <string.h>

static const struct vrd_about rules[VRD__N] = {
#define VERDICT(id, code, severity, confidence, rfc, remedy, unseen)                               \
	{code, VRD_##severity, confidence, rfc, remedy, unseen},
	VERDICT(NONE, "", OK, 0, "", "", "")
#include "track/vrd.def"
#undef VERDICT
};

const struct vrd_about *vrd_about(enum vrd_rule r)
{
	return &rules[r];
}

const char *vrd_severity_name(enum vrd_severity s)
{
	static const char *const names[] = {"ok", "note", "warning", "fault"};
	return names[s];
}

void vrd_init(struct vrd *v)
{
	*v = (struct vrd){0};
	buf_init(&v->text);
}

void vrd_fini(struct vrd *v)
{
	buf_fini(&v->text);
}

/* --- sorting ---------------------------------------------------------------------------------- */

static struct tsx *tsx_of_request(struct judge *j, const struct trk_ev *e)
{
	for (unsigned i = j->n_tsx; i-- > 0;) {
		struct tsx *x = &j->tsx[i];
		if (x->req->branch == e->branch && x->method == e->method &&
		    x->req->cseq == e->cseq && x->from == e->from && x->to == e->to)
			return x;
	}
	return NULL;
}

static struct tsx *tsx_of_response(struct judge *j, const struct trk_ev *e)
{
	struct tsx *found = NULL;
	for (unsigned i = j->n_tsx; i-- > 0;) {
		struct tsx *x = &j->tsx[i];
		if (x->req->branch != e->branch || x->method != e->method ||
		    x->req->cseq != e->cseq)
			continue;
		if (x->to == e->from && x->from == e->to)
			return x;
		if (!found) /* answered from or to another port */
			found = x;
	}
	return found;
}

static void on_request(struct judge *j, const struct trk_ev *e)
{
	struct tsx *x = tsx_of_request(j, e);
	if (x) {
		x->n_sent++;
		x->last_sent_us = e->at_us;
		return;
	}
	if (j->n_tsx == MAX_TSX) { /* the old ones tell least about how it ended */
		j->n_tsx -= MAX_TSX / 3;
		memmove(j->tsx, j->tsx + MAX_TSX / 3, j->n_tsx * sizeof(j->tsx[0]));
	}
	j->tsx[j->n_tsx++] = (struct tsx){.req = e,
					  .from = e->from,
					  .to = e->to,
					  .method = e->method,
					  .n_sent = 1,
					  .last_sent_us = e->at_us};
}

static void on_ack(struct judge *j, const struct trk_ev *e)
{
	if (j->n_acks < MAX_ACKS)
		j->acks[j->n_acks++] = e;
	for (unsigned i = 0; i < j->n_tsx; i++) {
		struct tsx *x = &j->tsx[i];
		bool is_its = x->req->branch == e->branch || (x->from == e->from && x->to == e->to);
		if (x->method == SIP_INVITE && x->req->cseq == e->cseq && is_its && !x->ack)
			x->ack = e;
	}
}

static void on_response(struct judge *j, const struct trk_ev *e)
{
	struct tsx *x = tsx_of_response(j, e);
	if (!x)
		return;
	if (e->status < 200) {
		const struct trk_ev **first = e->status == 100 ? &x->trying : &x->ringing;
		if (!*first)
			*first = e;
		return;
	}
	if (!x->final) {
		x->final = e;
		x->final_from = e->from;
	}
	if (e->status == x->final->status && e->tag == x->final->tag) {
		x->n_final++;
		x->last_final_us = e->at_us;
	}
}

/* The latest fact of a kind stands first. */
static void sort_facts(struct judge *j)
{
	for (const struct trk_fact *f = j->c->facts; f; f = f->next) {
		const struct trk_ev *e = trk_ev(j->t, f->ev);
		if (!e || e->flags & TRK_EV_DUPLICATE)
			continue;
		j->facts |= 1ull << f->kind;
		if (f->kind == TRK_F_CHALLENGE && !j->last_challenge)
			j->last_challenge = e;
		else if (f->kind == TRK_F_CREDENTIALS && !j->last_credentials)
			j->last_credentials = e;
		else if (f->kind == TRK_F_HINT && !j->hint)
			j->hint = e;
	}
}

static void sort(struct judge *j)
{
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		if (e->flags & TRK_EV_DUPLICATE)
			continue;
		if (!(e->flags & TRK_EV_REQUEST))
			on_response(j, e);
		else if (e->method == SIP_ACK)
			on_ack(j, e);
		else
			on_request(j, e);
	}
	sort_facts(j);
	for (unsigned i = 0; j->c->branch && i < j->n_tsx; i++)
		if (j->tsx[i].req->branch == j->c->branch && j->tsx[i].req->cseq == j->c->cseq &&
		    j->tsx[i].method != SIP_CANCEL && !j->head)
			j->head = &j->tsx[i];
	for (unsigned a = 0; a < j->c->n_peers; a++)
		for (unsigned b = a + 1; b < j->c->n_peers; b++)
			if (addr_ip_eq(&j->c->peers[a].addr, &j->c->peers[b].addr))
				j->has_ports = true;
}

struct tsx *vrd_last(struct judge *j, enum sip_method m)
{
	for (unsigned i = j->n_tsx; i-- > 0;)
		if (j->tsx[i].method == m)
			return &j->tsx[i];
	return NULL;
}

struct tsx *vrd_tail(struct judge *j)
{
	struct tsx *tail = j->head;
	for (bool found = tail; found;) {
		found = false;
		for (unsigned i = 0; i < j->n_tsx && !found; i++) {
			struct tsx *x = &j->tsx[i];
			if (x > tail && x->method == tail->method && x->from == tail->to &&
			    x->req->cseq == tail->req->cseq && x->to != tail->from) {
				tail = x;
				found = true;
			}
		}
	}
	return tail;
}

const struct trk_ev *vrd_origin(struct judge *j, unsigned status)
{
	for (unsigned i = 0; j->head && i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		if (e->status == status && e->cseq == j->c->cseq && e->method == j->head->method)
			return e;
	}
	return NULL;
}

/* --- sentences -------------------------------------------------------------------------------- */

struct vrd_finding *vrd_find(struct judge *j, enum vrd_rule rule)
{
	struct vrd *v = j->v;
	if (v->n == VRD_MAX)
		return NULL;
	struct vrd_finding *f = &v->f[v->n];
	*f = (struct vrd_finding){.rule = (uint8_t)rule,
				  .severity = rules[rule].severity,
				  .confidence = rules[rule].confidence};
	j->text_at[v->n++] = v->text.n;
	return f;
}

/* Kept in the order in which they were seen. */
void vrd_evidence(struct vrd_finding *f, const struct trk_ev *e)
{
	if (!e || f->n_evidence == VRD_MAX_EVIDENCE)
		return;
	unsigned at = f->n_evidence;
	uint32_t id = trk_ev_id(e);
	for (unsigned i = 0; i < f->n_evidence; i++)
		if (f->evidence[i] == id)
			return;
	while (at > 0 && f->evidence[at - 1] > id)
		at--;
	memmove(f->evidence + at + 1, f->evidence + at, (f->n_evidence - at) * sizeof id);
	f->evidence[at] = id;
	f->n_evidence++;
}

void vrd_say(struct judge *j, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vfmt(&j->v->text, fmt, ap);
	va_end(ap);
}

void vrd_say_peer(struct judge *j, uint8_t peer)
{
	if (peer >= j->c->n_peers)
		buf_str(&j->v->text, STR("nobody"));
	else if (j->has_ports)
		addr_put(&j->v->text, &j->c->peers[peer].addr);
	else
		addr_put_ip(&j->v->text, &j->c->peers[peer].addr);
}

void vrd_say_duration(struct judge *j, uint64_t us)
{
	uint64_t s = us / 1'000'000;
	if (us < 100'000)
		vrd_say(j, "%.3f s", (double)us / 1e6);
	else if (s < 60)
		vrd_say(j, "%.1f s", (double)us / 1e6);
	else if (s < 3'600)
		vrd_say(j, "%u min %u s", (unsigned)(s / 60), (unsigned)(s % 60));
	else
		vrd_say(j, "%u h %u min", (unsigned)(s / 3'600), (unsigned)(s / 60 % 60));
}

void vrd_say_answer(struct judge *j, const struct trk_ev *e)
{
	trk_ev_put(&j->v->text, e);
}

void vrd_say_times(struct judge *j, const struct tsx *x)
{
	unsigned n = 0;
	vrd_say(j, "at ");
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		if (e != x->req && trk_copy_of(e) != trk_ev_id(x->req))
			continue;
		if (e->flags & TRK_EV_DUPLICATE)
			continue;
		if (n < 8)
			vrd_say(j, n ? ", %.3g" : "%.3g",
				(double)vrd_since(x->req->at_us, e->at_us) / 1e6);
		n++;
	}
	vrd_say(j, n > 8 ? " ... s" : " s");
}

/* Of our own Warning (service/codes): the text, and the code for `rung explain`. */
static bool say_own_warning(struct judge *j, struct str warning)
{
	static const struct str head = STR_INIT("399 rung \"");
	if (!str_starts(warning, head))
		return false;
	struct str text, code = str_cut(str_skip(warning, head.n), ' ', &text);
	text = str_sub(text, 0, str_chr(text, '"'));
	if (!code.n || !text.n)
		return false;
	vrd_say(j, "; rung says: " STR_FMT " (" STR_FMT ")", STR_ARG(text), STR_ARG(code));
	return true;
}

void vrd_say_reason(struct judge *j, struct str reason)
{
	static const struct {
		uint8_t cause;
		const char *text;
	} causes[] = {
#define Q850(cause, text) {cause, text},
#include "track/q850.def"
#undef Q850
	};
	struct sip_reason r;
	vrd_say(j, "Reason: " STR_FMT, STR_ARG(reason));
	if (sip_reason_parse(reason, &r) || r.text.n || !r.has_cause ||
	    !str_ieq(r.protocol, STR("Q.850")))
		return;
	for (unsigned i = 0; i < ARRAY_LEN(causes); i++)
		if (causes[i].cause == r.cause)
			vrd_say(j, " (%s)", causes[i].text);
}

void vrd_say_why(struct judge *j, const struct trk_ev *e)
{
	static const enum trk_fact_kind kinds[] = {TRK_F_REASON, TRK_F_WARNING, TRK_F_NEEDS};
	for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
		const struct trk_fact *f = trk_fact(e, kinds[k]);
		if (!f || (kinds[k] == TRK_F_WARNING && say_own_warning(j, trk_fact_text(f))))
			continue;
		vrd_say(j, "; it says ");
		if (kinds[k] == TRK_F_REASON)
			vrd_say_reason(j, trk_fact_text(f));
		else
			vrd_say(j, "%s" STR_FMT, kinds[k] == TRK_F_WARNING ? "Warning: " : "",
				STR_ARG(trk_fact_text(f)));
	}
}

void vrd_say_tags(struct judge *j, const struct trk_ev *e)
{
	const struct trk_fact *k = trk_fact(e, TRK_F_TAGS);
	bool is_told = false;
	if (!k)
		return;
	vrd_say(j, "; it was asked for " STR_FMT, STR_ARG(trk_fact_text(k)));
	/* the caller has the other tag from the answers to its INVITE */
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *x = j->history[i];
		bool is_answer = x->method == SIP_INVITE && x->status > 100 && x->tag;
		if (is_answer && x->tag == e->tag && trk_ev_id(x) < trk_ev_id(e))
			return;
		is_told = is_told || (is_answer && trk_ev_id(x) < trk_ev_id(e));
	}
	if (is_told && e->flags & TRK_EV_CALLER)
		vrd_say(j, ": no answer to the INVITE gave that To tag");
}

void vrd_say_credentials(struct judge *j, const struct trk_ev *e)
{
	if (e->status == 403 && j->head && j->head->req->flags & TRK_EV_AUTH)
		vrd_say(j, "; credentials had been sent, and some servers answer a wrong password "
			   "with 403");
}

void vrd_say_hint(struct judge *j, struct vrd_finding *f)
{
	struct str text, code = str_cut(trk_fact_text(trk_fact(j->hint, TRK_F_HINT)), ':', &text);
	vrd_say(j, STR_FMT " (" STR_FMT ")", STR_ARG(str_trim(text)), STR_ARG(code));
	vrd_evidence(f, j->hint);
	f->confidence = 100;
	j->hint = NULL;
}

const char *vrd_icmp_text(const struct trk_fact *k)
{
	return k->flags & TRK_IC_PORT   ? "nobody listens at that port"
	       : k->flags & TRK_IC_HOST ? "that host cannot be reached"
	       : k->flags & TRK_IC_BAR  ? "it is forbidden on the way"
					: "it ran in a circle";
}

const struct trk_fact *vrd_icmp(struct judge *j, const struct tsx *x)
{
	for (uint32_t i = 0; i < j->n_history; i++) {
		const struct trk_ev *e = j->history[i];
		const struct trk_fact *k = e == x->req || trk_copy_of(e) == trk_ev_id(x->req)
						   ? trk_fact(e, TRK_F_ICMP)
						   : NULL;
		if (k && !(k->flags & TRK_IC_MEDIA))
			return k;
	}
	return NULL;
}

void vrd_say_icmp(struct judge *j, const struct tsx *x)
{
	const struct trk_fact *k = vrd_icmp(j, x);
	if (k)
		vrd_say(j, "; %s, says " STR_FMT " (ICMP, frame %u)", vrd_icmp_text(k),
			STR_ARG(trk_fact_text(k)), k->num);
}

bool vrd_has(const struct judge *j, enum vrd_rule rule)
{
	for (unsigned i = 0; i < j->v->n; i++)
		if (j->v->f[i].rule == rule)
			return true;
	return false;
}

static void add_notes(struct judge *j, vrd_rule_fn *const *note)
{
	while (*note)
		(*note++)(j);
}

enum err vrd_judge(struct vrd *v, struct trk *t, const struct trk_call *c)
{
	v->n = 0;
	v->worst = VRD_OK;
	buf_clear(&v->text);
	struct judge j;
	memset(&j, 0, offsetof(struct judge, tsx));
	j.n_tsx = j.n_acks = 0;
	j.head = NULL;
	j.last_challenge = j.last_credentials = j.hint = NULL;
	j.has_ports = false;
	j.facts = 0;
	j.v = v;
	j.t = t;
	j.c = c;
	j.history = trk_history(t, c, &j.n_history);
	if (!j.history)
		return ERR_NOMEM;
	sort(&j);
	vrd_rule_fn *const *outcome = c->kind == TRK_CALL ? vrd_call_outcomes : vrd_other_outcomes;
	while (*outcome && !(*outcome)(&j))
		outcome++;
	ASSERT(v->n);
	if (j.hint) {
		vrd_say(&j, "; the exchange says: ");
		vrd_say_hint(&j, &v->f[0]);
	}
	if (c->kind == TRK_CALL) {
		add_notes(&j, vrd_drop_notes);
		add_notes(&j, vrd_media_notes);
		add_notes(&j, vrd_call_notes);
	} else {
		add_notes(&j, vrd_other_notes);
	}
	add_notes(&j, vrd_common_notes);
	add_notes(&j, vrd_nat_notes);
	add_notes(&j, vrd_capture_notes);
	if (c->kind == TRK_CALL)
		add_notes(&j, vrd_quality_notes);
	if (v->text.err)
		return v->text.err;
	for (unsigned i = 0; i < v->n; i++) {
		size_t end = i + 1u < v->n ? j.text_at[i + 1] : v->text.n;
		v->f[i].text = str_of(v->text.p + j.text_at[i], end - j.text_at[i]);
		if (v->f[i].severity > v->worst)
			v->worst = (enum vrd_severity)v->f[i].severity;
	}
	return OK;
}
