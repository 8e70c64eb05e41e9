#pragma once
/* What the exchange tells of a request's way, by its setting `history` and by who sends; and its
 * own answers with that. Seen by dispatch.c and steer.c. [RFC7044] */

#include "service/exchange_priv.h"

enum hist_mode way_mode(struct exc_shard *s);
/* All but the ways, which a policy has found. True: the sender is trusted. */
bool way_ask(struct exc_shard *s, const struct tp_rx *rx, struct hist_ask *out);
/* The way that the request has come. NULL: not told, or no memory. Give it back with way_close. */
struct hist *way_open(struct exc_shard *s, const struct tp_rx *rx);
void way_close(struct exc_shard *s, struct hist *h);
/* Answers with a code of ours, as code_refuse does, and with the way. [RFC7044 9.4] */
void way_refuse(struct exc_shard *s, tsx_id st, enum code code, struct str extra);
/* Header lines for another answer; what there is no room for is left out. */
void way_put(struct exc_shard *s, tsx_id st, struct buf *b);
