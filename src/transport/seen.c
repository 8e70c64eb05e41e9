/* Our address outside, learned.
 *
 * The answer to a request of ours says in the top Via where that came from. Where this is another
 * address than the packet left with, and one of the public network, there is a NAT, and the address
 * is ours until another one is told. Where it is the address of this machine there is none (any
 * more). An answer from a private network says nothing: that may be the near side of the NAT.
 *
 * The words are written one by one: a reader in between may see a new address with an old port, and
 * the next message will be right. Ports of streams are not told by anybody: a NAT maps a listener
 * only where it was told to, and then to the same port as a rule.
 */
#include "transport/seen.h"

#include "sip/hdr.h"
#include "transport/tp_priv.h"

#include <string.h>

void tp_set_seen(struct tp *tp, const struct ev_words *seen)
{
	tp->seen = seen;
}

struct addr tp_seen_in(const struct sip_msg *resp)
{
	struct addr none = {0}, seen;
	struct sip_via via;
	if (sip_via_parse(resp->via, &via) != OK ||
	    !addr_parse(via.received.n ? via.received : via.host, 0, &seen))
		return none;
	seen.port = via.rport ? via.rport : via.port;
	return seen;
}

static uint32_t word_of(const struct addr *a)
{
	uint32_t w = 0;
	if (a->family == ADDR_V4)
		memcpy(&w, a->ip, sizeof(w));
	return w;
}

bool tp_seen_learn(struct tp *tp, struct ev_words *seen, const struct tp_dst *dst,
		   const struct sip_msg *resp)
{
	struct addr there = tp_seen_in(resp), here;
	if (there.family != ADDR_V4 || tp->advertised[0].family != ADDR_NONE ||
	    tp_own_for(tp, dst, &here) != OK)
		return false;
	bool is_udp = dst->proto == TP_UDP, is_same = addr_ip_eq(&here, &there);
	if (!is_same && !tp_is_outside(&there))
		return false;
	uint32_t now[TP_SEEN_WORDS] = {0};
	if (!is_same || (is_udp && here.port != there.port && tp_is_outside(&there)))
		now[0] = word_of(&there);
	if (now[0] && is_udp) {
		now[1] = there.port;
		now[2] = here.port;
	}
	bool is_news =
		now[0] != ev_words_get(seen, 0) ||
		(now[1] && (now[1] != ev_words_get(seen, 1) || now[2] != ev_words_get(seen, 2)));
	for (size_t i = 0; is_news && i < TP_SEEN_WORDS; i++)
		ev_words_set(seen, i, now[i]);
	return is_news;
}

struct addr tp_seen_for(const struct tp *tp, const struct addr *own, bool is_udp)
{
	struct addr a = {0};
	uint32_t w = tp->seen && own->family == ADDR_V4 ? ev_words_get(tp->seen, 0) : 0;
	if (!w)
		return a;
	a.family = ADDR_V4;
	memcpy(a.ip, &w, sizeof(w));
	a.port = own->port;
	if (is_udp && own->port == ev_words_get(tp->seen, 2))
		a.port = (uint16_t)ev_words_get(tp->seen, 1);
	return a;
}
