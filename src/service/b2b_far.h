#pragma once
/* What a call asks of the sessions of its legs, wherever they are: a leg that was lent by a call on
 * another shard is asked by messages (INBOX_B2B_FAR), and tells by messages. Only legs that are UP
 * can be lent. Included by b2b_priv.h. */

#include "dialog/relay.h"

struct b2b;
struct b2b_call;
struct b2b_leg;
struct far_msg;

struct b2b_names { /* of a leg's dialog; borrowed */
	struct str call_id, local_tag, remote_tag, local, remote, target;
};

struct b2b_far {              /* of a leg whose session is on another shard; heap */
	obj_id peer;          /* the leg there */
	struct far_msg *last; /* for what must arrive; NULL: used up */
	struct b2b_names names;
	char *text; /* heap: that of names */
	struct tp_dst way;
	bool is_lent; /* it may go back yet */
	bool is_over; /* the session has ended */
	bool can_update;
	uint8_t n_uuid, n_told;
	char uuid[SIP_UUID], told[SIP_UUID]; /* its party's; what that was told */
};

struct b2b_owner {  /* of a leg whose call is on another shard; heap */
	obj_id leg; /* there */
	struct far_msg *last;
	bool is_lent;
};

/* As their like in dialog/relay.h and session.h. */
enum err b2b_leg_change(struct b2b_leg *l, enum ses_change kind, struct str sdp);
void b2b_leg_settle(struct b2b_leg *l, unsigned status, struct str sdp);
enum err b2b_leg_request(struct b2b_leg *l, const struct ses_request *r);
void b2b_leg_respond(struct b2b_leg *l, uint64_t tag, unsigned status, struct str headers);
void b2b_leg_notify(struct b2b_leg *l, unsigned status);
void b2b_leg_hangup(struct b2b_leg *l, struct str reason); /* what is lent goes back instead */
bool b2b_leg_can_update(const struct b2b_leg *l);
struct tp_dst b2b_leg_way(const struct b2b_leg *l);
/* Keeps it, where refreshes of the session need it. */
void b2b_leg_keep(struct b2b_leg *l, struct str sdp);
struct str b2b_leg_uuid(const struct b2b_leg *l, const struct sip_msg *m, char out[SIP_UUID]);
void b2b_leg_set_uuid(struct b2b_leg *l, struct str uuid);
void b2b_leg_draw_uuid(struct b2b_leg *l);
bool b2b_leg_names(const struct b2b_leg *l, struct b2b_names *out); /* false: no dialog yet */
bool b2b_leg_has_session(const struct b2b_leg *l);

/* --- legs on other shards, b2b_far.c */
enum far_op {
	/* to who has the session */
	FAR_TAKE, /* may I have it? */
	FAR_CHANGE,
	FAR_SETTLE,
	FAR_REQUEST,
	FAR_RESPOND,
	FAR_NOTIFY,
	FAR_NAME,
	FAR_HANGUP,
	FAR_DONE,   /* it is mine for good */
	FAR_RETURN, /* it is not */
	/* to who has the call */
	FAR_TAKEN,
	FAR_DENIED,
	FAR_EVENT
};
struct far_say {
	enum far_op op;
	uint8_t kind; /* enum ses_change, ses_event_kind */
	bool is_touched;
	uint16_t status;
	uint64_t tag;
};
/* ERR_NOMEM ends the leg, since it has missed something. */
enum err b2b_far_command(struct b2b_leg *l, const struct far_say *say, const struct str *texts,
			 size_t n);
enum err b2b_far_body(struct b2b_leg *l, const struct far_say *say, struct str body);
void b2b_far_name(struct b2b_leg *l, struct str uuid);
void b2b_far_hangup(struct b2b_leg *l, struct str reason);
/* Asks for that leg; it comes to be joined with the transferee, or b2b_transfer_failed is told. */
enum err b2b_far_take(struct b2b_call *c, obj_id leg);
void b2b_far_done(struct b2b_leg *l);
void b2b_far_return(struct b2b_leg *l, bool is_touched);
/* A session tells something of a leg that has an owner elsewhere; false: it is ours to deal with,
 * or to deal with, too. */
bool b2b_far_tell(struct b2b_leg *l, const struct ses_event *ev);
void b2b_far_free(struct b2b_leg *l);
void b2b_far_init(struct b2b *b);
