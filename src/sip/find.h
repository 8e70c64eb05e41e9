#pragma once
/* Header and method lookup as inline code for the index pass; tables.c gives the tables and the
 * public functions. A name that is written as in the table, as nearly always, is settled here:
 * length and both ends by the key, what lies between by words. Anything else goes to the slow path,
 * which compares without case. */

#include "sip/tables.h"
#include "sip/tables_hash.h"
#include "tables_hash.inc"

extern const uint8_t sip_hdr_slots[1 << HDR_BITS];
extern const struct name_key sip_hdr_keys[SIP_HDR__N];
extern const struct str sip_hdr_names[SIP_HDR__N];

enum sip_hdr_id sip_hdr_find_slow(unsigned id, struct str name);

/* a and b, of n > 8 bytes, are the same; their first and last four are known to be. */
static inline bool name_middle_eq(const char *a, const char *b, size_t n)
{
	uint64_t x, y;
	for (size_t i = 4; i + 4 < n; i += 8) {
		size_t at = i + 8 <= n ? i : n - 8;
		memcpy(&x, a + at, 8);
		memcpy(&y, b + at, 8);
		if (x != y)
			return false;
	}
	return true;
}

static inline enum sip_hdr_id sip_hdr_find_inline(struct str name)
{
	struct name_key k = name_key(name.p, name.n);
	unsigned id = sip_hdr_slots[name_slot(k, HDR_FOLD, HDR_MUL_HEAD, HDR_MUL_TAIL, HDR_BITS)];
	const struct name_key *known = &sip_hdr_keys[id];
	if (__builtin_expect(known->head == k.head && known->tail == k.tail && known->n == k.n,
			     1) &&
	    (k.n <= 8 || name_middle_eq(name.p, sip_hdr_names[id].p, k.n)))
		return id;
	return sip_hdr_find_slow(id, name);
}
