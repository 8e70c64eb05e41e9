/* The engine of the lint: whose message it is, whether it was seen before, and the counts.
 *
 * Whose fault is it? A message is judged twice: what its author wrote (rules AUTHOR), and what the
 * host did that sent it over this hop (rules SENDER). Both are the same peer unless a proxy passed
 * it on. A request was passed on when it has more than one Via; a response, when the same one (by
 * tags, CSeq, status) came by from another host before. What was judged on an earlier hop is not
 * judged again; what is only seen behind a proxy is held against a card of its own, "behind" that
 * address.
 *
 * A peer is an address and what it calls itself (User-Agent, Server). Messages without either
 * belong to whoever last spoke from that address and port; a card that has no name yet takes the
 * first one.
 *
 * Copies. A message with the bytes of an earlier one on the same hop is a retransmission, or the
 * same packet seen twice; both are counted and only their timing is looked at. Each call remembers
 * its last 16 messages by hash.
 *
 * Invariants:
 * 1. Memory is bounded by peers and rules, and by the calls under watch; never by messages.
 * 2. A call that is not (or no longer) known brings no finding that needs its past.
 * 3. A detail or a line is copied only for the first finding of its kind at a peer.
 *
 * Ownership: peers own their kinds; calls own the offers of their transactions.
 * [RFC3261 8, 16, 17, 20]
 */
#include "lint/lint.h"

#include "base/assert.h"
#include "event/env.h"
#include "lint/lint_priv.h"

#include <stdlib.h>
#include <string.h>

#define MAX_LINE       200u /* bytes of a line that are shown */
#define MAX_DETAIL     160u
#define COPY_WINDOW_US 64'000'000u /* 128*T1: later it is not a retransmission */
#define SAME_PACKET_US 2'000'000u  /* one IP packet, seen twice */
#define MIRROR_US      30'000u     /* sooner than any timer: the capture has it twice */

static const struct lint_about rules[LINT__N] = {
#define LINT(id, code, severity, whose, rfc, wrong, right)                                         \
	{code, rfc, wrong, right, LINT_##severity, LINT_OF_##whose},
	LINT(NONE, "", NOTE, SENDER, "", "", "")
#include "lint/lint.def"
#undef LINT
};

const struct lint_about *lint_about(enum lint_rule r)
{
	return &rules[r];
}

const char *lint_severity_name(enum lint_severity s)
{
	return s == LINT_ERROR ? "error" : s == LINT_WARNING ? "warning" : "note";
}

enum lint_rule lint_find_rule(struct str code)
{
	for (unsigned r = 1; r < LINT__N; r++)
		if (str_eq(code, str_c(rules[r].code)))
			return (enum lint_rule)r;
	return LINT_NONE;
}

unsigned lint_score(const struct lint_peer *p)
{
	unsigned less = 5 * p->n_kinds[LINT_ERROR] + p->n_kinds[LINT_WARNING];
	return less < 100 ? 100 - less : 0;
}

char lint_grade(unsigned score)
{
	return score >= 95 ? 'A' : score >= 85 ? 'B' : score >= 70 ? 'C' : score >= 50 ? 'D' : 'F';
}

uint32_t lint_hash(struct str s)
{
	uint32_t h = hash_quick32(s);
	return h ? h : 1;
}

uint32_t lint_addr_hash(const struct addr *a, bool with_port)
{
	char bytes[19];
	bytes[0] = (char)a->family;
	memcpy(bytes + 1, a->ip, 16);
	bytes[17] = with_port ? (char)(a->port >> 8) : 0;
	bytes[18] = with_port ? (char)a->port : 0;
	return lint_hash(str_of(bytes, sizeof bytes));
}

/* --- findings --------------------------------------------------------------------------------- */

/* The line that holds p: folded lines are shown up to their first end. */
static struct str line_at(struct str bytes, const char *p, size_t *column)
{
	size_t at = (size_t)(p - bytes.p), from = at, to = at;
	if (at > 0 && at == bytes.n)
		from = to = at - 1;
	while (from > 0 && bytes.p[from - 1] != '\n')
		from--;
	while (to < bytes.n && bytes.p[to] != '\n' && bytes.p[to] != '\r')
		to++;
	*column = at - from;
	struct str line = str_of(bytes.p + from, to - from);
	if (line.n > MAX_LINE && *column > MAX_LINE / 2) { /* keep the place in sight */
		size_t skip = *column - MAX_LINE / 2;
		line = str_skip(line, skip);
		*column -= skip;
	}
	return str_sub(line, 0, MAX_LINE);
}

static struct lint_kind *kind_new(const struct lint_at *a, enum lint_rule r, struct str where,
				  struct str detail)
{
	struct str bytes = str_of(a->m->bytes, a->m->n_bytes);
	bool is_in = where.p && where.p >= bytes.p && where.p <= bytes.p + bytes.n;
	size_t column;
	struct str line = line_at(bytes, is_in ? where.p : bytes.p, &column);
	detail = str_sub(detail, 0, MAX_DETAIL);
	struct lint_kind *k = calloc(1, sizeof *k + line.n + detail.n + 1);
	if (!k)
		return NULL;
	k->rule = (uint16_t)r;
	k->caret = (uint16_t)(column < line.n ? column : line.n);
	memcpy(k->text, line.p, line.n);
	if (detail.n)
		memcpy(k->text + line.n, detail.p, detail.n);
	k->line = str_of(k->text, line.n);
	k->detail = str_of(k->text + line.n, detail.n);
	return k;
}

struct lint_kind *lint_kind_of(const struct lint_peer *p, enum lint_rule r)
{
	struct lint_kind *k = p->kinds;
	while (k && k->rule != r)
		k = k->next;
	return k;
}

static struct lint_peer *culprit(const struct lint_at *a, enum lint_rule r)
{
	if (!a->is_shown || (rules[r].whose == LINT_OF_AUTHOR && a->is_passed))
		return NULL;
	return rules[r].whose == LINT_OF_AUTHOR ? a->author : a->sender;
}

static void count(struct lint_at *a, struct lint_peer *p, struct lint_kind *k)
{
	if (k->n_frames && k->frames[k->n_frames - 1] == a->p->frame_no)
		return; /* once a message */
	k->count++;
	p->n_found[rules[k->rule].severity]++;
	if (k->n_frames < LINT_MAX_FRAMES)
		k->frames[k->n_frames++] = a->p->frame_no;
}

static void hit(struct lint_at *a, enum lint_rule r, struct str where, struct str detail)
{
	struct lint_peer *p = culprit(a, r);
	struct lint_kind *k = p ? lint_kind_of(p, r) : NULL;
	if (!p)
		return;
	if (!k) {
		k = kind_new(a, r, where, detail);
		if (!k) {
			a->err = ERR_NOMEM;
			return;
		}
		k->next = p->kinds;
		p->kinds = k;
		p->n_kinds[rules[r].severity]++;
	}
	count(a, p, k);
}

void lint_hit(struct lint_at *a, enum lint_rule r, struct str where)
{
	hit(a, r, where, STR_NONE);
}

void lint_hit_fmt(struct lint_at *a, enum lint_rule r, struct str where, const char *fmt, ...)
{
	struct lint_peer *p = culprit(a, r);
	char mem[MAX_DETAIL + 1];
	struct buf b;
	va_list ap;
	buf_init_fixed(&b, mem, sizeof mem);
	if (p && !lint_kind_of(p, r)) {
		va_start(ap, fmt);
		buf_vfmt(&b, fmt, ap);
		va_end(ap);
	}
	hit(a, r, where, b.err ? STR_NONE : buf_view(&b));
}

struct str lint_at_hdr(const struct lint_at *a, enum sip_hdr_id id)
{
	return sip_has(a->m, id) ? sip_value(a->m, id) : STR_NONE;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void call_drop(struct lint *l, struct lint_call *c)
{
	for (unsigned i = 0; i < MAX_TSX; i++)
		free(c->tsx[i].offer);
	htab_del(&l->calls, &c->node);
	list_del(&c->age);
	pool_put(&l->call_pool, c);
	l->n_calls--;
}

static struct lint_call *call_of(struct lint *l, struct str call_id)
{
	uint64_t hash = htab_hash(l->hash_key, call_id.p, call_id.n);
	uint32_t id = lint_hash(call_id);
	for (struct hnode *n = htab_first(&l->calls, hash); n; n = htab_next(n)) {
		struct lint_call *c = CONTAINER_OF(n, struct lint_call, node);
		if (c->id != id)
			continue;
		list_del(&c->age);
		list_push(&l->ages, &c->age);
		return c;
	}
	if (l->n_calls >= l->cfg.max_calls)
		call_drop(l, LIST_ENTRY(l->ages.next, struct lint_call, age));
	struct lint_call *c = pool_get(&l->call_pool);
	if (!c)
		return NULL;
	l->n_calls++;
	c->id = id;
	list_init(&c->age);
	list_push(&l->ages, &c->age);
	htab_add(&l->calls, &c->node, hash);
	return c;
}

/* What a message keeps on its way: for a request its top Via changes, its tags do not. */
static uint32_t key_of(const struct sip_msg *m)
{
	uint32_t part[6] = {
		m->is_request,          m->is_request ? 0 : m->status, m->cseq,
		lint_hash(m->from_tag), lint_hash(m->to_tag),          lint_hash(m->method_name)};
	return lint_hash(str_of((const char *)part, sizeof part));
}

/* A copy: counted, and its interval looked at. */
static void on_copy(struct lint_at *a, struct lint_seen *s)
{
	uint64_t gap = a->p->at_us > s->last_us ? a->p->at_us - s->last_us : 0;
	bool is_dup =
		a->p->ip_id && a->p->ip_id == s->ip_id ? gap < SAME_PACKET_US : gap < MIRROR_US;
	if (is_dup)
		return;
	struct lint_peer *p = lint_peer_at(a->l, &a->p->from, STR_NONE);
	a->author = a->sender = p;
	if (p && a->is_shown)
		p->n_copies++;
	bool is_even =
		s->is_resent && gap > s->gap_us - s->gap_us / 8 && gap < s->gap_us + s->gap_us / 8;
	s->n_even = is_even ? (uint8_t)(s->n_even < 200 ? s->n_even + 1 : 200) : 0;
	bool is_first = !s->is_resent;
	s->is_resent = true;
	s->gap_us = gap;
	s->last_us = a->p->at_us;
	s->ip_id = a->p->ip_id;
	if (a->m->is_request && p)
		lint_resent(a, s, is_first);
}

/* True for a copy, which is dealt with. Else the message is remembered, and whether it came by on
 * another hop is found out. */
static bool is_copy(struct lint_at *a)
{
	struct lint_call *c = a->c;
	uint32_t part[3] = {lint_hash(str_of(a->m->bytes, a->m->n_bytes)), a->from, a->to};
	uint32_t hash = lint_hash(str_of((const char *)part, sizeof part));
	uint32_t key = key_of(a->m), host = lint_addr_hash(&a->p->from, false);
	for (unsigned i = 0; i < MAX_SEEN; i++) {
		struct lint_seen *s = &c->seen[i];
		if (s->hash == hash && a->p->at_us < s->last_us + COPY_WINDOW_US) {
			on_copy(a, s);
			return true;
		}
		if (s->hash && s->key == key && s->sender != host)
			a->is_passed = true;
	}
	bool has_way = a->m->is_request ? a->n_vias > 1 : a->m->status > 100 && a->is_passed;
	a->is_forwarded = has_way;
	a->is_passed = a->is_passed && has_way;
	c->seen[c->seen_at++ % MAX_SEEN] = (struct lint_seen){.hash = hash,
							      .key = key,
							      .sender = host,
							      .ip_id = a->p->ip_id,
							      .last_us = a->p->at_us};
	return false;
}

/* --- a message -------------------------------------------------------------------------------- */

static const struct sip_msg *index_here(struct lint *l, const struct trk_packet *p)
{
	size_t want = sip_msg_block_size(p->bytes.n), used;
	if (want > l->block_cap) {
		void *mem = realloc(l->block, want + want / 2);
		if (!mem)
			return NULL;
		l->block = mem;
		l->block_cap = want + want / 2;
	}
	struct sip_msg *m = sip_msg_init(l->block, l->block_cap);
	memcpy(m->bytes, p->bytes.p, p->bytes.n);
	bool is_stream = p->transport == TRK_TCP || p->transport == TRK_TLS;
	return sip_msg_index(m, p->bytes.n, is_stream, &used) == OK ? m : NULL;
}

static void check(struct lint_at *a)
{
	lint_check_diags(a);
	lint_check_values(a);
	if (!a->is_passed)
		lint_check_auth(a);
	/* the offer of a request that was passed on is compared with the answer on this hop */
	if (!a->is_passed || a->m->is_request)
		lint_check_sdp(a);
	lint_check_message(a);
	if (a->c && a->m->has_cseq) {
		if (!a->m->is_request)
			lint_check_reply(a);
		else if (a->method == SIP_ACK)
			lint_check_ack(a);
		else
			lint_check_request(a);
		lint_check_dialog(a);
	}
	if (!a->m->is_request)
		lint_check_response(a);
	if (!a->is_passed) {
		lint_check_events(a);
		lint_check_timers(a);
	}
	if (a->c && a->tsx && !a->m->is_request)
		lint_learn_answer(a);
}

enum err lint_message(struct lint *l, const struct trk_packet *p, bool is_shown)
{
	const struct sip_msg *m = p->msg ? p->msg : index_here(l, p);
	if (!m)
		return ERR_SYNTAX;
	struct lint_at a = {.l = l,
			    .p = p,
			    .m = m,
			    .is_shown = is_shown,
			    .method = m->method,
			    .is_1xx = !m->is_request && m->status < 200,
			    .is_2xx = !m->is_request && m->status >= 200 && m->status < 300,
			    .from = lint_addr_hash(&p->from, true),
			    .to = lint_addr_hash(&p->to, true),
			    .n_vias = sip_count(m, SIP_HDR_VIA)};
	a.is_forwarded = m->is_request && a.n_vias > 1;
	if (m->call_id.n) {
		a.c = call_of(l, m->call_id);
		if (!a.c)
			a.err = ERR_NOMEM;
		else if (is_copy(&a))
			return a.err;
	}
	lint_find_peers(&a);
	if (a.author && a.sender)
		check(&a);
	return a.err;
}

/* --- life ------------------------------------------------------------------------------------- */

struct lint *lint_new(const struct lint_cfg *cfg)
{
	struct lint *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->cfg = *cfg;
	env_entropy(l->hash_key, sizeof l->hash_key);
	l->cfg.max_peers = cfg->max_peers ? cfg->max_peers : 1'024;
	l->cfg.max_calls = cfg->max_calls ? cfg->max_calls : 8'192;
	list_init(&l->ages);
	pool_init(&l->call_pool, sizeof(struct lint_call), l->cfg.max_calls, 0, 0);
	if (htab_init(&l->peers, 16) || htab_init(&l->selves, 16) || htab_init(&l->calls, 64)) {
		lint_free(l);
		return NULL;
	}
	return l;
}

static void self_free(void *arg, struct hnode *n)
{
	htab_del(arg, n);
	free(CONTAINER_OF(n, struct lint_self, node));
}

void lint_free(struct lint *l)
{
	if (!l)
		return;
	while (!list_is_empty(&l->ages))
		call_drop(l, LIST_ENTRY(l->ages.next, struct lint_call, age));
	for (struct lint_peer *p = l->first, *next; p; p = next) {
		next = p->next;
		for (struct lint_kind *k = p->kinds, *after; k; k = after) {
			after = k->next;
			free(k);
		}
		free(p);
	}
	htab_each(&l->selves, self_free, &l->selves);
	htab_fini(&l->peers);
	htab_fini(&l->selves);
	htab_fini(&l->calls);
	pool_fini(&l->call_pool);
	free(l->block);
	free(l);
}

const struct lint_peer *lint_first(const struct lint *l)
{
	return l->first;
}
