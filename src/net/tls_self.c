/* The certificate that an exchange makes for itself when it is given none: ECDSA on P-256, ten
 * years, valid for its domains (as DNS names, RFC 5922 7.1) and addresses.
 *
 * The key is made once and kept: who pins the key is not disturbed when the machine's address
 * changes and the certificate is made anew. It is no CA: nothing else can be signed with what a
 * user has told his phone to trust. Files are written aside and renamed, so that a crash leaves the
 * old ones.
 */
#include "net/tls_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VALID_S (10L * 365 * 86'400)
#define RENEW_S (30L * 86'400) /* before the end */

/* --- files ---------------------------------------------------------------------------------- */

static EVP_PKEY *read_key(const char *file)
{
	BIO *b = BIO_new_file(file, "r");
	EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, NULL) : NULL;
	BIO_free(b);
	return key;
}

static X509 *read_cert(const char *file)
{
	BIO *b = BIO_new_file(file, "r");
	X509 *cert = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	BIO_free(b);
	return cert;
}

/* One of key and cert. */
static bool write_pem(const char *file, unsigned mode, EVP_PKEY *key, X509 *cert)
{
	char aside[520];
	snprintf(aside, sizeof(aside), "%s.new", file);
	unlink(aside);
	int fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	bool is_ok = key ? PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL)
			 : PEM_write_X509(f, cert);
	is_ok &= fflush(f) == 0 && fsync(fd) == 0;
	is_ok &= fclose(f) == 0;
	return is_ok && rename(aside, file) == 0;
}

/* --- the certificate ------------------------------------------------------------------------ */

static void put_name(struct buf *b, const char *kind, struct str name)
{
	buf_fmt(b, "%s%s:" STR_FMT, b->n ? "," : "", kind, STR_ARG(name));
}

/* An IPv4 address twice: mbedTLS 2.28, which Linphone uses, reads no addresses, and compares the
 * host with the DNS names. */
static void put_addr(struct buf *b, const struct addr *a)
{
	char mem[ADDR_TEXT_MAX];
	struct buf text;
	buf_init_fixed(&text, mem, sizeof(mem));
	addr_put_ip(&text, a);
	put_name(b, "IP", buf_view(&text));
	if (a->family == ADDR_V4)
		put_name(b, "DNS", buf_view(&text));
}

/* "DNS:a,IP:192.0.2.1,DNS:192.0.2.1" */
static void put_names(const struct net_tls_self *s, struct buf *b)
{
	struct addr ip;
	for (size_t i = 0; i < s->n_names; i++) {
		if (addr_parse(s->names[i], 0, &ip))
			put_addr(b, &ip);
		else
			put_name(b, "DNS", s->names[i]);
	}
	for (size_t i = 0; i < s->n_addrs; i++)
		put_addr(b, &s->addrs[i]);
}

static bool add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool is_ok = x && X509_add_ext(cert, x, -1);
	X509_EXTENSION_free(x);
	return is_ok;
}

static bool set_serial(X509 *cert)
{
	BIGNUM *n = BN_new();
	bool is_ok = n && BN_rand(n, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
		     BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return is_ok;
}

static bool set_subject(const struct net_tls_self *s, X509 *cert)
{
	char ip[ADDR_TEXT_MAX];
	struct str cn = s->n_names ? s->names[0] : STR("rung");
	X509_NAME *n = X509_get_subject_name(cert);
	if (!s->n_names && s->n_addrs)
		cn = str_c(addr_text(&s->addrs[0], ip));
	return X509_NAME_add_entry_by_NID(n, NID_commonName, MBSTRING_UTF8,
					  (const unsigned char *)cn.p, cn.n < 64 ? (int)cn.n : 64,
					  -1, 0) &&
	       X509_set_issuer_name(cert, n);
}

static X509 *make_cert(const struct net_tls_self *s, EVP_PKEY *key)
{
	struct buf names;
	X509 *c = X509_new();
	buf_init(&names);
	put_names(s, &names);
	const char *san = buf_cstr(&names);
	bool is_ok = c && san && X509_set_version(c, X509_VERSION_3) && set_serial(c) &&
		     X509_gmtime_adj(X509_getm_notBefore(c), -86'400) &&
		     X509_gmtime_adj(X509_getm_notAfter(c), VALID_S) && set_subject(s, c) &&
		     X509_set_pubkey(c, key) &&
		     add_extension(c, NID_basic_constraints, "critical,CA:FALSE") &&
		     add_extension(c, NID_key_usage, "critical,digitalSignature") &&
		     add_extension(c, NID_ext_key_usage, "serverAuth,clientAuth") &&
		     add_extension(c, NID_subject_key_identifier, "hash") &&
		     (!names.n || add_extension(c, NID_subject_alt_name, san)) &&
		     X509_sign(c, key, EVP_sha256());
	buf_fini(&names);
	if (is_ok)
		return c;
	X509_free(c);
	return NULL;
}

/* Fits the key, names all, lives long enough. */
static bool is_good(const struct net_tls_self *s, X509 *cert, EVP_PKEY *key)
{
	char text[256];
	ASN1_TIME *soon = X509_gmtime_adj(NULL, RENEW_S);
	bool is_ok = soon && X509_check_private_key(cert, key) &&
		     ASN1_TIME_compare(X509_get0_notAfter(cert), soon) > 0;
	ASN1_STRING_free(soon);
	for (size_t i = 0; is_ok && i < s->n_names; i++)
		is_ok = str_copy(text, sizeof(text), s->names[i]) && tls_is_named(cert, text);
	for (size_t i = 0; is_ok && i < s->n_addrs; i++) {
		char ip[ADDR_TEXT_MAX];
		struct addr bare = s->addrs[i];
		bare.port = 0;
		is_ok = tls_is_named(cert, addr_text(&bare, ip));
	}
	return is_ok;
}

/* --- both ----------------------------------------------------------------------------------- */

static enum err renew(struct net_tls_self *s, EVP_PKEY *key)
{
	X509 *old = read_cert(s->cert);
	bool is_ok = old && is_good(s, old, key);
	X509_free(old);
	if (is_ok)
		return OK;
	X509 *cert = make_cert(s, key);
	is_ok = cert && write_pem(s->cert, 0644, NULL, cert);
	X509_free(cert);
	s->is_new = is_ok;
	return is_ok ? OK : ERR_IO;
}

enum err net_tls_self(struct net_tls_self *s, struct buf *why)
{
	int a = snprintf(s->cert, sizeof(s->cert), "%s/tls-cert.pem", s->dir);
	int b = snprintf(s->key, sizeof(s->key), "%s/tls-key.pem", s->dir);
	s->is_new = false;
	if (a >= (int)sizeof(s->cert) || b >= (int)sizeof(s->key)) {
		buf_fmt(why, "%s: the name of the folder is too long", s->dir);
		return ERR_LIMIT;
	}
	EVP_PKEY *key = read_key(s->key);
	if (!key) {
		key = EVP_EC_gen("P-256");
		if (!key || !write_pem(s->key, 0600, key, NULL)) {
			EVP_PKEY_free(key);
			buf_fmt(why, "%s: the key cannot be written", s->key);
			return ERR_IO;
		}
	}
	enum err e = renew(s, key);
	EVP_PKEY_free(key);
	if (e != OK)
		buf_fmt(why, "%s: the certificate cannot be written", s->cert);
	return e;
}
