/* Sending datagrams.
 *
 * Within a turn of a loop, or several that follow each other at once (crew.c), datagrams are
 * gathered and leave together: their receiver is woken once and not for each, which costs more than
 * the sending. Whatever leaves keeps its order (env_os_tcp.c empties the batch before it writes to
 * a stream). An env without a loop sends at once.
 *
 * A datagram that the kernel then refuses is reported like one that an ICMP error came for: the
 * socket becomes readable, env_recv says ERR_NET, env_icmp_next tells which. The kernel also
 * reports an ICMP error as the result of the next call on the socket, whatever peer that call is
 * about; so a send that fails with such an error is done again.
 *
 * Invariants: 1. batch.n is 0 whenever the owner sleeps, and for a socket that is closed. 2. A
 * socket is on the list of the accused exactly when its `failed` is not empty.
 */

#include "event/os_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ITEMS 64
#define BATCH_BYTES (96u << 10) /* more than the longest datagram */

struct os_failed { /* a datagram that was refused */
	struct os_failed *next;
	struct addr to;
	size_t n;
	char head[];
};

struct unsent {
	struct os_sock *s;
	union {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	struct os_control control;
	struct iovec iov;
};

struct os_batch {
	unsigned n;
	size_t n_bytes;
	struct mmsghdr msg[BATCH_ITEMS];
	struct unsent item[BATCH_ITEMS];
	char bytes[BATCH_BYTES];
};

/* Names the local address to send from; returns the bytes of control used. */
static size_t source_to_control(const struct addr *from, struct os_control *control)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)control->room;
	if (from->family == ADDR_V6) {
		struct in6_pktinfo info = {.ipi6_ifindex = from->scope};
		memcpy(&info.ipi6_addr, from->ip, 16);
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	struct in_pktinfo info = {0};
	memcpy(&info.ipi_spec_dst, from->ip, 4);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return CMSG_SPACE(sizeof(info));
}

/* What a failed send means; `tries` have been made. ERR_STATE: try again. */
static enum err send_failed(int error, int tries)
{
	switch (error) {
	case EINTR:
		return ERR_STATE;
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return ERR_MORE;
	case EMSGSIZE:
		return ERR_LIMIT;
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EPROTO:
	case ENOPROTOOPT: /* perhaps about an earlier datagram to somebody else */
		return tries < 3 ? ERR_STATE : ERR_NET;
	default:
		return ERR_NET;
	}
}

/* Fills in what the kernel needs to know of a datagram but its bytes. */
static void address(struct unsent *u, struct msghdr *m, const struct addr *to,
		    const struct addr *from)
{
	struct sockaddr_storage ss;
	socklen_t n = os_addr_out(to, &ss);
	memcpy(&u->to, &ss, n);
	*m = (struct msghdr){
		.msg_name = &u->to, .msg_namelen = n, .msg_iov = &u->iov, .msg_iovlen = 1};
	if (u->s->is_wildcard && from && from->family == to->family && !addr_is_any(from)) {
		memset(&u->control, 0, sizeof(u->control));
		m->msg_control = &u->control;
		m->msg_controllen = source_to_control(from, &u->control);
	}
}

static enum err send_now(struct os_sock *s, const void *p, size_t n, const struct addr *to,
			 const struct addr *from)
{
	struct unsent u = {
		.s = s, .iov = {(void *)(uintptr_t)p, n}
        };
	struct msghdr m;
	address(&u, &m, to, from);
	for (int tries = 1;; tries++) {
		if (sendmsg(s->fd, &m, MSG_NOSIGNAL) >= 0)
			return OK;
		enum err err = send_failed(errno, tries);
		if (err != ERR_STATE)
			return err;
	}
}

/* --- what was refused ------------------------------------------------------------------------- */

/* Without memory for the notice it is a lost datagram. */
static void accuse(struct os_env *e, const struct unsent *u, const struct msghdr *m)
{
	const size_t most = sizeof(((struct env_icmp *)0)->head);
	size_t n = u->iov.iov_len < most ? u->iov.iov_len : most;
	struct os_failed *f = malloc(sizeof(*f) + n);
	struct sockaddr_storage ss = {0};
	if (!f)
		return;
	memcpy(&ss, &u->to, m->msg_namelen);
	*f = (struct os_failed){.to = os_addr_in(&ss), .n = n};
	memcpy(f->head, u->iov.iov_base, n);
	if (!u->s->failed) {
		u->s->next_accused = e->accused;
		e->accused = u->s;
	}
	f->next = u->s->failed;
	u->s->failed = f;
	atomic_store(&e->is_woken, true); /* so that the next poll does not sleep */
}

bool os_failed_next(struct os_sock *s, struct env_icmp *out)
{
	struct os_failed *f = s->failed;
	if (!f)
		return false;
	out->peer = f->to;
	out->is_refused = false;
	out->n_head = f->n;
	memcpy(out->head, f->head, f->n);
	s->failed = f->next;
	free(f);
	if (!s->failed)
		os_acquit(s);
	return true;
}

void os_acquit(struct os_sock *s)
{
	struct os_sock **at = &os_of(s->head.env)->accused;
	while (*at && *at != s)
		at = &(*at)->next_accused;
	if (*at)
		*at = s->next_accused;
	while (s->failed) {
		struct os_failed *f = s->failed;
		s->failed = f->next;
		free(f);
	}
}

/* --- the batch -------------------------------------------------------------------------------- */

void os_flush(struct env *env)
{
	struct os_env *e = os_of(env);
	struct os_batch *b = e->batch;
	int tries = 0;
	for (unsigned i = 0; b && i < b->n;) {
		struct os_sock *s = b->item[i].s;
		unsigned end = i + 1;
		while (end < b->n && b->item[end].s == s)
			end++;
		int n = sendmmsg(s->fd, &b->msg[i], end - i, MSG_NOSIGNAL);
		if (n > 0) {
			i += (unsigned)n;
			tries = 0;
			continue;
		}
		enum err err = send_failed(errno, ++tries);
		if (err == ERR_STATE)
			continue;
		if (err != ERR_MORE) /* a full buffer: lost like any other datagram */
			accuse(e, &b->item[i], &b->msg[i].msg_hdr);
		i++;
		tries = 0;
	}
	if (b) {
		b->n = 0;
		b->n_bytes = 0;
	}
}

static struct os_batch *batch_with_room(struct os_env *e, size_t n)
{
	if (!e->batch)
		e->batch = calloc(1, sizeof(*e->batch));
	if (e->batch && (e->batch->n == BATCH_ITEMS || n > BATCH_BYTES - e->batch->n_bytes))
		os_flush(&e->head);
	return e->batch;
}

enum err os_send(struct env_sock *sock, const void *p, size_t n, const struct addr *to,
		 const struct addr *from)
{
	struct os_sock *s = (struct os_sock *)(void *)sock;
	struct os_env *e = os_of(sock->env);
	if (n > LIMIT_DATAGRAM_BYTES)
		return ERR_LIMIT;
	if (to->family != s->local.family)
		return ERR_NET;
	bool has_loop = e->head.awake != NULL;
	struct os_batch *b = has_loop ? batch_with_room(e, n) : NULL;
	if (!b)
		return send_now(s, p, n, to, from);
	struct unsent *u = &b->item[b->n];
	u->s = s;
	u->iov = (struct iovec){b->bytes + b->n_bytes, n};
	address(u, &b->msg[b->n].msg_hdr, to, from);
	if (n)
		memcpy(u->iov.iov_base, p, n);
	b->n_bytes += n;
	b->n++;
	return OK;
}
