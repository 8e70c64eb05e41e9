/* Whom a certificate speaks for. [RFC5922 7.1, 7.2] */
#include "net/tls_priv.h"

#include "cert.h"
#include "test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

/* A certificate that is never shown to anybody: its names are all that is asked. */
static X509 *make(const char *alt, const char *common)
{
	X509 *cert = X509_new();
	CHECK(cert);
	if (common) {
		X509_NAME *n = X509_get_subject_name(cert);
		CHECK(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC,
						 (const unsigned char *)common, -1, -1, 0));
	}
	if (alt) {
		X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);
		CHECK(x && X509_add_ext(cert, x, -1));
		X509_EXTENSION_free(x);
	}
	return cert;
}

static bool is_named(const char *alt, const char *common, const char *host)
{
	X509 *cert = make(alt, common);
	bool is = tls_is_named(cert, host);
	X509_free(cert);
	return is;
}

TEST_NO_OOM(names_of_certificates)
{
	static const struct {
		const char *alt, *common, *host;
		bool is;
	} rows[] = {
		{"URI:sip:example.com",                    NULL,            "example.com",     true },
		{"URI:sip:example.com:5061;transport=tls", NULL,            "EXAMPLE.com",     true },
		{"URI:sip:bob@example.com",                NULL,            "example.com",     false}, /* a person */
		{"URI:sips:example.com",                   NULL,            "example.com",     false}, /* another scheme */
		{"URI:http://example.com",                 NULL,            "example.com",     false},
		{"DNS:example.com",                        NULL,            "Example.COM",     true },
 /* a DNS name counts only where no SIP URI does */
		{"DNS:example.com,URI:sip:example.org",    NULL,            "example.com",     false},
		{"DNS:example.com,URI:sip:example.org",    NULL,            "example.org",     true },
		{"DNS:example.com,URI:http://example.org", NULL,            "example.com",     true },
 /* whole names, no wildcards */
		{"DNS:example.com",                        NULL,            "sip.example.com", false},
		{"DNS:sip.example.com",                    NULL,            "example.com",     false},
		{"DNS:*.example.com",                      NULL,            "sip.example.com", false},
		{"DNS:.example.com",                       NULL,            "sip.example.com", false},
		{"URI:sip:*.example.com",                  NULL,            "sip.example.com", false},
 /* the common name: only where there is nothing better */
		{NULL,				     "example.com",   "example.com",     true },
		{NULL,				     "*.example.com", "sip.example.com", false},
		{"DNS:example.org",                        "example.com",   "example.com",     false},
		{"IP:10.0.0.2",                            NULL,            "10.0.0.2",        true },
		{"DNS:10.0.0.2",                           NULL,            "10.0.0.2",        false},
		{"IP:2001:db8::2",                         NULL,            "2001:db8::2",     true },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (is_named(rows[i].alt, rows[i].common, rows[i].host) != rows[i].is)
			test_fail(__FILE__, __LINE__, "%s, %s: %s", rows[i].alt ? rows[i].alt : "-",
				  rows[i].common ? rows[i].common : "-", rows[i].host);
}

/* What we are to call ourselves: an address that is there, else a name of ours, else any.
 * [RFC5922 7.5] */
TEST_NO_OOM(names_for_ourselves)
{
	static const struct {
		const char *alt[2], *common, *own[2], *name;
		bool is_chosen;
	} rows[] = {
		{{"IP:10.0.0.2,DNS:b.net"},                     NULL,       {"a.net", "b.net"}, "b.net", true },
		{{"DNS:*.c.net,DNS:C.net,DNS:a.net,DNS:b.net"}, NULL,       {"b.net"},          "b.net", true },
		{{"DNS:*.c.net,DNS:C.net,DNS:d.net"},           NULL,       {"b.net"},          "C.net", false},
		{{"DNS:c.net,URI:sip:e.net:5061"},              NULL,       {"c.net"},          "e.net", false},
		{{"DNS:c.net", "DNS:b.net"},                    NULL,       {"b.net"},          "b.net", true },
		{{"DNS:c.net", "DNS:b.net"},                    NULL,       {NULL},             "c.net", true },
		{{"IP:10.0.0.2"},                               NULL,       {"10.0.0.2"},       "",      true },
		{{"IP:10.0.0.2"},                               NULL,       {"b.net"},          "",      false},
		{{NULL},					"b.net",    {"b.net"},          "b.net", true },
		{{NULL},					"10.0.0.2", {"b.net"},          "",      false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net_tls_cfg cfg = {
			.name = {rows[i].own[0], rows[i].own[1]},
			.n_names = (rows[i].own[0] != NULL) + (rows[i].own[1] != NULL)
                };
		X509 *certs[2] = {make(rows[i].alt[0], rows[i].common)};
		size_t n = 1;
		if (rows[i].alt[1])
			certs[n++] = make(rows[i].alt[1], NULL);
		struct tls_self self;
		tls_self_read(&self, &cfg, certs, n);
		if (strcmp(self.name, rows[i].name) != 0 || self.is_chosen != rows[i].is_chosen)
			test_fail(__FILE__, __LINE__, "row %zu: %s", i, self.name);
		bool has_ip = (rows[i].alt[0] && strstr(rows[i].alt[0], "IP:")) ||
			      (rows[i].common && rows[i].common[0] == '1');
		CHECK_EQ(self.n_ips, has_ip);
		for (size_t k = 0; k < n; k++)
			X509_free(certs[k]);
	}
}

void cert_restrict(const char *cert, const char *key_file, const char *usage)
{
	FILE *f = fopen(cert, "r");
	CHECK(f);
	X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	f = fopen(key_file, "r");
	CHECK(f);
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	CHECK(x && key);
	int at = X509_get_ext_by_NID(x, NID_ext_key_usage, -1);
	if (at >= 0)
		X509_EXTENSION_free(X509_delete_ext(x, at));
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, usage);
	CHECK(ext);
	CHECK_EQ(X509_add_ext(x, ext, -1), 1);
	CHECK(X509_sign(x, key, EVP_sha256()) > 0);
	f = fopen(cert, "w");
	CHECK(f);
	CHECK_EQ(PEM_write_X509(f, x), 1);
	fclose(f);
	X509_EXTENSION_free(ext);
	EVP_PKEY_free(key);
	X509_free(x);
}
