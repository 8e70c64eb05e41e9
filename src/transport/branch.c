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

static char *put32(char *p, uint64_t v, unsigned chars)
{
	for (unsigned i = chars; i-- > 0;)
		*p++ = "0123456789abcdefghijklmnopqrstuv"[(v >> (5 * i)) & 31];
	return p;
}

static unsigned digit32(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'v')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'V')
		return (unsigned)(c - 'A') + 10;
	return 32;
}

static bool get32(const char *p, unsigned chars, uint64_t *out)
{
	uint64_t v = 0;
	unsigned bad = 0;
	for (unsigned i = 0; i < chars; i++) {
		unsigned d = digit32(p[i]);
		bad |= d;
		v = v << 5 | (d & 31);
	}
	*out = v;
	return bad < 32;
}

struct str tp_branch_make(struct tp *tp, obj_id id, char out[TP_BRANCH_MAX])
{
	memcpy(out, COOKIE, COOKIE_LEN);
	char *p = put32(out + COOKIE_LEN, id, ID_CHARS);
	p = put32(p, check_of(tp, id), CHECK_CHARS);
	*p = '\0';
	return str_of(out, BRANCH_LEN);
}

bool tp_branch_read(struct tp *tp, struct str branch, obj_id *id)
{
	uint64_t value, check;
	if (branch.n != BRANCH_LEN || !str_istarts(branch, STR(COOKIE)))
		return false;
	const char *p = branch.p + COOKIE_LEN;
	if (digit32(*p) >= 16 || !get32(p, ID_CHARS, &value) || /* 16: four bits are left there */
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
	return siphash(tp->call_id_key, call_id.p, call_id.n) % tp->n_shards;
}
