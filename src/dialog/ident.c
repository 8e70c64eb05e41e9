/* Names that a user agent gives: tags, Call-IDs, its From and Contact.
 *
 * A tag of ours is 64 random bits, a Call-ID 128, both in hex and without the host's name. A
 * Call-ID is drawn until its hash falls on our own shard, so that the whole dialog stays here. A
 * Contact names the address that the transport would use towards the peer: it is made anew for each
 * message, and so follows when the address changes.
 *
 * [RFC3261 8.1.1, 19.3, 20.10]
 */
#include "dialog/priv.h"

enum err dlg_dup(struct arena *a, struct str in, struct str *out)
{
	*out = arena_str(a, in);
	return in.n && !out->n ? ERR_NOMEM : OK;
}

enum err dlg_check_target(struct str uri, struct str method)
{
	struct sip_uri u;
	struct str wanted;
	enum err e = sip_uri_parse(uri, &u);
	if (e != OK)
		return e == ERR_SYNTAX ? e : OK;
	if (u.headers.n)
		return ERR_UNSUPPORTED;
	return sip_param(u.params, STR("method"), &wanted) && !str_eq(wanted, method)
		       ? ERR_UNSUPPORTED
		       : OK;
}

static void put_random_hex(struct dlg_mgr *m, struct buf *b, size_t bytes)
{
	uint8_t r[16];
	env_random(m->loop->env, r, bytes);
	buf_hex(b, r, bytes);
}

struct str dlg_make_tag(struct dlg_mgr *m, char out[DLG_TAG_MAX])
{
	struct buf b;
	buf_init_fixed(&b, out, DLG_TAG_MAX);
	put_random_hex(m, &b, 8);
	return buf_view(&b);
}

struct str dlg_make_call_id(struct dlg_mgr *m, struct arena *a)
{
	char text[32];
	struct buf b;
	do {
		buf_init_fixed(&b, text, sizeof(text));
		put_random_hex(m, &b, sizeof(text) / 2);
	} while (tp_owner_of(m->tp, buf_view(&b), STR_NONE) != m->loop->shard);
	return arena_str(a, buf_view(&b));
}

enum err dlg_copy_account(struct arena *a, const struct uac_account *in, struct uac_account *out)
{
	const struct {
		struct str from;
		struct str *to;
	} all[] = {
		{in->from,           &out->from          },
		{in->contact_user,   &out->contact_user  },
		{in->contact_params, &out->contact_params},
		{in->auth_user,      &out->auth_user     },
		{in->password,       &out->password      },
		{in->proxy,          &out->proxy         },
		{in->service_route,  &out->service_route },
		{in->headers,        &out->headers       },
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (dlg_dup(a, all[i].from, all[i].to) != OK)
			return ERR_NOMEM;
	out->realm = in->realm;
	if (!out->auth_user.n)
		out->auth_user = out->contact_user;
	return OK;
}

enum err dlg_name_addr(struct arena *a, struct str value, struct str *out)
{
	struct sip_addr sa;
	if (sip_addr_shape(value, &sa) != OK || sa.is_star)
		return ERR_SYNTAX;
	if (sa.display.n)
		*out = arena_fmt(a, "\"" STR_FMT "\" <" STR_FMT ">", STR_ARG(sa.display),
				 STR_ARG(sa.uri_text));
	else
		*out = arena_fmt(a, "<" STR_FMT ">", STR_ARG(sa.uri_text));
	return out->n ? OK : ERR_NOMEM;
}

enum err dlg_put_contact(struct dlg_mgr *m, const struct tp_dst *dst, bool is_secure,
			 struct str user, struct str params, struct buf *b)
{
	struct addr local;
	enum err e = tp_local_for(m->tp, dst, &local);
	if (e != OK)
		return e;
	is_secure &= tp_is_secure(dst->proto);
	buf_str(b, is_secure ? STR("<sips:") : STR("<sip:"));
	if (user.n) {
		sip_escape_user(b, user);
		buf_chr(b, '@');
	}
	addr_put(b, &local);
	/* sips says TLS by itself, and ws then means wss [RFC3261 26.2.2] [RFC7118 5.2] */
	if (is_secure && dst->proto == TP_WSS) {
		buf_str(b, STR(";transport=ws"));
	} else if (!is_secure && dst->proto != TP_UDP) {
		buf_str(b, STR(";transport="));
		buf_str(b, tp_proto_param(dst->proto));
	}
	buf_chr(b, '>');
	buf_str(b, params);
	return b->err;
}

bool dlg_asks_for_sips(const struct sip_msg *msg)
{
	struct sip_iter it = {0};
	struct sip_addr a;
	struct str v;
	bool is_there = sip_each(msg, SIP_HDR_RECORD_ROUTE, &it, &v) ||
			sip_each(msg, SIP_HDR_CONTACT, &(struct sip_iter){0}, &v);
	return str_istarts(msg->ruri, STR("sips:")) ||
	       (is_there && sip_addr_shape(v, &a) == OK && str_istarts(a.uri_text, STR("sips:")));
}

static struct str first_route(struct str routes)
{
	struct sip_addr a;
	struct str one = str_sub(routes, 0, str_chr(routes, '>') + 1);
	return one.n && sip_addr_shape(one, &a) == OK ? a.uri_text : STR_NONE;
}

static bool is_same_host(struct str a, struct str b)
{
	struct sip_uri x, y;
	return sip_uri_parse(a, &x) == OK && sip_uri_parse(b, &y) == OK &&
	       str_ieq(x.host, y.host) && x.port == y.port;
}

/* What begins with a URI, that one as sips where it is asked for. */
static void put_uri(struct buf *b, struct str text, bool is_sips)
{
	bool is_raised = is_sips && str_istarts(text, STR("sip:"));
	buf_str(b, is_raised ? STR("sips:") : STR_NONE);
	buf_str(b, str_skip(text, is_raised ? 4 : 0));
}

static void put_route_values(struct buf *b, struct str values, bool is_sips)
{
	while (values.n) {
		struct str head = str_cut(values, '<', &values);
		buf_str(b, head);
		if (!values.n)
			return;
		buf_chr(b, '<');
		struct str uri = str_cut(values, '>', &values);
		put_uri(b, uri, is_sips);
		buf_chr(b, '>');
	}
}

enum err dlg_put_account_routes(struct buf *b, const struct uac_account *acc, struct str ruri)
{
	struct sip_uri uri;
	bool is_sips = str_istarts(ruri, STR("sips:"));
	if (acc->proxy.n && sip_uri_parse(acc->proxy, &uri) != OK)
		return ERR_SYNTAX;
	if (acc->proxy.n && !is_same_host(acc->proxy, first_route(acc->service_route))) {
		buf_str(b, STR("Route: <"));
		put_uri(b, acc->proxy, is_sips);
		buf_str(b, sip_param(uri.params, STR("lr"), NULL) ? STR(">\r\n") : STR(";lr>\r\n"));
	}
	if (acc->service_route.n) {
		buf_str(b, STR("Route: "));
		put_route_values(b, acc->service_route, is_sips);
		buf_str(b, STR("\r\n"));
	}
	return b->err;
}

struct str dlg_account_hop(const struct uac_account *acc, struct str target)
{
	struct str route = first_route(acc->service_route);
	return acc->proxy.n ? acc->proxy : route.n ? route : target;
}
