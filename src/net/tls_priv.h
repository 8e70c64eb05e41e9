#pragma once
/* What the files of TLS share. */

#include "net/tls.h"

#include <stdio.h>
/* OpenSSL has a type of the name of one of our errors. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#define TLS_NAME_MAX 256
#define TLS_IPS      16
struct tls_self { /* whom the certificates speak for */
	struct addr ips[TLS_IPS];
	size_t n_ips;
	char name[TLS_NAME_MAX]; /* empty: they have addresses alone */
	bool is_chosen;          /* it is one of cfg.name, or there are none */
};

struct tls_set { /* what the files said; immutable */
	struct ev_retired node;
	struct tls_self self;
	SSL_CTX *server, *client; /* server NULL: no certificate */
	X509_LOOKUP *system;      /* the client's; NULL: it does not trust the system's */
};

struct net_tls {
	struct net_tls_cfg cfg; /* its strings are ours */
	bool is_null;
	BIO_METHOD *bio;
	X509_LOOKUP_METHOD *trust;
	FILE *key_log;
	ev_snap set;
	/* on the loop that watches */
	struct ev_loop *loop;
	struct tmr timer;
	struct ev_job job;
	bool is_busy, is_again; /* the job runs; and is wanted once more */
	net_tls_loaded_fn *fn;
	void *ctx;
	/* the job's */
	bool is_forced;
	uint64_t stamp; /* of the files as they were when last read */
	struct tls_set *loaded;
	enum err err;
	struct buf why;
};

BIO_METHOD *tls_bio_new(void);
/* A context trusts what the system trusts, which is read when first needed; NULL: no memory. The
 * method lives as long as the contexts. tls_trust_read blocks (40 ms) unless it has been read. */
X509_LOOKUP_METHOD *tls_trust_new(void);
X509_LOOKUP *tls_trust_system(X509_LOOKUP_METHOD *m, SSL_CTX *c);
void tls_trust_read(X509_LOOKUP *l);
/* Appends what OpenSSL complained of last, or `otherwise`. */
void tls_put_error(struct buf *b, const char *otherwise);
/* The identities of a certificate against a host. [RFC5922 7.1] */
bool tls_is_named(X509 *cert, const char *host);
/* The addresses of the first certificate, and a name of one of them: that of cfg which comes first,
 * else the first certificate's first. */
void tls_self_read(struct tls_self *self, const struct net_tls_cfg *cfg, X509 *const *certs,
		   size_t n);
