/* The two dialogs of a call, compared. Who belongs together is what the exchange has told; the rest
 * is read from the messages, with no idea of how it is done:
 *
 *   - each INVITE of the exchange's own is told of, once, as a leg of a call that came, and again
 *     only when a transfer joins its call and another; whoever keeps records has one of both, at
 *     the caller's Call-ID (of a leg that a transfer left alone, too), and nothing of them is under
 *     way when all are over;
 *   - a description that a party hears is one that another party of the same call has said, but for
 *     its o= line (what has no a=x-call is the exchange's own: the echo test);
 *   - the caller's INVITE has a final response in the end;
 *   - when one of two hangs up, the other one's dialog ends: at once, or when the ACK of its 2xx
 * has come or is lost. Not so where somebody sent REFER or Replaces: there a dialog outlives the
 *     other.
 *
 * A leg whose connection broke may say nothing of its end. */
#include "witness_legs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEGS     4096
#define SAYINGS  32768
#define LATE_US  33000000ull /* 64*T1, and the wire */
#define NOBODY   UINT32_MAX
#define CALL_LEN 80

struct leg {
	char call_id[CALL_LEN];
	uint64_t heard; /* a description that went out before it was told of; 0: none */
	uint64_t up_us, end_us;
	uint32_t root; /* the leg that the call began with */
	unsigned n_told, n_records;
	bool is_ours;              /* the exchange's INVITE */
	bool is_recorded;          /* as one that stood */
	uint32_t called, answered; /* CSeq of the caller's INVITE, of its final response */
	bool has_left;             /* its party's BYE is its end */
	bool is_stream, is_winner, is_moved; /* of a root: a transfer, and who answered first */
};

struct saying {
	uint64_t what;
	uint32_t leg;
};

struct wit_legs {
	struct leg leg[LEGS];
	struct saying saying[SAYINGS];
	uint32_t n, n_sayings;
	unsigned n_compared;
};

static void object(const struct leg *l, const char *why)
{
	printf("# call %s: %s\n", l->call_id, why);
	CHECK(!"the witness objects: see above");
}

static uint32_t find(const struct wit_legs *w, struct str call_id)
{
	for (uint32_t i = w->n; i > 0; i--)
		if (str_eq(str_c(w->leg[i - 1].call_id), call_id))
			return i - 1;
	return NOBODY;
}

static struct leg *get(struct wit_legs *w, struct str call_id)
{
	uint32_t i = find(w, call_id);
	if (i == NOBODY) {
		CHECK(w->n < LEGS);
		i = w->n++;
		w->leg[i] = (struct leg){.root = i};
		CHECK(str_copy(w->leg[i].call_id, CALL_LEN, call_id));
	}
	return &w->leg[i];
}

static uint32_t index_of(const struct wit_legs *w, const struct leg *l)
{
	return (uint32_t)(l - w->leg);
}

static struct leg *root_of(struct wit_legs *w, const struct leg *l)
{
	return &w->leg[l->root];
}

/* --- descriptions ----------------------------------------------------------------------------- */

/* 0: none of a party's. */
static uint64_t description_of(struct str m)
{
	struct str rest = wit_body(m), line;
	uint64_t h = 1;
	if (str_find(rest, STR("a=x-call:")) == SIZE_MAX)
		return 0;
	while (wit_next_line(&rest, &line))
		if (!str_starts(line, STR("o=")))
			h = wit_hash(&line, 1, h);
	return h | 1;
}

static void check_heard(struct wit_legs *w, const struct leg *l, uint64_t what)
{
	w->n_compared++;
	for (uint32_t i = w->n_sayings; i > 0; i--) {
		const struct saying *s = &w->saying[i - 1];
		if (s->what == what && s->leg != index_of(w, l) && w->leg[s->leg].root == l->root)
			return;
	}
	object(l, "a description that no other party of the call has said");
}

static void on_description(struct wit_legs *w, struct leg *l, bool is_sent, uint64_t what)
{
	if (!is_sent) {
		CHECK(w->n_sayings < SAYINGS);
		w->saying[w->n_sayings++] = (struct saying){.what = what, .leg = index_of(w, l)};
	} else if (l->is_ours && !l->n_told) {
		l->heard = what;
	} else if (l->is_ours || root_of(w, l)->n_told) {
		check_heard(w, l, what);
	}
}

/* --- what happens to a leg -------------------------------------------------------------------- */

static void on_end(struct leg *l, uint64_t at_us, bool is_left)
{
	if (l->end_us)
		return;
	l->end_us = at_us;
	l->has_left = is_left;
}

static uint32_t cseq_of(struct str m)
{
	struct str rest;
	uint32_t n = 0;
	CHECK(str_u32(str_cut(wit_value(m, "CSeq"), ' ', &rest), &n));
	return n;
}

static void on_request(struct wit_legs *w, struct leg *l, uint64_t at_us, bool is_sent,
		       struct str method, struct str m)
{
	bool is_inside = str_find(wit_value(m, "To"), STR(";tag=")) != SIZE_MAX;
	if (str_eq(method, STR("BYE")))
		on_end(l, at_us, !is_sent);
	root_of(w, l)->is_moved |= str_eq(method, STR("REFER")) || wit_value(m, "Replaces").n > 0;
	if (!str_eq(method, STR("INVITE")) || is_inside)
		return;
	l->is_ours |= is_sent;
	if (!is_sent)
		l->called = cseq_of(m);
}

static void on_response(struct wit_legs *w, struct leg *l, uint64_t at_us, bool is_sent,
			struct str method, struct str m)
{
	struct leg *root = root_of(w, l);
	unsigned status = wit_status(m);
	bool is_invite = str_eq(method, STR("INVITE"));
	if ((status == 481 || status == 408) && !is_sent)
		on_end(l, at_us, false);
	if (!is_invite || status < 200)
		return;
	if (is_sent)
		l->answered = cseq_of(m);
	if (status >= 300 || l->up_us || is_sent == l->is_ours)
		return;
	l->up_us = at_us;
	l->is_winner = !l->is_ours || !root->is_winner;
	root->is_winner = true;
}

static struct str method_of(struct str m)
{
	struct str method, rest;
	if (!wit_status(m))
		return str_cut(m, ' ', &rest);
	str_cut(wit_value(m, "CSeq"), ' ', &method);
	return method;
}

/* A message of a call with one dialog has the Vias of both sides. */
void wit_legs_message(struct wit_legs *w, uint64_t at_us, bool is_sent, bool is_stream,
		      struct str m)
{
	struct str method = method_of(m), call_id = wit_value(m, "Call-ID");
	bool is_call = str_eq(method, STR("INVITE"));
	if (wit_count(m, "Via") > 1 || (!is_call && find(w, call_id) == NOBODY))
		return;
	struct leg *l = get(w, call_id);
	uint64_t what = description_of(m);
	l->is_stream |= is_stream;
	if (wit_status(m))
		on_response(w, l, at_us, is_sent, method, m);
	else
		on_request(w, l, at_us, is_sent, method, m);
	if (what)
		on_description(w, l, is_sent, what);
}

/* A leg that is there already is told of again when a transfer joins its call and another. */
static void on_join(struct wit_legs *w, const struct leg *l, const struct leg *root)
{
	uint32_t was = l->root, is = index_of(w, root);
	if (!root->is_moved)
		object(l, "a leg was told of twice");
	for (uint32_t i = 0; i < w->n; i++)
		if (w->leg[i].root == was)
			w->leg[i].root = is;
}

void wit_legs_note(struct wit_legs *w, struct str of, struct str call_id)
{
	struct leg *l = get(w, call_id), *root = root_of(w, get(w, of));
	if (l == root)
		object(l, "a leg of itself");
	if (l->n_told || l->called) {
		on_join(w, l, root);
		return;
	}
	l->n_told = 1;
	root->n_told += root->called > 0;
	l->is_ours = true;
	l->root = index_of(w, root);
	if (l->heard)
		check_heard(w, l, l->heard);
	l->heard = 0;
}

/* Who repeats an INVITE since its refusal was lost, or answers its challenge, may do so later than
 * the tracker waits: then there is another record. */
void wit_legs_recorded(struct wit_legs *w, struct str call_id, unsigned status)
{
	struct leg *l = get(w, call_id);
	if (l->is_recorded)
		object(l, "two records");
	l->n_records++;
	l->is_recorded = status < 300;
}

void wit_legs_lasting(struct wit_legs *w, struct str call_id)
{
	object(get(w, call_id), "under way for ever");
}

void wit_legs_forget(struct wit_legs *w)
{
	w->n = w->n_sayings = 0;
}

/* --- in the end ------------------------------------------------------------------------------- */

static void check_left(const struct wit_legs *w, const struct leg *l)
{
	for (uint32_t i = 0; i < w->n; i++) {
		const struct leg *o = &w->leg[i];
		if (o == l || o->root != l->root || !o->is_winner || !o->up_us || o->is_stream)
			continue;
		if (!o->end_us || o->end_us > l->end_us + LATE_US)
			object(o, "the other party has hung up, and it did not end");
	}
}

void wit_legs_check(const struct wit_legs *w)
{
	for (uint32_t i = 0; i < w->n; i++) {
		const struct leg *l = &w->leg[i], *root = &w->leg[l->root];
		if (l->is_ours && !l->n_told)
			object(l, "a leg that nobody was told of");
		if (!root->n_told)
			continue; /* nothing was made for it */
		if (!l->is_ours && l->answered < l->called && !l->is_stream)
			object(l, "an INVITE without a final response");
		if (!l->is_ours && l->called && !l->n_records)
			object(l, "a call without a record");
		if (l->is_ours && l->n_records && !root->is_moved)
			object(l, "a leg with a record of its own");
		if (l->has_left && l->is_winner && l->up_us && !root->is_moved)
			check_left(w, l);
	}
}

unsigned wit_legs_compared(const struct wit_legs *w)
{
	return w->n_compared;
}

struct wit_legs *wit_legs_new(void)
{
	struct wit_legs *w = calloc(1, sizeof(*w));
	CHECK(w);
	return w;
}

void wit_legs_free(struct wit_legs *w)
{
	free(w);
}
