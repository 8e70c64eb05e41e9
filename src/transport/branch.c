/* Which shard owns what: the code in our Via branches, and the hash of a Call-ID.
 *
 *   z9hG4bK  iiiiiiiiiiiii  cccccccccc
 *   cookie   id, 64 bits    check, 50 bits: keyed siphash of the id
 *
 * Five bits per character (0-9, a-v), since tokens are compared without case [RFC3261 7.3.1] and
 * somebody on the way may fold it. A response to us names its transaction by the branch, without a
 * search; the check makes that id worth believing: outsiders cannot name a transaction that was not
 * told to them, nor scan for live ones.
 *
 * Reading is constant work: a fixed length, one siphash of eight bytes, no allocation.
 */
#include "transport/tp_priv.h"

#include <string.h>

#define COOKIE      "z9hG4bK" /* [RFC3261 8.1.1.7] */
#define COOKIE_LEN  7
#define ID_CHARS    13
#define CHECK_CHARS 10
#define CHECK_MASK  ((1ull << (5 * CHECK_CHARS)) - 1)
#define BRANCH_LEN  (COOKIE_LEN + ID_CHARS + CHECK_CHARS)
_Static_assert(BRANCH_LEN < TP_BRANCH_MAX, "the buffer of tp_branch_make");

static uint64_t check_of(const struct tp *tp, obj_id id)
{
	uint8_t bytes[8];
	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(id >> (8 * i));
	return siphash(tp->branch_key, bytes, sizeof(bytes)) & CHECK_MASK;
}

static void put32(char *p, uint64_t v, unsigned chars)
{
	for (; chars; v >>= 5)
		p[--chars] = "0123456789abcdefghijklmnopqrstuv"[v & 31];
}

/* 0x40 and the value of a digit; 0: none. */
static const uint8_t digits[256] = {
	['0'] = 0x40, ['1'] = 0x41, ['2'] = 0x42, ['3'] = 0x43, ['4'] = 0x44, ['5'] = 0x45,
	['6'] = 0x46, ['7'] = 0x47, ['8'] = 0x48, ['9'] = 0x49, ['a'] = 0x4a, ['A'] = 0x4a,
	['b'] = 0x4b, ['B'] = 0x4b, ['c'] = 0x4c, ['C'] = 0x4c, ['d'] = 0x4d, ['D'] = 0x4d,
	['e'] = 0x4e, ['E'] = 0x4e, ['f'] = 0x4f, ['F'] = 0x4f, ['g'] = 0x50, ['G'] = 0x50,
	['h'] = 0x51, ['H'] = 0x51, ['i'] = 0x52, ['I'] = 0x52, ['j'] = 0x53, ['J'] = 0x53,
	['k'] = 0x54, ['K'] = 0x54, ['l'] = 0x55, ['L'] = 0x55, ['m'] = 0x56, ['M'] = 0x56,
	['n'] = 0x57, ['N'] = 0x57, ['o'] = 0x58, ['O'] = 0x58, ['p'] = 0x59, ['P'] = 0x59,
	['q'] = 0x5a, ['Q'] = 0x5a, ['r'] = 0x5b, ['R'] = 0x5b, ['s'] = 0x5c, ['S'] = 0x5c,
	['t'] = 0x5d, ['T'] = 0x5d, ['u'] = 0x5e, ['U'] = 0x5e, ['v'] = 0x5f, ['V'] = 0x5f,
};

static bool get32(const char *p, unsigned chars, uint64_t *out)
{
	uint64_t v = 0;
	unsigned all = 0x40;
	for (unsigned i = 0; i < chars; i++) {
		unsigned d = digits[(uint8_t)p[i]];
		all &= d;
		v = v << 5 | (d & 31);
	}
	*out = v;
	return all;
}

struct str tp_branch_make(struct tp *tp, obj_id id, char out[TP_BRANCH_MAX])
{
	memcpy(out, COOKIE, COOKIE_LEN);
	put32(out + COOKIE_LEN, id, ID_CHARS);
	put32(out + COOKIE_LEN + ID_CHARS, check_of(tp, id), CHECK_CHARS);
	out[BRANCH_LEN] = '\0';
	return str_of(out, BRANCH_LEN);
}

bool tp_branch_read(struct tp *tp, struct str branch, obj_id *id)
{
	uint64_t value, check;
	if (branch.n != BRANCH_LEN ||
	    (memcmp(branch.p, COOKIE, COOKIE_LEN) != 0 && !str_istarts(branch, STR(COOKIE))))
		return false;
	const char *p = branch.p + COOKIE_LEN;
	if (!get32(p, ID_CHARS, &value) ||
	    digits[(uint8_t)*p] >= 0x50 || /* four bits are left there */
	    !get32(p + ID_CHARS, CHECK_CHARS, &check) || check != check_of(tp, value))
		return false;
	*id = value;
	return true;
}

size_t tp_owner_of(struct tp *tp, struct str call_id, struct str via_branch)
{
	obj_id id;
	if (tp->n_shards == 1)
		return tp->shard;
	if (tp_branch_read(tp, via_branch, &id) && obj_id_shard(id) < tp->n_shards)
		return obj_id_shard(id);
	return htab_hash(tp->call_id_key, call_id.p, call_id.n) % tp->n_shards;
}
