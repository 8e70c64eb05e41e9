/* Transport, transactions and dialogs of one loop. The transport is made before the manager that
 * will be its user, so its callbacks go through the stack, which knows the manager by the time that
 * anything is received. */
#include "dialog/stack.h"

static void on_message(void *ctx, struct tp_rx *rx)
{
	struct dlg_stack *s = ctx;
	tsx_on_message(s->tsx, rx);
}

static void on_error(void *ctx, const struct tp_error *e)
{
	struct dlg_stack *s = ctx;
	tsx_on_error(s->tsx, e);
}

static void on_flow_down(void *ctx, tp_flow flow)
{
	struct dlg_stack *s = ctx;
	tsx_on_flow_down(s->tsx, flow);
}

static void on_pong(void *ctx, const struct tp_pong *p)
{
	struct dlg_stack *s = ctx;
	dlg_on_pong(s->dlg, p);
}

enum err dlg_stack_new(struct dlg_stack *s, struct ev_loop *loop, struct block_cache *blocks,
		       const struct tsx_user *user, const struct dlg_config *cfg,
		       const uint8_t branch_key[16], const uint8_t call_id_key[16])
{
	struct tp_user tp_user = {.ctx = s,
				  .on_message = on_message,
				  .on_error = on_error,
				  .on_flow_down = on_flow_down,
				  .on_pong = on_pong};
	*s = (struct dlg_stack){0};
	enum err e = tp_new(loop, blocks, &tp_user, NULL, &s->tp);
	if (e)
		return e;
	tp_set_keys(s->tp, branch_key, call_id_key);
	e = tsx_mgr_new(loop, s->tp, blocks, user, &s->tsx);
	if (e)
		return e;
	return dlg_mgr_new(loop, s->tp, s->tsx, blocks, cfg, &s->dlg);
}

void dlg_stack_free(struct dlg_stack *s)
{
	if (s->dlg)
		dlg_mgr_free(s->dlg);
	if (s->tsx)
		tsx_mgr_free(s->tsx);
	if (s->tp)
		tp_free(s->tp);
	*s = (struct dlg_stack){0};
}
