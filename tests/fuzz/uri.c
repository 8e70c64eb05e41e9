/* Fuzz target: URIs. The input is one or two URIs or addresses (the second behind the first LF),
 * and header parameters. Asserted: strings stay inside; equality is reflexive and symmetric, and
 * equal URIs have the same address of record (host and user are compared by it); what
 * sip_escape_user writes, sip_unescape reads; a parsed URI of the three schemes can be written into
 * an address and read again. */

#include "sip/uri.h"
#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct str whole, struct str s)
{
	ASSERT(!s.n || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n));
}

static enum err check_one(struct str s, struct sip_uri *u)
{
	enum err e = sip_uri_parse(s, u);
	const struct str parts[] = {u->scheme_name, u->user,   u->password,
				    u->host,        u->params, u->headers};
	ASSERT(e == OK || e == ERR_SYNTAX || e == ERR_UNSUPPORTED);
	ASSERT(u->all.p == s.p && u->all.n == s.n);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		check_inside(s, parts[i]);
	if (e == OK)
		ASSERT(u->scheme == SIP_URI_TEL ? u->user.n > 0 : u->host.n > 0);
	ASSERT((e == ERR_UNSUPPORTED) == (e != ERR_SYNTAX && u->scheme == SIP_URI_OTHER));
	return e;
}

static void check_aor(const struct sip_uri *a, const struct sip_uri *b)
{
	struct buf x, y;
	buf_init(&x);
	buf_init(&y);
	enum err ex = sip_aor_put(&x, a), ey = sip_aor_put(&y, b);
	ASSERT((ex == ERR_UNSUPPORTED) == (ey == ERR_UNSUPPORTED));
	if (ex == OK && ey == OK)
		ASSERT(str_eq(buf_view(&x), buf_view(&y)));
	buf_fini(&x);
	buf_fini(&y);
}

static void check_address(const struct sip_uri *u)
{
	struct buf b;
	struct sip_addr a;
	buf_init(&b);
	buf_str(&b, STR("\"x\" <"));
	buf_str(&b, u->all);
	buf_str(&b, STR(">;tag=y"));
	if (b.err == OK) {
		enum err e = sip_addr_parse(buf_view(&b), &a);
		ASSERT(e == OK && a.uri_err == OK);
		ASSERT(sip_uri_eq(&a.uri, u));
		ASSERT(str_eq(a.params, STR("tag=y")));
	}
	buf_fini(&b);
}

static void check_escapes(struct str s)
{
	struct buf esc, plain;
	buf_init(&esc);
	buf_init(&plain);
	sip_escape_user(&esc, s);
	if (esc.err == OK) {
		bool is_good = sip_unescape(&plain, buf_view(&esc));
		ASSERT(is_good);
		ASSERT(plain.err != OK || str_eq(buf_view(&plain), s));
	}
	buf_fini(&esc);
	buf_fini(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest, first, name, value;
	struct sip_uri a, b;
	struct sip_addr addr;
	char *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	struct str all = str_of(copy, size);
	first = str_cut(all, '\n', &rest);
	enum err ea = check_one(first, &a), eb = check_one(rest, &b);
	if (ea == OK)
		check_address(&a);
	if (ea != ERR_SYNTAX)
		ASSERT(sip_uri_eq(&a, &a));
	if (ea != ERR_SYNTAX && eb != ERR_SYNTAX) {
		bool is_eq = sip_uri_eq(&a, &b);
		ASSERT(is_eq == sip_uri_eq(&b, &a));
		if (is_eq && ea == OK)
			check_aor(&a, &b);
	}
	if (sip_addr_parse(first, &addr) == OK) {
		check_inside(first, addr.display);
		check_inside(first, addr.params);
	}
	for (rest = all; sip_param_next(&rest, &name, &value);) {
		check_inside(all, name);
		check_inside(all, value);
		check_inside(all, rest);
	}
	check_escapes(first);
	free(copy);
	return 0;
}
