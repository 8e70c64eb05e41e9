/* Fields call.*: what became of the call that a message belongs to.
 *
 * Wireshark has nothing of the kind, since it does not judge. Whether a call failed is known when
 * it is over, so these fields have values only in a second walk over the capture, when a tracker
 * has seen all of it: flt_calls_attach then gives each message its call, judged when first asked
 * for, and kept. In a first walk no such field has a value; flt_needs says so beforehand.
 *
 * Live there is no second walk: who wants such fields keeps the frames of a call until it was
 * judged (scope/hold.c), or asks again and again about calls that go on (scope/book_watch.c). What
 * is settled with the first message, whose call it is and of what kind, is known at once.
 *
 * Invariants: a call is judged once, unless flt_calls_clear came between; its strings live with it.
 */
#include "filter/flt_args.h"

#include "base/assert.h"
#include "base/hash.h"
#include "track/trk_info.h"
#include "track/trk_join.h"
#include "track/vrd.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HOSTS 16

struct flt_call {
	struct hnode node; /* by number */
	struct flt_call *next;
	const struct trk_call *c;
	bool is_judged; /* else nothing of what follows is known */
	enum vrd_severity worst;
	uint8_t n_rules, n_hosts;
	uint8_t rules[VRD_MAX];
	uint8_t ended_by; /* enum trk_ended_by */
	bool has_mos, has_jitter, has_lost;
	double mos, jitter_ms, lost_percent; /* of the worst stream */
	struct str reason;                   /* borrows the call's */
	struct str hosts[MAX_HOSTS];
	char *host_text; /* of all */
};

struct flt_calls {
	struct trk *trk;
	struct vrd verdict;
	struct htab by_no;
	struct flt_call *first;
};

struct flt_calls *flt_calls_new(struct trk *t)
{
	struct flt_calls *k = calloc(1, sizeof *k);
	if (!k)
		return NULL;
	k->trk = t;
	vrd_init(&k->verdict);
	if (htab_init(&k->by_no, 16)) {
		flt_calls_free(k);
		return NULL;
	}
	return k;
}

void flt_calls_clear(struct flt_calls *k)
{
	for (struct flt_call *f = k->first, *next; f; f = next) {
		next = f->next;
		htab_del(&k->by_no, &f->node);
		free(f->host_text);
		free(f);
	}
	k->first = NULL;
}

void flt_calls_free(struct flt_calls *k)
{
	if (!k)
		return;
	flt_calls_clear(k);
	htab_fini(&k->by_no);
	vrd_fini(&k->verdict);
	free(k);
}

/* The hosts that sent or received a message of the call, each once. */
static bool add_hosts(struct flt_call *f)
{
	char text[MAX_HOSTS][ADDR_TEXT_MAX];
	size_t n[MAX_HOSTS], total = 0;
	unsigned n_hosts = 0;
	for (unsigned i = 0; i < f->c->n_peers && n_hosts < MAX_HOSTS; i++) {
		struct buf b;
		unsigned k = 0;
		buf_init_fixed(&b, text[n_hosts], sizeof text[0]);
		addr_put_ip(&b, &f->c->peers[i].addr);
		while (k < n_hosts && !str_eq(str_of(text[k], n[k]), buf_view(&b)))
			k++;
		if (k < n_hosts)
			continue;
		total += n[n_hosts++] = b.n;
	}
	char *p = f->host_text = malloc(total + 1);
	if (!p)
		return false;
	for (; f->n_hosts < n_hosts; p += n[f->n_hosts++]) {
		memcpy(p, text[f->n_hosts], n[f->n_hosts]);
		f->hosts[f->n_hosts] = str_of(p, n[f->n_hosts]);
	}
	return true;
}

/* Of each figure the worst that a stream has. What the capture may have lost itself is no loss. */
static void grade(const struct trk *t, struct flt_call *f)
{
	for (const struct trk_stream *s = trk_av(f->c)->streams; s; s = s->next) {
		struct trk_figures k;
		trk_figures(t, s, &k);
		if (k.ungraded == TRK_GRADED && (!f->has_mos || k.out.mos < f->mos)) {
			f->has_mos = true;
			f->mos = k.out.mos;
		}
		if (k.has_jitter && (!f->has_jitter || k.jitter_ms > f->jitter_ms)) {
			f->has_jitter = true;
			f->jitter_ms = k.jitter_ms;
		}
		double lost =
			k.expected ? 100.0 * (double)(k.lost - k.may_be_ours) / (double)k.expected
				   : 0;
		if (k.expected && (!f->has_lost || lost > f->lost_percent)) {
			f->has_lost = true;
			f->lost_percent = lost;
		}
	}
}

static struct flt_call *entry_of(struct flt_calls *k, const struct trk_call *c)
{
	uint64_t hash = hash_fold(c->no, 0x9e3779b97f4a7c15u);
	for (struct hnode *n = htab_first(&k->by_no, hash); n; n = htab_next(n)) {
		struct flt_call *f = CONTAINER_OF(n, struct flt_call, node);
		if (f->c->no == c->no)
			return f;
	}
	struct flt_call *f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->c = c;
	f->next = k->first;
	k->first = f;
	htab_add(&k->by_no, &f->node, hash);
	return f;
}

static enum err judge(struct flt_calls *k, struct flt_call *f)
{
	struct trk_info info;
	if (f->is_judged)
		return OK;
	if (!f->host_text && !add_hosts(f))
		return ERR_NOMEM;
	enum err e = vrd_judge(&k->verdict, k->trk, f->c);
	if (e)
		return e;
	f->worst = k->verdict.worst;
	for (unsigned i = 0; i < k->verdict.n; i++)
		f->rules[f->n_rules++] = k->verdict.f[i].rule;
	trk_info(k->trk, f->c, &info);
	f->ended_by = info.ended_by;
	f->reason = info.reason;
	grade(k->trk, f);
	f->is_judged = true;
	return OK;
}

static enum err attach(struct flt_calls *k, const struct cap_frame *fr, bool is_over)
{
	for (size_t i = 0; i < fr->n_msgs; i++) {
		struct cap_msg *m = &fr->msgs[i];
		const struct trk_call *c =
			trk_find(k->trk, m->pkt.skim ? m->pkt.skim->call_id : m->pkt.msg->call_id);
		struct flt_call *f = c ? entry_of(k, c) : NULL;
		m->whole = f;
		if (c && (!f || (is_over && judge(k, f))))
			return ERR_NOMEM;
	}
	return OK;
}

enum err flt_calls_attach(struct flt_calls *k, const struct cap_frame *fr)
{
	return attach(k, fr, true);
}

enum err flt_calls_attach_early(struct flt_calls *k, const struct cap_frame *fr)
{
	return attach(k, fr, false);
}

bool flt_is_of_call(const struct flt_field *f)
{
	return f->needs & FLT_NEEDS_CALLS;
}

bool flt_is_late(const struct flt_field *f)
{
	bool is_settled = f->arg == CL_NO || f->arg == CL_ID || f->arg == CL_KIND ||
			  f->arg == CL_USER || f->arg == CL_FROM || f->arg == CL_TO;
	return flt_is_of_call(f) && !is_settled;
}

/* --- fields ----------------------------------------------------------------------------------- */

static void put_span(struct outlet *o, uint64_t from_us, uint64_t to_us)
{
	if (from_us && to_us >= from_us)
		put_i(o, (int64_t)(to_us - from_us) * 1'000);
}

static void put_new(struct outlet *o, struct str s)
{
	for (unsigned i = 0; i < o->n; i++)
		if (o->v[i].layer == o->layer && str_eq(o->v[i].s, s))
			return;
	if (s.n)
		put_s(o, s);
}

static void times(const struct flt_field *f, const struct trk_call *c, struct outlet *o)
{
	uint64_t ringing = c->ring_us ? c->ring_us : c->answer_us;
	uint64_t over = c->answer_us ? c->answer_us : c->end_us;
	if (c->kind != TRK_CALL)
		return;
	switch (f->arg) {
	case CL_DURATION:
		put_span(o, c->answer_us, c->end_us ? c->end_us : c->last_us);
		break;
	case CL_SETUP:
		if (c->answer_us)
			put_span(o, c->first_us, c->answer_us);
		break;
	case CL_PDD:
		if (ringing)
			put_span(o, c->first_us, ringing);
		break;
	case CL_RING:
		put_span(o, c->ring_us, over ? over : c->last_us);
		break;
	}
}

static void media(const struct flt_field *f, const struct trk_call *c, struct outlet *o)
{
	unsigned n = 0;
	for (const struct trk_stream *s = trk_av(c)->streams; s; s = s->next, n++) {
		if (f->arg == CL_CODEC)
			put_new(o, str_c(s->codec));
		else if (f->arg == CL_DIGITS)
			put_new(o, str_c(s->digits));
	}
	if (f->arg == CL_STREAMS)
		put_u(o, n);
}

static void put_f(struct outlet *o, bool is_known, double f)
{
	struct flt_val *v = is_known ? flt_out(o) : NULL;
	if (v)
		v->f = f;
}

static void ending(const struct flt_field *f, const struct flt_call *k, struct outlet *o)
{
	static const struct str who[] = {
		[TRK_END_CALLER] = STR_INIT("caller"),
		[TRK_END_CALLEE] = STR_INIT("callee"),
		[TRK_END_BETWEEN] = STR_INIT("between"),
	};
	const struct trk_call *legs[TRK_MAX_LEGS];
	if (f->arg == CL_LEGS)
		put_u(o, trk_join_legs(k->c, legs, TRK_MAX_LEGS));
	else if (f->arg == CL_REASON && k->reason.n)
		put_s(o, k->reason);
	else if (f->arg == CL_HANGUP && k->ended_by != TRK_END_NONE)
		put_s(o, who[k->ended_by]);
}

static void parties(const struct flt_field *f, const struct flt_call *k, struct outlet *o)
{
	const struct trk_call *c = k->c;
	if (f->arg == CL_FROM || f->arg == CL_USER)
		put_new(o, trk_user(c->from));
	if (f->arg == CL_TO || f->arg == CL_USER)
		put_new(o, trk_user(c->to));
	for (unsigned i = 0; f->arg == CL_HOST && i < k->n_hosts; i++)
		put_s(o, k->hosts[i]);
	for (unsigned i = 0; f->arg == CL_TRANSPORT && i < c->n_peers; i++)
		put_new(o, trk_transport_name((enum trk_transport)c->peers[i].transport));
}

static void call_value(const struct flt_field *f, const struct flt_call *k, struct outlet *o)
{
	const struct trk_call *c = k->c;
	switch (f->arg) {
	case CL_NO:
		put_u(o, c->no);
		break;
	case CL_ID:
		put_s(o, c->call_id);
		break;
	case CL_KIND:
		put_s(o, trk_kind_name((enum trk_kind)c->kind));
		break;
	case CL_STATE:
		put_s(o, trk_state_name(c));
		break;
	case CL_CODE:
		if (c->status)
			put_u(o, c->status);
		break;
	case CL_VERDICT:
		for (unsigned i = 0; i < k->n_rules; i++)
			put_s(o, str_c(vrd_about((enum vrd_rule)k->rules[i])->code));
		break;
	case CL_SEVERITY:
		put_s(o, str_c(vrd_severity_name(k->worst)));
		break;
	case CL_MESSAGES:
		put_u(o, c->n_ev);
		break;
	case CL_STREAMS:
	case CL_CODEC:
	case CL_DIGITS:
		media(f, c, o);
		break;
	case CL_DURATION:
	case CL_SETUP:
	case CL_PDD:
	case CL_RING:
		times(f, c, o);
		break;
	case CL_MOS:
		put_f(o, k->has_mos, k->mos);
		break;
	case CL_JITTER:
		put_f(o, k->has_jitter, k->jitter_ms);
		break;
	case CL_LOST:
		put_f(o, k->has_lost, k->lost_percent);
		break;
	case CL_LEGS:
	case CL_HANGUP:
	case CL_REASON:
		ending(f, k, o);
		break;
	default:
		parties(f, k, o);
		break;
	}
}

unsigned flt_get_call(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 0};
	for (size_t i = 0; i < fr->n_msgs; i++) {
		o.layer++;
		if (fr->msgs[i].whole)
			call_value(f, fr->msgs[i].whole, &o);
	}
	return o.n;
}
