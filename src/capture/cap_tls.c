/* TLS as a bystander sees it.
 *
 *	bytes ─► records ─┬─ in the clear ─────────────────────┬─► handshake messages ─► keys
 *	                  └─ protected ─► opened by their key ─┴─► application data ─► fn
 *
 * A direction's records are in the clear, then protected: up to TLS 1.2 from its ChangeCipherSpec
 * on, in TLS 1.3 from the ServerHello on, in epochs:
 *
 *	EARLY ── EndOfEarlyData ──► HANDSHAKE ── Finished ──► APPLICATION ─┐ KeyUpdate
 *	                                                           ▲───────┘
 *
 * Where records were lost, or passed while their secret was not known, their number is not known
 * either, and each record is numbered from 0 in each epoch. So a direction carries a `slack`: up to
 * that many numbers are tried behind `seq`, then the same in the next epoch; the record's own proof
 * says which is right. A direction on which TRIES records in a row fail, or fewer with many numbers
 * to try, is given up.
 *
 * A record that lies whole in a segment is opened where it lies; one in pieces is put together
 * first, but only if there is something to open it with: without a secret, bytes are counted.
 *
 * Invariants:
 * 1. left > 0: inside a record's body, of which rec holds the beginning when is_kept.
 * 2. seq is the number of the next record when slack is 0.
 * 3. Nothing goes to fn that was not proved.
 * 4. Memory: one record per direction, and one hello.
 *
 * [RFC5246 6, 7] [RFC8446 4, 5]
 */
#include "capture/cap_tls.h"

#include "base/assert.h"
#include "capture/cap_start.h"
#include "capture/cap_tls_priv.h"

#include <stdlib.h>
#include <string.h>

#define TRIES      24u
#define MIN_RECORD 22u /* bytes: head, tag, inner type */

void cap_tls_world_fini(struct cap_tls_world *w)
{
	free(w->scratch);
	w->scratch = NULL;
	buf_fini(&w->hellos);
}

struct cap_tls *cap_tls_new(struct cap_tls_world *w)
{
	struct cap_tls *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->w = w;
	for (int i = 0; i < 2; i++) {
		buf_init(&t->d[i].rec);
		buf_init(&t->d[i].hand);
	}
	w->counts.n_conns++;
	return t;
}

void cap_tls_free(struct cap_tls *t)
{
	if (!t)
		return;
	for (int i = 0; i < 2; i++) {
		buf_fini(&t->d[i].rec);
		buf_fini(&t->d[i].hand);
		cap_tls_key_fini(&t->d[i].key);
	}
	free(t);
}

const uint8_t *cap_tls_random(const struct cap_tls *t)
{
	return t->has_client ? t->randoms[0] : NULL;
}

size_t cap_tls_n_bytes(const struct cap_tls *t)
{
	size_t n = sizeof *t;
	for (int i = 0; i < 2; i++)
		n += t->d[i].rec.cap + t->d[i].hand.cap;
	return n;
}

struct cursor {
	const uint8_t *p;
	size_t n;
};

/* --- records ---------------------------------------------------------------------------------- */

static void count_unread(struct cap_tls *t)
{
	struct cap_tls_counts *n = &t->w->counts;
	if (t->counted || t->is_open)
		return;
	if (!t->has_server)
		t->counted = t->d[t->client].epoch == EARLY ? &n->n_no_key : &n->n_mid;
	else if (!t->has_client)
		t->counted = &n->n_mid;
	else
		t->counted = cap_tls_suite(t->version, t->suite) ? &n->n_no_key : &n->n_suite;
	++*t->counted;
}

static void count_open(struct cap_tls *t)
{
	t->is_open = true;
	if (t->counted)
		--*t->counted;
	t->counted = NULL;
}

static bool try_numbers(struct cap_tls *t, const struct cap_tls_key *k, uint64_t from,
			uint32_t slack, const uint8_t *head, struct cursor body, uint64_t *seq,
			struct str *plain)
{
	for (uint32_t i = 0; i <= slack; i++)
		if (cap_tls_open(k, from + i, head, body.p, body.n, t->w->scratch, plain)) {
			*seq = from + i;
			return true;
		}
	return false;
}

/* The key after the present one: of the next epoch, or generation. */
static bool next_key(struct cap_tls *t, int way, struct cap_tls_key *k)
{
	struct tls_dir *d = &t->d[way];
	if (d->epoch != APPLICATION)
		return cap_tls_make_key(t, way, d->epoch + 1, k);
	if (!d->key.ctx)
		return false;
	uint8_t next[CAP_TLS_SECRET_MAX];
	cap_tls_key_next(d->key.suite, d->key.secret, next);
	return cap_tls_key_init13(k, d->key.suite, next);
}

/* Early data, while the server has not said which suite it is in. */
static void guess_early(struct cap_tls *t, int way, const uint8_t *head, struct cursor body)
{
	static const uint16_t ids[] = {0x1301, 0x1302, 0x1303, 0x1304};
	struct tls_dir *d = &t->d[way];
	struct str s = cap_tls_log_find(t->w->log, CAP_TLS_EARLY, false, t->randoms[0]), plain;
	for (size_t i = 0; s.n && i < ARRAY_LEN(ids); i++) {
		const struct cap_tls_suite *suite = cap_tls_suite(CAP_TLS_1_3, ids[i]);
		if (suite->secret_n == s.n &&
		    cap_tls_key_init13(&d->key, suite, (const uint8_t *)s.p) &&
		    cap_tls_open(&d->key, 0, head, body.p, body.n, t->w->scratch, &plain))
			return;
	}
	cap_tls_key_fini(&d->key);
}

/* The key did not do, or there is none: the next one's turn? */
static bool try_next(struct cap_tls *t, int way, const uint8_t *head, struct cursor body,
		     uint64_t *seq, struct str *plain)
{
	struct tls_dir *d = &t->d[way];
	struct cap_tls_key next = {0};
	if (!cap_tls_is_13(t) || !t->has_server || (!d->slack && d->key.ctx && d->epoch != EARLY))
		return false;
	if (!next_key(t, way, &next))
		return false;
	if (!try_numbers(t, &next, 0, d->slack, head, body, seq, plain)) {
		cap_tls_key_fini(&next);
		return false;
	}
	cap_tls_key_fini(&d->key);
	d->key = next;
	d->epoch += d->epoch != APPLICATION;
	return true;
}

/* Opens a protected record (body.p NULL: nobody kept it) and keeps the direction's place. */
static bool open_record(struct cap_tls *t, int way, const uint8_t *head, struct cursor body,
			struct str *plain)
{
	struct tls_dir *d = &t->d[way];
	uint64_t seq;
	if (body.p && !d->key.ctx && d->epoch == EARLY)
		guess_early(t, way, head, body);
	bool ok = body.p && (try_numbers(t, &d->key, d->seq, d->slack, head, body, &seq, plain) ||
			     try_next(t, way, head, body, &seq, plain));
	if (ok) {
		d->seq = seq + 1;
		d->slack = d->n_failed = 0;
		count_open(t);
	} else if (!d->key.ctx && !cap_tls_is_13(t)) {
		d->seq++;
	} else {
		d->slack += d->slack < CAP_TLS_MAX_SLACK;
		/* many numbers tried count more: what cannot be opened must not cost much */
		if (d->key.ctx || d->has_next)
			d->n_failed += 1 + d->slack / 64;
		d->is_given_up = d->n_failed >= TRIES;
	}
	if (body.p)
		cap_tls_key_pass(&d->key, body.p, body.n);
	return ok;
}

/* TLS 1.3: takes padding and the inner type off. [RFC8446 5.4] */
static unsigned inner_type(struct str *plain)
{
	while (plain->n && !plain->p[plain->n - 1])
		plain->n--;
	return plain->n ? (uint8_t)plain->p[--plain->n] : 0;
}

static void on_content(struct cap_tls *t, int way, unsigned type, struct cursor c)
{
	if (type == HANDSHAKE_DATA)
		cap_tls_handshake(t, way, c.p, c.n);
	else if (type == APPLICATION_DATA && c.n && t->d[way].epoch != CLEAR)
		t->fn(t->arg, way, c.p, c.n);
}

/* One record; body has all of it, or NULL when nobody wants it. */
static void on_record(struct cap_tls *t, int way, const uint8_t *head, struct cursor body)
{
	struct tls_dir *d = &t->d[way];
	struct cap_tls_seen *seen = &t->w->seen;
	unsigned type = head[0];
	/* TLS 1.3 protects as application data only */
	bool is_protected = d->epoch != CLEAR && type != CHANGE_CIPHER_SPEC;
	if (d->epoch == EARLY || cap_tls_is_13(t))
		is_protected = is_protected && type == APPLICATION_DATA;
	bool is_wrapped = is_protected && (d->epoch == EARLY || cap_tls_is_13(t));
	seen->is_there = true;
	if (seen->n_records < CAP_TLS_SEEN_MAX) {
		seen->records[seen->n_records].version = (uint16_t)cap_tls_u16(head + 1);
		seen->records[seen->n_records++].n = (uint16_t)cap_tls_u16(head + 3);
	}
	cap_tls_note(is_wrapped ? seen->opaque : seen->types,
		     is_wrapped ? &seen->n_opaque : &seen->n_types, type);
	if (is_protected) {
		struct str plain;
		if (!open_record(t, way, head, body, &plain)) {
			count_unread(t);
			return;
		}
		if (is_wrapped) {
			type = inner_type(&plain);
			cap_tls_note(seen->types, &seen->n_types, type);
		}
		on_content(t, way, type, (struct cursor){(const uint8_t *)plain.p, plain.n});
	} else if (type == CHANGE_CIPHER_SPEC) {
		if (t->has_server && !cap_tls_is_13(t))
			cap_tls_enter(t, way, APPLICATION);
	} else if (d->epoch == CLEAR && type == APPLICATION_DATA) {
		d->slack += d->slack < CAP_TLS_MAX_SLACK;
		count_unread(t);
	} else if (body.p) {
		on_content(t, way, type, body);
	}
}

/* Whether there is something to open the next record with. */
static bool has_key(struct cap_tls *t, int way)
{
	struct tls_dir *d = &t->d[way];
	if (!d->key.ctx)
		cap_tls_ask_again(t, way);
	return d->key.ctx || d->has_next;
}

/* Whether anything can come of the bytes of the record whose head is there. */
static bool is_wanted(struct cap_tls *t, int way)
{
	struct tls_dir *d = &t->d[way];
	if (d->head[0] == HANDSHAKE_DATA && (d->epoch == CLEAR || cap_tls_is_13(t)))
		return true;
	return d->epoch != CLEAR && !d->is_given_up && d->head[0] != CHANGE_CIPHER_SPEC &&
	       has_key(t, way);
}

static void on_head(struct cap_tls *t, int way)
{
	struct tls_dir *d = &t->d[way];
	if (d->epoch == CLEAR && d->head[0] == APPLICATION_DATA && t->has_server &&
	    !cap_tls_is_13(t)) {
		uint32_t slack = d->slack; /* its ChangeCipherSpec was lost */
		cap_tls_enter(t, way, APPLICATION);
		d->slack = slack;
	}
	d->left = cap_tls_u16(d->head + 3);
	d->is_kept = is_wanted(t, way);
	d->n_head = 0;
	buf_clear(&d->rec);
}

/* Bytes of the body of the record at work; returns how many were used. */
static size_t on_body(struct cap_tls *t, int way, const uint8_t *p, size_t n)
{
	struct tls_dir *d = &t->d[way];
	size_t use = d->left < n ? d->left : n;
	bool is_whole = use == d->left;
	struct cursor body = {d->is_kept ? p : NULL, use};
	if (d->is_kept && (d->rec.n || !is_whole)) {
		buf_put(&d->rec, p, use);
		body.p = d->rec.err ? NULL : (const uint8_t *)d->rec.p;
		body.n = d->rec.n;
	}
	d->left -= (uint32_t)use;
	if (!is_whole)
		return use;
	uint8_t head[5];
	memcpy(head, d->head, sizeof head);
	on_record(t, way, head, body);
	if (d->rec.cap)
		buf_fini(&d->rec); /* many connections, few of them in the middle of a record */
	return use;
}

bool cap_tls_feed(struct cap_tls *t, int way, const uint8_t *p, size_t n, cap_tls_fn *fn, void *arg)
{
	struct tls_dir *d = &t->d[way];
	if (!t->w->scratch)
		t->w->scratch = malloc(CAP_TLS_OPEN_ROOM);
	if (!t->w->scratch)
		return false;
	t->fn = fn;
	t->arg = arg;
	while (n) {
		if (d->left) {
			size_t used = on_body(t, way, p, n);
			p += used;
			n -= used;
			continue;
		}
		d->head[d->n_head++] = *p++;
		n--;
		if (d->n_head < sizeof d->head)
			continue;
		if (cap_tls_start(d->head, 5) != CAP_YES) {
			cap_tls_gap(t, way, 0);
			return false;
		}
		on_head(t, way);
	}
	return true;
}

void cap_tls_gap(struct cap_tls *t, int way, size_t lost)
{
	struct tls_dir *d = &t->d[way];
	d->left = d->n_head = 0;
	d->hand_left = 0;
	buf_clear(&d->hand);
	buf_fini(&d->rec);
	/* the record that was begun, and what may have been behind it */
	uint64_t slack = d->slack + 1 + lost / MIN_RECORD;
	d->slack = slack < CAP_TLS_MAX_SLACK ? (uint32_t)slack : CAP_TLS_MAX_SLACK;
}
