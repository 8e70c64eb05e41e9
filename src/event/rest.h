#pragma once
/* When a thread that is woken again and again should rest instead: hear nothing for a moment, then
 * work off what has gathered. A wake-up costs a context switch, and the sender an interrupt to
 * another core: more than receiving, forwarding and sending a message. Pure: the caller tells the
 * time and does the sleeping. */

#include <stdbool.h>
#include <stdint.h>

/* How much a rest should gather, and how long that may take: the longest that anything waits for a
 * resting thread. SIP's shortest timer is T1 = 500 ms, a frame of audio 20 ms. */
#define REST_MESSAGES 64
#define REST_MIN_US   1'000
#define REST_MAX_US   10'000

struct rest { /* zeroed: not resting */
	uint64_t woke_us;
	uint32_t length_us; /* while resting */
	unsigned n_quick;   /* how many wake-ups came in quick succession, as a decaying count */
	unsigned n_poor;    /* rests in a row that were not worth it */
	bool is_resting;
};

/* How long to hear nothing from now on; 0: sleep as usual, until something happens. A thread that
 * has worked for the length of a rest already gets none, so a loaded machine does not rest. */
uint64_t rest_us(const struct rest *r, uint64_t now_us);
/* A sleep or a rest is over, after which n_messages had come. */
void rest_over(struct rest *r, uint64_t now_us, unsigned n_messages);
