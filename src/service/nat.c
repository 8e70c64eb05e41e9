/* A phone that sent a request itself is reached over its connection, or, behind NAT, at the address
 * that it sent from. Whether it is behind NAT is told by its own Via: when that names another
 * address than the packet's source, the private address in its Contact is translated too. A sender
 * whose Via is true may have a Contact on another machine, and is believed. There is no knob.
 * [RFC3581] [RFC5626 3.4]
 */
#include "service/nat.h"

bool nat_is_direct(const struct sip_msg *m)
{
	return !sip_has(m, SIP_HDR_PATH) && !sip_has(m, SIP_HDR_RECORD_ROUTE) &&
	       sip_count(m, SIP_HDR_VIA) == 1;
}

static bool is_inner(const struct addr *a)
{
	return addr_is_private(a) || addr_is_loopback(a) || addr_is_any(a);
}

bool nat_is_by_source(const struct tp_rx *rx, const struct sip_uri *u)
{
	const struct sip_msg *m = rx->msg;
	struct addr via_ip, contact = u->ip;
	const struct addr *src = &rx->from;
	contact.port = u->port ? u->port : 5060;
	if (u->is_ip && addr_eq(&contact, src) && !tp_is_reliable(rx->proto))
		return false; /* the usual phone */
	if (!nat_is_direct(m) || !m->via_host.n)
		return false;
	if (!u->is_ip) /* names that nobody resolves; and a connection needs no name */
		return tp_is_reliable(rx->proto) || str_ends(u->host, STR(".invalid"));
	bool is_via_ip = addr_parse(m->via_host, 0, &via_ip);
	bool is_true_host = is_via_ip && addr_ip_eq(&via_ip, src);
	if (addr_ip_eq(&contact, src)) {
		if (tp_is_reliable(rx->proto))
			return true;
		bool is_true = is_true_host && (m->via_port ? m->via_port : 5060) == src->port;
		return contact.port != src->port && !is_true && m->via_has_rport;
	}
	if (is_true_host) /* another machine; or an ALG that rewrote Via but not Contact */
		return is_inner(&contact) && !is_inner(src);
	return is_inner(&contact) || (is_via_ip && addr_ip_eq(&contact, &via_ip));
}
