/* Addresses of this machine, as the kernel sees them.
 *
 * "Which of my addresses would be used towards this peer?" is answered by connecting an unbound UDP
 * socket: a routing look-up, nothing is sent. Answers are kept for a second in a direct-mapped
 * table, so that a thousand messages to one peer cost one look-up, and a changed LAN address or
 * route is followed within a second.
 */

#include "base/hash.h"
#include "event/os_priv.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#define SOURCE_TTL_US 1'000'000

socklen_t os_addr_out(const struct addr *a, struct sockaddr_storage *ss)
{
	if (a->family == ADDR_V6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)ss;
		*in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
					     .sin6_port = htons(a->port),
					     .sin6_scope_id = a->scope};
		memcpy(&in6->sin6_addr, a->ip, 16);
		return sizeof(*in6);
	}
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)ss;
	*in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(a->port)};
	memcpy(&in->sin_addr, a->ip, 4);
	return sizeof(*in);
}

struct addr os_addr_in(const struct sockaddr_storage *ss)
{
	struct addr a = {0};
	if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)ss;
		a.family = ADDR_V6;
		a.port = ntohs(in6->sin6_port);
		a.scope = (uint8_t)in6->sin6_scope_id;
		memcpy(a.ip, &in6->sin6_addr, 16);
	} else if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)ss;
		a.family = ADDR_V4;
		a.port = ntohs(in->sin_port);
		memcpy(a.ip, &in->sin_addr, 4);
	}
	return a;
}

static bool ask_route(const struct addr *peer, struct addr *local)
{
	struct sockaddr_storage ss;
	struct addr to = *peer;
	bool is_known = false;
	int fd = socket(to.family == ADDR_V6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	if (to.port == 0)
		to.port = 9; /* discard: some kernels refuse port 0 */
	socklen_t n = os_addr_out(&to, &ss);
	if (connect(fd, (struct sockaddr *)&ss, n) == 0) {
		n = sizeof(ss);
		is_known = getsockname(fd, (struct sockaddr *)&ss, &n) == 0;
	}
	close(fd);
	if (is_known) {
		*local = os_addr_in(&ss);
		local->port = 0;
	}
	return is_known;
}

enum err os_source_for(struct env *env, const struct addr *peer, struct addr *local)
{
	static const uint8_t no_key[16]; /* a collision only costs a system call */
	struct os_env *e = (struct os_env *)(void *)env;
	struct addr ip = *peer;
	if (ip.family == ADDR_NONE)
		return ERR_NET;
	ip.port = 0;
	struct os_source *c = &e->source[addr_hash(no_key, &ip) % LIMIT_SOURCE_CACHE];
	if (c->until_us <= e->now_us || !addr_eq(&c->peer, &ip)) {
		c->is_known = ask_route(&ip, &c->local);
		c->peer = ip;
		c->until_us = e->now_us + SOURCE_TTL_US;
	}
	if (!c->is_known)
		return ERR_NET;
	*local = c->local;
	return OK;
}

/* The best address of the interfaces that are up: global IPv4, else global IPv6, else loopback. */
static struct addr best_of_interfaces(void)
{
	struct addr best = {
		.family = ADDR_V4, .ip = {127, 0, 0, 1}
        };
	struct ifaddrs *all;
	int best_rank = 0;
	if (getifaddrs(&all) < 0)
		return best;
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct sockaddr_storage ss = {0};
		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || i->ifa_flags & IFF_LOOPBACK)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			memcpy(&ss, i->ifa_addr, sizeof(struct sockaddr_in));
		else if (i->ifa_addr->sa_family == AF_INET6)
			memcpy(&ss, i->ifa_addr, sizeof(struct sockaddr_in6));
		else
			continue;
		struct addr a = os_addr_in(&ss);
		bool is_local = a.family == ADDR_V4 ? a.ip[0] == 169 && a.ip[1] == 254
						    : a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80;
		int rank = is_local ? 0 : a.family == ADDR_V4 ? 2 : 1;
		if (rank > best_rank) {
			best_rank = rank;
			best = a;
			best.port = 0;
		}
	}
	freeifaddrs(all);
	return best;
}

struct addr os_host_addr(struct env *env)
{
	/* The way to the world names the right interface where there are also bridges of
	 * containers; any address behind the default route will do. [RFC5737 3] */
	static const struct addr world = {
		.family = ADDR_V4, .ip = {192, 0, 2, 1}
        };
	struct addr a;
	(void)env;
	if (ask_route(&world, &a) && !addr_is_loopback(&a) && !addr_is_any(&a))
		return a;
	return best_of_interfaces();
}
