/* Which hosts are ours, and the canonical address of record.
 *
 * All names and addresses of one exchange are aliases of each other, since it has one set of
 * accounts. So an AOR is stored under a domain that never changes (the realm of the data folder),
 * whatever a phone calls us: a new address of the machine, or a domain configured later, loses
 * neither password nor binding.
 *
 * Ours are: the configured names and address literals; with none configured, the machine's own name
 * (and that name with ".local"); always "localhost" and every address that the transport listens
 * on. Comparison is without case, a final dot is ignored. Names are few: they are searched in
 * order.
 *
 * The table is immutable after dom_new: all shards read it freely.
 */
#include "service/domains.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct name {
	struct str
		text; /* lower case, without final dot; "" in front of a wildcard's rest: ".x.y" */
	bool is_wild, is_ip;
	struct addr ip;
};

struct dom {
	struct str canonical;
	size_t n;
	char *text;
	struct name name[];
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static struct str no_dot(struct str s)
{
	return s.n && s.p[s.n - 1] == '.' ? str_sub(s, 0, s.n - 1) : s;
}

static bool is_host_name(struct str s)
{
	if (!s.n || s.n > 255 || s.p[0] == '.' || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = lower(s.p[i]);
		bool is_ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
			     c == '_' || (c == '.' && s.p[i - 1] != '.');
		if (!is_ok)
			return false;
	}
	return true;
}

static bool name_make(struct str s, struct name *out, char **at)
{
	*out = (struct name){0};
	s = no_dot(s);
	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		s = str_sub(s, 1, s.n - 2);
	out->is_wild = str_starts(s, STR("*."));
	if (out->is_wild)
		s = str_skip(s, 1);
	if (!is_host_name(out->is_wild ? str_skip(s, 1) : s) && !addr_parse(s, 0, &out->ip))
		return false;
	out->is_ip = !out->is_wild && addr_parse(s, 0, &out->ip);
	out->text = str_of(*at, s.n);
	for (size_t i = 0; i < s.n; i++)
		*(*at)++ = lower(s.p[i]);
	return true;
}

enum err dom_new(const struct str *names, size_t n, struct str canonical, struct str host_name,
		 struct str *bad, struct dom **out)
{
	size_t bytes =
		canonical.n + host_name.n + sizeof("localhost") + sizeof(".local") + host_name.n;
	for (size_t i = 0; i < n; i++)
		bytes += names[i].n;
	struct dom *d = calloc(1, sizeof(*d) + (n + 3) * sizeof(d->name[0]));
	char *at = malloc(bytes + 1);
	if (!d || !at) {
		free(d);
		free(at);
		return ERR_NOMEM;
	}
	d->text = at;
	if (canonical.n)
		memcpy(at, canonical.p, canonical.n);
	d->canonical = str_of(at, canonical.n);
	at += canonical.n;
	for (size_t i = 0; i < n; i++) {
		if (!name_make(names[i], &d->name[d->n], &at)) {
			*bad = names[i];
			dom_free(d);
			return ERR_SYNTAX;
		}
		d->n++;
	}
	if (!n && is_host_name(no_dot(host_name)) && name_make(host_name, &d->name[d->n], &at)) {
		struct name *host = &d->name[d->n++];
		if (str_chr(host->text, '.') == SIZE_MAX) { /* what multicast DNS calls it */
			struct name *local = &d->name[d->n++];
			*local = *host;
			local->text = str_of(at, host->text.n + 6);
			memcpy(at, host->text.p, host->text.n);
			memcpy(at + host->text.n, ".local", 6);
			at += local->text.n;
		}
	}
	*out = d;
	return OK;
}

void dom_free(struct dom *d)
{
	if (!d)
		return;
	free(d->text);
	free(d);
}

static bool is_named(const struct name *n, struct str host)
{
	if (!n->is_wild)
		return str_ieq(n->text, host);
	if (host.n <= n->text.n)
		return false;
	size_t label = host.n - n->text.n;
	return str_ieq(str_skip(host, label), n->text) &&
	       str_chr(str_sub(host, 0, label), '.') == SIZE_MAX;
}

static bool is_listed(const struct dom *d, struct str host, const struct addr *ip)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct name *n = &d->name[i];
		if (ip ? n->is_ip && addr_ip_eq(&n->ip, ip) : is_named(n, host))
			return true;
	}
	return !ip && str_ieq(host, STR("localhost"));
}

/* The port is one that we listen on. */
static bool is_our_port(struct tp *tp, uint16_t port)
{
	enum tp_proto proto;
	struct addr local;
	for (size_t i = 0; tp_listener(tp, i, &proto, &local); i++)
		if (local.port == port)
			return true;
	return false;
}

static bool is_ours(const struct dom *d, struct tp *tp, struct str host, const struct addr *ip,
		    uint16_t port)
{
	if (is_listed(d, no_dot(host), ip))
		return port == 0 || is_our_port(tp, port);
	if (!ip)
		return false;
	struct addr a = *ip;
	a.port = port;
	return tp_is_local(tp, &a);
}

bool dom_is_ours(const struct dom *d, struct tp *tp, struct str host, uint16_t port)
{
	struct addr ip;
	bool is_ip = addr_parse(host, 0, &ip);
	return is_ours(d, tp, host, is_ip ? &ip : NULL, port);
}

bool dom_uri_is_ours(const struct dom *d, struct tp *tp, const struct sip_uri *u)
{
	if (u->scheme == SIP_URI_TEL)
		return true;
	if (u->scheme == SIP_URI_OTHER)
		return false;
	return is_ours(d, tp, u->host, u->is_ip ? &u->ip : NULL, u->port);
}

enum err dom_aor_put(const struct dom *d, const struct sip_uri *u, struct buf *out)
{
	size_t at = out->n;
	if (!u->user.n)
		return ERR_SYNTAX;
	if (!sip_unescape(out, u->user))
		return ERR_SYNTAX;
	for (size_t i = at; i < out->n; i++)
		if (out->p[i] == 0)
			return ERR_SYNTAX; /* no account has a NUL in its name, and C strings end
					      there */
	buf_chr(out, '@');
	buf_str(out, d->canonical);
	return out->err;
}

void dom_aor_of_user(const struct dom *d, struct str user, struct buf *out)
{
	buf_str(out, user);
	buf_chr(out, '@');
	buf_str(out, d->canonical);
}

struct str dom_user_of_aor(const struct dom *d, struct str aor)
{
	/* the user part may contain '@' once unescaped: cut what we put there */
	if (aor.n > d->canonical.n && str_ends(aor, d->canonical))
		return str_sub(aor, 0, aor.n - d->canonical.n - 1);
	return aor;
}

struct str dom_canonical(const struct dom *d)
{
	return d->canonical;
}

struct str dom_first(const struct dom *d)
{
	return d->n ? d->name[0].text : STR_NONE;
}
