/* What is told of an address: one writer for each package.
 *
 * The writers only read. The presence of an address is what its phones publish; with no publication
 * it is whether anybody is registered. Only dialog-info has partial documents (RFC 4235 3.5): a
 * lamp that watches a busy number gets what has changed. All others are short, and a whole document
 * is never wrong.
 *
 * `version` is the number of NOTIFYs that the subscription has had: it begins at 0, grows by one
 * with each document, and goes on over a restart. [RFC3863] [RFC4235 4] [RFC3680 5] [RFC3858 4]
 * [RFC3842 3.5] [RFC5628 5]
 */
#include "service/events_priv.h"
#include "service/pidf.h"

static const struct str head = STR_INIT("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");

static void put_attr(struct buf *b, struct str name, struct str value)
{
	buf_chr(b, ' ');
	buf_str(b, name);
	buf_str(b, STR("=\""));
	xml_put(b, value);
	buf_chr(b, '"');
}

/* <name xmlns="urn:..." version="4" state="full" */
static void put_root(struct buf *b, const struct evt_view *v, struct str name)
{
	buf_str(b, head);
	buf_chr(b, '<');
	buf_str(b, name);
	buf_str(b, STR(" xmlns=\"urn:ietf:params:xml:ns:"));
	buf_str(b, name);
	buf_str(b, STR("\" version=\""));
	buf_u64(b, v->version);
	buf_str(b, v->is_full ? STR("\" state=\"full\"") : STR("\" state=\"partial\""));
}

/* ---- presence -------------------------------------------------------------------------------- */

static bool is_registered(struct evt_view *v)
{
	const struct loc_rec *rec = loc_get(v->s->e->env.loc, v->aor);
	struct loc_scratch scratch;
	struct loc_binding b;
	size_t at = 0;
	while (rec && loc_next(v->s->e->env.loc, v->s->n, rec, &at, &b, &scratch))
		if (!b.is_down)
			return true;
	return false;
}

static void put_presence(struct evt_view *v, struct buf *b)
{
	buf_str(b, head);
	buf_str(b, STR("<presence xmlns=\"urn:ietf:params:xml:ns:pidf\""));
	put_attr(b, STR("entity"), v->entity);
	buf_str(b, STR(">\n"));
	if (v->res && v->res->n_pubs) {
		LIST_EACH (&v->res->pubs, l) {
			const struct evt_pub *p = LIST_ENTRY(l, struct evt_pub, link);
			buf_str(b, str_of(p->body, p->n));
		}
	} else {
		buf_str(b, STR("<tuple id=\"registration\"><status><basic>"));
		buf_str(b, is_registered(v) ? STR("open") : STR("closed"));
		buf_str(b, STR("</basic></status><contact>"));
		xml_put(b, v->entity);
		buf_str(b, STR("</contact></tuple>\n"));
	}
	buf_str(b, STR("</presence>\n"));
}

/* ---- dialogs --------------------------------------------------------------------------------- */

static const struct str states[] = {
	[EVT_TRYING] = STR_INIT("trying"),
	[EVT_EARLY] = STR_INIT("early"),
	[EVT_CONFIRMED] = STR_INIT("confirmed"),
	[EVT_TERMINATED] = STR_INIT("terminated"),
};

static void put_party(struct buf *b, struct str name, struct str display, struct str uri)
{
	buf_chr(b, '<');
	buf_str(b, name);
	buf_str(b, STR("><identity"));
	if (display.n)
		put_attr(b, STR("display"), display);
	buf_chr(b, '>');
	xml_put(b, uri);
	buf_str(b, STR("</identity><target"));
	put_attr(b, STR("uri"), uri);
	buf_str(b, STR("/></"));
	buf_str(b, name);
	buf_str(b, STR(">\n"));
}

static void put_dialog(struct buf *b, const struct evt_dialog *d)
{
	buf_fmt(b, "<dialog id=\"d%016llx.%u\"", (unsigned long long)d->call, d->fork);
	put_attr(b, STR("call-id"), d->call_id);
	if (d->local_tag.n)
		put_attr(b, STR("local-tag"), d->local_tag);
	if (d->remote_tag.n)
		put_attr(b, STR("remote-tag"), d->remote_tag);
	put_attr(b, STR("direction"), d->is_initiator ? STR("initiator") : STR("recipient"));
	buf_str(b, STR(">\n<state"));
	if (d->code == 487)
		put_attr(b, STR("event"), STR("cancelled"));
	else if (d->code >= 300)
		put_attr(b, STR("event"), STR("rejected"));
	if (d->code)
		buf_fmt(b, " code=\"%u\"", d->code);
	buf_chr(b, '>');
	buf_str(b, states[d->state]);
	buf_str(b, STR("</state>\n"));
	put_party(b, STR("local"), STR_NONE, d->local);
	put_party(b, STR("remote"), d->remote_name, d->remote);
	buf_str(b, STR("</dialog>\n"));
}

static void put_dialogs(struct evt_view *v, struct buf *b)
{
	/* what he was told of and is forgotten now, only a whole document can take back */
	v->is_full |= v->res && v->since < v->res->purged;
	put_root(b, v, STR("dialog-info"));
	put_attr(b, STR("entity"), v->entity);
	buf_str(b, STR(">\n"));
	for (struct link *l = v->res ? v->res->dialogs.next : NULL; l && l != &v->res->dialogs;
	     l = l->next) {
		const struct evt_known_dialog *k = LIST_ENTRY(l, struct evt_known_dialog, link);
		if (v->is_full ? !k->gone_us : k->stamp > v->since)
			put_dialog(b, &k->d);
	}
	buf_str(b, STR("</dialog-info>\n"));
}

/* ---- registrations --------------------------------------------------------------------------- */

static void put_param(struct buf *b, const char *name, const char *mark, struct str value)
{
	if (!value.n)
		return;
	buf_fmt(b, "<unknown-param name=\"%s\">%s", name, mark);
	xml_put(b, value);
	buf_fmt(b, "%s</unknown-param>", mark);
}

/* The watcher is the user himself (packages.def), so he may know the temporary one, too; it is
 * good, as each before it, as long as its Call-ID is the phone's, whatever the CSeq. [RFC5628 5, 8]
 */
static void put_gruus(struct evt_view *v, struct buf *b, const struct loc_binding *c)
{
	const struct evt_env *env = &v->s->e->env;
	struct sip_uri aor;
	char mem[1024];
	struct buf uri;
	if (!c->instance.n || sip_uri_parse(v->entity, &aor) != OK || !aor.has_user)
		return;
	struct gruu_of of = {.aor_uri = &aor,
			     .user = dom_user_of_aor(env->dom, v->aor),
			     .instance = c->instance,
			     .call_id = c->call_id,
			     .is_sips = str_istarts(c->uri, STR("sips:")),
			     .nonce = env_random_u64(v->s->loop->env)};
	buf_init_fixed(&uri, mem, sizeof(mem));
	gruu_put_public(&uri, &of);
	if (!uri.n || uri.err)
		return;
	buf_str(b, STR("<gr:pub-gruu"));
	put_attr(b, STR("uri"), buf_view(&uri));
	buf_clear(&uri);
	gruu_put_temporary(&env->gruu, &uri, &of);
	buf_str(b, STR("/><gr:temp-gruu"));
	put_attr(b, STR("uri"), buf_view(&uri));
	buf_str(b, STR(" first-cseq=\"0\"/>"));
}

static void put_contact(struct evt_view *v, struct buf *b, const struct loc_binding *c)
{
	buf_fmt(b, "<contact id=\"c%08x\" state=\"active\" event=\"registered\"",
		evt_contact_id(c));
	buf_fmt(b, " expires=\"%u\"", c->expires_s);
	if (c->q < 1000)
		buf_fmt(b, " q=\"0.%03u\"", c->q);
	put_attr(b, STR("callid"), c->call_id);
	buf_fmt(b, " cseq=\"%u\"><uri>", c->cseq);
	xml_put(b, c->uri);
	buf_str(b, STR("</uri>"));
	put_param(b, "user-agent", "", c->user_agent);
	put_param(b, "+sip.instance", "\"", c->instance);
	put_gruus(v, b, c);
	buf_str(b, STR("</contact>\n"));
}

static void put_registrations(struct evt_view *v, struct buf *b)
{
	struct loc *loc = v->s->e->env.loc;
	const struct loc_rec *rec = loc_get(loc, v->aor);
	struct loc_scratch scratch;
	struct loc_binding c;
	size_t at = 0, n = 0;
	while (rec && loc_next(loc, v->s->n, rec, &at, &c, &scratch))
		n++;
	put_root(b, v, STR("reginfo"));
	buf_str(b, STR(" xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\">\n<registration id=\"r1\""));
	put_attr(b, STR("aor"), v->entity);
	put_attr(b, STR("state"),
		 n                 ? STR("active")
		 : evt_gone_has(v) ? STR("terminated")
				   : STR("init"));
	buf_str(b, STR(">\n"));
	at = 0;
	while (rec && loc_next(loc, v->s->n, rec, &at, &c, &scratch))
		put_contact(v, b, &c);
	evt_gone_put(v, b);
	buf_str(b, STR("</registration>\n</reginfo>\n"));
}

void evt_uri_put(const struct evt_shard *s, struct str aor, struct str entity, struct buf *out)
{
	struct str host;
	str_cut(entity, '@', &host);
	buf_str(out, STR("sip:"));
	sip_escape_user(out, dom_user_of_aor(s->e->env.dom, aor));
	buf_chr(out, '@');
	xml_put(out, host);
}

/* ---- watchers -------------------------------------------------------------------------------- */

static void put_watchers(struct evt_view *v, unsigned base, struct buf *b)
{
	put_root(b, v, STR("watcherinfo"));
	buf_str(b, STR(">\n<watcher-list"));
	put_attr(b, STR("resource"), v->entity);
	put_attr(b, STR("package"), evt_info(base)->event);
	buf_str(b, STR(">\n"));
	for (struct link *l = v->res ? v->res->watchers.next : NULL; l && l != &v->res->watchers;
	     l = l->next) {
		const struct evt_watcher *w = LIST_ENTRY(l, struct evt_watcher, link);
		if (w->pkg != base)
			continue;
		buf_fmt(b, "<watcher id=\"w%llx\" status=\"active\" event=\"subscribe\">",
			(unsigned long long)w->id);
		if (w->n_uri)
			evt_uri_put(v->s, str_of(w->uri, w->n_uri), v->entity, b);
		else /* of a trusted network */
			buf_str(b, STR("sip:anonymous@anonymous.invalid"));
		buf_str(b, STR("</watcher>\n"));
	}
	buf_str(b, STR("</watcher-list>\n</watcherinfo>\n"));
}

/* ---- mailbox --------------------------------------------------------------------------------- */

static void put_mailbox(struct evt_view *v, struct buf *b)
{
	uint32_t n_new = v->res ? v->res->n_new : 0, n_old = v->res ? v->res->n_old : 0;
	buf_str(b, n_new ? STR("Messages-Waiting: yes\r\nMessage-Account: ")
			 : STR("Messages-Waiting: no\r\nMessage-Account: "));
	buf_str(b, v->entity);
	buf_fmt(b, "\r\nVoice-Message: %u/%u (0/0)\r\n", n_new, n_old);
}

void evt_body_put(unsigned pkg, struct evt_view *v, struct buf *b)
{
	v->is_full |= pkg != EVT_DIALOG;
	switch ((enum evt_pkg)pkg) {
	case EVT_PRESENCE:
		put_presence(v, b);
		break;
	case EVT_DIALOG:
		put_dialogs(v, b);
		break;
	case EVT_MWI:
		put_mailbox(v, b);
		break;
	case EVT_REG:
		put_registrations(v, b);
		break;
	case EVT_PRESENCE_WINFO:
	case EVT_DIALOG_WINFO:
		put_watchers(v, evt_info(pkg)->base, b);
		break;
	case EVT__N:
		break;
	}
}
