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

static void keep_address(struct tls_self *self, const GENERAL_NAME *g)
{
	struct addr a = {0};
	if (g->type != GEN_IPADD || self->n_ips == TLS_IPS)
		return;
	struct str raw = text_of(g->d.iPAddress);
	if (raw.n != 4 && raw.n != 16)
		return;
	a.family = raw.n == 16 ? ADDR_V6 : ADDR_V4;
	memcpy(a.ip, raw.p, raw.n);
	self->ips[self->n_ips++] = a;
}

/* The first name that is a host's: a SIP URI's, or that of the DNS. */
static struct str first_name(const GENERAL_NAMES *names)
{
	struct str dns = STR_NONE;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		struct str uri = STR_NONE;
		if (g->type == GEN_URI)
			uri = sip_host(text_of(g->d.uniformResourceIdentifier));
		if (uri.n)
			return uri;
		if (g->type == GEN_DNS && !dns.n && !str_starts(text_of(g->d.dNSName), STR("*")))
			dns = text_of(g->d.dNSName);
	}
	return dns;
}

static void read_first(struct tls_self *self, X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++)
		keep_address(self, sk_GENERAL_NAME_value(names, i));
	if (names) {
		str_copy(self->name, sizeof(self->name), first_name(names));
	} else if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName,
					     self->name, sizeof(self->name)) < 0) {
		self->name[0] = '\0';
	} else if (addr_parse(str_c(self->name), 0, &self->ips[0])) {
		self->n_ips = 1;
		self->name[0] = '\0';
	}
	GENERAL_NAMES_free(names);
}

void tls_self_read(struct tls_self *self, const struct net_tls_cfg *cfg, X509 *const *certs,
		   size_t n)
{
	*self = (struct tls_self){.is_chosen = !cfg->n_names};
	if (n)
		read_first(self, certs[0]);
	for (size_t i = 0; !self->is_chosen && i < cfg->n_names; i++) {
		struct addr ip;
		for (size_t k = 0; !self->is_chosen && k < n; k++)
			self->is_chosen = tls_is_named(certs[k], cfg->name[i]);
		if (self->is_chosen && !addr_parse(str_c(cfg->name[i]), 0, &ip))
			str_copy(self->name, sizeof(self->name), str_c(cfg->name[i]));
	}
}

struct str net_tls_name(struct net_tls *t, const struct addr *local)
{
	const struct tls_set *set = t ? ev_snap_get(&t->set) : NULL;
	for (size_t i = 0; set && i < set->self.n_ips; i++)
		if (addr_ip_eq(&set->self.ips[i], local))
			return STR_NONE;
	return set ? str_c(set->self.name) : STR_NONE;
}

bool net_tls_is_misnamed(struct net_tls *t, struct str *name)
{
	const struct tls_set *set = t ? ev_snap_get(&t->set) : NULL;
	if (!set || !set->server || set->self.is_chosen)
		return false;
	*name = str_c(set->self.name);
	return true;
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
