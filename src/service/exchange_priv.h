#pragma once
/* Seen only by exchange.c (making, freeing), exchange_tell.c (what the operator is told) and
 * dispatch.c (deciding). */

#include "base/limits.h"
#include "dialog/stack.h"
#include "policy/config.h"
#include "service/accounts.h"
#include "service/auth.h"
#include "service/b2b.h"
#include "service/ban.h"
#include "service/calls.h"
#include "service/echo.h"
#include "service/exchange.h"
#include "service/limit.h"
#include "service/load.h"
#include "service/proxy.h"
#include "service/registrar.h"
#include "service/trunks.h"

struct wait { /* a request whose credentials are being checked by another shard */
	struct exc_shard *s;
	tsx_id st;
	struct tp_rx *rx;
	struct rt_plan plan;
	struct auth_check check;
};

struct exc_shard {
	struct exc *x;
	size_t n;
	struct ev_loop *loop;
	struct block_cache blocks;
	struct dlg_stack stack;
	struct auth *auth;
	struct reg *reg;
	struct prx *prx;
	struct evt_shard *evt;
	struct calls *calls;
	struct echo *echo;
	struct b2b *b2b;
	struct lim *lim;
	struct load load;
	struct rt_self self;
	struct gruu_self gruu;
	struct pool waits;
	char aor[LIMIT_AOR_BYTES + 1]; /* of the Contact that steer_expand was asked about last */
};

struct exc {
	struct ev_shards *shards;
	struct st *st;
	struct acc *acc;
	struct loc *loc;
	struct dom *dom;
	struct evt *evt;
	struct ban *ban;
	struct lim_news *news; /* storms that were named */
	struct buf realm, echo_user, product;
	struct addr_net *trust;
	size_t n_trust, n_shards;
	bool is_b2bua, has_farewell;
	uint32_t session_s;
	ev_snap draining;
	ev_snap policy; /* steer.c; NULL: none */
	struct trunks *trunks;
	struct ev_words *seen; /* our address outside, as trunks tell it; shard 0 writes */
	void (*note)(void *ctx, const struct exc_note *n);
	void *note_ctx;
	struct exc_shard s[];
};

/* A request that was refused for good: tells the operator (exc_set_notes) what an outsider is not
 * told. */
struct exc_refusal {
	enum code code;
	enum auth_verdict auth;
	struct str why; /* more than code and verdict tell; may be empty */
	struct str user, call_id;
	struct addr from;
};
void exc_note_refused(struct exc_shard *s, const struct exc_refusal *r);
/* exchange_tell.c: for the services. ctx is a struct exc_shard ... */
void exc_on_registration(void *ctx, const struct reg_outcome *o);
void exc_on_leg(void *ctx, struct str of, struct str call_id);
/* ... or a struct exc. */
void exc_on_ban(void *ctx, const struct addr *who, struct str text);
void exc_on_trunk_news(void *ctx, struct str text);

/* dispatch.c: the transaction layer's user; ctx is a struct exc_shard. */
extern const struct tsx_user dispatch_user;
/* Where a transfer may go: the accounts of this exchange. For struct b2b_config. */
enum code dispatch_route(void *ctx, const struct sip_uri *uri, struct buf *aor,
			 struct prx_target *t, size_t *n);
bool dispatch_is_echo(void *ctx, const struct sip_uri *uri);
/* Does the URI name this exchange? For struct rt_self; ctx is a struct exc_shard. */
bool dispatch_is_us(void *ctx, const struct sip_uri *u);
/* Gives an INVITE to the back-to-back user agent; whether the caller is trusted, and farewells, are
 * filled in. */
void dispatch_b2bua(struct exc_shard *s, tsx_id st, struct tp_rx *rx, struct b2b_request *req);
/* Gives a request to the proxy, whose dialog goes through us from now on. */
/* The caller's address of record, when he has authenticated: his From was checked then. */
struct str dispatch_caller_aor(struct exc_shard *s, struct str user, struct buf *b);
void dispatch_forward(struct exc_shard *s, tsx_id st, struct tp_rx *rx, struct prx_request *req);
