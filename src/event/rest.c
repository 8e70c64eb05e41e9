/* Each wake-up that comes within REST_US of the one before counts up, and each REST_US without one
 * counts SLOW down; at QUICK the thread begins to rest. It ends after EMPTY rests in a row that
 * found nothing. So a single call, a phone that registers, a quiet night never meet it; at a
 * thousand messages a second it leaves one wake-up in four, at ten thousand one in forty. */
#include "event/rest.h"

#define QUICK 16
#define SLOW  3
#define EMPTY 4

uint64_t rest_us(const struct rest *r, uint64_t now_us)
{
	if (!r->is_resting || now_us - r->woke_us >= REST_US)
		return 0;
	return r->woke_us + REST_US - now_us;
}

void rest_over(struct rest *r, uint64_t now_us, bool had_work)
{
	if (r->is_resting) {
		r->n_empty = had_work ? 0 : r->n_empty + 1;
		r->is_resting = r->n_empty < EMPTY;
		r->n_quick = 0;
	} else {
		uint64_t missed = (now_us - r->woke_us) / REST_US * SLOW;
		if (missed == 0)
			r->n_quick++;
		else
			r->n_quick = missed < r->n_quick ? r->n_quick - (unsigned)missed : 0;
		r->is_resting = r->n_quick >= QUICK;
		r->n_empty = 0;
	}
	r->woke_us = now_us;
}
