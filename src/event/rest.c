/* Each wake-up that comes within QUICK_US of the one before counts up, and each QUICK_US without
 * one counts SLOW down; at QUICK the thread begins to rest. It ends after POOR rests in a row that
 * brought less than WORTH_IT messages. So a single call, a phone that registers, a quiet night
 * never meet it.
 *
 * The length of a rest follows the load, an eighth of itself at a time, so that about REST_MESSAGES
 * gather, or as many as come in REST_MAX_US: the more there is to do, the shorter does anything
 * wait. */
#include "event/rest.h"

#define QUICK_US 4'000
#define QUICK    16
#define SLOW     3
#define POOR     4
#define WORTH_IT 3

uint64_t rest_us(const struct rest *r, uint64_t now_us)
{
	if (!r->is_resting || now_us - r->woke_us >= r->length_us)
		return 0;
	return r->woke_us + r->length_us - now_us;
}

static void adapt(struct rest *r, unsigned n_messages)
{
	uint32_t step = r->length_us / 8;
	if (n_messages > REST_MESSAGES && r->length_us - step >= REST_MIN_US)
		r->length_us -= step;
	else if (n_messages < REST_MESSAGES * 3 / 4)
		r->length_us =
			r->length_us + step < REST_MAX_US ? r->length_us + step : REST_MAX_US;
}

void rest_over(struct rest *r, uint64_t now_us, unsigned n_messages)
{
	if (r->is_resting) {
		r->n_poor = n_messages >= WORTH_IT ? 0 : r->n_poor + 1;
		r->is_resting = r->n_poor < POOR;
		r->n_quick = 0;
		adapt(r, n_messages);
	} else {
		uint64_t missed = (now_us - r->woke_us) / QUICK_US * SLOW;
		if (missed == 0)
			r->n_quick++;
		else
			r->n_quick = missed < r->n_quick ? r->n_quick - (unsigned)missed : 0;
		r->is_resting = r->n_quick >= QUICK;
		r->length_us = QUICK_US;
		r->n_poor = 0;
	}
	r->woke_us = now_us;
}
