/* Fuzz target: the configuration file. The input is a file; what reads as a policy is asked for
 * some numbers and callers. Asserted: an error comes with a place in the text, in order; a plan
 * stays within its bounds, its steps lead upwards, its targets name somebody; who is nobody gets no
 * plan, and a call of a trunk that no rule names gets out by none. */

#include "base/assert.h"
#include "policy/decide.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_even(void *ctx, struct str user)
{
	return user.n && (user.p[user.n - 1] & 1) == 0;
}

static bool is_up(void *ctx, const struct pol_trunk *t, const struct pol_host *h)
{
	return true;
}

static bool is_ours(void *ctx, const struct sip_uri *u)
{
	return str_eq(u->host, STR("a"));
}

static void check_plan(const struct pol_request *rq, const struct pol_plan *p)
{
	ASSERT(p->n_steps <= POL_MAX_STEPS && p->n_targets <= POL_MAX_TARGETS);
	ASSERT(rq->who != POL_FROM_NOBODY || p->act == POL_DENIED);
	if (p->act != POL_SEND && p->act != POL_REDIRECT)
		return;
	ASSERT(p->n_steps > 0);
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct pol_step *s = &p->steps[i];
		ASSERT((size_t)s->first + s->n <= p->n_targets && s->n > 0);
		for (size_t on = 0; on < POL_ON__N; on++)
			ASSERT(!s->next[on] || (s->next[on] > i && s->next[on] < p->n_steps));
		for (size_t k = 0; k < s->n; k++) {
			const struct pol_target *t = &p->targets[s->first + k];
			ASSERT((t->user.n > 0) != (t->uri.n > 0));
		}
	}
}

static void ask(const struct pol_config *c, struct str number)
{
	static struct pol_plan p;
	static const struct pol_ask world = {NULL, is_even, is_even, is_up, is_ours};
	struct buf trace, out;
	struct pol_request rq = {.from_user = STR("100"),
				 .from_host = STR("a"),
				 .to_user = number,
				 .to_host = STR("a"),
				 .method = STR("INVITE"),
				 .domain = STR("a"),
				 .ask = &world,
				 .trace = &trace};
	buf_init(&trace);
	buf_init(&out);
	for (enum pol_who who = POL_FROM_NOBODY; who <= POL_FROM_TRUNK; who++)
		for (unsigned is_here = 0; is_here < 2; is_here++) {
			rq.who = who;
			rq.is_ours = is_here;
			rq.user = who == POL_FROM_USER ? rq.from_user : STR_NONE;
			rq.trunk = who == POL_FROM_TRUNK && c->trunks.n ? pol_trunk_at(c, 0) : NULL;
			if (who == POL_FROM_TRUNK && !rq.trunk)
				continue;
			pol_decide(c, &rq, &p);
			check_plan(&rq, &p);
			pol_plan_json(&p, buf_view(&trace), &out);
			buf_clear(&trace);
			buf_clear(&out);
		}
	buf_fini(&trace);
	buf_fini(&out);
}

static void check_diags(const struct pol_diags *d, enum err e)
{
	uint32_t line = 0;
	ASSERT(e == OK || e == ERR_NOMEM || d->n_errors > 0);
	ASSERT(e != OK || d->n_errors == 0);
	for (const struct pol_diag *n = d->first; n; n = n->next) {
		ASSERT(n->at.line >= line && n->at.line > 0 && n->at.col > 0 && n->text.n > 0);
		line = n->at.line;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const numbers[] = {"100", "0301", "sales", "", "+4930100"};
	struct pol_config *c = NULL;
	struct pol_diags d;
	pol_diags_init(&d);
	enum err e = pol_load(str_of((const char *)data, size), &c, &d);
	check_diags(&d, e);
	pol_diags_fini(&d);
	if (e)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		ask(c, str_c(numbers[i]));
	for (uint32_t i = 0; i < c->users.n && i < 8; i++)
		ask(c, pol_user_at(c, i)->name.s);
	for (uint32_t i = 0; i < c->routes.n && i < 8; i++)
		if (pol_route_at(c, i)->to.n)
			ask(c, pol_route_at(c, i)->to.v[0].text);
	pol_free(c);
	return 0;
}
