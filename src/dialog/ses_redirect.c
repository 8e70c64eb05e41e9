/* A 3xx is followed when the owner of a session allows it: its Contacts, best q first, are tried
 * one after the other with the same Call-ID, until one accepts, a 6xx comes, or the list is empty.
 * A further 3xx has its Contacts tried instead of those that wait; no URI is tried twice.
 *
 * Ownership: the list lies in the session's arena, made at the first 3xx.
 *
 * [RFC3261 8.1.3.4, 21.3] [RFC7044] [RFC7989 6] */
#include "dialog/ses_priv.h"

static unsigned q_of(const struct sip_addr *a)
{
	struct str v;
	uint16_t q;
	return sip_param(a->params, STR("q"), &v) && sip_q_parse(v, &q) ? q : 1000;
}

/* Where the INVITE went and may go, from the first 3xx on. */
static struct ses_redirect *redirect_of(struct ses *s)
{
	struct ses_redirect *r = s->w->redirect;
	if (r)
		return r;
	r = arena_alloc(&s->w->arena, sizeof(*r));
	if (!r || dlg_dup(&s->w->arena, dlg_remote_target(s->w->half), &r->targets[0]) != OK)
		return NULL;
	r->rows[0] = s->w->row;
	r->n = r->n_tried = 1;
	s->w->redirect = r;
	return r;
}

static bool is_known(const struct ses_redirect *r, const struct sip_uri *uri)
{
	struct sip_uri other;
	for (unsigned i = 0; i < r->n; i++)
		if (sip_uri_parse(r->targets[i], &other) == OK && sip_uri_eq(&other, uri))
			return true;
	return false;
}

/* The URI as a Request-URI, when it is one that has not been tried. */
static struct str new_target(struct ses *s, const struct sip_addr *a)
{
	struct buf *b = &s->m->names;
	struct sip_uri uri;
	buf_clear(b);
	sip_uri_put_request(b, &a->uri);
	if (b->err != OK || sip_uri_parse(buf_view(b), &uri) != OK ||
	    is_known(s->w->redirect, &uri))
		return STR_NONE;
	return arena_str(&s->w->arena, uri.all);
}

/* Takes the Contacts of a 3xx, best first, instead of those that wait. */
static void take_contacts(struct ses *s, const struct sip_msg *msg)
{
	struct sip_iter it = {0};
	struct str v;
	struct sip_addr a;
	unsigned q[SES_TARGETS] = {0};
	struct ses_redirect *r = redirect_of(s);
	if (!r)
		return;
	r->n = r->n_tried;
	while (r->n < SES_TARGETS && sip_each(msg, SIP_HDR_CONTACT, &it, &v)) {
		if (sip_addr_parse(v, &a) != OK || a.is_star || a.uri_err != OK ||
		    a.uri.scheme == SIP_URI_TEL)
			continue;
		struct str uri = new_target(s, &a);
		if (!uri.n)
			continue;
		struct hist_row *row = hist_redirected(s->w->way, s->w->row, uri, a.params, false);
		unsigned at = r->n++;
		for (; at > r->n_tried && q[at - 1] < q_of(&a); at--) {
			q[at] = q[at - 1];
			r->targets[at] = r->targets[at - 1];
			r->rows[at] = r->rows[at - 1];
		}
		q[at] = q_of(&a);
		r->targets[at] = uri;
		r->rows[at] = row;
	}
}

static bool try_next_target(struct ses *s)
{
	struct ses_redirect *r = s->w->redirect;
	while (r && r->n_tried < r->n) {
		s->w->row = r->rows[r->n_tried];
		struct str target = r->targets[r->n_tried++];
		sid_forget(&s->w->half->sid); /* another peer, for all we know [RFC7989 6] */
		if (dlg_set_text(s->w->half, DLG_TARGET, target) == OK &&
		    ses_send_invite(s, buf_view(&s->w->local), NULL) == OK)
			return true;
	}
	return false;
}

bool ses_redirect(struct ses *s, const struct uac_result *r)
{
	if (s->state != SES_CALLING || r->status >= 600)
		return false;
	/* a 305 names a proxy, not another place of who was called [RFC3261 21.3.5] */
	if (r->how == UAC_FINAL && r->status / 100 == 3 && r->status != 305 &&
	    s->w->redirects_left) {
		s->w->redirects_left--;
		take_contacts(s, r->rx->msg);
	}
	ses_uac_drop_forks(s, NULL);
	return try_next_target(s);
}
