/* Which cipher suites are spoken. */
#include "net/tls_priv.h"

#include "test.h"

#include <openssl/rsa.h>
#include <unistd.h>

static EVP_PKEY *write_rsa(const char *file)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	X509 *cert = X509_new();
	FILE *f = fopen(file, "w");
	CHECK(key && cert && f);
	X509_NAME *name = X509_get_subject_name(cert);
	CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"h", -1,
					 -1, 0));
	X509_set_issuer_name(cert, name);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	CHECK(X509_set_pubkey(cert, key) && X509_sign(cert, key, EVP_sha256()) > 0);
	CHECK(PEM_write_X509(f, cert) && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
	fclose(f);
	X509_free(cert);
	return key;
}

/* Two ends shake hands in memory. */
static bool shake(SSL *client, SSL *server)
{
	BIO *a, *b;
	CHECK(BIO_new_bio_pair(&a, 0, &b, 0));
	SSL_set_bio(client, a, a);
	SSL_set_bio(server, b, b);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	for (unsigned i = 0; i < 10; i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	return SSL_is_init_finished(client) && SSL_is_init_finished(server);
}

/* For peers of 2002, as their RFC asks: a certificate with an RSA key,
 * TLS_RSA_WITH_AES_128_CBC_SHA. Whoever has something better gets that [RFC9325 4.2].
 * [RFC3261 26.2.1] */
TEST_NO_OOM(the_suite_of_old_peers)
{
	static const struct {
		const char *offered, *chosen;
	} rows[] = {
		{"AES128-SHA",                             "AES128-SHA"                 },
		{"AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
	};
	char file[] = "/tmp/rung-suites.XXXXXX";
	struct net_tls *t;
	struct buf why;
	int fd = mkstemp(file);
	CHECK(fd >= 0);
	close(fd);
	EVP_PKEY *key = write_rsa(file);
	buf_init(&why);
	CHECK_EQ(net_tls_new(&(struct net_tls_cfg){.cert = {file}, .n_certs = 1}, &t, &why), OK);
	unlink(file);
	const struct tls_set *set = ev_snap_get(&t->set);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		SSL_CTX *c = SSL_CTX_new(TLS_client_method());
		CHECK(c && SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION) &&
		      SSL_CTX_set_cipher_list(c, rows[i].offered));
		SSL *client = SSL_new(c), *server = SSL_new(set->server);
		CHECK(client && server && shake(client, server));
		CHECK_STR_EQ(str_c(SSL_get_cipher(client)), str_c(rows[i].chosen));
		SSL_free(client);
		SSL_free(server);
		SSL_CTX_free(c);
	}
	net_tls_free(t);
	buf_fini(&why);
	EVP_PKEY_free(key);
}
