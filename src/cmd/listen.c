/* The addresses that `rung serve` listens on. Without --listen: UDP and TCP on 5060, TLS on 5061,
 * WebSocket on 8088 and 8089 (those of Asterisk, which the guides of browser phones name), of all
 * addresses of both families. UDP and TCP over IPv4 it must have; the others are left out where
 * their port is taken or the machine lacks IPv6, and "ready" tells which there are. */
#include "cmd/listen.h"

#include "cmd/cmd.h"

#include <stdio.h>
#include <string.h>

static const struct {
	enum tp_proto proto;
	uint16_t port;
} usual[] = {
	{TP_UDP, 5060},
        {TP_TCP, 5060},
        {TP_TLS, 5061},
        {TP_WS,  8088},
        {TP_WSS, 8089}
};

static uint16_t port_of(enum tp_proto proto)
{
	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		if (usual[i].proto == proto)
			return usual[i].port;
	return 0;
}

/* "udp:ADDR:PORT", "tcp:[::1]:5060", "ADDR:PORT" (both), "udp:5070" (all addresses). */
bool listen_parse(struct str s, enum tp_proto *proto, bool *is_both, struct addr *a)
{
	struct str rest = s, head = str_cut(s, ':', &rest);
	uint32_t port;
	*is_both = !tp_proto_find(head, proto);
	if (*is_both) {
		*proto = TP_UDP;
		rest = s;
	}
	if (str_u32(rest, &port) && port > 0 && port < 65536) {
		*a = (struct addr){.family = ADDR_V4, .port = (uint16_t)port};
		return true;
	}
	return addr_parse(rest, port_of(*proto), a);
}

bool listen_is_secure(const struct opt_list *list)
{
	bool is_secure = !list->n, is_both;
	enum tp_proto proto;
	struct addr a;
	for (size_t i = 0; i < list->n; i++)
		is_secure |= listen_parse(str_c(list->v[i]), &proto, &is_both, &a) &&
			     tp_is_secure(proto);
	return is_secure;
}

static int open_one(struct exc *exc, enum tp_proto proto, const struct addr *a, bool is_optional)
{
	const char *why = "";
	char text[ADDR_TEXT_MAX];
	enum err e = exc_listen(exc, proto, a, &why);
	if (e == OK || is_optional)
		return -1;
	struct str name = tp_proto_param(proto);
	fprintf(stderr, "rung serve: cannot listen on " STR_FMT " %s: %s\n", STR_ARG(name),
		addr_text(a, text), why);
	if (strstr(why, "in use"))
		fprintf(stderr,
			"  Is another SIP server running? End it, or choose another port, such as "
			"--listen %s\n",
			a->family == ADDR_V6 ? "[::]:5070" : "0.0.0.0:5070");
	return EXIT_FAILED;
}

static int open_usual(struct exc *exc)
{
	int r = -1;
	for (size_t i = 0; r < 0 && i < ARRAY_LEN(usual); i++) {
		struct addr v4 = {.family = ADDR_V4, .port = usual[i].port},
			    v6 = {.family = ADDR_V6, .port = usual[i].port};
		r = open_one(exc, usual[i].proto, &v4, usual[i].proto > TP_TCP);
		if (r < 0)
			r = open_one(exc, usual[i].proto, &v6, true);
	}
	return r;
}

int listen_all(struct exc *exc, const struct opt_list *list)
{
	if (!list->n)
		return open_usual(exc);
	for (size_t i = 0; i < list->n; i++) {
		enum tp_proto proto;
		bool is_both;
		struct addr a;
		if (!listen_parse(str_c(list->v[i]), &proto, &is_both, &a)) {
			fprintf(stderr,
				"rung serve: --listen wants PROTO:ADDR:PORT with udp, tcp, tls, ws "
				"or wss, not `%s`\n",
				list->v[i]);
			return EXIT_USAGE;
		}
		int r = open_one(exc, proto, &a, false);
		if (r < 0 && is_both)
			r = open_one(exc, TP_TCP, &a, false);
		if (r >= 0)
			return r;
	}
	return -1;
}
