#pragma once
/* The inside of an outgoing registration; the manager's pool must know its size. */

#include "dialog/priv.h"

struct keep { /* keep.c: the signs of life of the way to the registrar */
	struct tmr timer;
	bool is_needed, is_answered; /* is_answered: the peer is known to answer, and we to hear */
	uint8_t n_sent;              /* pings without an answer */
	uint8_t txid[12];
	uint32_t every_s; /* of Flow-Timer; 0: the usual */
	struct addr mapped;
};

struct rgc {
	struct dlg_mgr *m;
	const struct rgc_user *user;
	void *ctx;
	struct arena arena;
	struct uac_account acc; /* strings in the arena */
	struct str registrar, from, to, call_id;
	struct auth auth;
	uint32_t cseq;
	uint32_t expires_s; /* asked for */
	uint32_t granted_s;
	bool has_fixed_dst, is_once, is_registered, is_stopping, is_removing, is_telling, is_freed;
	bool has_no_outbound; /* a proxy on the way cannot have it (439) */
	bool has_raised;      /* a 423 was answered in this attempt */
	unsigned n_failures;
	struct tp_dst fixed, dst;
	bool has_dst;
	tp_flow flow;       /* the connection that the registration went over */
	struct buf contact; /* our Contact of the last 200 */
	struct buf service_route;
	struct str flow_params; /* contact_params, and those of a flow [RFC5626 4.2] */
	struct keep keep;
	struct uac *uac;
	struct tmr timer;    /* next attempt */
	struct ev_task task; /* nothing could be sent: tells that */
	enum err send_err;
	_Alignas(16) char mem[640];
};

/* After a 200: begins, goes on, or stops. */
void keep_after_200(struct rgc *r, const struct sip_msg *m);
void keep_stop(struct rgc *r);
