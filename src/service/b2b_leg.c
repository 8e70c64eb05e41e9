/* What a call asks of a leg: of its session, where that is on this shard; else it goes by message
 * (b2b_far.c). [RFC3261 12] */
#include "service/b2b_priv.h"

#include "dialog/sid.h"

bool b2b_leg_has_session(const struct b2b_leg *l)
{
	return l->ses || (l->far && !l->far->is_over);
}

enum err b2b_leg_change(struct b2b_leg *l, enum ses_change kind, struct str sdp)
{
	struct far_say say = {.op = FAR_CHANGE, .kind = (uint8_t)kind};
	return l->far ? b2b_far_body(l, &say, sdp) : ses_change(l->ses, kind, sdp);
}

void b2b_leg_settle(struct b2b_leg *l, unsigned status, struct str sdp)
{
	struct far_say say = {.op = FAR_SETTLE, .status = (uint16_t)status};
	if (l->far)
		(void)!b2b_far_body(l, &say, sdp);
	else
		(void)!ses_settle(l->ses, status, sdp); /* it may be over meanwhile */
}

enum err b2b_leg_request(struct b2b_leg *l, const struct ses_request *r)
{
	struct str texts[] = {r->method, r->headers, r->content_type, r->body};
	return l->far ? b2b_far_command(l, &(struct far_say){.op = FAR_REQUEST, .tag = r->tag},
					texts, ARRAY_LEN(texts))
		      : ses_request(l->ses, r);
}

void b2b_leg_respond(struct b2b_leg *l, uint64_t tag, unsigned status, struct str headers)
{
	struct far_say say = {.op = FAR_RESPOND, .tag = tag, .status = (uint16_t)status};
	if (l->far)
		(void)!b2b_far_command(l, &say, &headers, 1);
	else
		ses_respond(l->ses, tag, status, headers);
}

void b2b_leg_notify(struct b2b_leg *l, unsigned status)
{
	struct far_say say = {.op = FAR_NOTIFY, .status = (uint16_t)status};
	if (l->far)
		(void)!b2b_far_command(l, &say, NULL, 0);
	else
		ses_notify(l->ses, status);
}

void b2b_leg_hangup(struct b2b_leg *l, struct str reason)
{
	if (l->far)
		b2b_far_hangup(l, reason);
	else if (l->ses)
		ses_hangup(l->ses, reason);
}

bool b2b_leg_can_update(const struct b2b_leg *l)
{
	return l->far ? l->far->can_update : ses_can_update(l->ses);
}

struct tp_dst b2b_leg_way(const struct b2b_leg *l)
{
	return l->far ? l->far->way : ses_way(l->ses);
}

/* Elsewhere it is kept as it arrives. */
void b2b_leg_keep(struct b2b_leg *l, struct str sdp)
{
	if (l->ses && sdp.n && ses_needs_sdp(l->ses))
		ses_keep_sdp(l->ses, sdp);
}

struct str b2b_leg_uuid(const struct b2b_leg *l, const struct sip_msg *m, char out[SIP_UUID])
{
	return l->far ? str_of(l->far->uuid, l->far->n_uuid) : ses_peer_uuid(l->ses, m, out);
}

void b2b_leg_set_uuid(struct b2b_leg *l, struct str uuid)
{
	if (l->far)
		b2b_far_name(l, uuid);
	else
		ses_set_uuid(l->ses, uuid);
}

void b2b_leg_draw_uuid(struct b2b_leg *l)
{
	char uuid[SIP_UUID];
	if (l->far)
		b2b_far_name(l, sid_draw(l->call->b->loop->env, uuid));
	else
		ses_draw_uuid(l->ses);
}

bool b2b_leg_names(const struct b2b_leg *l, struct b2b_names *out)
{
	const struct dlg *d = l->ses ? ses_dialog(l->ses) : NULL;
	if (l->far)
		*out = l->far->names;
	else if (d)
		*out = (struct b2b_names){.call_id = dlg_call_id(d),
					  .local_tag = dlg_local_tag(d),
					  .remote_tag = dlg_remote_tag(d),
					  .local = dlg_local(d),
					  .remote = dlg_remote(d),
					  .target = dlg_remote_target(d)};
	return l->far || d;
}
