/* Whom a certificate speaks for. [RFC5922 7.1, 7.2] */
#include "net/tls_priv.h"
#include "test.h"

#include <openssl/x509v3.h>

/* A certificate that is never shown to anybody: its names are all that is asked. */
static bool is_named(const char *alt, const char *common, const char *host)
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
