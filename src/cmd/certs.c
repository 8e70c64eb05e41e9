/* Which certificates a command uses. The exchange makes one for itself in its data folder where
 * none is given: for its domains, the machine's name, its LAN address and the addresses it listens
 * on; so TLS works from the first start, for phones that are told to trust that file (or not to
 * verify).
 *
 * SSLKEYLOGFILE, as in browsers, names a file that gets the secrets of all connections, for
 * `rung scope` and Wireshark. */
#include "cmd/certs.h"

#include "cmd/cmd.h"
#include "cmd/listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX (OPT_LIST_MAX + 2)
#define ADDRS_MAX (OPT_LIST_MAX + 3)

static int complain(const char *command, struct buf *why)
{
	struct str text = why->n ? buf_view(why) : STR("not enough memory");
	fprintf(stderr, "rung %s: " STR_FMT "\n", command, STR_ARG(text));
	buf_fini(why);
	return EXIT_FAILED;
}

static int make(struct net_tls_cfg *cfg, const char *command, struct net_tls **out)
{
	struct buf why;
	buf_init(&why);
	cfg->key_log = getenv("SSLKEYLOGFILE");
	if (net_tls_new(cfg, out, &why))
		return complain(command, &why);
	buf_fini(&why);
	return -1;
}

static int read_pairs(const struct certs *c, const char *command, struct net_tls_cfg *cfg)
{
	if (c->cert.n > NET_TLS_CERTS || c->key.n > c->cert.n) {
		fprintf(stderr,
			"rung %s: give one --tls-key for each --tls-cert (at most %d), in the same "
			"order\n",
			command, NET_TLS_CERTS);
		return EXIT_USAGE;
	}
	cfg->n_certs = c->cert.n;
	for (size_t i = 0; i < c->cert.n; i++) {
		cfg->cert[i] = c->cert.v[i];
		cfg->key[i] = i < c->key.n ? c->key.v[i] : NULL;
	}
	cfg->ca = c->ca;
	cfg->is_lax = c->is_lax;
	cfg->needs_client = c->needs_client;
	return -1;
}

/* --- the exchange's own --------------------------------------------------------------------- */

static void add_addr(struct addr *list, size_t *n, struct addr a)
{
	a.port = 0;
	for (size_t i = 0; i < *n; i++)
		if (addr_ip_eq(&list[i], &a))
			return;
	if (*n < ADDRS_MAX && a.family && !addr_is_any(&a))
		list[(*n)++] = a;
}

static const char *machine(void)
{
	static char host[256];
	gethostname(host, sizeof(host) - 1);
	return host;
}

static int make_own(const struct certs_host *h, struct net_tls_self *self)
{
	static struct str names[NAMES_MAX];
	static struct addr addrs[ADDRS_MAX];
	const char *host = machine();
	struct addr a;
	struct buf why;
	enum tp_proto proto;
	bool is_both;
	*self = (struct net_tls_self){.dir = h->data, .names = names, .addrs = addrs};
	for (size_t i = 0; i < h->domains->n; i++)
		names[self->n_names++] = str_c(h->domains->v[i]);
	if (host[0])
		names[self->n_names++] = str_c(host);
	names[self->n_names++] = STR("localhost");
	add_addr(addrs, &self->n_addrs, h->lan);
	if (addr_parse(STR("127.0.0.1"), 0, &a))
		add_addr(addrs, &self->n_addrs, a);
	if (addr_parse(STR("::1"), 0, &a))
		add_addr(addrs, &self->n_addrs, a);
	for (size_t i = 0; i < h->listen->n; i++)
		if (listen_parse(str_c(h->listen->v[i]), &proto, &is_both, &a))
			add_addr(addrs, &self->n_addrs, a);
	buf_init(&why);
	if (net_tls_self(self, &why))
		return complain("serve", &why);
	buf_fini(&why);
	return -1;
}

int certs_serve(const struct certs *c, const struct certs_host *h, struct net_tls **out)
{
	static struct net_tls_self self;
	struct net_tls_cfg cfg = {0};
	int r = read_pairs(c, "serve", &cfg);
	if (r < 0 && c->needs_client && !c->ca) {
		fprintf(stderr, "rung serve: --tls-clients needs --tls-ca FILE\n");
		return EXIT_USAGE;
	}
	if (r < 0 && !cfg.n_certs && h->is_secure) {
		r = make_own(h, &self);
		cfg.cert[0] = self.cert;
		cfg.key[0] = self.key;
		cfg.n_certs = 1;
	}
	for (size_t i = 0; i < h->domains->n && cfg.n_names + 1 < NET_TLS_CERTS; i++)
		if (!strchr(h->domains->v[i], '*'))
			cfg.name[cfg.n_names++] = h->domains->v[i];
	if (machine()[0])
		cfg.name[cfg.n_names++] = machine();
	return r < 0 ? make(&cfg, "serve", out) : r;
}

/* --- phones --------------------------------------------------------------------------------- */

static void on_refused(void *ctx, struct str why)
{
	fprintf(stderr, "rung: " STR_FMT " (--tls-ca FILE names whom to trust)\n", STR_ARG(why));
}

int certs_phone(const struct certs *c, const char *command, struct net_tls **out)
{
	struct net_tls_cfg cfg = {0};
	int r = read_pairs(c, command, &cfg);
	cfg.on_refused = on_refused;
	return r < 0 ? make(&cfg, command, out) : r;
}
