/* The share follows what came in the second before; it falls at once and rises by half steps, so
 * that a burst does not make calls come and go. In the second in which a load begins the bound
 * alone holds it. A call is chosen by its Call-ID, and a smaller share is part of a larger one. */
#include "cmd/sample.h"

#include "base/hash.h"

#define SHIFT_MAX 20

static void new_second(struct sample *s, uint64_t second)
{
	uint32_t n = second == s->second + 1 ? s->n_seen : 0;
	uint8_t shift = 0;
	while (shift < SHIFT_MAX && n >> shift > SAMPLE_MOST_PER_S)
		shift++;
	if (s->shift > shift)
		shift = s->shift - 1;
	*s = (struct sample){.second = second, .shift = shift};
}

bool sample_takes(struct sample *s, uint64_t wall_us, struct str call_id)
{
	if (wall_us / 1'000'000 != s->second)
		new_second(s, wall_us / 1'000'000);
	s->n_seen++;
	if (s->n_taken >= 2 * SAMPLE_MOST_PER_S)
		return false;
	if (s->shift && (!call_id.n || hash_quick32(call_id) & ((1u << s->shift) - 1)))
		return false;
	s->n_taken++;
	return true;
}
