#pragma once
/* Message-waiting: SUBSCRIBE to message-summary is granted for one's own mailbox and told its
 * counts. The mailbox is empty until there is voicemail. [RFC3842] [RFC6665] */

#include "dialog/subscription.h"

struct mwi;
struct mwi_config {
	uint32_t max_per_user; /* subscriptions of one account at a time, 0: the default of limits.h
				*/
};
enum err mwi_new(struct tsx_mgr *tsx, struct dlg_mgr *dlg, const uint8_t key[16],
		 const struct mwi_config *cfg, struct mwi **out);
void mwi_free(struct mwi *m);
/* `aor`: the mailbox ("1001@example.com"), which the dispatcher has checked to be the subscriber's
 * own. */
void mwi_on_subscribe(struct mwi *m, tsx_id st, struct tp_rx *rx, struct str aor);
uint32_t mwi_live(const struct mwi *m);
