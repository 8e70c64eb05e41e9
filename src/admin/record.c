/* Calls as records. Times, parties and causes are what the tracker and the verdict say; nothing is
 * decided here. Texts that must be put together go into one buffer: it may move while it grows, so
 * that their places are kept as offsets until the row is complete. */
#include "admin/record.h"

#include "sip/uri.h"
#include "track/trk_info.h"
#include "track/vrd.h"

const uint32_t adm_setup_bounds_ms[ADM_SETUP_BUCKETS] = {100,  250,   500,   1000,  2000,  4000,
							 8000, 16000, 32000, 64000, 128000};

static void number(struct st_cdr *row, enum st_cdr_column c, uint64_t n, bool is_set)
{
	row->v[c] = (struct st_val){.n = n, .is_set = is_set};
}

static void text(struct st_cdr *row, enum st_cdr_column c, struct str s)
{
	row->v[c] = (struct st_val){.s = s, .is_set = s.n > 0};
}

/* Made from `from` on in the buffer; its place is told when the buffer stands still. */
struct made {
	enum st_cdr_column column;
	size_t from, n;
};

static void made_end(struct made *m, enum st_cdr_column c, size_t from, const struct buf *b)
{
	*m = (struct made){.column = c, .from = from, .n = b->n - from};
}

static void put_peer(struct buf *b, const struct trk_call *c, uint8_t peer)
{
	if (peer < c->n_peers)
		addr_put(b, &c->peers[peer].addr);
}

/* What stands for "none yet" is none. [RFC7989 5] */
static struct str known_uuid(struct str s)
{
	size_t n = 0;
	while (n < s.n && s.p[n] == '0')
		n++;
	return n < s.n ? s : STR_NONE;
}

/* The caller's UUID and that of who answered, as the header of the caller would have them. */
static void put_session(struct buf *b, struct trk *t, const struct trk_call *c)
{
	struct str caller = STR_NONE, callee = STR_NONE, remote, params;
	uint32_t n_ev;
	const struct trk_ev *const *ev = trk_history(t, c, &n_ev);
	for (uint32_t i = 0; ev && i < n_ev; i++) {
		const struct trk_fact *f = trk_fact(ev[i], TRK_F_SESSION_ID);
		if (!f)
			continue;
		struct str own = str_trim(str_cut(trk_fact_text(f), ';', &params));
		if (!ev[i]->status) {
			caller = known_uuid(own);
			continue;
		}
		callee = known_uuid(own);
		if (!caller.n && sip_param(params, STR("remote"), &remote))
			caller = known_uuid(remote);
	}
	buf_str(b, caller);
	if (callee.n)
		buf_fmt(b, ";remote=" STR_FMT, STR_ARG(callee));
}

static size_t make_texts(struct buf *b, struct trk *t, const struct trk_call *c, struct made *m)
{
	size_t n = 0, from = b->n;
	vrd_put_name(b, c->from);
	made_end(&m[n++], ST_CDR_caller, from, b);
	from = b->n;
	vrd_put_name(b, c->to);
	made_end(&m[n++], ST_CDR_callee, from, b);
	from = b->n;
	put_peer(b, c, c->caller);
	made_end(&m[n++], ST_CDR_caller_at, from, b);
	from = b->n;
	if (c->answer_us)
		put_peer(b, c, c->callee);
	made_end(&m[n++], ST_CDR_answered_at, from, b);
	from = b->n;
	put_session(b, t, c);
	made_end(&m[n++], ST_CDR_session_id, from, b);
	return n;
}

static void put_times(struct st_cdr *row, const struct trk_call *c, const struct trk_info *i)
{
	number(row, ST_CDR_start, c->first_us, true);
	number(row, ST_CDR_answer, c->answer_us, c->answer_us > 0);
	number(row, ST_CDR_end, c->end_us ? c->end_us : c->last_us, true);
	number(row, ST_CDR_setup, i->setup_us, i->setup_us != TRK_NO_TIME);
	number(row, ST_CDR_talk, i->talk_us, i->talk_us != TRK_NO_TIME);
	number(row, ST_CDR_pdd, i->pdd_us, i->pdd_us != TRK_NO_TIME);
}

/* Our own code: "399 rung \"4001 nobody of that name\"" in a Warning of ours (service/codes). */
static void put_code(struct st_cdr *row, struct str warning)
{
	static const struct str head = STR_INIT("399 rung \"");
	struct str rest;
	uint32_t code;
	if (str_starts(warning, head) &&
	    str_u32(str_cut(str_skip(warning, head.n), ' ', &rest), &code))
		number(row, ST_CDR_code, code, true);
}

static void put_facts(struct st_cdr *row, struct trk *t, const struct trk_call *c)
{
	uint32_t n_ev;
	const struct trk_ev *const *ev = trk_history(t, c, &n_ev);
	for (uint32_t i = 0; ev && i < n_ev; i++) {
		const struct trk_fact *agent = trk_fact(ev[i], TRK_F_AGENT);
		put_code(row, trk_fact_text(trk_fact(ev[i], TRK_F_WARNING)));
		if (agent)
			text(row, ev[i]->status ? ST_CDR_callee_agent : ST_CDR_caller_agent,
			     trk_fact_text(agent));
	}
}

void adm_record(struct st_cdr *row, struct buf *texts, struct trk *t, const struct trk_call *c,
		const struct vrd *v)
{
	static const char *const enders[] = {"", "caller", "callee", "between"};
	struct made made[5];
	struct trk_info i;
	size_t n = make_texts(texts, t, c, made);
	trk_info(t, c, &i);
	*row = (struct st_cdr){0};
	put_times(row, c, &i);
	put_facts(row, t, c);
	number(row, ST_CDR_status, c->status, c->status > 0);
	number(row, ST_CDR_targets, i.n_early, i.n_early > 0);
	text(row, ST_CDR_ended_by, str_c(enders[i.ended_by]));
	text(row, ST_CDR_reason, i.reason);
	text(row, ST_CDR_call_id, c->call_id);
	if (c->caller < c->n_peers)
		text(row, ST_CDR_transport,
		     trk_transport_name((enum trk_transport)c->peers[c->caller].transport));
	if (v->n) {
		text(row, ST_CDR_verdict, v->f[0].text);
		text(row, ST_CDR_verdict_code, str_c(vrd_about((enum vrd_rule)v->f[0].rule)->code));
		text(row, ST_CDR_severity, str_c(vrd_severity_name(v->worst)));
	}
	for (size_t k = 0; k < n && texts->err == OK; k++)
		text(row, made[k].column, str_sub(buf_view(texts), made[k].from, made[k].n));
}

void adm_count(struct adm_tally *y, struct trk *t, const struct trk_call *c, const struct vrd *v)
{
	struct trk_info i;
	size_t k = 0;
	trk_info(t, c, &i);
	y->n++;
	y->n_answered += c->answer_us > 0;
	y->n_warned += v->worst == VRD_WARN;
	y->n_failed += v->worst == VRD_FAULT;
	if (i.talk_us != TRK_NO_TIME)
		y->talk_us += i.talk_us;
	if (i.setup_us == TRK_NO_TIME)
		return;
	y->n_setup++;
	y->setup_us += i.setup_us;
	while (k < ADM_SETUP_BUCKETS && i.setup_us > adm_setup_bounds_ms[k] * 1000ull)
		k++;
	y->setup[k]++;
}
