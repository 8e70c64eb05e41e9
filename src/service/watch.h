#pragma once
/* What the dispatcher sees of abuse, told to the bans (ban.h): who is not listened to, and what
 * speaks against a sender. Its functions are short: they are called for each request. */

#include "service/exchange_priv.h"

/* Sets the transport's guard of this shard. */
void watch_start(struct exc_shard *s);
/* How credentials were judged; `user` is whom they, or the request, named. */
void watch_credentials(struct exc_shard *s, enum auth_verdict v, const struct ban_sight *by);
/* The same of a request at hand. */
void watch_request(struct exc_shard *s, const struct tp_rx *rx, const struct auth_check *c);
/* False when the request was refused: everything waits too long. */
bool watch_load(struct exc_shard *s, tsx_id st, struct tp_rx *rx);
/* False when the request was refused or dropped: its user, or its address, starts too much. */
bool watch_rate(struct exc_shard *s, tsx_id st, struct tp_rx *rx);
