/* HEP out: the SIP messages of frames, each as a packet of version 3 to one receiver.
 *
 * There is no queue: a packet goes to the kernel, or we wait until it can. Towards TCP that slows
 * the reading of the capture; towards UDP a full socket buffer is waited for, and a capture file is
 * read in steps (is_paced), because a receiver's buffer is small and nobody tells what it lost.
 *
 * The correlation of a message is its Call-ID, as Homer wants it.
 */
#include "capture/cap_hep.h"

#include "capture/cap_hep_priv.h"
#include "event/env.h"
#include "wire/hep.h"

#include <stdlib.h>
#include <string.h>

#define CONNECT_US 5'000'000u
#define WRITE_US   10'000'000u /* a receiver that takes nothing for so long is gone */
#define STEP       50u         /* packets between two looks at the clock */
#define STEP_US    5'000u      /* what a step takes at least: 10,000 packets a second */

struct cap_hep_out {
	struct env *env;
	struct env_sock *sock;
	struct addr to;
	struct cap_hep_to cfg;
	bool is_tcp, is_connected, is_gone;
	uint64_t n_sent, n_lost, step_us;
	struct buf packet;
};

enum err cap_hep_address(const char *text, struct addr *out, bool *is_tcp, struct buf *why)
{
	struct str rest, proto = str_cut(str_c(text), ':', &rest);
	*is_tcp = str_eq(proto, STR("tcp"));
	if ((*is_tcp || str_eq(proto, STR("udp"))) && addr_parse(rest, CAP_HEP_PORT, out))
		return OK;
	buf_fmt(why, "`%s` is no address for HEP: udp:ADDRESS:PORT or tcp:ADDRESS:PORT", text);
	return ERR_SYNTAX;
}

static void on_ready(void *arg, unsigned events)
{
	struct cap_hep_out *o = arg;
	struct env_icmp icmp;
	if (!o->is_tcp) {
		while (env_icmp_next(o->sock, &icmp) == OK)
			o->n_lost++;
		return;
	}
	if (events & ENV_HUP)
		o->is_gone = true;
	if (events & ENV_WRITE)
		o->is_connected = true;
	if (events & ENV_READ) { /* Homer says nothing: it is the end */
		char c[256];
		size_t n;
		enum err e = env_read(o->sock, c, sizeof c, &n);
		o->is_gone = o->is_gone || e == ERR_NET;
	}
	env_want(o->sock, ENV_READ);
}

static enum err connect_tcp(struct cap_hep_out *o)
{
	enum err e = env_tcp_connect(o->env, NULL, &o->to, on_ready, o, &o->sock);
	uint64_t until = env_now_us(o->env) + CONNECT_US, now;
	while (e == OK && !o->is_connected && !o->is_gone && (now = env_now_us(o->env)) < until)
		env_poll(o->env, until - now);
	return e ? e : o->is_connected && !o->is_gone ? OK : ERR_NET;
}

enum err cap_hep_connect(const struct cap_hep_to *cfg, struct cap_hep_out **out, struct buf *why)
{
	struct addr to;
	bool is_tcp;
	enum err e = cap_hep_address(cfg->to, &to, &is_tcp, why);
	if (e)
		return e;
	struct cap_hep_out *o = calloc(1, sizeof *o);
	if (!o || env_os_new(&o->env)) {
		free(o);
		buf_fmt(why, "no memory");
		return ERR_NOMEM;
	}
	o->cfg = *cfg;
	o->to = to;
	o->is_tcp = is_tcp;
	buf_init(&o->packet);
	const char *reason = "nobody answers there";
	struct addr any = {.family = to.family};
	e = is_tcp ? connect_tcp(o) : env_udp_open(o->env, &any, 0, on_ready, o, &o->sock, &reason);
	if (e) {
		buf_fmt(why, "%s: %s", cfg->to, reason);
		cap_hep_close(o);
		return e;
	}
	o->step_us = env_now_us(o->env);
	*out = o;
	return OK;
}

/* --- sending --------------------------------------------------------------------------------- */

static enum err send_stream(struct cap_hep_out *o, struct str bytes)
{
	uint64_t until = env_now_us(o->env) + WRITE_US;
	while (bytes.n && !o->is_gone) {
		size_t n = 0;
		enum err e = env_write(o->sock, bytes.p, bytes.n, &n);
		bytes = str_skip(bytes, n);
		if (n)
			until = env_now_us(o->env) + WRITE_US;
		if (e == ERR_MORE && env_now_us(o->env) < until) {
			env_want(o->sock, ENV_READ | ENV_WRITE);
			env_poll(o->env, WRITE_US);
		} else if (e) {
			o->is_gone = true;
		}
	}
	return o->is_gone ? ERR_NET : OK;
}

static void send_datagram(struct cap_hep_out *o, struct str bytes)
{
	enum { TRIES = 100, WAIT_US = 1'000 };
	enum err e = ERR_MORE;
	for (unsigned i = 0; i < TRIES && e == ERR_MORE; i++) {
		e = env_send(o->sock, bytes.p, bytes.n, &o->to, NULL);
		if (e == ERR_MORE)
			env_poll(o->env, WAIT_US);
	}
	if (e == ERR_NET) /* an error about an earlier one stood in the way */
		e = env_send(o->sock, bytes.p, bytes.n, &o->to, NULL);
	if (e)
		o->n_lost++;
}

static void keep_pace(struct cap_hep_out *o)
{
	if (o->n_sent % STEP)
		return;
	env_poll(o->env, 0); /* refreshes the clock; takes what came back */
	uint64_t due = o->step_us + STEP_US;
	while (o->cfg.is_paced && env_now_us(o->env) < due)
		env_poll(o->env, due - env_now_us(o->env));
	o->step_us = env_now_us(o->env);
}

/* Into o->packet. */
static enum err make_packet(struct cap_hep_out *o, const struct trk_packet *p, uint16_t vlan,
			    struct str call_id)
{
	struct wire_hep h = {
		.ip_proto = p->transport == TRK_UDP ? CAP_UDP : CAP_TCP,
		.type = WIRE_HEP_SIP,
		.from = p->from,
		.to = p->to,
		.at_us = p->at_us,
		.agent = o->cfg.agent,
		.vlan = vlan,
		.key = str_c(o->cfg.key),
		.correlation = call_id,
		.payload = p->bytes,
	};
	buf_clear(&o->packet);
	o->n_sent++;
	return wire_hep_put(&o->packet, &h);
}

void cap_hep_message(struct cap_hep_out *o, const struct trk_packet *p)
{
	struct str call_id = STR_NONE;
	struct sip_skim k;
	if (sip_skim(p->bytes, &k))
		call_id = k.call_id;
	else
		(void)sip_peek_call_id(p->bytes, &call_id); /* none: Homer gets it all the same */
	enum err e = make_packet(o, p, 0, call_id);
	if (e == OK)
		e = env_send(o->sock, o->packet.p, o->packet.n, &o->to, NULL);
	if (e)
		o->n_lost++;
	if (o->n_sent % STEP == 0)
		env_poll(o->env, 0); /* takes what came back */
}

enum err cap_hep_frame(struct cap_hep_out *o, const struct cap_frame *fr, struct buf *why)
{
	enum err e = OK;
	for (size_t i = 0; i < fr->n_msgs && e == OK; i++) {
		const struct trk_packet *p = &fr->msgs[i].pkt;
		uint16_t vlan = fr->pkt.n_vlans ? fr->pkt.vlans[fr->pkt.n_vlans - 1] : 0;
		struct str call_id = sip_value(cap_index(fr, i), SIP_HDR_CALL_ID);
		if (make_packet(o, p, vlan, call_id))
			o->n_lost++;
		else if (o->is_tcp)
			e = send_stream(o, buf_view(&o->packet));
		else
			send_datagram(o, buf_view(&o->packet));
		keep_pace(o);
	}
	if (e)
		buf_fmt(why, "%s: the connection is gone", o->cfg.to);
	return e;
}

uint64_t cap_hep_n_sent(const struct cap_hep_out *o)
{
	return o->n_sent;
}

uint64_t cap_hep_n_lost(const struct cap_hep_out *o)
{
	return o->n_lost;
}

void cap_hep_close(struct cap_hep_out *o)
{
	if (!o)
		return;
	env_close(o->sock);
	env_free(o->env);
	buf_fini(&o->packet);
	free(o);
}
