/* The way from one end of a dialog to the other.
 *
 * Normally it is that of RFC 3261 12.2.1.1, the first Route or the remote target. But a client
 * behind a NAT, or on a connection that it opened, is reached only by the way it came: `back` then
 * wins over its Contact, as long as that connection stands. It is set when nobody stands between
 * (one Via, no route set) and the Contact is not the address that the message came from.
 *
 * [RFC3261 12.2.1.1] [RFC5627 4.4]
 */
#include "dialog/priv.h"

static bool is_at(const struct sip_uri *uri, const struct addr *a)
{
	return uri->is_ip && addr_ip_eq(&uri->ip, a) && (uri->port ? uri->port : 5060) == a->port;
}

void dlg_learn_way(struct dlg *d, const struct tp_rx *rx)
{
	struct sip_uri uri;
	struct str target = dlg_remote_target(d);
	d->has_back = false;
	if (d->n_routes || sip_uri_parse(target, &uri) != OK)
		return;
	if (rx->msg->is_request) {
		bool is_direct = sip_count(rx->msg, SIP_HDR_VIA) == 1;
		d->has_back = is_direct && (rx->flow || !is_at(&uri, &rx->from));
		if (d->has_back)
			d->back = tp_dst_back(rx);
		return;
	}
	/* a response came back the way of our request: to be kept to where that was a connection,
	 * where its Contact can only be meant for a network that we are not in, or where it names
	 * an instance by its registrar, which may be us [RFC5627 4.4] */
	struct str gr;
	bool is_hidden = sip_param(uri.params, STR("gr"), &gr) ||
			 str_ends(uri.host, STR(".invalid")) ||
			 (uri.is_ip && addr_is_private(&uri.ip) && !addr_is_private(&rx->from) &&
			  !addr_is_loopback(&rx->from));
	d->has_back = d->back.flow || is_hidden || d->is_hidden;
}

bool dlg_way_back_stands(const struct dlg *d)
{
	return d->has_back && (!d->back.flow || tp_flow_is_up(d->m->tp, d->back.flow));
}

static void put_route(struct buf *b, struct str value)
{
	buf_str(b, STR("Route: "));
	buf_str(b, value);
	buf_str(b, STR("\r\n"));
}

enum err dlg_make_way(const struct dlg *d, struct dlg_way *w)
{
	struct buf *b = &d->m->routes;
	struct str target = dlg_remote_target(d), none;
	struct str rest = dlg_text(d, DLG_ROUTES), route;
	struct sip_addr first;
	buf_clear(b);
	*w = (struct dlg_way){.ruri = target, .next_hop = target};
	if (d->n_routes == 0 && d->is_uac && !dlg_remote_tag(d).n) { /* the request that makes it */
		struct uac_account acc = dlg_account(d);
		w->next_hop = dlg_account_hop(&acc, target);
		enum err e = dlg_put_account_routes(b, &acc, target);
		w->routes = buf_view(b);
		return e;
	}
	if (!dlg_route_next(&rest, &route))
		return OK;
	if (sip_addr_parse(route, &first) != OK)
		return ERR_SYNTAX;
	w->next_hop = first.uri_text;
	bool is_loose = sip_param(first.uri.params, STR("lr"), &none);
	if (!is_loose)
		sip_uri_put_request(b, &first.uri);
	size_t n_uri = b->n;
	if (is_loose)
		put_route(b, route);
	while (dlg_route_next(&rest, &route))
		put_route(b, route);
	if (!is_loose) {
		buf_str(b, STR("Route: <"));
		buf_str(b, target);
		buf_str(b, STR(">\r\n"));
		w->ruri = str_sub(buf_view(b), 0, n_uri);
	}
	w->routes = str_skip(buf_view(b), n_uri);
	return b->err;
}
