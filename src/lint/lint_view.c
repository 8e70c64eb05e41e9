/* What the lint found, for people and for programs: the score card of each peer, then each kind of
 * finding once, the gravest first. The severity is always a word, colour only repeats it. Whatever
 * came from outside is masked. */
#include "lint/lint.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define INDENT 11

static bool is_empty(const struct lint_peer *p)
{
	return !p->n_messages && !p->n_passed && !p->n_copies && !p->kinds;
}

/* By severity, then by how often, then by rule. */
static int by_weight(const void *a, const void *b)
{
	const struct lint_kind *x = *(const struct lint_kind *const *)a;
	const struct lint_kind *y = *(const struct lint_kind *const *)b;
	int sx = (int)lint_about((enum lint_rule)x->rule)->severity;
	int sy = (int)lint_about((enum lint_rule)y->rule)->severity;
	if (sx != sy)
		return sy - sx;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->rule - y->rule;
}

static unsigned sorted(const struct lint_peer *p, const struct lint_kind *out[LINT__N])
{
	unsigned n = 0;
	for (const struct lint_kind *k = p->kinds; k && n < LINT__N; k = k->next)
		out[n++] = k;
	qsort(out, n, sizeof out[0], by_weight);
	return n;
}

static void put_who(struct buf *b, const struct lint_peer *p)
{
	if (p->is_rest) {
		buf_str(b, STR("all other peers"));
		return;
	}
	buf_plain(b, p->agent[0] ? str_c(p->agent) : STR("(no User-Agent or Server)"));
	buf_str(b, p->is_behind ? STR(" behind ") : STR(" at "));
	addr_put_ip(b, &p->addr);
}

static void put_count(struct buf *b, const struct lint_peer *p, enum lint_severity s)
{
	unsigned long long n = p->n_found[s];
	buf_fmt(b, "%llu %s%s", n, lint_severity_name(s), n == 1 ? "" : "s");
	if (n)
		buf_fmt(b, " of %u kind%s", p->n_kinds[s], p->n_kinds[s] == 1 ? "" : "s");
}

static void put_card(struct buf *b, const struct lint_peer *p, const struct lint_look *o)
{
	unsigned score = lint_score(p);
	buf_str(b, o->is_colour ? STR("\033[1m") : STR_NONE);
	put_who(b, p);
	buf_str(b, o->is_colour ? STR("\033[0m") : STR_NONE);
	if (p->n_messages)
		buf_fmt(b, ": %c (%u of 100)", lint_grade(score), score);
	buf_fmt(b, "\n  %llu message%s", (unsigned long long)p->n_messages,
		p->n_messages == 1 ? "" : "s");
	if (p->n_passed)
		buf_fmt(b, ", %llu passed on", (unsigned long long)p->n_passed);
	if (p->n_copies)
		buf_fmt(b, ", %llu resent", (unsigned long long)p->n_copies);
	buf_str(b, STR(": "));
	put_count(b, p, LINT_ERROR);
	buf_str(b, STR(", "));
	put_count(b, p, LINT_WARNING);
	buf_str(b, STR(", "));
	put_count(b, p, LINT_NOTE);
	buf_chr(b, '\n');
}

/* Columns that the first n bytes take: the continuation bytes of UTF-8 take none. */
static size_t columns_of(struct str s, size_t n)
{
	size_t c = 0;
	for (size_t i = 0; i < n && i < s.n; i++)
		c += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return c;
}

static void put_severity(struct buf *b, enum lint_severity s, bool is_colour)
{
	static const char *const colours[] = {"\033[36m", "\033[33m", "\033[31m"};
	buf_str(b, is_colour ? str_c(colours[s]) : STR_NONE);
	buf_fmt(b, "%-8s", lint_severity_name(s));
	buf_str(b, is_colour ? STR("\033[0m") : STR_NONE);
}

static void put_kind(struct buf *b, const struct lint_kind *k, const struct lint_look *o)
{
	const struct lint_about *rule = lint_about((enum lint_rule)k->rule);
	buf_str(b, STR("  "));
	put_severity(b, rule->severity, o->is_colour);
	buf_fmt(b, " %s", rule->wrong);
	if (k->detail.n) {
		buf_str(b, STR(": "));
		buf_plain(b, k->detail);
	}
	buf_str(b, STR(".\n"));
	buf_fill(b, ' ', INDENT);
	buf_fmt(b, "%u time%s, frame%s ", k->count, k->count == 1 ? "" : "s",
		k->n_frames == 1 ? "" : "s");
	for (unsigned i = 0; i < k->n_frames; i++)
		buf_fmt(b, i ? ", %u" : "%u", k->frames[i]);
	buf_fmt(b, "%s; %s; [%s]\n", k->count > k->n_frames ? " ..." : "", rule->code, rule->rfc);
	buf_fill(b, ' ', INDENT);
	buf_str(b, o->is_ascii ? STR("| ") : STR("│ "));
	buf_plain(b, k->line);
	buf_chr(b, '\n');
	buf_fill(b, ' ', INDENT);
	buf_str(b, o->is_ascii ? STR("| ") : STR("│ "));
	buf_fill(b, ' ', columns_of(k->line, k->caret));
	buf_str(b, STR("^\n"));
	if (*rule->right) {
		buf_fill(b, ' ', INDENT);
		buf_fmt(b, "%s %s.\n", o->is_ascii ? "->" : "→", rule->right);
	}
}

void lint_put_text(struct buf *b, const struct lint *l, const struct lint_look *o)
{
	const struct lint_kind *kinds[LINT__N];
	bool is_first = true;
	for (const struct lint_peer *p = lint_first(l); p; p = p->next) {
		if (is_empty(p))
			continue;
		buf_str(b, is_first ? STR_NONE : STR("\n"));
		is_first = false;
		put_card(b, p, o);
		unsigned n = sorted(p, kinds);
		for (unsigned i = 0; i < n; i++)
			put_kind(b, kinds[i], o);
	}
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

static void json_who(struct buf *b, const struct lint_peer *p)
{
	buf_str(b, STR("\"agent\":"));
	buf_json(b, str_c(p->agent));
	buf_str(b, STR(",\"address\":\""));
	if (!p->is_rest)
		addr_put_ip(b, &p->addr);
	buf_fmt(b, "\",\"behind\":%s", p->is_behind ? "true" : "false");
}

static void json_card(struct buf *b, const struct lint_peer *p)
{
	unsigned score = lint_score(p);
	buf_str(b, STR("{\"peer\":{"));
	json_who(b, p);
	buf_fmt(b,
		"},\"messages\":%llu,\"passed\":%llu,\"resent\":%llu,\"errors\":%llu,"
		"\"warnings\":%llu,\"notes\":%llu,\"score\":%u,\"grade\":\"%c\"}\n",
		(unsigned long long)p->n_messages, (unsigned long long)p->n_passed,
		(unsigned long long)p->n_copies, (unsigned long long)p->n_found[LINT_ERROR],
		(unsigned long long)p->n_found[LINT_WARNING],
		(unsigned long long)p->n_found[LINT_NOTE], score, lint_grade(score));
}

static void json_rule(struct buf *b, const struct lint_about *rule)
{
	buf_fmt(b, "\"rule\":\"%s\",\"severity\":\"%s\",\"rfc\":\"%s\",\"wrong\":", rule->code,
		lint_severity_name(rule->severity), rule->rfc);
	buf_json(b, str_c(rule->wrong));
	buf_str(b, STR(",\"right\":"));
	buf_json(b, str_c(rule->right));
}

static void json_kind(struct buf *b, const struct lint_peer *p, const struct lint_kind *k)
{
	buf_chr(b, '{');
	json_rule(b, lint_about((enum lint_rule)k->rule));
	buf_str(b, STR(",\"peer\":{"));
	json_who(b, p);
	buf_fmt(b, "},\"count\":%u,\"frames\":[", k->count);
	for (unsigned i = 0; i < k->n_frames; i++)
		buf_fmt(b, i ? ",%u" : "%u", k->frames[i]);
	buf_str(b, STR("],\"line\":"));
	buf_json(b, k->line);
	buf_fmt(b, ",\"offset\":%u,\"detail\":", k->caret);
	buf_json(b, k->detail);
	buf_str(b, STR("}\n"));
}

void lint_put_json(struct buf *b, const struct lint *l)
{
	const struct lint_kind *kinds[LINT__N];
	for (const struct lint_peer *p = lint_first(l); p; p = p->next) {
		if (is_empty(p))
			continue;
		json_card(b, p);
		unsigned n = sorted(p, kinds);
		for (unsigned i = 0; i < n; i++)
			json_kind(b, p, kinds[i]);
	}
}

void lint_put_rules(struct buf *b, bool is_json)
{
	for (unsigned i = 1; i < LINT__N; i++) {
		const struct lint_about *rule = lint_about((enum lint_rule)i);
		if (is_json) {
			buf_chr(b, '{');
			json_rule(b, rule);
			buf_str(b, STR("}\n"));
			continue;
		}
		buf_fmt(b, "%-28s %-8s %-18s %s", rule->code, lint_severity_name(rule->severity),
			rule->rfc, rule->wrong);
		if (*rule->right)
			buf_fmt(b, "; right: %s", rule->right);
		buf_chr(b, '\n');
	}
}
