/* rung serve: what the operator reads: one line per call and registration, and in the first minute
 * the accounts that were made, the address for phones, and "ready". */
#include "cmd/serve_priv.h"
#include "cmd/welcome.h"

#include <stdio.h>
#include <time.h>

void serve_line(void *ctx, uint64_t wall_us, struct str line)
{
	struct serve *s = ctx;
	time_t t = (time_t)(wall_us / 1000000);
	struct tm tm;
	char at[16], mem[1024];
	struct buf b;
	if (s->is_quiet)
		return;
	localtime_r(&t, &tm);
	strftime(at, sizeof(at), "%H:%M:%S", &tm);
	buf_init_fixed(&b, mem, sizeof(mem));
	buf_plain(&b, str_sub(line, 0, sizeof(mem))); /* names and agents are whatever peers say */
	printf("%s  " STR_FMT "\n", at, STR_ARG(buf_view(&b)));
}

/* What phones are told as server: the first listener, with the LAN address where it is a wildcard.
 */
static void find_host(struct serve *s)
{
	enum tp_proto proto;
	struct addr a = {0}, lan = env_host_addr(s->env);
	if (!tp_listener(exc_transport(s->exc, 0), 0, &proto, &a))
		return;
	uint16_t port = a.port;
	if (addr_is_any(&a))
		a = lan;
	s->host_addr = a;
	a.port = port == 5060 ? 0 : port;
	if (a.port)
		addr_put(&s->host, &a);
	else
		addr_put_host(&s->host, &a);
}

static void show_first_accounts(const struct serve *s)
{
	struct buf b;
	buf_init(&b);
	if (s->n_first)
		buf_str(&b, STR("Two accounts were made for your first call. Their passwords are "
				"shown only now\n"
				"(`rung user passwd NAME` makes a new one):\n\n"));
	for (size_t i = 0; i < s->n_first; i++)
		welcome_account(&b, str_c(s->first[i].user), str_c(s->first[i].password),
				buf_view(&s->host), !s->has_no_qr);
	if (!b.err && b.n)
		fwrite(b.p, 1, b.n, stdout);
	buf_fini(&b);
}

static uint16_t port_of(const struct serve *s, enum tp_proto wanted)
{
	enum tp_proto proto;
	struct addr a;
	for (size_t i = 0; tp_listener(exc_transport(s->exc, 0), i, &proto, &a); i++)
		if (proto == wanted)
			return a.port;
	return 0;
}

/* Nobody vouches for a certificate of our own: each phone's user has to decide. */
static void show_tls(const struct serve *s)
{
	uint16_t tls = port_of(s, TP_TLS), wss = port_of(s, TP_WSS);
	char ip[ADDR_TEXT_MAX];
	struct buf b;
	if (!(tls || wss) || s->certs.cert.n)
		return;
	buf_init_fixed(&b, ip, sizeof(ip));
	addr_put_host(&b, &s->host_addr);
	printf("Encrypted:");
	if (tls)
		printf(" TLS to " STR_FMT ":%u", STR_ARG(buf_view(&b)), tls);
	if (wss)
		printf("%s wss://" STR_FMT ":%u", tls ? "," : "", STR_ARG(buf_view(&b)), wss);
	printf("; the certificate is our own: let the phone trust %s/tls-cert.pem, or not "
	       "verify\n",
	       s->data);
}

void serve_put_listeners(const struct serve *s, struct buf *out)
{
	enum tp_proto proto;
	struct addr a;
	char text[ADDR_TEXT_MAX];
	for (size_t i = 0; tp_listener(exc_transport(s->exc, 0), i, &proto, &a); i++) {
		struct str name = tp_proto_param(proto);
		buf_fmt(out, "%s" STR_FMT ":%s", i ? " " : "", STR_ARG(name), addr_text(&a, text));
	}
}

static void show_ready(const struct serve *s)
{
	struct buf b;
	printf("Echo test: call %s. Data: %s. Watch it: rung scope --live %s\n",
	       s->echo ? s->echo : "echo or *43", s->data, s->data);
	show_tls(s);
	if (s->web)
		printf("API: http://%s (token in %s/api.token)\n", s->api ? s->api : API_DEFAULT,
		       s->data);
	buf_init(&b);
	serve_put_listeners(s, &b);
	struct str listeners = buf_view(&b), host = buf_view(&s->host);
	printf("ready " STR_FMT " (%u shards, server for phones: " STR_FMT ")\n",
	       STR_ARG(listeners), s->n_shards, STR_ARG(host));
	buf_fini(&b);
	fflush(stdout);
}

void serve_announce(struct serve *s)
{
	find_host(s);
	show_first_accounts(s);
	show_ready(s);
}
