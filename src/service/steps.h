#pragma once
/* Steps of a routing policy, walked: what is tried one after the other, each for its time, and what
 * follows by how it ended; and the Contacts of a 3xx as further targets. For the proxy and the
 * back-to-back user agent alike. */

#include "service/proxy.h"

struct steps { /* the texts of the headers lie behind it */
	size_t n, now;
	uint64_t end_us; /* when the present one has rung its time; 0: it may go on */
	struct prx_step v[];
};

/* Without even a 100 for so long: an INVITE has been sent four times over UDP (at 0, 0.5, 1.5
 * and 3.5 s) and the host is as good as down, while a caller still has patience. */
#define STEPS_SILENCE_US 5000000u

size_t steps_size(const struct prx_step *v, size_t n); /* bytes that steps_copy needs */
void steps_copy(struct steps *to, const struct prx_step *v, size_t n, uint64_t now_us);
static inline size_t steps_now(const struct steps *s) /* NULL: there is but one */
{
	return s ? s->now : 0;
}
/* How one target has ended: final status, 0 without any; or it was given up by ourselves. */
enum prx_on steps_ended_by(unsigned status, bool is_given_up);
/* Of several refusals the one that tells the caller most has the lowest rank: 6xx; then the lowest
 * class; in it what he can do something about, then busy; 408, then 487 and 503 tell the least.
 * [RFC3261 16.7 step 6] */
unsigned steps_rank(unsigned status);
/* Of several targets of a step: busy before not answered before refused before not reached. */
enum prx_on steps_outcome(enum prx_on a, enum prx_on b);
/* Goes on with what follows on such an end; false: nothing does. */
bool steps_go_on(struct steps *s, enum prx_on on, uint64_t now_us);
/* How long a group that starts now may ring, 0: as long as the caller waits. `serial_us`: its time
 * when another group of the step waits, else 0. */
uint64_t steps_group_us(const struct steps *s, uint64_t serial_us, uint64_t now_us);
bool steps_is_over(const struct steps *s, uint64_t now_us);
/* Something follows where nobody is reached: silence counts as that. */
bool steps_watches_silence(const struct steps *s);

struct steps_follower {
	size_t (*expand)(void *ctx, const struct sip_uri *contact, struct prx_target *t,
			 size_t max);
	void *expand_ctx;
	bool (*was_tried)(void *ctx, const struct sip_uri *u);
	bool (*add)(void *ctx, const struct prx_target *t);
	void *ctx;
	struct hist *hist;     /* of the request; NULL: none */
	struct hist_row *from; /* what was answered so: */
	struct str ruri, aor;  /* its URI, and whose phone it is */
	struct str diversion;  /* what it was told of the way, whole lines */
	bool has_rung;
	const struct sip_uri *asked; /* what the caller has asked for */
	size_t n;                    /* targets so far; PRX_MAX_TARGETS are enough */
	bool is_sips; /* the request's URI is: the Contacts must be, or must not be [RFC5630 5.3] */
	uint8_t step;
};
/* Adds what the Contacts of a 300, 301 or 302 lead to; false: that was nothing new.
 * [RFC3261 16.7 step 4] */
bool steps_follow(struct steps_follower *f, const struct sip_msg *m);
