/* Live capture.
 *
 * libpcap's ring (TPACKET_V3) is read without blocking: what is there is handed out where it lies,
 * and only when nothing is, somebody waits (cap_wait). The kernel passes a block of the ring on
 * when it is full or BLOCK_MS old: under load one wake-up serves hundreds of packets, and a single
 * packet on a quiet line is seen after BLOCK_MS at most. libpcap's immediate mode would wake us for
 * each packet, and spend a slot of the largest size on each.
 *
 * Invariants: a record is valid until the next is asked for (libpcap gives its block back then); at
 * most one record is held ahead, by wait().
 */
#include "capture/cap_live.h"

#include "base/addr.h"
#include "capture/cap_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MS        50
#define DEFAULT_SNAPLEN 262'144
#define DEFAULT_MIB     16u
#define MAX_MIB         1'024u
#define DLT_RAW_LINUX   12 /* what libpcap calls LINKTYPE_RAW while it is not in a file */

struct live {
	pcap_t *p;
	struct cap *cap;
	uint16_t link;
	uint32_t snaplen;
	int64_t to_ns; /* of libpcap's fractions of a second */
	bool has_rec, is_over;
	struct pcap_pkthdr *hdr;
	const uint8_t *bytes;
	char name[32];
};

static bool fetch(struct live *l)
{
	if (l->has_rec || l->is_over)
		return l->has_rec;
	int n = pcap_next_ex(l->p, &l->hdr, &l->bytes);
	l->has_rec = n == 1;
	if (n < 0) {
		l->is_over = true;
		cap_fail(l->cap, "%s: %s", l->name, pcap_geterr(l->p));
	}
	return l->has_rec;
}

static bool live_next(void *ctx, struct cap_rec *r)
{
	struct live *l = ctx;
	if (!fetch(l))
		return false;
	l->has_rec = false;
	*r = (struct cap_rec){
		.link = l->link,
		.n = l->hdr->caplen,
		.n_wire = l->hdr->len,
		.at_ns = (int64_t)l->hdr->ts.tv_sec * 1'000'000'000 +
			 (int64_t)l->hdr->ts.tv_usec * l->to_ns,
		.p = l->bytes,
		.snaplen = l->snaplen,
		.is_ns = l->to_ns == 1,
		.if_name = l->name,
	};
	return true;
}

static bool live_wait(void *ctx, unsigned ms)
{
	struct live *l = ctx;
	struct pollfd p = {.fd = pcap_get_selectable_fd(l->p), .events = POLLIN};
	if (fetch(l) || l->is_over)
		return true;
	return poll(&p, 1, (int)ms) > 0 && (fetch(l) || l->is_over);
}

static bool live_count(void *ctx, struct cap_counts *out)
{
	struct live *l = ctx;
	struct pcap_stat st;
	if (pcap_stats(l->p, &st) != 0)
		return false;
	*out = (struct cap_counts){.n_received = st.ps_recv,
				   .n_dropped_kernel = st.ps_drop,
				   .n_dropped_iface = st.ps_ifdrop};
	return true;
}

static void live_close(void *ctx)
{
	struct live *l = ctx;
	pcap_close(l->p);
	free(l);
}

static int live_fd(void *ctx)
{
	const struct live *l = ctx;
	return pcap_get_selectable_fd(l->p);
}

static const struct cap_source source = {live_next, live_wait, live_count, live_close, live_fd};

/* --- opening --------------------------------------------------------------------------------- */

static enum err explain_activate(const struct cap_live_cfg *cfg, int code, const char *text,
				 struct buf *why)
{
	switch (code) {
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		buf_fmt(why, "capturing needs the right CAP_NET_RAW: run it with sudo, give it to "
			     "the program once (`sudo setcap cap_net_raw+ep $(command -v rung)`), "
			     "or let another capture: `dumpcap -i ");
		buf_fmt(why, "%s -w - | rung scope -r -`", cfg->iface);
		return ERR_AUTH;
	case PCAP_ERROR_NO_SUCH_DEVICE:
		buf_fmt(why, "there is no such interface; `rung scope --interfaces` lists them");
		return ERR_NOTFOUND;
	case PCAP_ERROR_IFACE_NOT_UP:
		buf_fmt(why, "the interface is down; `ip link set %s up` starts it", cfg->iface);
		return ERR_STATE;
	default:
		buf_fmt(why, "it cannot be captured from: %s",
			text[0] ? text : pcap_statustostr(code));
		return ERR_IO;
	}
}

static enum err set_filter(pcap_t *p, const char *filter, struct buf *why)
{
	struct bpf_program prog;
	if (!filter || !filter[0])
		return OK;
	if (pcap_compile(p, &prog, filter, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		buf_fmt(why,
			"the capture filter `%s` cannot be read: %s; it is in libpcap's language "
			"(`port 5060`, `host 192.0.2.1 and udp`; see pcap-filter(7)), display "
			"filters go with -Y",
			filter, pcap_geterr(p));
		return ERR_SYNTAX;
	}
	int bad = pcap_setfilter(p, &prog);
	pcap_freecode(&prog);
	if (bad)
		buf_fmt(why, "the capture filter cannot be set: %s", pcap_geterr(p));
	return bad ? ERR_IO : OK;
}

static enum err start(pcap_t *p, const struct cap_live_cfg *cfg, struct buf *why)
{
	uint32_t mib = cfg->buffer_mib ? cfg->buffer_mib : DEFAULT_MIB;
	mib = mib < MAX_MIB ? mib : MAX_MIB;
	pcap_set_snaplen(p, (int)(cfg->snaplen ? cfg->snaplen : DEFAULT_SNAPLEN));
	pcap_set_promisc(p, cfg->is_promiscuous);
	pcap_set_timeout(p, BLOCK_MS);
	pcap_set_buffer_size(p, (int)(mib << 20));
	pcap_set_tstamp_precision(p, PCAP_TSTAMP_PRECISION_NANO);
	int code = pcap_activate(p);
	if (code < 0)
		return explain_activate(cfg, code, pcap_geterr(p), why);
	/* "any" tells the interface of each packet only in the second version of its header; others
	 * refuse it, and keep their own */
	if (strcmp(cfg->iface, "any") == 0)
		pcap_set_datalink(p, CAP_LINK_SLL2);
	char text[PCAP_ERRBUF_SIZE] = "";
	if (pcap_setnonblock(p, 1, text) != 0) {
		buf_fmt(why, "%s", text);
		return ERR_IO;
	}
	return set_filter(p, cfg->filter, why);
}

enum err cap_open_live(const struct cap_live_cfg *cfg, struct cap **out, struct buf *why)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	struct live *l = calloc(1, sizeof *l);
	pcap_t *p = l ? pcap_create(cfg->iface, text) : NULL;
	if (!p) {
		buf_fmt(why, "%s", text[0] ? text : "no memory");
		free(l);
		return l ? ERR_IO : ERR_NOMEM;
	}
	enum err e = start(p, cfg, why);
	if (e) {
		pcap_close(p);
		free(l);
		return e;
	}
	l->p = p;
	int link = pcap_datalink(p);
	l->link = link == DLT_RAW_LINUX ? CAP_LINK_RAW : (uint16_t)link;
	l->snaplen = (uint32_t)pcap_snapshot(p);
	l->to_ns = pcap_get_tstamp_precision(p) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1'000;
	str_copy(l->name, sizeof l->name, str_c(cfg->iface));
	e = cap_open_source(&source, l, out, why);
	if (e == OK)
		l->cap = *out;
	return e;
}

/* --- which there are ------------------------------------------------------------------------- */

static void put_address(struct buf *b, const struct sockaddr *sa)
{
	struct addr a = {0};
	if (sa && sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
		a.family = ADDR_V4;
		memcpy(a.ip, &in->sin_addr, 4);
	} else if (sa && sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)sa;
		a.family = ADDR_V6;
		memcpy(a.ip, &in->sin6_addr, 16);
	} else {
		return;
	}
	buf_chr(b, ' ');
	addr_put_ip(b, &a);
}

enum err cap_interfaces(struct buf *b, struct buf *why)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	pcap_if_t *all = NULL;
	if (pcap_findalldevs(&all, text) != 0) {
		buf_fmt(why, "the interfaces cannot be listed: %s", text);
		return ERR_IO;
	}
	for (const pcap_if_t *i = all; i; i = i->next) {
		buf_fmt(b, "%-16s", i->name);
		if (i->description)
			buf_fmt(b, " %s", i->description);
		else if (i->flags & PCAP_IF_LOOPBACK)
			buf_fmt(b, " Loopback");
		if (!(i->flags & PCAP_IF_UP))
			buf_fmt(b, " (down)");
		for (const pcap_addr_t *a = i->addresses; a; a = a->next)
			put_address(b, a->addr);
		buf_chr(b, '\n');
	}
	pcap_freealldevs(all);
	return b->err;
}
