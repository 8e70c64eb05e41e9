#pragma once
/* Overload: when what arrives waits too long, new calls are refused, so that those in progress go
 * on. */

#include <stdbool.h>
#include <stdint.h>

struct load { /* of a shard; zeroed: at ease */
	bool is_high;
	uint64_t calm_us;  /* since when delays have been short, while is_high */
	uint64_t since_us; /* since when they have not been short */
	uint64_t last_us;  /* of the last look at them */
	uint64_t n_shed;
};
/* A request outside dialogs has waited delay_us until now. True: refuse it. Registrations, without
 * which nobody can be called, are refused only when it is much worse. */
bool load_sheds(struct load *l, uint64_t now_us, uint64_t delay_us, bool is_register);
#define LOAD_HIGH_US     100000u  /* waits of this length: new calls are refused ... */
#define LOAD_STANDING_US 250000u  /* ... once none was short for so long ... */
#define LOAD_LOW_US      10000u   /* ... until they were shorter than this ... */
#define LOAD_CALM_US     1000000u /* ... for so long */
#define LOAD_EXTREME_US  500000u  /* registrations too */
