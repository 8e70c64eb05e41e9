#pragma once
/* An actor: a user agent on a stage that does whatever a user agent may, several calls at a time,
 * over any transport: the crowd of the storm of all roles. What it was told is kept in records that
 * the storm compares at the end. Our own dialog layer; peers of text are in raw.h. */

#include "dialog/register.h"
#include "dialog/relay.h"
#include "dialog/stack.h"
#include "dialog/subscription.h"
#include "stage.h"

#define ACTOR_CALLS 512 /* over its life */
#define ACTOR_PEERS 16
#define ACTOR_SUBS  8
#define ACTOR_LAMPS 64
#define ACTOR_TEXTS 512

struct actor;
struct actor_call {
	struct actor *actor;
	struct ses *ses; /* NULL once ended */
	struct tmr answer_timer;
	obj_id referrer; /* the session whose REFER this call carries out; 0: none */
	char call_id[80];
	unsigned answer; /* callee: final status to come; 0: none by itself */
	unsigned n_ended, version;
	bool is_caller, was_confirmed, has_hung_up, has_referred;
	bool is_shaken;     /* the exchange, a flow or a NAT failed while it stood */
	struct ses_end end; /* without text */
	uint64_t begun_us, ended_us, acted_us; /* acted: hung up, or sent REFER; 0: not */
	/* Each description that it sends bears its number, so that a call of two dialogs is known
	 * to be one: those whose descriptions came. */
	uint32_t number, peers[ACTOR_PEERS];
	unsigned n_peers, group; /* group: set by the storm */
};

struct actor_sub {
	struct actor *actor;
	struct sub *sub;
	bool is_dialog;      /* package "dialog": lamps */
	unsigned n_notified; /* documents that came */
	struct actor_lamp {
		char id[48];
		bool is_lit;
	} lamps[ACTOR_LAMPS];
	size_t n_lamps;
};

struct actor_text { /* a MESSAGE that this actor sent */
	struct actor *actor;
	struct uac *uac;
	unsigned number, status; /* status 0: no answer yet */
	unsigned n_delivered;    /* counted by whoever got it */
	bool is_shaken;          /* the exchange crashed after it was sent */
};

struct actor {
	struct stage *stage;
	char user[16], host[32];
	enum tp_proto proto;
	struct sim_host *sim_host;
	struct env *env;
	struct ev_loop loop;
	struct block_cache blocks;
	struct dlg_stack stack;
	struct rgc *rgc;
	bool is_registered;
	struct actor_call calls[ACTOR_CALLS];
	size_t n_calls;
	struct actor_sub subs[ACTOR_SUBS];
	struct actor_text texts[ACTOR_TEXTS];
	size_t n_texts;
	struct uac *publication;
	/* who sent text `number` to anybody: set by the storm */
	void (*on_text)(struct actor *a, struct str body);
	struct addr local;
	char from[64], proxy[64];
};

struct actor *actor_new(struct stage *s, const char *user, const char *host, enum tp_proto proto);
void actor_free(struct actor *a);
void actor_register(struct actor *a);
void actor_unregister(struct actor *a);
/* Calls that user or number; late: without an offer. */
void actor_dial(struct actor *a, const char *user, bool is_late, bool is_reliable,
		uint32_t session_s);
struct actor_call *actor_pick_call(struct actor *a, uint64_t n, bool is_confirmed); /* or NULL */
void actor_hang_up(struct actor_call *c);
void actor_modify(struct actor_call *c, uint64_t how);
void actor_transfer(struct actor_call *c, const char *user);                   /* blind */
void actor_transfer_to(struct actor_call *c, struct actor_call *consultation); /* attended */
void actor_subscribe(struct actor *a, const char *user, const char *package);
void actor_unsubscribe_all(struct actor *a);
void actor_message(struct actor *a, const char *user, unsigned number);
void actor_publish(struct actor *a, unsigned number);
void actor_break_flows(struct actor *a); /* its connections end */
size_t actor_live_calls(const struct actor *a);
void actor_shake(struct actor *a); /* marks what is under way */
unsigned actor_lit_lamps(const struct actor *a);
/* Nothing of it is left: no session, subscription, request, dialog, transaction; prints what is. */
bool actor_is_idle(const struct actor *a);

/* actor_call.c, for actor.c */
struct uac_account actor_account(struct actor *a);
void actor_on_invite(struct actor *a, tsx_id st, struct tp_rx *rx);
