/* Whom a certificate speaks for, in SIP. Of its alternative names the SIP URIs without a user count
 * first; DNS names only where there is no such URI, the common name only where there are no
 * alternative names at all. Names are compared whole: no wildcards [RFC5922 7.2]. A host that is
 * an address must be among the certificate's addresses, of which that RFC does not speak.
 */
#include "net/tls_priv.h"

#include <string.h>

static struct str text_of(const ASN1_STRING *s)
{
	return str_of((const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* "sip:example.com": its host; else empty. */
static struct str sip_host(struct str uri)
{
	if (!str_istarts(uri, STR("sip:")))
		return STR_NONE;
	uri = str_skip(uri, 4);
	if (str_chr(uri, '@') != SIZE_MAX)
		return STR_NONE;
	for (size_t i = 0; i < uri.n; i++) {
		if (strchr(":;?", uri.p[i]))
			return str_sub(uri, 0, i);
	}
	return uri;
}

static bool is_address_in(const GENERAL_NAMES *names, const struct addr *ip)
{
	size_t n = ip->family == ADDR_V6 ? 16 : 4;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		if (g->type != GEN_IPADD)
			continue;
		struct str raw = text_of(g->d.iPAddress);
		if (raw.n == n && memcmp(raw.p, ip->ip, n) == 0)
			return true;
	}
	return false;
}

static bool is_domain_in(const GENERAL_NAMES *names, struct str host)
{
	bool has_uri = false, is_dns = false;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		struct str uri = STR_NONE;
		if (g->type == GEN_URI)
			uri = sip_host(text_of(g->d.uniformResourceIdentifier));
		else if (g->type == GEN_DNS)
			is_dns |= str_ieq(text_of(g->d.dNSName), host);
		if (uri.n && str_ieq(uri, host))
			return true;
		has_uri |= uri.n > 0;
	}
	return is_dns && !has_uri;
}

static bool is_common_name(X509 *cert, struct str host)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at < 0)
		return false;
	const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	return str_ieq(text_of(s), host);
}

bool tls_is_named(X509 *cert, const char *host)
{
	struct addr ip;
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool is_named;
	if (!names)
		return is_common_name(cert, str_c(host));
	if (addr_parse(str_c(host), 0, &ip))
		is_named = is_address_in(names, &ip);
	else
		is_named = is_domain_in(names, str_c(host));
	GENERAL_NAMES_free(names);
	return is_named;
}

enum err net_tls_file_names(const char *file, const char *host, bool *is_named)
{
	BIO *b = BIO_new_file(file, "r");
	if (!b)
		return ERR_NOTFOUND;
	X509 *cert = PEM_read_bio_X509(b, NULL, NULL, NULL);
	BIO_free(b);
	if (!cert)
		return ERR_SYNTAX;
	*is_named = tls_is_named(cert, host);
	X509_free(cert);
	return OK;
}
