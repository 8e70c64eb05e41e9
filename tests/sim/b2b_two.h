#pragma once
/* b talks with a and with d; the two calls are on one shard or on two. */

#include "b2b_rig.h"

#define BOTH(name)                                                                                 \
	static void name(bool apart);                                                              \
	TEST_NO_OOM(name##_on_one_shard)                                                           \
	{                                                                                          \
		name(false);                                                                       \
	}                                                                                          \
	TEST_NO_OOM(name##_on_two_shards)                                                          \
	{                                                                                          \
		name(true);                                                                        \
	}                                                                                          \
	static void name(bool apart)

struct two {
	struct rig *g;
	struct rig_end a, b, b2, d; /* a with b, b2 with d */
};

void two_calls(struct two *t, bool apart);
void two_ringing(struct two *t, bool apart); /* d has not answered yet */
void two_joined(struct two *t, bool apart);  /* by b, who is out */
struct raw_req two_refer(struct two *t);     /* REFER in the first call, and its first NOTIFY */
void two_notified(struct two *t, const char *status);
/* Both of b's dialogs end: the second at once, the first when he has had time. */
void two_is_out(struct two *t);
void two_bye(struct two *t); /* both calls stand, and end; so does the rig */
