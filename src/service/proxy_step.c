/* The proxy's steps: what a routing policy wants tried one after the other, each for its time, and
 * what follows when it is busy, not answered, not reached, or refused; and the Contacts of a 3xx as
 * further targets of the step that got it [RFC3261 16.7 step 4].
 *
 * A step ends when none of its branches runs or waits. A 6xx closes its step only: that somebody
 * declines does not mean that the next one would. After the last step the best of all answers goes
 * back, as without steps.
 *
 * Invariants: 1. Steps are gone through at most once each: `next` leads upwards only. 2. A 3xx
 * leads to no URI that was tried already, and to PRX_MAX_TARGETS branches in all, so that two
 * phones that point at each other end. 3. Texts of steps live in the block of struct steps. */
#include "base/assert.h"
#include "service/proxy_priv.h"

#include <string.h>

/* Without even a 100 for so long: an INVITE has been sent four times over UDP (at 0, 0.5, 1.5
 * and 3.5 s) and the host is as good as down, while a caller still has patience. */
#define SILENCE_US 5000000u

/* ---- steps ----------------------------------------------------------------------------------- */

static void enter(struct ctx *c, size_t step)
{
	struct steps *s = c->steps;
	s->now = step;
	s->end_us =
		s->v[step].ring_s ? ev_now_us(c->prx->loop) + s->v[step].ring_s * 1000000ull : 0;
}

static size_t text_size(const struct fwd_headers *h)
{
	return h->diversion.n + h->asserted.n + h->lines.n + h->remove.n;
}

static struct str copy(char **at, struct str s)
{
	char *to = *at;
	if (!s.n)
		return STR_NONE;
	memcpy(to, s.p, s.n);
	*at += s.n;
	return str_of(to, s.n);
}

enum err prx_keep_steps(struct ctx *c, const struct prx_request *r)
{
	size_t head = sizeof(struct steps) + r->n_steps * sizeof(struct prx_step), n = head;
	for (size_t i = 0; i < r->n_steps; i++)
		n += text_size(&r->steps[i].headers);
	struct steps *s = block_get(c->prx->blocks, n, NULL);
	if (!s)
		return ERR_NOMEM;
	char *at = (char *)s + head;
	s->n = r->n_steps;
	for (size_t i = 0; i < s->n; i++) {
		struct fwd_headers *h = &s->v[i].headers;
		s->v[i] = r->steps[i];
		h->diversion = copy(&at, h->diversion);
		h->asserted = copy(&at, h->asserted);
		h->lines = copy(&at, h->lines);
		h->remove = copy(&at, h->remove);
	}
	c->steps = s;
	enter(c, 0);
	return OK;
}

static enum prx_on ended_by(const struct branch *b)
{
	unsigned status = b->final ? b->final->msg->status : 0;
	if (status == 486 || status == 600)
		return PRX_ON_BUSY;
	if (b->is_given_up || status == 408)
		return PRX_ON_NO_ANSWER;
	if (!status || status == 480 || status / 100 == 5)
		return PRX_ON_OFFLINE;
	return PRX_ON_REFUSED;
}

/* Of several branches: busy before not answered before refused before not reached. */
static enum prx_on outcome(const struct ctx *c)
{
	static const uint8_t weight[PRX_ON__N] = {[PRX_ON_BUSY] = 3,
						  [PRX_ON_NO_ANSWER] = 2,
						  [PRX_ON_REFUSED] = 1,
						  [PRX_ON_OFFLINE] = 0};
	enum prx_on best = PRX_ON_OFFLINE;
	for (const struct branch *b = c->branches; b; b = b->next) {
		if (b->step != prx_step_now(c) || b->is_followed)
			continue;
		enum prx_on on = ended_by(b);
		if (weight[on] > weight[best])
			best = on;
	}
	return best;
}

bool prx_next_step(struct ctx *c)
{
	if (!c->steps)
		return false;
	size_t next = c->steps->v[c->steps->now].next[outcome(c)];
	if (next <= c->steps->now || next >= c->steps->n)
		return false;
	enter(c, next);
	c->is_closed = false;
	return true;
}

struct fwd_headers prx_step_headers(const struct ctx *c, const struct branch *b)
{
	return c->steps->v[b->step].headers;
}

uint64_t prx_group_us(const struct ctx *c, bool has_waiting)
{
	uint64_t us = has_waiting ? c->prx->serial_us : 0, now = ev_now_us(c->prx->loop);
	if (!c->steps || !c->steps->end_us)
		return us;
	uint64_t rest = c->steps->end_us > now ? c->steps->end_us - now : 1;
	return us && us < rest ? us : rest;
}

/* Its CANCEL follows once it says something after all. */
void prx_abandon(struct branch *b)
{
	struct tsx_mgr *tsx = b->ctx->prx->tsx;
	tsx_cancel(tsx, b->ct, STR_NONE);
	tsx_detach(tsx, b->ct);
	b->is_timeout = true;
	prx_end_branch(b);
}

static void on_silence(struct tmr *t)
{
	struct ctx *c = CONTAINER_OF(t, struct ctx, serial);
	for (struct branch *b = c->branches; b; b = b->next)
		if (b->state == CALLING && !b->is_heard)
			prx_abandon(b);
	prx_settle(c);
}

void prx_watch_silence(struct ctx *c)
{
	if (c->steps && c->steps->v[c->steps->now].next[PRX_ON_OFFLINE])
		ev_timer(c->prx->loop, &c->serial, SILENCE_US, on_silence);
}

bool prx_is_step_over(const struct ctx *c)
{
	return c->steps && c->steps->end_us && ev_now_us(c->prx->loop) >= c->steps->end_us;
}

/* ---- 3xx ------------------------------------------------------------------------------------- */

static bool was_tried(const struct ctx *c, const struct sip_uri *u)
{
	struct sip_uri tried;
	if (c->route.uri_err == OK && sip_uri_eq(u, &c->route.uri))
		return true;
	for (const struct branch *b = c->branches; b; b = b->next)
		if (b->ruri.n && sip_uri_parse(b->ruri, &tried) == OK && sip_uri_eq(u, &tried))
			return true;
	return false;
}

static size_t count_branches(const struct ctx *c)
{
	size_t n = 0;
	for (const struct branch *b = c->branches; b; b = b->next)
		n++;
	return n;
}

static bool follow_one(struct ctx *c, const struct branch *b, struct str contact)
{
	struct prx_target t[PRX_MAX_TARGETS];
	struct sip_addr a;
	struct str q;
	uint16_t weight = 1000;
	size_t n = count_branches(c), n_added = 0;
	if (sip_addr_parse(contact, &a) != OK || a.uri_err || a.is_star ||
	    a.uri.scheme > SIP_URI_SIPS || n >= PRX_MAX_TARGETS || was_tried(c, &a.uri))
		return false;
	if (sip_param(a.params, STR("q"), &q) && !sip_q_parse(q, &weight))
		weight = 1000;
	n = c->prx->expand(c->prx->ctx, &a.uri, t, PRX_MAX_TARGETS - n);
	for (size_t i = 0; i < n; i++) {
		struct sip_uri u;
		if (sip_uri_parse(t[i].ruri, &u) != OK || was_tried(c, &u))
			continue;
		t[i].step = b->step;
		t[i].q = weight;
		n_added += prx_add_branch(c, &t[i]) == OK;
	}
	return n_added > 0;
}

bool prx_follow(struct ctx *c, struct branch *b, const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct str v;
	bool is_any = false;
	if (m->status < 300 || m->status > 302 || c->is_closed || c->is_final_sent ||
	    c->is_cancelled)
		return false;
	while (sip_each(m, SIP_HDR_CONTACT, &it, &v))
		is_any |= follow_one(c, b, v);
	return is_any;
}
