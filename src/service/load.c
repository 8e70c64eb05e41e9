/* Overload control by the time that messages wait, with hysteresis.
 *
 * The delay is the larger of two: the time that a message spent in the inbox on its way from the
 * shard that received it, and the time for which the kernel's queue of a socket was never found
 * empty (a standing queue: a burst is worked off within some milliseconds, however large). One long
 * wait is no overload: a machine that gave its processor to others for a moment is behind for that
 * moment, works it off, and has room for every call. So waits must have stood for a while. A
 * transaction repeats its request after 500 ms; LOAD_HIGH_US leaves room before that, since
 * repetitions are what turns load into collapse.
 *
 * What is shed costs a parse and a 503; what belongs to a call that is up or being set up (requests
 * with a token, ACK, CANCEL, responses) never comes here. [RFC3261 21.5.4] [RFC7339 is for servers
 * among each other] */
#include "service/load.h"

bool load_sheds(struct load *l, uint64_t now_us, uint64_t delay_us, bool is_register)
{
	bool is_short = delay_us < LOAD_LOW_US, was_idle = now_us - l->last_us >= LOAD_STANDING_US;
	if (is_short || was_idle)
		l->since_us = now_us;
	l->last_us = now_us;
	if (delay_us >= LOAD_HIGH_US) {
		l->is_high |= now_us - l->since_us >= LOAD_STANDING_US;
		l->calm_us = 0;
	} else if (!is_short) {
		l->calm_us = 0;
	} else if (l->is_high && !l->calm_us) {
		l->calm_us = now_us;
	} else if (l->is_high && now_us - l->calm_us >= LOAD_CALM_US) {
		l->is_high = false;
	}
	bool is_shed = l->is_high && (!is_register || delay_us >= LOAD_EXTREME_US);
	l->n_shed += is_shed;
	return is_shed;
}
