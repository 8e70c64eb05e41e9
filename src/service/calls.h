#pragma once
/* Whose phones are in a call: the dialogs that INVITEs make through this exchange, as the event
 * server tells them (busy lamps). One per shard. It watches; it changes nothing of a call.
 * [RFC4235] */

#include "service/events.h"
#include "service/sign.h"

struct calls;

enum err calls_new(struct ev_loop *loop, struct block_cache *blocks, struct evt_shard *evt,
		   struct calls **out);
void calls_free(struct calls *c);
/* An INVITE that begins a call goes on. Either address may be empty: not one of ours. */
void calls_on_invite(struct calls *c, const struct sip_msg *invite, struct str caller_aor,
		     struct str callee_aor);
/* What its caller is answered; `resp` NULL: a refusal of our own. `callee`: whose phone it was, if
 * the call rings several people; empty: the one of calls_on_invite. */
void calls_on_answer(struct calls *c, const struct sip_msg *invite, const struct sip_msg *resp,
		     unsigned status, struct str callee);
/* One of these people will not take it, the call goes on; `resp` NULL: he said nothing. */
void calls_on_miss(struct calls *c, const struct sip_msg *invite, const struct sip_msg *resp,
		   struct str callee);
/* A BYE of either side goes through; or another request in a dialog that talks, and was answered by
 * nobody who knows that one. */
void calls_on_end(struct calls *c, const struct sip_msg *request);
/* A call that somebody else carries, as the back-to-back user agent. */
void calls_on_sign(struct calls *c, const struct sign *s);
/* Who carries calls tells by signs (TALKS) which of those that he remembers are of an address. */
void calls_set_carrier(struct calls *c, void (*fn)(void *ctx, struct str aor), void *ctx);
