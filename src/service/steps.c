/* Steps: a routing policy's small graph, as the proxy and the back-to-back user agent walk it.
 *
 * A step ends when none of its targets runs or waits. A 6xx closes its step only: that somebody
 * declines does not mean that the next one would. After the last step the best of all answers goes
 * back, as without steps.
 *
 * Invariants: 1. Steps are gone through at most once each: `next` leads upwards only. 2. A 3xx
 * leads to no URI that was tried already, and to PRX_MAX_TARGETS targets in all, so that two
 * phones that point at each other end. 3. All texts lie in the block of struct steps.
 * [RFC3261 16.7] [RFC5806] */
#include "service/steps.h"

#include <string.h>

static void enter(struct steps *s, size_t step, uint64_t now_us)
{
	s->now = step;
	s->end_us = s->v[step].ring_s ? now_us + s->v[step].ring_s * 1000000ull : 0;
}

/* All texts of a step's headers, in one order. */
static size_t texts_of(struct fwd_headers *h, struct str **out)
{
	struct str *const all[] = {&h->diversion, &h->asserted, &h->lines,
				   &h->remove,    &h->pass,     &h->caller};
	memcpy(out, all, sizeof(all));
	return ARRAY_LEN(all);
}

size_t steps_size(const struct prx_step *v, size_t n)
{
	size_t size = sizeof(struct steps) + n * sizeof(*v);
	for (size_t i = 0; i < n; i++) {
		struct fwd_headers h = v[i].headers;
		struct str *t[8];
		for (size_t k = texts_of(&h, t); k--;)
			size += t[k]->n;
	}
	return size;
}

void steps_copy(struct steps *to, const struct prx_step *v, size_t n, uint64_t now_us)
{
	char *at = (char *)&to->v[n];
	to->n = n;
	for (size_t i = 0; i < n; i++) {
		struct str *t[8];
		to->v[i] = v[i];
		for (size_t k = texts_of(&to->v[i].headers, t); k--;) {
			if (t[k]->n)
				memcpy(at, t[k]->p, t[k]->n);
			t[k]->p = at;
			at += t[k]->n;
		}
	}
	enter(to, 0, now_us);
}

enum prx_on steps_ended_by(unsigned status, bool is_given_up)
{
	if (status == 486 || status == 600)
		return PRX_ON_BUSY;
	if (is_given_up || status == 408)
		return PRX_ON_NO_ANSWER;
	if (!status || status == 480 || status / 100 == 5)
		return PRX_ON_OFFLINE;
	return PRX_ON_REFUSED;
}

static bool is_curable(unsigned status)
{
	static const uint16_t curable[] = {401, 407, 415, 420, 484};
	for (size_t i = 0; i < ARRAY_LEN(curable); i++)
		if (status == curable[i])
			return true;
	return false;
}

unsigned steps_rank(unsigned status)
{
	if (status >= 600)
		return 0;
	unsigned within = is_curable(status)               ? 0
			  : status == 486                  ? 1
			  : status == 408                  ? 3
			  : status == 487 || status == 503 ? 4
							   : 2;
	return status / 100 * 10 + within;
}

enum prx_on steps_outcome(enum prx_on a, enum prx_on b)
{
	static const uint8_t weight[PRX_ON__N] = {[PRX_ON_BUSY] = 3,
						  [PRX_ON_NO_ANSWER] = 2,
						  [PRX_ON_REFUSED] = 1,
						  [PRX_ON_OFFLINE] = 0};
	return weight[b] > weight[a] ? b : a;
}

bool steps_go_on(struct steps *s, enum prx_on on, uint64_t now_us)
{
	size_t next = s->v[s->now].next[on];
	if (next <= s->now || next >= s->n)
		return false;
	enter(s, next, now_us);
	return true;
}

uint64_t steps_group_us(const struct steps *s, uint64_t serial_us, uint64_t now_us)
{
	if (!s || !s->end_us)
		return serial_us;
	uint64_t rest = s->end_us > now_us ? s->end_us - now_us : 1;
	return serial_us && serial_us < rest ? serial_us : rest;
}

bool steps_is_over(const struct steps *s, uint64_t now_us)
{
	return s && s->end_us && now_us >= s->end_us;
}

bool steps_watches_silence(const struct steps *s)
{
	return s && s->v[s->now].next[PRX_ON_OFFLINE];
}

/* ---- 3xx ------------------------------------------------------------------------------------- */

/* Who sends the call on: the user at the domain that was asked for, else that URI. */
static void put_diverter(const struct steps_follower *f, struct buf *b)
{
	struct str rest, user = str_cut(f->aor, '@', &rest);
	bool is_ref = str_chr(f->asked->host, ':') != SIZE_MAX;
	buf_chr(b, '<');
	if (user.n && f->asked->host.n) {
		buf_str(b, STR("sip:"));
		sip_escape_user(b, user);
		buf_fmt(b, "@%s" STR_FMT "%s", is_ref ? "[" : "", STR_ARG(f->asked->host),
			is_ref ? "]" : "");
	} else {
		buf_str(b, f->ruri);
	}
	buf_chr(b, '>');
}

/* As the 3xx says it, else who answered so; above what he was told. [RFC5806 4, 5] */
static struct str diversion_of(const struct steps_follower *f, const struct sip_msg *m,
			       struct buf *b)
{
	struct sip_iter it = {0};
	struct str v, by = STR("Diversion: ");
	for (; sip_each(m, SIP_HDR_DIVERSION, &it, &v); by = STR(", ")) {
		buf_str(b, by);
		buf_str(b, v);
	}
	if (!b->n) {
		buf_str(b, by);
		put_diverter(f, b);
		buf_fmt(b, ";reason=%s;counter=1", f->has_rung ? "deflection" : "unknown");
	}
	buf_str(b, STR("\r\n"));
	buf_str(b, f->diversion);
	return b->err ? f->diversion : buf_view(b); /* too long a way to be told */
}

static bool follow_one(struct steps_follower *f, struct str contact, struct str diversion)
{
	struct prx_target t[PRX_MAX_TARGETS];
	struct sip_addr a;
	struct str q;
	uint16_t weight = 1000;
	size_t n_added = 0;
	if (sip_addr_parse(contact, &a) != OK || a.uri_err || a.is_star ||
	    a.uri.scheme > SIP_URI_SIPS || f->n >= PRX_MAX_TARGETS || f->was_tried(f->ctx, &a.uri))
		return false;
	if (sip_param(a.params, STR("q"), &q) && !sip_q_parse(q, &weight))
		weight = 1000;
	size_t n = f->expand(f->expand_ctx, &a.uri, t, PRX_MAX_TARGETS - f->n);
	struct hist_row *row =
		n ? hist_redirected(f->hist, f->from, a.uri_text, a.params, t[0].is_outside) : NULL;
	for (size_t i = 0; i < n; i++) {
		struct sip_uri u;
		if (sip_uri_parse(t[i].ruri, &u) != OK || f->was_tried(f->ctx, &u))
			continue;
		t[i].step = f->step;
		t[i].q = weight;
		t[i].diversion = diversion;
		t[i].row =
			str_eq(t[i].ruri, a.uri_text) ? row : hist_below(f->hist, row, t[i].ruri);
		n_added += f->add(f->ctx, &t[i]);
	}
	f->n += n_added;
	return n_added > 0;
}

/* From sips to sip or back: only the caller may decide that. [RFC5630 5.3] */
static bool is_mixed(const struct steps_follower *f, const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct sip_addr a;
	struct str v;
	while (sip_each(m, SIP_HDR_CONTACT, &it, &v))
		if (sip_addr_parse(v, &a) == OK && !a.is_star &&
		    rt_is_sips(a.uri_text) != f->is_sips)
			return true;
	return false;
}

bool steps_follow(struct steps_follower *f, const struct sip_msg *m)
{
	struct sip_iter it = {0};
	struct str v;
	bool is_any = false;
	char mem[2000];
	struct buf b;
	if (m->status < 300 || m->status > 302)
		return false;
	if (is_mixed(f, m))
		return false;
	buf_init_fixed(&b, mem, sizeof(mem));
	struct str diversion = diversion_of(f, m, &b);
	while (sip_each(m, SIP_HDR_CONTACT, &it, &v))
		is_any |= follow_one(f, v, diversion);
	return is_any;
}
