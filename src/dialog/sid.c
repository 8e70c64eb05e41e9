/* Session-ID: which two UUIDs stand in a message, and what is learned from those that come.
 *
 * Ours is drawn when a session begins (version 4: nothing but random bits, so that it tells nothing
 * of us) and stays. The peer's is what he said last, in a response of any kind, in a request that
 * was accepted, or in the ACK of a 2xx; a refused request, and CANCEL, teach nothing, but its own
 * answer names the UUID that it came with. Of overlapping requests the newest that was accepted
 * counts.
 *
 * Peers of the older book (RFC 7329) know one UUID for the whole session: they are told by a
 * request without remote, or by a response that says our own UUID back; such a dialog goes on as it
 * began.
 *
 * [RFC7989 4, 6, 7, 8, 11] */
#include "dialog/sid.h"

#include <string.h>

#define UUID_BYTES (SIP_UUID / 2)

static const char nil_text[] = "00000000000000000000000000000000";
static const uint8_t nil[UUID_BYTES];

static bool is_nil(const uint8_t *uuid)
{
	return memcmp(uuid, nil, UUID_BYTES) == 0;
}

struct str sid_text(const uint8_t uuid[UUID_BYTES], char out[SIP_UUID])
{
	struct buf b;
	buf_init_fixed(&b, out, SIP_UUID);
	buf_hex(&b, uuid, UUID_BYTES);
	return buf_view(&b);
}

static void draw(struct env *env, uint8_t *uuid)
{
	env_random(env, uuid, UUID_BYTES);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* [RFC4122 4.4] */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

struct str sid_draw(struct env *env, char out[SIP_UUID])
{
	uint8_t uuid[UUID_BYTES];
	draw(env, uuid);
	return sid_text(uuid, out);
}

static unsigned digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Of lower-case digits: no others are a UUID. [RFC7989 5] */
static void take(uint8_t *to, struct str uuid)
{
	for (size_t i = 0; i < UUID_BYTES; i++)
		to[i] = (uint8_t)(digit(uuid.p[2 * i]) << 4 | digit(uuid.p[2 * i + 1]));
}

static bool is(const uint8_t *uuid, struct str text)
{
	uint8_t other[UUID_BYTES];
	take(other, text);
	return memcmp(uuid, other, UUID_BYTES) == 0;
}

static bool read(const struct sip_msg *m, struct sip_session_id *id)
{
	return m && sip_session_id_parse(sip_value(m, SIP_HDR_SESSION_ID), id) == OK;
}

/* --- beginnings ------------------------------------------------------------------------------- */

void sid_begin(struct sid *s, struct env *env, struct str local, bool is_between)
{
	*s = (struct sid){.how = SID_BOTH, .is_between = is_between};
	if (local.n == SIP_UUID)
		take(s->local, local);
	else
		draw(env, s->local);
}

void sid_begin_called(struct sid *s, struct env *env, const struct sip_msg *invite, bool is_between)
{
	struct sip_session_id id;
	sid_begin(s, env, is_between ? str_c(nil_text) : STR_NONE, is_between);
	s->cseq = invite->cseq;
	if (read(invite, &id)) {
		s->how = id.has_remote ? SID_BOTH : SID_REMOTE;
		take(s->remote, id.local);
	}
	if (is_between && is_nil(s->remote))
		draw(env, s->remote);
}

void sid_forget(struct sid *s)
{
	memcpy(s->remote, nil, UUID_BYTES);
	if (s->how != SID_NONE)
		s->how = SID_BOTH;
}

void sid_recall(struct sid *s, const struct sip_msg *resp)
{
	struct sip_session_id id;
	if (!read(resp, &id) || !id.has_remote)
		return;
	*s = (struct sid){.how = SID_BOTH};
	take(s->local, id.remote);
	take(s->remote, id.local);
}

/* --- hearing ---------------------------------------------------------------------------------- */

void sid_hear_request(struct sid *s, const struct sip_msg *req)
{
	struct sip_session_id id;
	if (s->how != SID_BOTH || req->cseq < s->cseq || !read(req, &id) || is(nil, id.local))
		return;
	take(s->remote, id.local);
	s->cseq = req->cseq;
}

/* It says what we have said, as a peer of the older book does. */
static void hear_echo(struct sid *s, const struct sip_session_id *id)
{
	if (s->how != SID_BOTH || (!s->is_between && !is_nil(s->remote)))
		return;
	if (!id->has_remote)
		s->how = SID_LOCAL;
	else if (is(nil, id->remote))
		s->how = SID_ORDER;
}

void sid_hear_response(struct sid *s, struct env *env, const struct sip_msg *resp)
{
	struct sip_session_id id;
	if (s->how == SID_NONE)
		return;
	if (read(resp, &id) && !is(nil, id.local)) {
		if (is(s->local, id.local))
			hear_echo(s, &id);
		else if (s->how == SID_BOTH)
			take(s->remote, id.local);
	}
	if (s->is_between && is_nil(s->remote) && resp->status > 100)
		draw(env, s->remote);
}

/* --- saying ----------------------------------------------------------------------------------- */

static void put(const struct sid *s, struct str remote, struct buf *b)
{
	char text[SIP_UUID];
	if (s->how == SID_NONE)
		return;
	buf_str(b, STR("Session-ID: "));
	buf_str(b, s->how == SID_REMOTE ? remote : sid_text(s->local, text));
	if (s->how == SID_BOTH || s->how == SID_ORDER) {
		buf_str(b, STR(";remote="));
		buf_str(b, s->how == SID_ORDER ? str_c(nil_text) : remote);
	}
	buf_str(b, STR("\r\n"));
}

void sid_put(const struct sid *s, struct buf *b)
{
	char remote[SIP_UUID];
	put(s, sid_text(s->remote, remote), b);
}

void sid_put_answer(const struct sid *s, const struct sip_msg *req, struct buf *b)
{
	char remote[SIP_UUID];
	put(s, sid_peer(s, req, remote), b);
}

void sid_put_stranger(struct env *env, const struct sip_msg *req, struct buf *b)
{
	struct sid s;
	sid_begin_called(&s, env, req, false);
	sid_put(&s, b);
}

void sid_set_local(struct sid *s, struct str uuid)
{
	if (s->how == SID_BOTH)
		take(s->local, uuid.n == SIP_UUID ? uuid : str_c(nil_text));
}

struct str sid_peer(const struct sid *s, const struct sip_msg *m, char out[SIP_UUID])
{
	struct sip_session_id id;
	bool is_newer = s->how == SID_BOTH && (!m || !m->is_request || m->cseq >= s->cseq);
	if (is_newer && read(m, &id) && !is(nil, id.local) &&
	    (m->is_request || !is(s->local, id.local)))
		return id.local;
	return sid_text(s->remote, out);
}
