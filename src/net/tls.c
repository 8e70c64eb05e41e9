/* TLS as a filter. OpenSSL reads and writes through a BIO of our own: reading takes from `in`, a
 * window on the shard's scratch of bytes just read from below; writing appends to the filter's
 * `out`. Nothing is copied on the way in, and an idle connection holds no buffer: OpenSSL's own are
 * released when empty (SSL_MODE_RELEASE_BUFFERS), `out` is freed when written.
 *
 * There is no resumption: phones hold their connections, and a session kept for each would cost
 * more memory than all else here. Renegotiation is off.
 *
 * Who we connect to is verified in two steps: the chain by OpenSSL, the name by tls_name.c when the
 * handshake is done. A refused certificate is ERR_AUTH, with a sentence for the operator.
 *
 * Invariants: 1. `in` is not empty only between a read from below and the end of that read_some: it
 * points at scratch. 2. OpenSSL's queue of errors is empty before each call whose error matters.
 *
 * Standards: [RFC8446] [RFC5246] [RFC6066 3] (SNI), [RFC5922 7].
 */
#include "net/conn.h"
#include "net/tls_priv.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES 16384
/* `out` never needs more: a record, an alert; a peer that asks for new keys without end and reads
 * none of the answers does not get more either. */
#define OUT_MAX (64u << 10)

struct tls {
	struct net_filter head;
	struct net_tls *owner;
	SSL *ssl;
	const char *in;
	size_t n_in;
	bool is_broken; /* the session is of no use: no goodbye */
	char peer[];    /* whom to verify; empty: nobody */
};

static struct tls *tls_of(struct net_filter *f)
{
	return CONTAINER_OF(f, struct tls, head);
}

/* --- the BIO -------------------------------------------------------------------------------- */

static int bio_read(BIO *b, char *p, size_t cap, size_t *n)
{
	struct tls *t = BIO_get_data(b);
	BIO_clear_retry_flags(b);
	*n = t->n_in < cap ? t->n_in : cap;
	if (*n == 0) {
		BIO_set_retry_read(b);
		return 0;
	}
	memcpy(p, t->in, *n);
	t->in += *n;
	t->n_in -= *n;
	return 1;
}

static int bio_write(BIO *b, const char *p, size_t n, size_t *written)
{
	struct tls *t = BIO_get_data(b);
	BIO_clear_retry_flags(b);
	*written = 0;
	if (t->head.out.n + n > OUT_MAX)
		return 0;
	buf_put(&t->head.out, p, n);
	if (t->head.out.err != OK)
		return 0;
	*written = n;
	return 1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	return cmd == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rung");
	if (m && BIO_meth_set_read_ex(m, bio_read) && BIO_meth_set_write_ex(m, bio_write) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* --- reading and writing -------------------------------------------------------------------- */

static enum err feed(struct tls *t, struct net_conn *c)
{
	size_t n;
	enum err e = net_below_read(&t->head, c, c->net->cipher, NET_CIPHER, &n);
	if (e != OK)
		return e;
	t->in = c->net->cipher;
	t->n_in = n;
	return OK;
}

static enum err fail(struct tls *t, struct net_conn *c)
{
	t->is_broken = true;
	enum err e = net_filter_flush(&t->head, c); /* the alert */
	return e == ERR_NOMEM ? ERR_NOMEM : ERR_NET;
}

static enum err tls_read(struct net_filter *f, struct net_conn *c, void *p, size_t cap, size_t *n)
{
	struct tls *t = tls_of(f);
	size_t got;
	for (*n = 0;;) {
		ERR_clear_error();
		if (SSL_read_ex(t->ssl, (char *)p + *n, cap - *n, &got)) {
			*n += got;
			if (*n == cap)
				return OK;
			continue;
		}
		if (*n)
			return OK; /* if it was more than the end of the input, that comes again */
		if (SSL_get_error(t->ssl, 0) != SSL_ERROR_WANT_READ)
			return fail(t, c);
		enum err e = feed(t, c);
		if (e != OK)
			return e;
	}
}

static enum err tls_write(struct net_filter *f, struct net_conn *c, const void *p, size_t n,
			  size_t *moved)
{
	struct tls *t = tls_of(f);
	enum err e = net_filter_flush(f, c);
	if (e != OK)
		return e;
	ERR_clear_error();
	if (!SSL_write_ex(t->ssl, p, n < RECORD_BYTES ? n : RECORD_BYTES, moved))
		return fail(t, c);
	e = net_filter_flush(f, c);
	return e == ERR_MORE ? OK : e;
}

static bool tls_is_midway(const struct net_filter *f)
{
	return SSL_has_pending(CONTAINER_OF(f, const struct tls, head)->ssl);
}

static void tls_bye(struct net_filter *f)
{
	struct tls *t = tls_of(f);
	ERR_clear_error();
	if (!t->is_broken && SSL_is_init_finished(t->ssl))
		t->is_broken = SSL_shutdown(t->ssl) < 0;
}

static void tls_free(struct net_filter *f)
{
	struct tls *t = tls_of(f);
	SSL_free(t->ssl);
	free(t);
}

/* --- the handshake -------------------------------------------------------------------------- */

static void tell_refused(struct tls *t, struct str why)
{
	char mem[400];
	struct buf b;
	if (!t->owner->cfg.on_refused)
		return;
	buf_init_fixed(&b, mem, sizeof(mem));
	if (t->peer[0])
		buf_fmt(&b, "the certificate of %s is refused: ", t->peer);
	else
		buf_str(&b, STR("a client's certificate is refused: "));
	buf_str(&b, why);
	if (!b.err)
		t->owner->cfg.on_refused(t->owner->cfg.ctx, buf_view(&b));
}

static enum err verify_name(struct tls *t)
{
	if (!t->peer[0] || t->owner->cfg.is_lax)
		return OK;
	X509 *cert = SSL_get1_peer_certificate(t->ssl);
	bool is_named = cert && tls_is_named(cert, t->peer);
	X509_free(cert);
	if (is_named)
		return OK;
	tell_refused(t, STR("it does not name that host"));
	return ERR_AUTH;
}

static enum err shake_failed(struct tls *t, struct net_conn *c)
{
	long verdict = SSL_get_verify_result(t->ssl);
	enum err e = fail(t, c);
	if (verdict == X509_V_OK || t->owner->cfg.is_lax)
		return e;
	tell_refused(t, str_c(X509_verify_cert_error_string(verdict)));
	return ERR_AUTH;
}

static enum err tls_shake(struct net_filter *f, struct net_conn *c)
{
	struct tls *t = tls_of(f);
	enum err e = net_below_shake(f, c);
	while (e == OK) {
		ERR_clear_error();
		int r = SSL_do_handshake(t->ssl);
		if (r != 1 && SSL_get_error(t->ssl, r) != SSL_ERROR_WANT_READ)
			return shake_failed(t, c);
		e = net_filter_flush(f, c);
		if (e != OK && e != ERR_MORE)
			return e;
		if (r == 1)
			return verify_name(t);
		e = feed(t, c);
	}
	return e;
}

/* --- making --------------------------------------------------------------------------------- */

static const struct net_filter_ops tls_ops = {.shake = tls_shake,
					      .read = tls_read,
					      .write = tls_write,
					      .is_midway = tls_is_midway,
					      .bye = tls_bye,
					      .free = tls_free};

static bool set_role(struct tls *t)
{
	struct addr ip;
	if (!t->peer[0]) {
		SSL_set_accept_state(t->ssl);
		return true;
	}
	SSL_set_connect_state(t->ssl);
	return addr_parse(str_c(t->peer), 0, &ip) || SSL_set_tlsext_host_name(t->ssl, t->peer);
}

enum err net_tls_filter(struct net_tls *owner, const char *peer, struct net_filter **out)
{
	*out = NULL;
	if (owner->is_null)
		return OK;
	const struct tls_set *set = ev_snap_get(&owner->set);
	SSL_CTX *ctx = peer ? set->client : set->server;
	if (!ctx)
		return ERR_UNSUPPORTED;
	size_t n = peer ? strlen(peer) : 0;
	struct tls *t = calloc(1, sizeof(*t) + n + 1);
	if (!t)
		return ERR_NOMEM;
	t->head.ops = &tls_ops;
	t->owner = owner;
	if (n)
		memcpy(t->peer, peer, n);
	t->ssl = SSL_new(ctx);
	BIO *bio = t->ssl ? BIO_new(owner->bio) : NULL;
	if (!bio) {
		tls_free(&t->head);
		return ERR_NOMEM;
	}
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	if (!set_role(t)) {
		tls_free(&t->head);
		return ERR_NOMEM;
	}
	*out = &t->head;
	return OK;
}
