/* The resolver's back end over c-ares: hosts file, search domains and servers as the system is set
 * up, or the servers given.
 *
 * c-ares owns its sockets and tells their wishes by a callback; each becomes a watch in the env.
 * One timer follows ares_timeout. c-ares retries, fails over and gives up by itself; what remains
 * of time-outs (the patience of a caller) is dns.c's.
 *
 * The answers of ares_getaddrinfo are taken unsorted: choosing among families is the business of
 * whoever connects. The least time to live of the answer's addresses counts. SRV and NAPTR come as
 * the bytes of the reply (dns_reply.c).
 */
#include "net/dns_priv.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define TIMEOUT_DEFAULT_MS 1500
#define TRIES_DEFAULT      2
#define CLASS_IN           1
#define TYPE_SRV           33 /* [RFC2782] */
#define TYPE_NAPTR         35 /* [RFC3403] */

struct watch { /* one socket of c-ares */
	struct link link;
	struct resolver *r;
	ares_socket_t fd;
	struct env_sock *sock;
};

struct resolver {
	struct dns *dns;
	ares_channel channel;
	struct link watches;
	struct tmr timer;
};

/* --- sockets and time ----------------------------------------------------------------------- */

static void tick(struct tmr *t);

static void rearm(struct resolver *r)
{
	struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);
	struct ev_loop *loop = r->dns->loop;
	if (next)
		ev_timer(loop, &r->timer,
			 (uint64_t)next->tv_sec * 1'000'000u + (uint64_t)next->tv_usec, tick);
	else
		ev_timer_stop(loop, &r->timer);
}

static void tick(struct tmr *t)
{
	struct resolver *r = CONTAINER_OF(t, struct resolver, timer);
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	rearm(r);
}

static void ready(void *arg, unsigned events)
{
	struct watch *w = arg;
	struct resolver *r = w->r;
	ares_socket_t fd = w->fd;
	/* May end w. */
	ares_process_fd(r->channel, events & (ENV_READ | ENV_HUP) ? fd : ARES_SOCKET_BAD,
			events & ENV_WRITE ? fd : ARES_SOCKET_BAD);
	rearm(r);
}

static struct watch *find_watch(struct resolver *r, ares_socket_t fd)
{
	LIST_EACH (&r->watches, l) {
		struct watch *w = LIST_ENTRY(l, struct watch, link);
		if (w->fd == fd)
			return w;
	}
	return NULL;
}

static void drop_watch(struct watch *w)
{
	env_close(w->sock);
	list_del(&w->link);
	free(w);
}

/* A socket that cannot be watched for want of memory is one whose answers never come: c-ares then
 * runs into its time-out. */
static void on_sock_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = data;
	struct watch *w = find_watch(r, fd);
	unsigned events = (readable ? ENV_READ : 0u) | (writable ? ENV_WRITE : 0u);
	if (!events) {
		if (w)
			drop_watch(w);
		return;
	}
	if (w) {
		env_want(w->sock, events);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return;
	w->r = r;
	w->fd = fd;
	if (env_watch_fd(r->dns->loop->env, fd, events, ready, w, &w->sock) != OK) {
		free(w);
		return;
	}
	list_push(&r->watches, &w->link);
}

/* --- questions ------------------------------------------------------------------------------ */

static enum err err_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return OK;
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
	case ARES_EBADNAME:
	case ARES_ENONAME:
		return ERR_NOTFOUND;
	case ARES_ETIMEOUT:
		return ERR_TIMEOUT;
	case ARES_ENOMEM:
		return ERR_NOMEM;
	default:
		return ERR_NET;
	}
}

static bool addr_of(const struct ares_addrinfo_node *n, struct addr *out)
{
	*out = (struct addr){0};
	if (n->ai_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)n->ai_addr;
		out->family = ADDR_V4;
		memcpy(out->ip, &in->sin_addr, 4);
		return true;
	}
	if (n->ai_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)n->ai_addr;
		out->family = ADDR_V6;
		memcpy(out->ip, &in->sin6_addr, 16);
		out->scope = (uint8_t)in->sin6_scope_id;
		return true;
	}
	return false;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
	struct dns_entry *e = arg;
	struct dns_answer a = {0};
	uint32_t ttl_s = UINT32_MAX;
	for (struct ares_addrinfo_node *n = res ? res->nodes : NULL; n; n = n->ai_next) {
		if (a.n == DNS_MAX_ADDRS || !addr_of(n, &a.addr[a.n]))
			continue;
		a.n++;
		if (n->ai_ttl >= 0 && (uint32_t)n->ai_ttl < ttl_s)
			ttl_s = (uint32_t)n->ai_ttl;
	}
	if (res)
		ares_freeaddrinfo(res);
	enum err err = err_of(status);
	if (err == OK && !a.n)
		err = ERR_NOTFOUND;
	dns_answered(e, err, &a, ttl_s);
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *p, int n)
{
	struct dns_entry *e = arg;
	struct dns_answer a = {0};
	uint32_t ttl_s = 0;
	enum err err = err_of(status);
	if (err == OK)
		err = dns_reply_read(p, (size_t)n, e->types, &a, &ttl_s);
	dns_answered(e, err, &a, ttl_s);
}

static enum err ask(struct dns *d, struct dns_entry *e)
{
	struct resolver *r = d->impl;
	if (!(e->types & (DNS_A | DNS_AAAA))) {
		ares_query(r->channel, e->name, CLASS_IN,
			   e->types == DNS_SRV ? TYPE_SRV : TYPE_NAPTR, on_reply, e);
		rearm(r);
		return OK;
	}
	struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = e->types == DNS_A      ? AF_INET
			     : e->types == DNS_AAAA ? AF_INET6
						    : AF_UNSPEC,
	};
	ares_getaddrinfo(r->channel, e->name, NULL, &hints, on_answer, e);
	rearm(r);
	return OK;
}

static void free_resolver(struct dns *d)
{
	struct resolver *r = d->impl;
	ev_timer_stop(d->loop, &r->timer);
	ares_destroy(r->channel);
	while (!list_is_empty(&r->watches))
		drop_watch(LIST_ENTRY(r->watches.next, struct watch, link));
	free(r);
}

static const struct dns_backend cares_backend = {.ask = ask, .free = free_resolver};

/* --- life ----------------------------------------------------------------------------------- */

/* Not every env can watch a descriptor; an own pipe would tell, but so does a bad one. */
static bool can_watch(struct ev_loop *loop)
{
	struct env_sock *sock = NULL;
	enum err e = env_watch_fd(loop->env, -1, ENV_READ, NULL, NULL, &sock);
	if (e == OK)
		env_close(sock);
	return e != ERR_UNSUPPORTED;
}

static enum err open_channel(struct resolver *r, const struct dns_config *config)
{
	struct ares_options o = {
		.timeout =
			config && config->timeout_ms ? (int)config->timeout_ms : TIMEOUT_DEFAULT_MS,
		.tries = config && config->tries ? (int)config->tries : TRIES_DEFAULT,
		.sock_state_cb = on_sock_state,
		.sock_state_cb_data = r,
	};
	int status = ares_init_options(
		&r->channel, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS)
		return status == ARES_ENOMEM ? ERR_NOMEM : ERR_NET;
	if (!config || !config->servers)
		return OK;
	status = ares_set_servers_ports_csv(r->channel, config->servers);
	if (status == ARES_SUCCESS)
		return OK;
	ares_destroy(r->channel);
	return status == ARES_ENOMEM ? ERR_NOMEM : ERR_SYNTAX;
}

enum err dns_new(struct ev_loop *loop, const struct dns_config *config, struct dns **out)
{
	if (!can_watch(loop))
		return ERR_UNSUPPORTED;
	struct resolver *r = calloc(1, sizeof(*r));
	if (!r)
		return ERR_NOMEM;
	list_init(&r->watches);
	enum err e = open_channel(r, config);
	if (e != OK) {
		free(r);
		return e;
	}
	e = dns_new_with(loop, &cares_backend, r, &r->dns);
	if (e != OK) {
		ares_destroy(r->channel);
		free(r);
		return e;
	}
	*out = r->dns;
	return OK;
}
