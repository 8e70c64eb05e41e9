/* Listings of calls, registrations, subscriptions: one line, or one JSON object each.
 *
 * A call through a B2BUA is several legs. Each is a line; the later ones stand under the first,
 * with the ground on which they were joined. In JSON each leg is an object that names the others.
 */
#include "scope/view_priv.h"
#include "track/trk_info.h"
#include "track/trk_join.h"

void view_call_head(struct buf *b, const struct view_opts *o)
{
	if (!o->is_json)
		buf_str(b, STR("  No       Start  State   Msgs  Who, and what came of it\n"));
}

/* --- text ------------------------------------------------------------------------------------- */

/* The join that ties a leg to one before it, the surest of them. */
static const struct trk_join *tie_of(const struct trk_call *c)
{
	const struct trk_join *best = NULL;
	for (const struct trk_join *j = NULL; (j = trk_join_next(c, j));) {
		const struct trk_call *other = j->a == c ? j->b : j->a;
		if (other->no < c->no && !trk_join_about((enum trk_ground)j->ground)->is_cause &&
		    (!best || j->confidence > best->confidence))
			best = j;
	}
	return best;
}

void view_join(struct buf *b, const struct trk_join *j, const struct trk_call *c)
{
	enum trk_ground g = (enum trk_ground)j->ground;
	const struct trk_call *other = j->a == c ? j->b : j->a;
	if (!trk_join_about(g)->is_cause)
		buf_fmt(b, "joined to %u: %s", other->no, trk_join_about(g)->name);
	else
		buf_fmt(b, j->b == c ? "caused by %u: %s" : "causes %u: %s", other->no,
			trk_join_about(g)->name);
	if (j->confidence < 100)
		buf_fmt(b, ", %u %% sure", j->confidence);
}

static void put_joins(struct buf *b, const struct trk_call *c)
{
	const struct trk_join *tie = tie_of(c);
	if (tie) {
		buf_str(b, STR(" ["));
		view_join(b, tie, c);
		buf_chr(b, ']');
	}
	for (const struct trk_join *j = NULL; (j = trk_join_next(c, j));)
		if (j->b == c && trk_join_about((enum trk_ground)j->ground)->is_cause) {
			buf_str(b, STR(" ["));
			view_join(b, j, c);
			buf_chr(b, ']');
		}
}

static void call_text(struct buf *b, const struct trk *t, const struct trk_call *c,
		      const struct vrd *v, const struct view_opts *o)
{
	uint64_t first = trk_stats(t)->first_us;
	uint64_t start = c->first_us > first ? c->first_us - first : 0;
	view_put_right(b, c->no, 4);
	view_put_right(b, start / 1'000'000, 8);
	buf_chr(b, '.');
	view_put_zeros(b, start / 1'000, 3);
	buf_fmt(b, "  %-7.*s ", STR_ARG(trk_state_name(c)));
	view_put_right(b, c->n_ev, 4);
	buf_str(b, STR("  "));
	if (trk_join_first(c) != c)
		buf_str(b, o->is_ascii ? STR("+- ") : STR("└ "));
	vrd_put_line(b, c, v, o->is_ascii);
	put_joins(b, c);
	buf_chr(b, '\n');
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void put_time(struct buf *b, const char *name, uint64_t us)
{
	if (us != TRK_NO_TIME)
		buf_fmt(b, ",\"%s\":%.6f", name, (double)us / 1e6);
}

static void put_count(struct buf *b, const char *name, unsigned n)
{
	if (n)
		buf_fmt(b, ",\"%s\":%u", name, n);
}

static void put_text(struct buf *b, const char *name, struct str s)
{
	if (!s.n)
		return;
	buf_fmt(b, ",\"%s\":", name);
	buf_json(b, s);
}

static void put_call_data(struct buf *b, const struct trk_call *c, const struct trk_info *i)
{
	static const char *const enders[] = {"", "caller", "callee", "between"};
	put_time(b, "post_dial_delay", i->pdd_us);
	put_time(b, "answered_after", i->setup_us);
	put_time(b, "rang", i->ring_us);
	put_time(b, "talked", i->talk_us);
	put_count(b, "early_dialogs", i->n_early);
	put_count(b, "answered_dialog", i->winner);
	put_count(b, "reinvites", i->n_reinvite);
	put_count(b, "updates", i->n_update);
	put_count(b, "pracks", i->n_prack);
	put_count(b, "infos", i->n_info);
	put_text(b, "info_dtmf", str_c(trk_av(c)->info_digits));
	put_count(b, "refers", i->n_refer);
	put_text(b, "refer_to", i->refer_to);
	put_text(b, "refer_result", i->refer_result);
	put_text(b, "ended_by", str_c(enders[i->ended_by]));
	put_text(b, "reason", i->reason);
}

static void put_binding(struct buf *b, const struct trk_call *c, const struct trk_info *i)
{
	if (c->kind == TRK_REG) {
		char mem[600];
		struct buf aor;
		buf_init_fixed(&aor, mem, sizeof mem);
		vrd_put_parties(&aor, c, true);
		put_text(b, "aor", buf_view(&aor));
		put_text(b, "contact", i->contact);
	} else {
		put_text(b, "event", i->package);
		put_text(b, "subscription_state", i->state);
		buf_fmt(b, ",\"notifications\":%u", i->n_notify);
	}
	if (i->has_expires)
		buf_fmt(b, ",\"expires\":%u", i->expires_s);
	buf_fmt(b, ",\"refreshed\":%u", i->n_refreshed);
}

static void put_legs(struct buf *b, const struct trk *t, const struct trk_call *c)
{
	const struct trk_call *legs[TRK_MAX_LEGS];
	unsigned n = trk_join_legs(c, legs, TRK_MAX_LEGS);
	const char *comma = "";
	if (!trk_join_next(c, NULL))
		return;
	buf_str(b, STR(",\"legs\":["));
	for (unsigned i = 0; i < n; i++)
		buf_fmt(b, i ? ",%u" : "%u", legs[i]->no);
	buf_str(b, STR("],\"joined_by\":["));
	for (const struct trk_join *j = NULL; (j = trk_join_next(c, j)); comma = ",") {
		enum trk_ground g = (enum trk_ground)j->ground;
		const struct trk_ev *a = trk_ev(t, j->evidence[0]), *e = trk_ev(t, j->evidence[1]);
		buf_fmt(b,
			"%s{\"call\":%u,\"ground\":\"%s\",\"relation\":\"%s\",\"confidence\":%u,"
			"\"frames\":[%u,%u]}",
			comma, j->a == c ? j->b->no : j->a->no, trk_join_about(g)->code,
			!trk_join_about(g)->is_cause ? "leg"
			: j->a == c                  ? "causes"
						     : "caused by",
			j->confidence, a ? a->frame_no : 0, e ? e->frame_no : 0);
	}
	buf_chr(b, ']');
}

static void call_json(struct buf *b, struct trk *t, const struct trk_call *c, const struct vrd *v)
{
	struct trk_info i;
	trk_info(t, c, &i);
	buf_fmt(b, "{\"no\":%u,\"start\":%llu.%06llu,\"state\":\"" STR_FMT "\",\"messages\":%u",
		c->no, (unsigned long long)(c->first_us / 1'000'000),
		(unsigned long long)(c->first_us % 1'000'000), STR_ARG(trk_state_name(c)), c->n_ev);
	if (c->status)
		buf_fmt(b, ",\"status\":%u", c->status);
	if (c->kind == TRK_CALL)
		put_call_data(b, c, &i);
	else if (c->kind == TRK_REG || c->kind == TRK_SUB)
		put_binding(b, c, &i);
	put_legs(b, t, c);
	buf_str(b, STR(",\"verdict\":"));
	vrd_put_json(b, t, c, v);
	buf_str(b, STR("}\n"));
}

void view_call(struct buf *b, struct trk *t, const struct trk_call *c, const struct vrd *v,
	       const struct view_opts *o)
{
	if (o->is_json)
		call_json(b, t, c, v);
	else
		call_text(b, t, c, v, o);
}
