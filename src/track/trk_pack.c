/* Calls that only talk, packed: of all that a live tracker holds they are most, and until their BYE
 * nobody asks for their messages. After 32 s of silence, when no message can be resent any more,
 * rows and facts go into one block of their size, names and Call-ID in front, where they stay
 * readable; the next message, or whoever looks at the call, has them back.
 *
 *	block    names of From and To, Call-ID, then squeezed, if that is shorter, with the names
 *		 as words (base/squeeze.h): rows oldest first, facts oldest first
 *	row      differences to the row before, in as few bytes as they need; a branch that was seen
 *	         before as its place; of a copy the place of its original
 *	numbers  7 bits in each byte, the lowest first; differences with their sign in bit 0
 *
 * Rows come back with other ids, so nobody may keep one beyond the turn. What does not fit (very
 * many rows, media, a call that is being looked at) stays as it is; a block that was unpacked stays
 * for the names in it until the next takes its place.
 */
#include "base/assert.h"
#include "base/squeeze.h"
#include "track/trk_priv.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROWS  128u
#define MAX_FACTS 256u

struct trk_pack {
	uint32_t n;  /* bytes */
	uint16_t at; /* where the rows begin */
	bool is_squeezed;
	_Alignas(8) unsigned char bytes[];
};

#define WORDS_MOST 512u

/* What the rest is squeezed with, the most usual last. */
static struct str words_of(const struct trk_call *c, char mem[WORDS_MOST])
{
	static const struct str usual = STR_INIT(
		";remote=00000000000000000000000000000000;transport=TLS;transport=tcp;ob:5061"
		"sip:192.168.1.sip:10.0.0.:5060;transport=udp:5060;transport=UDP");
	const struct trk_name *names[] = {c->from, c->to};
	struct buf b;
	buf_init_fixed(&b, mem, WORDS_MOST);
	buf_str(&b, usual);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i])
			buf_str(&b, str_sub(str_of(names[i]->text, names[i]->n), 0, 150));
	return buf_view(&b);
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void put(struct buf *b, uint64_t v)
{
	while (v > 127) {
		buf_chr(b, (char)(v | 128));
		v >>= 7;
	}
	buf_chr(b, (char)v);
}

static void put_step(struct buf *b, uint64_t from, uint64_t to)
{
	put(b, to >= from ? (to - from) << 1 : (from - to) << 1 | 1);
}

static uint64_t get(const unsigned char **at)
{
	uint64_t v = 0;
	for (unsigned shift = 0;; shift += 7) {
		unsigned char c = *(*at)++;
		v |= (uint64_t)(c & 127) << shift;
		if (c < 128)
			return v;
	}
}

static uint64_t get_step(const unsigned char **at, uint64_t from)
{
	uint64_t v = get(at);
	return v & 1 ? from - (v >> 1) : from + (v >> 1);
}

static uint32_t get_word(const unsigned char **at)
{
	uint32_t v;
	memcpy(&v, *at, sizeof v);
	*at += sizeof v;
	return v;
}

/* --- packing ---------------------------------------------------------------------------------- */

enum { ROW_PLAIN = 1, ROW_STORED = 2 }; /* STORED: file_off and ip_id are told */

/* From 1; 0: none has it. */
static uint32_t place_of(const struct trk_ev *const *row, uint32_t n, uint32_t id)
{
	while (n && trk_ev_id(row[n - 1]) != id)
		n--;
	return n;
}

static uint32_t same_branch(const struct trk_ev *const *row, uint32_t n, uint32_t branch)
{
	while (n && row[n - 1]->branch != branch)
		n--;
	return n;
}

static void put_row(struct buf *b, const struct trk_ev *const *row, uint32_t k)
{
	static const struct trk_ev none;
	const struct trk_ev *e = row[k], *before = k ? row[k - 1] : &none;
	bool is_stored = e->file_off || e->ip_id;
	uint32_t branch = same_branch(row, k, e->branch);
	put_step(b, before->at_us, e->at_us);
	put_step(b, before->frame_no, e->frame_no);
	put_step(b, before->cseq, e->cseq);
	put(b, e->n_bytes);
	put(b, (unsigned)e->status << 5 | e->method);
	put(b, (unsigned)e->flags);
	put(b, (unsigned)e->from | (unsigned)e->to << 6);
	put(b, (unsigned)(e->is_plain ? ROW_PLAIN : 0) | (is_stored ? ROW_STORED : 0) |
		       (unsigned)e->tag << 2);
	if (is_stored) {
		put(b, e->file_off);
		put(b, e->ip_id);
	}
	put(b, branch);
	if (!branch)
		buf_put(b, &e->branch, sizeof e->branch);
	if (trk_copy_of(e))
		put(b, place_of(row, k, e->hash_copy));
	else
		buf_put(b, &e->hash_copy, sizeof e->hash_copy);
}

static bool put_facts(struct buf *b, const struct trk_call *c, const struct trk_ev *const *row)
{
	const struct trk_fact *fact[MAX_FACTS];
	uint32_t n = 0;
	for (const struct trk_fact *f = c->facts; f; f = f->next) {
		if (n == MAX_FACTS)
			return false;
		fact[n++] = f;
	}
	put(b, n);
	while (n--) {
		put(b, fact[n]->kind);
		put(b, place_of(row, c->n_ev, fact[n]->ev));
		put(b, fact[n]->flags);
		put(b, fact[n]->num);
		put(b, fact[n]->n);
		buf_str(b, trk_fact_text(fact[n]));
	}
	return true;
}

/* Where a name begins, for its alignment. */
static void align(struct buf *b)
{
	while (b->n % _Alignof(struct trk_name))
		buf_chr(b, 0);
}

static size_t put_name(struct buf *b, const struct trk_name *x)
{
	align(b);
	size_t at = b->n;
	if (x)
		buf_put(b, x, sizeof *x + x->n);
	return at;
}

static void drop(struct trk *t, struct trk_call *c)
{
	trk_rows_free(t, c);
	trk_pages_free(t, c);
	c->first_ev = c->last_ev = 0;
	c->facts = NULL;
	t->n_bytes -= c->n_bytes;
	c->n_bytes = 0;
}

void trk_rest(struct trk *t, const struct trk_call *seen)
{
	struct trk_call *c = (struct trk_call *)(uintptr_t)seen;
	struct buf *b = &t->pack;
	uint32_t n_rows;
	if (!t->cfg.packs || c->is_packed || c->kind != TRK_CALL || c->phase != TRK_ANSWERED ||
	    c->n_held || c->n_ev > MAX_ROWS || c->av || c->leg || c->offer)
		return;
	const struct trk_ev *const *row = trk_history(t, c, &n_rows);
	if (!row)
		return;
	buf_clear(b);
	size_t from = put_name(b, c->from), to = put_name(b, c->to), id = b->n;
	if (c->call_id.p != c->id_mem)
		buf_str(b, c->call_id);
	size_t rows = b->n;
	for (uint32_t k = 0; k < n_rows; k++)
		put_row(b, row, k);
	if (!put_facts(b, c, row) || b->err != OK || rows > UINT16_MAX)
		return;
	size_t end = b->n, rest = rows; /* what is squeezed stands behind it */
	char mem[WORDS_MOST];
	bool is_squeezed = squeeze(str_skip(buf_view(b), rows), words_of(c, mem), b);
	if (is_squeezed) {
		rest = end;
		end = b->n;
	}
	struct trk_pack *p = malloc(sizeof *p + rows + (end - rest));
	if (!p)
		return;
	*p = (struct trk_pack){(uint32_t)(rows + (end - rest)), (uint16_t)rows, is_squeezed};
	memcpy(p->bytes, b->p, rows);
	memcpy(p->bytes + rows, b->p + rest, end - rest);
	if (c->from)
		c->from = (const struct trk_name *)(const void *)(p->bytes + from);
	if (c->to)
		c->to = (const struct trk_name *)(const void *)(p->bytes + to);
	if (c->call_id.p != c->id_mem)
		c->call_id.p = (const char *)p->bytes + id;
	drop(t, c);
	free(c->pack);
	c->pack = p;
	trk_weigh(t, c, sizeof *p + p->n);
	c->is_packed = true;
}

/* --- unpacking -------------------------------------------------------------------------------- */

static bool get_row(struct trk *t, struct trk_call *c, const unsigned char **at,
		    struct trk_ev *row[MAX_ROWS], uint32_t k)
{
	static const struct trk_ev none;
	const struct trk_ev *before = k ? row[k - 1] : &none;
	uint32_t id = trk_row_new(t, c);
	if (!id)
		return false;
	struct trk_ev *e = row[k] = trk_row(t, id);
	e->at_us = get_step(at, before->at_us);
	e->frame_no = (uint32_t)get_step(at, before->frame_no);
	e->cseq = (uint32_t)get_step(at, before->cseq);
	e->n_bytes = get(at) & 0x7f'ffff;
	uint64_t what = get(at);
	e->status = what >> 5 & 1023;
	e->method = what & 31;
	e->flags = get(at) & 255;
	uint64_t peers = get(at);
	e->from = peers & 63;
	e->to = peers >> 6 & 63;
	uint64_t more = get(at);
	e->is_plain = more & ROW_PLAIN;
	e->tag = more >> 2 & 7;
	if (more & ROW_STORED) {
		e->file_off = get(at) & 0xffff'ffff'ffff;
		e->ip_id = get(at) & 0xffff;
	}
	uint64_t branch = get(at);
	e->branch = branch ? row[branch - 1]->branch : get_word(at);
	if (e->flags & (TRK_EV_RETRANS | TRK_EV_DUPLICATE))
		e->hash_copy = trk_ev_id(row[get(at) - 1]);
	else
		e->hash_copy = get_word(at);
	e->prev = c->last_ev;
	c->last_ev = id;
	if (!c->first_ev)
		c->first_ev = id;
	trk_weigh(t, c, sizeof *e);
	return true;
}

static bool get_fact(struct trk *t, struct trk_call *c, const unsigned char **at,
		     struct trk_ev *row[MAX_ROWS])
{
	enum trk_fact_kind kind = (enum trk_fact_kind)get(at);
	struct trk_ev *e = row[get(at) - 1];
	uint8_t flags = (uint8_t)get(at);
	uint32_t num = (uint32_t)get(at);
	size_t n = get(at);
	struct trk_fact *f = trk_fact_add(t, c, e, kind, str_of((const char *)*at, n));
	*at += n;
	if (!f)
		return false;
	f->flags = flags;
	f->num = num;
	return true;
}

bool trk_unpack(struct trk *t, struct trk_call *c)
{
	struct trk_ev *row[MAX_ROWS];
	if (!c->is_packed)
		return true;
	char mem[WORDS_MOST];
	bool is_good = true;
	const struct trk_pack *p = c->pack;
	struct str rest = str_of((const char *)p->bytes + p->at, p->n - p->at);
	if (p->is_squeezed) {
		buf_clear(&t->pack);
		unsqueeze(rest, words_of(c, mem), &t->pack);
		rest = buf_view(&t->pack);
		is_good = t->pack.err == OK;
	}
	const unsigned char *at = (const unsigned char *)rest.p, *end = at + rest.n;
	for (uint32_t k = 0; is_good && k < c->n_ev; k++)
		is_good = get_row(t, c, &at, row, k);
	uint64_t n_facts = is_good ? get(&at) : 0;
	while (is_good && n_facts--)
		is_good = get_fact(t, c, &at, row);
	if (is_good) {
		ASSERT(at == end);
		c->is_packed = false;
		return true;
	}
	drop(t, c);
	trk_weigh(t, c, sizeof *c->pack + c->pack->n);
	return false;
}
