/* Score cards of the lint, as an operator sees them: one per User-Agent, whatever the number of
 * its hosts, since what is wrong with a phone is wrong with all of its kind. The lint has a card
 * per host and name; those of one name are put together when they are asked for. A listing goes by
 * the first card of each name, in order of appearance; cards never go. */
#include "admin/admin_priv.h"
#include "base/assert.h"

#include <string.h>

struct card {
	struct lint_peer sum; /* only what counts */
	uint32_t n_hosts, kinds[LINT__N];
};

static bool is_same(const struct lint_peer *a, const struct lint_peer *b)
{
	return a->is_rest == b->is_rest && strcmp(a->agent, b->agent) == 0;
}

static bool is_first(const struct lint *l, const struct lint_peer *p)
{
	const struct lint_peer *q = lint_first(l);
	while (q != p && !is_same(q, p))
		q = q->next;
	return q == p;
}

static void add(struct card *c, const struct lint_peer *p)
{
	c->n_hosts++;
	c->sum.n_messages += p->n_messages;
	for (const struct lint_kind *k = p->kinds; k; k = k->next) {
		unsigned severity = lint_about((enum lint_rule)k->rule)->severity;
		c->sum.n_kinds[severity] += !c->kinds[k->rule];
		c->sum.n_found[severity] += k->count;
		c->kinds[k->rule] += k->count;
	}
}

/* "no-contact 3, via-order 1": errors first. */
static void put_findings(struct buf *b, const struct card *c)
{
	const char *sep = "";
	for (int severity = LINT_ERROR; severity >= LINT_NOTE; severity--)
		for (unsigned r = 1; r < LINT__N; r++) {
			const struct lint_about *about = lint_about((enum lint_rule)r);
			if (!c->kinds[r] || (int)about->severity != severity)
				continue;
			buf_fmt(b, "%s%s %u", sep, about->code, c->kinds[r]);
			sep = ", ";
		}
}

static bool emit(struct adm_ask *q, const struct lint_peer *first)
{
	struct adm_row r;
	struct card c = {0};
	struct buf found;
	for (const struct lint_peer *p = first; p; p = p->next)
		if (is_same(p, first))
			add(&c, p);
	if (!c.sum.n_messages)
		return true; /* it only passed on what others wrote, or has become another card */
	unsigned score = lint_score(&c.sum);
	char grade = lint_grade(score);
	buf_init(&found);
	put_findings(&found, &c);
	adm_row_init(&r, ADM_scorecard);
	adm_text(&r, ADM_F_scorecard_agent,
		 first->is_rest    ? STR("all others")
		 : first->agent[0] ? str_c(first->agent)
				   : STR("(no name)"));
	adm_text(&r, ADM_F_scorecard_grade, str_of(&grade, 1));
	adm_number(&r, ADM_F_scorecard_score, score);
	adm_number(&r, ADM_F_scorecard_hosts, c.n_hosts);
	adm_number(&r, ADM_F_scorecard_messages, c.sum.n_messages);
	adm_number(&r, ADM_F_scorecard_errors, c.sum.n_found[LINT_ERROR]);
	adm_number(&r, ADM_F_scorecard_warnings, c.sum.n_found[LINT_WARNING]);
	adm_number(&r, ADM_F_scorecard_notes, c.sum.n_found[LINT_NOTE]);
	adm_text(&r, ADM_F_scorecard_findings, buf_view(&found));
	bool goes_on = adm_emit(q, &r);
	if (found.err)
		q->out.err = found.err;
	buf_fini(&found);
	return goes_on;
}

bool adm_card_part(struct adm_ask *q)
{
	const struct lint *l = q->adm->lint;
	uint32_t i = 0;
	for (const struct lint_peer *p = l ? lint_first(l) : NULL; p; p = p->next) {
		if (i++ < q->cursor || !is_first(l, p))
			continue;
		if (!emit(q, p) || q->out.n >= ADM_PIECE) {
			q->cursor = i;
			return q->is_more;
		}
	}
	return true;
}
