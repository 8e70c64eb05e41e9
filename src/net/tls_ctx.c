/* Certificates, keys and trust of a process, and how they are replaced while connections live.
 *
 * What the files say becomes a set: a context to serve with and one to connect with. The set is a
 * snapshot (ev_snap): all shards read it, one publishes another. OpenSSL counts references to its
 * contexts, so a connection keeps the one that it began with; a set is retired only for the moment
 * between reading the pointer and SSL_new.
 *
 * Several certificates: the first one's context is the one that serves, the others hang on it
 * (ex_data, freed with it) and are chosen by the name in the ClientHello. [RFC6066 3]
 *
 * Watching: a lazy timer on one shard asks a worker every few seconds whether the files' times or
 * sizes have changed; the worker reads them, the shard publishes. Files that cannot be used leave
 * the old set in force and are told once.
 *
 * Where no file names whom to trust it is the system (tls_trust.c), whose certificates the worker
 * reads, soon after the start, so that no shard has to.
 *
 * Invariants: 1. `stamp`, `loaded`, `err`, `why` belong to the worker while is_busy, else to the
 * watching loop. 2. cfg does not change after net_tls_new. 3. The set changes when the worker has
 * done, so the worker may read it.
 */
#include "net/tls_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WATCH_US 2'000'000u

struct certs { /* of one server context */
	size_t n;
	SSL_CTX *ctx[NET_TLS_CERTS];
};

void tls_put_error(struct buf *b, const char *otherwise)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());
	buf_str(b, str_c(text ? text : otherwise));
	ERR_clear_error();
}

static void refuse(struct buf *why, const char *file, const char *otherwise)
{
	buf_fmt(why, "%s: ", file);
	tls_put_error(why, otherwise);
}

/* --- several certificates ------------------------------------------------------------------- */

static void free_certs(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	struct certs *c = ptr;
	for (size_t i = 0; c && i < c->n; i++)
		SSL_CTX_free(c->ctx[i]);
	free(c);
}

/* The slot of struct certs in OpenSSL's contexts; one for the process. */
static int certs_slot(void)
{
	static int slot = -1;
	if (slot < 0)
		slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_certs);
	return slot;
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	const struct certs *c = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), certs_slot());
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	for (size_t i = 0; c && name && i < c->n; i++) {
		if (X509_check_host(SSL_CTX_get0_certificate(c->ctx[i]), name, 0, 0, NULL) == 1) {
			SSL_set_SSL_CTX(ssl, c->ctx[i]);
			break;
		}
	}
	return SSL_TLSEXT_ERR_OK; /* who asks for another name gets the first one */
}

/* --- contexts ------------------------------------------------------------------------------- */

static int tls_slot(void)
{
	static int slot = -1;
	if (slot < 0)
		slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return slot;
}

static void on_key(const SSL *ssl, const char *line)
{
	const struct net_tls *t = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), tls_slot());
	if (t && t->key_log)
		fprintf(t->key_log, "%s\n", line);
}

static SSL_CTX *new_ctx(struct net_tls *t, const SSL_METHOD *method)
{
	SSL_CTX *c = SSL_CTX_new(method);
	if (!c)
		return NULL;
	SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
				       SSL_OP_IGNORE_UNEXPECTED_EOF |
				       SSL_OP_CIPHER_SERVER_PREFERENCE); /* [RFC9325 4.2] */
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(c, 0);
	SSL_CTX_set_ex_data(c, tls_slot(), t);
	if (t->key_log)
		SSL_CTX_set_keylog_callback(c, on_key);
	return c;
}

static bool use_files(SSL_CTX *c, const char *cert, const char *key, struct buf *why)
{
	if (!SSL_CTX_use_certificate_chain_file(c, cert)) {
		refuse(why, cert, "no certificate in PEM");
		return false;
	}
	if (!key)
		key = cert;
	if (!SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM)) {
		refuse(why, key, "no private key in PEM");
		return false;
	}
	if (SSL_CTX_check_private_key(c))
		return true;
	refuse(why, key, "the key does not fit the certificate");
	return false;
}

/* Whom the other side's certificate must come from: the file's issuers. */
static bool trust_file(struct net_tls *t, SSL_CTX *c, struct buf *why)
{
	if (SSL_CTX_load_verify_file(c, t->cfg.ca))
		return true;
	refuse(why, t->cfg.ca, "no certificates in PEM");
	return false;
}

static void verify(SSL_CTX *c, int mode)
{
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c), X509_V_FLAG_PARTIAL_CHAIN);
	SSL_CTX_set_verify(c, mode, NULL);
}

static enum err make_server(struct net_tls *t, SSL_CTX **out, struct buf *why)
{
	struct certs *more = calloc(1, sizeof(*more));
	SSL_CTX *c = new_ctx(t, TLS_server_method());
	if (!more || !c || !SSL_CTX_set_ex_data(c, certs_slot(), more)) {
		free(more);
		SSL_CTX_free(c);
		return ERR_NOMEM;
	}
	*out = c; /* owns `more` */
	for (size_t i = 0; i < t->cfg.n_certs; i++) {
		SSL_CTX *one = i ? new_ctx(t, TLS_server_method()) : c;
		if (!one)
			return ERR_NOMEM;
		if (i)
			more->ctx[more->n++] = one;
		if (!use_files(one, t->cfg.cert[i], t->cfg.key[i], why))
			return ERR_SYNTAX;
	}
	SSL_CTX_set_tlsext_servername_callback(c, on_server_name);
	if (!t->cfg.needs_client)
		return OK;
	verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT);
	return trust_file(t, c, why) ? OK : ERR_SYNTAX;
}

static enum err make_client(struct net_tls *t, struct tls_set *s, struct buf *why)
{
	SSL_CTX *c = s->client = new_ctx(t, TLS_client_method());
	if (!c)
		return ERR_NOMEM;
	if (t->cfg.n_certs && !use_files(c, t->cfg.cert[0], t->cfg.key[0], why))
		return ERR_SYNTAX;
	if (t->cfg.is_lax)
		return OK;
	verify(c, SSL_VERIFY_PEER);
	if (t->cfg.ca)
		return trust_file(t, c, why) ? OK : ERR_SYNTAX;
	s->system = tls_trust_system(t->trust, c);
	return s->system ? OK : ERR_NOMEM;
}

static void free_set(struct tls_set *s)
{
	if (!s)
		return;
	SSL_CTX_free(s->server);
	SSL_CTX_free(s->client);
	free(s);
}

static void read_self(struct net_tls *t, struct tls_set *s)
{
	const struct certs *more = SSL_CTX_get_ex_data(s->server, certs_slot());
	X509 *certs[NET_TLS_CERTS + 1] = {SSL_CTX_get0_certificate(s->server)};
	for (size_t i = 0; i < more->n; i++)
		certs[1 + i] = SSL_CTX_get0_certificate(more->ctx[i]);
	tls_self_read(&s->self, &t->cfg, certs, 1 + more->n);
}

static enum err load(struct net_tls *t, struct tls_set **out, struct buf *why)
{
	struct tls_set *s = calloc(1, sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	ERR_clear_error();
	enum err e = t->cfg.n_certs ? make_server(t, &s->server, why) : OK;
	if (e == OK && s->server)
		read_self(t, s);
	if (e == OK)
		e = make_client(t, s, why);
	if (e != OK) {
		free_set(s);
		return e;
	}
	*out = s;
	return OK;
}

/* --- files that change ---------------------------------------------------------------------- */

static uint64_t stamp_file(const char *file, uint64_t sum)
{
	struct stat st;
	if (!file || stat(file, &st) != 0)
		return sum * 31;
	sum = sum * 31 + (uint64_t)st.st_mtim.tv_sec;
	sum = sum * 31 + (uint64_t)st.st_mtim.tv_nsec;
	sum = sum * 31 + (uint64_t)st.st_size;
	return sum * 31 + (uint64_t)st.st_ino;
}

static uint64_t stamp_of(const struct net_tls *t)
{
	uint64_t sum = stamp_file(t->cfg.ca, 1);
	for (size_t i = 0; i < t->cfg.n_certs; i++)
		sum = stamp_file(t->cfg.key[i], stamp_file(t->cfg.cert[i], sum));
	return sum;
}

static void work(struct ev_job *j)
{
	struct net_tls *t = CONTAINER_OF(j, struct net_tls, job);
	uint64_t stamp = stamp_of(t);
	t->loaded = NULL;
	t->err = OK;
	buf_clear(&t->why);
	if (stamp != t->stamp || t->is_forced) {
		t->stamp = stamp;
		t->err = load(t, &t->loaded, &t->why);
	}
	const struct tls_set *s = t->loaded ? t->loaded : ev_snap_get(&t->set);
	if (s->system)
		tls_trust_read(s->system);
}

static void retire(struct ev_retired *node)
{
	free_set(CONTAINER_OF(node, struct tls_set, node));
}

static void begin(struct net_tls *t, bool is_forced)
{
	t->is_busy = true;
	t->is_forced = is_forced;
	ev_work(t->loop, &t->job);
}

static void done(struct ev_job *j)
{
	struct net_tls *t = CONTAINER_OF(j, struct net_tls, job);
	bool is_news = t->loaded || t->err != OK;
	t->is_busy = false;
	if (t->loaded) {
		struct tls_set *old = ev_snap_get(&t->set);
		ev_snap_set(&t->set, t->loaded);
		ev_retire(t->loop, &old->node, retire);
		t->loaded = NULL;
	}
	if (is_news)
		t->fn(t->ctx, t->err, buf_view(&t->why));
	if (t->is_again) {
		t->is_again = false;
		begin(t, true);
	}
}

static void on_timer(struct tmr *timer)
{
	struct net_tls *t = CONTAINER_OF(timer, struct net_tls, timer);
	if (!t->is_busy)
		begin(t, false);
	ev_timer_lazy(t->loop, &t->timer, WATCH_US, WATCH_US / 2, on_timer);
}

void net_tls_watch(struct net_tls *t, struct ev_loop *l, net_tls_loaded_fn *fn, void *ctx)
{
	if (t->loop)
		ev_timer_stop(t->loop, &t->timer);
	t->loop = l;
	t->fn = fn;
	t->ctx = ctx;
	t->job.work = work;
	t->job.done = done;
	if (l && !t->is_null)
		ev_timer_lazy(l, &t->timer, WATCH_US, WATCH_US / 2, on_timer);
}

void net_tls_reload(struct net_tls *t)
{
	if (t->is_null || !t->loop)
		return;
	if (t->is_busy)
		t->is_again = true;
	else
		begin(t, true);
}

/* --- life ----------------------------------------------------------------------------------- */

static bool copy(const char **p)
{
	return !*p || (*p = strdup(*p));
}

static bool copy_cfg(struct net_tls *t, const struct net_tls_cfg *cfg)
{
	t->cfg = *cfg;
	bool is_ok = copy(&t->cfg.ca);
	is_ok &= copy(&t->cfg.key_log);
	for (size_t i = 0; i < NET_TLS_CERTS; i++) {
		if (i >= cfg->n_names)
			t->cfg.name[i] = NULL;
		is_ok &= copy(&t->cfg.name[i]);
	}
	for (size_t i = 0; i < NET_TLS_CERTS; i++) {
		if (i >= cfg->n_certs)
			t->cfg.cert[i] = t->cfg.key[i] = NULL;
		is_ok &= copy(&t->cfg.cert[i]);
		is_ok &= copy(&t->cfg.key[i]);
	}
	return is_ok;
}

static enum err open_key_log(struct net_tls *t, struct buf *why)
{
	if (!t->cfg.key_log)
		return OK;
	t->key_log = fopen(t->cfg.key_log, "ae");
	if (!t->key_log) {
		buf_fmt(why, "%s: the key log cannot be written", t->cfg.key_log);
		return ERR_NOTFOUND;
	}
	setvbuf(t->key_log, NULL, _IOLBF, 0); /* an analyzer reads along */
	return OK;
}

static enum err set_up(struct net_tls *t, struct buf *why)
{
	struct tls_set *s;
	t->bio = tls_bio_new();
	t->trust = tls_trust_new();
	if (!t->bio || !t->trust)
		return ERR_NOMEM;
	enum err e = open_key_log(t, why);
	if (e == OK)
		e = load(t, &s, why);
	if (e != OK)
		return e;
	t->stamp = stamp_of(t);
	ev_snap_set(&t->set, s);
	return OK;
}

enum err net_tls_new(const struct net_tls_cfg *cfg, struct net_tls **out, struct buf *why)
{
	struct net_tls *t = calloc(1, sizeof(*t));
	if (!t)
		return ERR_NOMEM;
	buf_init(&t->why);
	enum err e = copy_cfg(t, cfg) ? set_up(t, why) : ERR_NOMEM;
	if (e != OK) {
		net_tls_free(t);
		return e;
	}
	*out = t;
	return OK;
}

struct net_tls *net_tls_new_null(void)
{
	struct net_tls *t = calloc(1, sizeof(*t));
	if (t)
		t->is_null = true;
	return t;
}

bool net_tls_can_serve(const struct net_tls *t)
{
	return t && (t->is_null || t->cfg.n_certs);
}

void net_tls_free(struct net_tls *t)
{
	if (!t)
		return;
	free_set(ev_snap_get(&t->set));
	free_set(t->loaded);
	BIO_meth_free(t->bio);
	X509_LOOKUP_meth_free(t->trust);
	if (t->key_log)
		fclose(t->key_log);
	for (size_t i = 0; i < NET_TLS_CERTS; i++) {
		free((char *)t->cfg.cert[i]);
		free((char *)t->cfg.key[i]);
		free((char *)t->cfg.name[i]);
	}
	free((char *)t->cfg.ca);
	free((char *)t->cfg.key_log);
	buf_fini(&t->why);
	free(t);
}
