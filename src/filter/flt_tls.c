/* Fields of TLS: the records that a segment completed, the messages in them, and what the hellos
 * among these say, and the other messages with extensions.
 *
 * cap_tls has noted them while it read the connection; encrypted messages are there as far as their
 * secrets are known. These are kept whole until the next segment.
 * [RFC8446 4.1.2, 4.1.3, 4.2, 4.3.1, 5.1]
 */
#include "filter/flt_get.h"

#define RANDOM 32u

enum { CLIENT_HELLO = 1, SERVER_HELLO = 2, TICKET = 4 };
enum extension { EXT_SERVER_NAME = 0, EXT_ALPN = 16, EXT_VERSIONS = 43 };

struct cursor {
	const uint8_t *p, *end;
};

static struct cursor none(void)
{
	return (struct cursor){NULL, NULL};
}

/* The next n bytes; nothing, and nothing behind them, when there are not so many. */
static struct cursor take(struct cursor *c, size_t n)
{
	if (n > (size_t)(c->end - c->p)) {
		*c = none();
		return none();
	}
	struct cursor out = {c->p, c->p + n};
	c->p += n;
	return out;
}

/* A vector: its length in n bytes, then that much. */
static struct cursor take_vector(struct cursor *c, size_t n)
{
	struct cursor head = take(c, n);
	size_t len = 0;
	while (head.p < head.end)
		len = len << 8 | *head.p++;
	return take(c, len);
}

static void put_list16(struct outlet *o, struct cursor c)
{
	for (; c.end - c.p >= 2; c.p += 2)
		put_u(o, be16(c.p));
}

static void put_cursor(struct outlet *o, struct cursor c)
{
	put_s(o, str_of((const char *)c.p, (size_t)(c.end - c.p)));
}

/* Host names [RFC6066 3]; protocols [RFC7301 3.1]. */
static void names(unsigned id, struct cursor body, struct outlet *o)
{
	struct cursor list = take_vector(&body, 2);
	while (list.p < list.end) {
		if (id == EXT_SERVER_NAME)
			take(&list, 1);
		struct cursor name = take_vector(&list, id == EXT_SERVER_NAME ? 2 : 1);
		if (name.p)
			put_cursor(o, name);
	}
}

static void extension(unsigned what, unsigned id, struct cursor body, bool is_client,
		      struct outlet *o)
{
	if (what == TL_EXT_TYPE)
		put_u(o, id);
	else if (what == TL_SERVER_NAME && id == EXT_SERVER_NAME)
		names(id, body, o);
	else if (what == TL_ALPN && id == EXT_ALPN)
		names(id, body, o);
	else if (what == TL_EXT_VERSION && id == EXT_VERSIONS)
		put_list16(o, is_client ? take_vector(&body, 1) : body);
}

static void extensions(unsigned what, bool is_client, struct cursor c, struct outlet *o)
{
	struct cursor exts = what >= TL_EXT_TYPE ? take_vector(&c, 2) : none();
	while (exts.end - exts.p >= 4) {
		unsigned id = be16(take(&exts, 2).p);
		extension(what, id, take_vector(&exts, 2), is_client, o);
	}
}

static void hello(unsigned what, bool is_client, struct cursor c, struct outlet *o)
{
	struct cursor version = take(&c, 2), random = take(&c, RANDOM);
	struct cursor session = take_vector(&c, 1);
	struct cursor suites = is_client ? take_vector(&c, 2) : take(&c, 2);
	struct cursor packing = is_client ? take_vector(&c, 1) : take(&c, 1);
	if (!packing.p)
		return;
	if (what == TL_VERSION)
		put_list16(o, version);
	else if (what == TL_RANDOM)
		put_cursor(o, random);
	else if (what == TL_SESSION && session.p < session.end)
		put_cursor(o, session);
	else if (what == TL_SUITE)
		put_list16(o, suites);
	extensions(what, is_client, c, o);
}

/* They stand one behind the other as they came: type, length, body. */
static void hellos(unsigned what, struct str all, struct outlet *o)
{
	struct cursor c = {(const uint8_t *)all.p, (const uint8_t *)all.p + all.n};
	while (c.end - c.p > 4) {
		unsigned type = *take(&c, 1).p;
		struct cursor body = take_vector(&c, 3);
		if (type == CLIENT_HELLO || type == SERVER_HELLO) {
			hello(what, type == CLIENT_HELLO, body, o);
			continue;
		}
		if (type == TICKET) { /* [RFC8446 4.6.1] */
			take(&body, 8);
			take_vector(&body, 1);
			take_vector(&body, 2);
		}
		extensions(what, false, body, o);
	}
}

unsigned flt_get_tls(const struct flt_field *f, const struct cap_frame *fr, struct flt_val *out)
{
	struct outlet o = {out, 0, 1};
	const struct cap_tls_seen *t = fr->tls;
	if (!t)
		return 0;
	switch (f->arg) {
	case TL_PROTO:
		put_proto(&o, fr->pkt.p, fr->pkt.n, fr->pkt.n);
		break;
	case TL_TYPE:
		for (unsigned i = 0; i < t->n_types; i++)
			put_u(&o, t->types[i]);
		break;
	case TL_OPAQUE:
		for (unsigned i = 0; i < t->n_opaque; i++)
			put_u(&o, t->opaque[i]);
		break;
	case TL_HANDSHAKE:
		for (unsigned i = 0; i < t->n_handshakes; i++)
			put_u(&o, t->handshakes[i]);
		break;
	case TL_RECORD_VERSION:
		for (unsigned i = 0; i < t->n_records; i++)
			put_u(&o, t->records[i].version);
		break;
	case TL_RECORD_LENGTH:
		for (unsigned i = 0; i < t->n_records; i++)
			put_u(&o, t->records[i].n);
		break;
	default:
		hellos(f->arg, t->hellos, &o);
		break;
	}
	return o.n;
}
