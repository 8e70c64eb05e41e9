/* A plan for people and for programs. */
#include "base/assert.h"
#include "policy/decide.h"

static const char *const on_text[] = {"busy", "no answer", "unreachable", "refused"};

const char *pol_act_text(enum pol_act a)
{
	static const char *const text[] = {
		[POL_SEND] = "it is sent on",
		[POL_REDIRECT] = "answered with where to go",
		[POL_REJECT] = "rejected by a rule",
		[POL_NO_USER] = "nobody has that number",
		[POL_OFFLINE] = "nobody can be reached",
		[POL_FOREIGN] = "sent on to its own domain",
		[POL_DENIED] = "not allowed",
		[POL_LOOP] = "only forwards that lead back",
		[POL_NO_TRUNK] = "all trunks that lead there are down",
		[POL_FULL] = "more steps than a plan holds",
	};
	return text[a];
}

static struct str target_text(const struct pol_target *t)
{
	return t->user.n ? t->user : t->uri;
}

static void put_lines(struct str lines, const char *indent, struct buf *out)
{
	while (lines.n) {
		struct str line = str_trim(str_cut(lines, '\n', &lines));
		buf_fmt(out, "%s  sets " STR_FMT "\n", indent, STR_ARG(line));
	}
}

static void put_step(const struct pol_plan *p, size_t i, struct buf *out)
{
	const struct pol_step *s = &p->steps[i];
	buf_fmt(out, "  %zu:", i);
	for (size_t k = 0; k < s->n; k++) {
		struct str t = target_text(&p->targets[s->first + k]);
		buf_fmt(out, " " STR_FMT, STR_ARG(t));
	}
	if (s->ring_s)
		buf_fmt(out, " for %u s", s->ring_s);
	for (enum pol_on on = 0; on < POL_ON__N; on++)
		if (s->next[on])
			buf_fmt(out, ", %s: %u", on_text[on], s->next[on]);
	buf_chr(out, '\n');
	if (s->caller.n)
		buf_fmt(out, "     P-Asserted-Identity: " STR_FMT "\n", STR_ARG(s->caller));
	put_lines(s->lines, "   ", out);
	if (s->remove.n)
		buf_fmt(out, "     removes " STR_FMT "\n", STR_ARG(s->remove));
	if (s->diversion.n)
		buf_fmt(out, "     Diversion: " STR_FMT "\n", STR_ARG(s->diversion));
}

void pol_plan_put(const struct pol_plan *p, struct buf *out)
{
	buf_fmt(out, "%s", pol_act_text(p->act));
	if (p->status && (p->act == POL_REJECT || p->act == POL_REDIRECT))
		buf_fmt(out, ", %u " STR_FMT, p->status, STR_ARG(p->reason));
	if (p->act == POL_SEND)
		buf_fmt(out, ", %s%s%s", p->mode == POL_MODE_B2BUA ? "B2BUA" : "proxy",
			p->recurses ? ", follows 3xx" : "", p->has_farewell ? ", farewell" : "");
	buf_chr(out, '\n');
	if (p->act != POL_SEND && p->act != POL_REDIRECT)
		return;
	for (size_t i = 0; i < p->n_steps; i++)
		put_step(p, i, out);
	put_lines(p->lines, "", out);
	if (p->remove.n)
		buf_fmt(out, "  removes " STR_FMT "\n", STR_ARG(p->remove));
}

static void json_step(const struct pol_plan *p, const struct pol_step *s, struct buf *out)
{
	buf_str(out, STR("{\"targets\":["));
	for (size_t k = 0; k < s->n; k++) {
		const struct pol_target *t = &p->targets[s->first + k];
		buf_str(out, k ? STR(",{") : STR("{"));
		buf_str(out, t->user.n ? STR("\"user\":") : STR("\"uri\":"));
		buf_json(out, target_text(t));
		if (t->trunk) {
			buf_str(out, STR(",\"trunk\":"));
			buf_json(out, t->trunk->name.s);
		}
		buf_chr(out, '}');
	}
	buf_fmt(out, "],\"ring_s\":%u,\"next\":{", s->ring_s);
	bool is_first = true;
	for (enum pol_on on = 0; on < POL_ON__N; on++)
		if (s->next[on]) {
			buf_fmt(out, "%s\"%s\":%u", is_first ? "" : ",", on_text[on], s->next[on]);
			is_first = false;
		}
	buf_str(out, STR("},\"caller\":"));
	buf_json(out, s->caller);
	buf_str(out, STR(",\"diversion\":"));
	buf_json(out, s->diversion);
	buf_chr(out, '}');
}

void pol_plan_json(const struct pol_plan *p, struct str trace, struct buf *out)
{
	static const char *const act[] = {
		[POL_SEND] = "send",         [POL_REDIRECT] = "redirect", [POL_REJECT] = "reject",
		[POL_NO_USER] = "no-user",   [POL_OFFLINE] = "offline",   [POL_FOREIGN] = "foreign",
		[POL_DENIED] = "denied",     [POL_LOOP] = "loop",         [POL_FULL] = "full",
		[POL_NO_TRUNK] = "no-trunk",
	};
	buf_fmt(out, "{\"act\":\"%s\",\"status\":%u,\"reason\":", act[p->act], p->status);
	buf_json(out, p->reason);
	buf_fmt(out, ",\"mode\":\"%s\",\"recurse\":%s,\"rule\":",
		p->mode == POL_MODE_B2BUA ? "b2bua" : "proxy", p->recurses ? "true" : "false");
	if (p->rule)
		buf_fmt(out, "%u", p->rule->place.at.line);
	else
		buf_str(out, STR("null"));
	buf_str(out, STR(",\"steps\":["));
	for (size_t i = 0; i < p->n_steps; i++) {
		if (i)
			buf_chr(out, ',');
		json_step(p, &p->steps[i], out);
	}
	buf_str(out, STR("],\"set\":"));
	buf_json(out, p->lines);
	buf_str(out, STR(",\"remove\":"));
	buf_json(out, p->remove);
	buf_str(out, STR(",\"trace\":["));
	for (bool is_first = true; trace.n; is_first = false) {
		struct str line = str_cut(trace, '\n', &trace);
		if (!is_first)
			buf_chr(out, ',');
		buf_json(out, line);
	}
	buf_str(out, STR("]}\n"));
}
