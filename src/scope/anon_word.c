/* What becomes what.
 *
 * A word's replacement is drawn from a keyed hash of it, letter by letter within the letter's kind.
 * Short words are remembered in a table together with what they became, so that two never meet;
 * of long ones (from LONG letters on) a meeting is as likely as one of hashes, and they are not
 * kept, so that memory does not follow Call-IDs and branches.
 *
 * An address keeps its class and the number of digits of each of its parts, so that its text keeps
 * its length in nearly all cases.
 *
 * Invariant: words and taken hold the same entries.
 */
#include "base/assert.h"
#include "scope/anon_priv.h"

#include <stdlib.h>
#include <string.h>

#define LONG      12
#define MAX_TRIES 64
#define MAX_WORD  255

struct entry {
	struct hnode by_word, by_made;
	uint8_t n;
	char text[]; /* the word, then what it became */
};

static const char *const vocabulary[] = {
#define WORD(text) text,
#include "scope/anon_words.def"
#undef WORD
#define METHOD(id, flags, rfc) #id,
#include "sip/methods.def"
#undef METHOD
#define STATUS(code, reason, rfc) reason,
#include "sip/status.def"
#undef STATUS
#define SDP_ATTR(id, name, rfc) name,
#include "sdp/attrs.def"
#undef SDP_ATTR
#define SDP_PROTO(id, text, flags) text,
#include "sdp/protos.def"
#undef SDP_PROTO
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

static struct entry *entry_new(size_t n)
{
	struct entry *e = calloc(1, sizeof *e + 2 * n);
	if (e)
		e->n = (uint8_t)n;
	return e;
}

struct known { /* a word of the vocabulary */
	struct hnode node;
	struct str word;
};

/* Calls fn for each word of the phrase. */
static void each_word(struct anon *a, struct str phrase, void (*fn)(struct anon *a, struct str w))
{
	for (size_t at = 0; at < phrase.n;) {
		size_t end = at;
		while (end < phrase.n && is_alnum(phrase.p[end]))
			end++;
		if (end > at)
			fn(a, str_sub(phrase, at, end - at));
		at = end + 1;
	}
}

static void count_word(struct anon *a, struct str w)
{
	(void)w;
	a->n_known++;
}

static void learn_word(struct anon *a, struct str w)
{
	struct known *k = &a->known[--a->n_known];
	k->word = w;
	htab_add(&a->vocabulary, &k->node, htab_hash_nocase(a->key, w.p, w.n));
}

static bool learn(struct anon *a)
{
	for (size_t i = 0; i < ARRAY_LEN(vocabulary); i++)
		each_word(a, str_c(vocabulary[i]), count_word);
	a->known = calloc(a->n_known, sizeof *a->known);
	for (size_t i = 0; a->known && i < ARRAY_LEN(vocabulary); i++)
		each_word(a, str_c(vocabulary[i]), learn_word);
	return a->known;
}

struct anon *anon_new(const uint8_t key[16])
{
	struct anon *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	memcpy(a->key, key, 16);
	buf_init(&a->frame);
	buf_init(&a->payload);
	bool ok = htab_init(&a->words, 256) == OK && htab_init(&a->taken, 256) == OK &&
		  htab_init(&a->vocabulary, 1'024) == OK && htab_init(&a->conns, 64) == OK;
	if (!ok || !learn(a)) {
		anon_free(a);
		return NULL;
	}
	return a;
}

static void free_entry(void *table, struct hnode *n)
{
	htab_del(table, n);
	free(CONTAINER_OF(n, struct entry, by_word));
}

void anon_free(struct anon *a)
{
	if (!a)
		return;
	htab_fini(&a->taken);
	htab_each(&a->words, free_entry, &a->words);
	htab_fini(&a->words);
	htab_fini(&a->vocabulary);
	free(a->known);
	anon_conns_fini(a);
	buf_fini(&a->frame);
	buf_fini(&a->payload);
	free(a);
}

bool anon_is_known(const struct anon *a, struct str w)
{
	uint64_t h = htab_hash_nocase(a->key, w.p, w.n);
	for (struct hnode *n = htab_first(&a->vocabulary, h); n; n = htab_next(n)) {
		if (str_ieq(CONTAINER_OF(n, struct known, node)->word, w))
			return true;
	}
	return false;
}

/* A replacement; `draw` counts the attempts. */
static void make(const struct anon *a, char *out, struct str w, unsigned draw)
{
	char seed[MAX_WORD + 4];
	size_t n = 0;
	for (; n < w.n && n < MAX_WORD; n++)
		seed[n] = lower(w.p[n]);
	memcpy(seed + n, &draw, sizeof draw);
	uint64_t bits = siphash(a->key, seed, n + sizeof draw);
	for (size_t i = 0; i < w.n; i++) {
		bool only_digit = i == 0 && w.n > 1 && is_digit(w.p[0]) && w.p[0] != '0';
		if (is_digit(w.p[i]))
			out[i] = only_digit ? (char)('1' + bits % 9) : (char)('0' + bits % 10);
		else
			out[i] = (char)('a' + bits % 26);
		bits /= 26;
		if (i % 12 == 11) { /* the bits are used up */
			seed[0] ^= (char)(i + 1);
			bits = siphash(a->key, seed, n + sizeof draw);
		}
	}
}

/* What was made, with the case of the word's letters. */
static void put_cased(struct buf *out, struct str w, const char *made)
{
	for (size_t i = 0; i < w.n; i++)
		buf_chr(out, w.p[i] >= 'A' && w.p[i] <= 'Z' ? (char)(made[i] - 32) : made[i]);
}

/* Words and addresses share the table: what is remembered of words is shorter than LONG. */
static bool entry_is(const struct entry *e, struct str w)
{
	return w.n < LONG ? str_ieq(str_of(e->text, e->n), w) : str_eq(str_of(e->text, e->n), w);
}

static void remember(struct anon *a, struct str w, const char *made, uint64_t h, uint64_t h_made)
{
	struct entry *e = entry_new(w.n);
	if (!e) {
		a->err = ERR_NOMEM;
		return;
	}
	memcpy(e->text, w.p, w.n);
	memcpy(e->text + w.n, made, w.n);
	htab_add(&a->words, &e->by_word, h);
	htab_add(&a->taken, &e->by_made, h_made);
}

static const struct entry *find_word(const struct anon *a, struct str w, uint64_t h)
{
	for (struct hnode *n = htab_first(&a->words, h); n; n = htab_next(n)) {
		struct entry *e = CONTAINER_OF(n, struct entry, by_word);
		if (entry_is(e, w))
			return e;
	}
	return NULL;
}

static bool is_taken(const struct anon *a, const char *made, size_t len, uint64_t h)
{
	for (struct hnode *n = htab_first(&a->taken, h); n; n = htab_next(n)) {
		struct entry *e = CONTAINER_OF(n, struct entry, by_made);
		if (e->n == len && memcmp(e->text + len, made, len) == 0)
			return true;
	}
	return false;
}

void anon_word(struct anon *a, struct buf *out, struct str w)
{
	char made[MAX_WORD] = {0};
	if (w.n > MAX_WORD) { /* in pieces */
		anon_word(a, out, str_sub(w, 0, MAX_WORD));
		anon_word(a, out, str_skip(w, MAX_WORD));
		return;
	}
	if (w.n >= LONG || !w.n) {
		make(a, made, w, 0);
		put_cased(out, w, made);
		return;
	}
	uint64_t h = htab_hash_nocase(a->key, w.p, w.n), h_made = 0;
	const struct entry *known = find_word(a, w, h);
	if (known) {
		put_cased(out, w, known->text + known->n);
		return;
	}
	for (unsigned draw = 0; draw < MAX_TRIES; draw++) {
		make(a, made, w, draw);
		h_made = htab_hash(a->key, made, w.n);
		bool is_same = str_ieq(str_of(made, w.n), w);
		if (!is_same && !is_taken(a, made, w.n, h_made))
			break;
	}
	remember(a, w, made, h, h_made);
	put_cased(out, w, made);
}

/* --- addresses -------------------------------------------------------------------------------- */

/* A number with as many digits as v, of 0..255. */
static uint8_t octet(uint8_t v, uint64_t bits)
{
	if (v < 10)
		return (uint8_t)(bits % 10);
	if (v < 100)
		return (uint8_t)(10 + bits % 90);
	return (uint8_t)(100 + bits % 155); /* not 255: no broadcast */
}

static uint16_t hextet(uint16_t v, uint64_t bits)
{
	unsigned low = v < 0x10 ? 1 : v < 0x100 ? 0x10 : v < 0x1000 ? 0x100 : 0x1000;
	return v ? (uint16_t)(low + bits % (low == 1 ? 15 : low * 15)) : 0;
}

/* How many octets of an IPv4 address tell its class. */
static unsigned class_octets(const uint8_t ip[4])
{
	if (ip[0] == 10 || ip[0] == 127)
		return 1;
	if ((ip[0] == 192 && ip[1] == 168) || (ip[0] == 169 && ip[1] == 254) ||
	    (ip[0] == 172 && ip[1] >= 16 && ip[1] < 32) ||
	    (ip[0] == 100 && ip[1] >= 64 && ip[1] < 128))
		return 2;
	return 0;
}

static void draw_v4(uint8_t out[4], const uint8_t ip[4], uint64_t bits)
{
	unsigned kept = class_octets(ip);
	memcpy(out, ip, 4);
	do {
		for (unsigned i = kept; i < 4; i++) {
			out[i] = octet(ip[i], bits);
			bits /= 199;
		}
		if (!kept && out[0] >= 100) /* 100 to 223 are unicast */
			out[0] = (uint8_t)(100 + out[0] % 124);
		bits = bits * 31 + 17;
	} while (class_octets(out) != kept || (!kept && (out[0] == 0 || out[0] > 223)));
}

static void draw_v6(uint8_t out[16], const uint8_t ip[16], uint64_t bits)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	memcpy(out, ip, 16);
	if (memcmp(ip, mapped, sizeof mapped) == 0) {
		draw_v4(out + 12, ip + 12, bits);
		return;
	}
	for (unsigned i = 1; i < 8; i++) { /* the first tells the class */
		uint16_t v =
			hextet((uint16_t)(ip[2 * i] << 8 | ip[2 * i + 1]), bits >> 8 * (i - 1));
		out[2 * i] = (uint8_t)(v >> 8);
		out[2 * i + 1] = (uint8_t)v;
	}
}

static bool stays(const struct addr *x)
{
	static const uint8_t v4[4] = {127, 0, 0, 1}, all[4] = {255, 255, 255, 255},
			     v6[16] = {[15] = 1};
	if (x->family == ADDR_V4)
		return addr_is_any(x) || addr_is_multicast(x) || memcmp(x->ip, v4, 4) == 0 ||
		       memcmp(x->ip, all, 4) == 0 || x->ip[0] == 0 || x->ip[0] > 223;
	return addr_is_any(x) || addr_is_multicast(x) || memcmp(x->ip, v6, 16) == 0;
}

#define ADDR_ENTRY 17 /* family and address */
static void addr_key(char out[ADDR_ENTRY], const struct addr *x)
{
	out[0] = (char)x->family;
	memcpy(out + 1, x->ip, 16);
}

struct addr anon_addr(struct anon *a, const struct addr *from)
{
	struct addr to = *from;
	if (from->family == ADDR_NONE || stays(from))
		return to;
	char was[ADDR_ENTRY], made[ADDR_ENTRY];
	addr_key(was, from);
	uint64_t h = htab_hash(a->key, was, ADDR_ENTRY), h_made = 0;
	const struct entry *known = find_word(a, str_of(was, ADDR_ENTRY), h);
	if (known) {
		memcpy(to.ip, known->text + ADDR_ENTRY + 1, 16);
		return to;
	}
	for (unsigned draw = 0; draw < MAX_TRIES; draw++) {
		char seed[ADDR_ENTRY + sizeof draw];
		memcpy(seed, was, ADDR_ENTRY);
		memcpy(seed + ADDR_ENTRY, &draw, sizeof draw);
		uint64_t bits = siphash(a->key, seed, sizeof seed);
		if (from->family == ADDR_V4)
			draw_v4(to.ip, from->ip, bits);
		else
			draw_v6(to.ip, from->ip, bits);
		addr_key(made, &to);
		h_made = htab_hash(a->key, made, ADDR_ENTRY);
		if (memcmp(made, was, ADDR_ENTRY) != 0 && !is_taken(a, made, ADDR_ENTRY, h_made))
			break;
	}
	remember(a, str_of(was, ADDR_ENTRY), made, h, h_made);
	return to;
}

uint64_t anon_n_left_out(const struct anon *a)
{
	return a->n_left_out;
}

enum err anon_err(const struct anon *a)
{
	return a->err;
}
