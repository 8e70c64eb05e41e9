/* See pair.h. */
#include "pair.h"

#include <string.h>

tsx_id kept_st;
struct tp_rx *kept_rx;

uint64_t pair_hits[256];

static void collect(struct party *p)
{
	for (unsigned i = 0; i < 256; i++)
		pair_hits[i] += p->dlg ? p->dlg->ses_fsm.hits[i] : 0;
}

struct pair pair_new(void)
{
	party_closing = collect;
	kept_rx = NULL;
	struct pair p = {.w = world_new(1, NULL)};
	p.a = party_new(p.w, "a");
	p.b = party_new(p.w, "b");
	return p;
}

void pair_free(struct pair *p)
{
	world_run(p->w, 70000);
	world_check_idle(p->w);
	world_free(p->w);
}

struct pair pair_talking(void)
{
	struct pair p = pair_new();
	p.b->answer = 200;
	party_call(p.a, p.b, "");
	world_run(p.w, 1000);
	CHECK(p.a->ses && p.b->ses && p.a->is_confirmed && p.b->is_confirmed);
	ladder_clear(p.w);
	return p;
}

struct ses *call_of(struct party *p)
{
	CHECK(p->ses);
	return p->ses;
}

void hangup(struct party *p)
{
	ses_hangup(call_of(p), STR_NONE);
}

void modify(struct party *p)
{
	CHECK_EQ(ses_modify(call_of(p)), OK);
}

struct dlg *dialog(struct party *p)
{
	struct dlg *d = ses_dialog(call_of(p));
	CHECK(d);
	return d;
}

void lose(struct world *w, struct party *from, struct party *to, double loss)
{
	struct sim_link l = {.delay_us = 10000, .loss = loss};
	sim_link_set(w->sim, from->host, to->host, &l);
}

static void on_done(void *ctx, struct uac *u, const struct uac_result *r)
{
	unsigned *done = ctx;
	*done = r->status;
}

const struct uac_user pair_plain = {.on_done = on_done};

static void on_2xx(void *ctx, struct uac *u, struct tp_rx *rx)
{
	unsigned *done = ctx;
	*done = rx->msg->status;
	uac_drop(u);
}

static const struct uac_invite_user invite = {.on_2xx = on_2xx};

void inside(struct party *p, const char *method, const char *headers, unsigned sdp, unsigned *done)
{
	char text[512];
	struct buf b;
	struct uac *u;
	buf_init_fixed(&b, text, sizeof(text));
	struct dlg *d = dialog(p);
	if (sdp)
		party_put_sdp(p, sdp, &b);
	struct dlg_request req = {.method = str_c(method),
				  .headers = str_c(headers),
				  .content_type = STR("application/sdp"),
				  .body = buf_view(&b)};
	*done = 0;
	CHECK_EQ(dlg_send(d, &req, &pair_plain, strcmp(method, "INVITE") == 0 ? &invite : NULL,
			  done, &u),
		 OK);
}

void outside_with(struct party *p, const struct uac_account *acc, const struct uac_request *req,
		  unsigned *done, struct uac **u)
{
	*done = 0;
	CHECK_EQ(uac_send(p->dlg, acc, req, &pair_plain, done, u), OK);
}

void outside(struct party *p, const struct party *to, const char *method, const char *headers,
	     const char *type, const char *body, unsigned *done)
{
	struct uac *u;
	struct uac_account acc = party_account(p);
	struct uac_request req = {.method = str_c(method),
				  .ruri = str_c(party_uri(to, "")),
				  .headers = str_c(headers),
				  .content_type = str_c(type),
				  .body = str_c(body)};
	outside_with(p, &acc, &req, done, &u);
}

void respond(struct party *p, tsx_id st, struct tp_rx *rx, unsigned status, const char *tag,
	     const char *headers, unsigned sdp)
{
	char text[2048], body[512];
	struct buf b, s;
	struct sip_out o;
	CHECK(rx);
	buf_init_fixed(&b, text, sizeof(text));
	buf_init_fixed(&s, body, sizeof(body));
	if (sdp)
		party_put_sdp(p, sdp, &s);
	sip_out_response(&o, &b, rx->msg, status, sip_status_reason(status), str_c(tag), &rx->from);
	if (!strstr(headers, "Contact:"))
		buf_fmt(&b, "Contact: <%s>\r\n", party_uri(p, ""));
	buf_str(&b, str_c(headers));
	CHECK_EQ(sip_out_end(&o, s.n ? STR("application/sdp") : STR_NONE, buf_view(&s)), OK);
	CHECK_EQ(tsx_respond(p->tsx, st, status, buf_view(&b)), OK);
}

bool keep_invite(struct party *p, tsx_id st, struct tp_rx *rx)
{
	if (rx->msg->method != SIP_INVITE)
		return false;
	kept_st = st;
	kept_rx = rx; /* borrowed while the transaction lives */
	return true;
}
