#pragma once
/* Transport, transactions and dialogs of one loop, made and freed as one: what an exchange's shard
 * and a phone both stand on. */

#include "dialog/dialog.h"

struct dlg_stack { /* the owner's memory; it must not move while the stack lives */
	struct tp *tp;
	struct tsx_mgr *tsx;
	struct dlg_mgr *dlg;
};

/* The keys are those of tp_set_keys. On an error what was made is freed by dlg_stack_free. Borrows
 * all but cfg's strings. */
enum err dlg_stack_new(struct dlg_stack *s, struct ev_loop *loop, struct block_cache *blocks,
		       const struct tsx_user *user, const struct dlg_config *cfg,
		       const uint8_t branch_key[16], const uint8_t call_id_key[16]);
void dlg_stack_free(struct dlg_stack *s); /* harmless on a zeroed one */
