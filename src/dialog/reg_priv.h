#pragma once
/* The inside of an outgoing registration; the manager's pool must know its size. */

#include "dialog/priv.h"

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
	bool has_fixed_dst, is_once, is_registered, is_stopping, is_telling, is_freed;
	bool has_raised; /* a 423 was answered in this attempt */
	unsigned n_failures;
	struct tp_dst fixed, dst;
	bool has_dst;
	tp_flow flow;       /* the connection that the registration went over */
	struct buf contact; /* our Contact of the last 200 */
	struct uac *uac;
	struct tmr timer;    /* next attempt */
	struct ev_task task; /* nothing could be sent: tells that */
	enum err send_err;
	_Alignas(16) char mem[512];
};
