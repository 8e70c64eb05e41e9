/* The handshake of TLS, as far as a bystander needs it: the hellos say which suite and which
 * secrets, the other messages when keys change. All else (certificates, key shares, tickets) is
 * passed over unread, however it is cut into records.
 *
 * A renegotiation is a handshake inside protected records: its hellos change the randoms, its
 * ChangeCipherSpec the keys. A second ClientHello, asked for by a HelloRetryRequest, keeps its
 * random. What a client sends early is tried with its early secret, in the suite that opens it:
 * which one was agreed on is known later.
 *
 * Invariants: a hello changes nothing unless it can be read whole; hand holds one message of those
 * that matter, up to MAX_HELLO bytes.
 *
 * [RFC5246 7.4] [RFC8446 4.1, 4.2.10, 4.4.4, 4.6.3]
 */
#include "capture/cap_tls_priv.h"

#include "base/assert.h"

#include <string.h>

#define MAX_HELLO (64u << 10)
/* A record whose secret is missing asks for it: each of the first ones, then now and then. */
#define ASK_ALWAYS 16u
#define ASK_EVERY  64u

enum hand {
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	TICKET = 4,
	END_OF_EARLY = 5,
	EXTENSIONS = 8,
	FINISHED = 20,
	KEY_UPDATE = 24
};
enum extension { EXT_ENCRYPT_THEN_MAC = 22, EXT_EARLY_DATA = 42, EXT_VERSIONS = 43 };

/* --- keys ------------------------------------------------------------------------------------- */

/* TLS 1.3: the secret of a direction's epoch. */
static struct str secret_of(const struct cap_tls *t, int way, unsigned epoch)
{
	static const enum cap_tls_label labels[] = {[EARLY] = CAP_TLS_EARLY,
						    [HANDSHAKE] = CAP_TLS_HANDSHAKE,
						    [APPLICATION] = CAP_TLS_APPLICATION};
	return cap_tls_log_find(t->w->log, labels[epoch], way != t->client, t->randoms[0]);
}

bool cap_tls_make_key(const struct cap_tls *t, int way, enum tls_epoch epoch, struct cap_tls_key *k)
{
	const struct cap_tls_suite *suite = cap_tls_suite(t->version, t->suite);
	struct str s;
	if (!suite || !t->has_client || !t->has_server)
		return false;
	if (cap_tls_is_13(t)) {
		s = secret_of(t, way, epoch);
		return s.n == suite->secret_n && cap_tls_key_init13(k, suite, (const uint8_t *)s.p);
	}
	s = cap_tls_log_find(t->w->log, CAP_TLS_MASTER, false, t->randoms[0]);
	return s.n && cap_tls_key_init12(k, suite, t->version, t->is_etm, way != t->client,
					 (const uint8_t *)s.p, t->randoms[0], t->randoms[1]);
}

/* The present epoch's key, or what else may do. */
static void look_up(struct cap_tls *t, int way)
{
	struct tls_dir *d = &t->d[way];
	d->version_asked = cap_tls_log_version(t->w->log);
	d->has_next = false;
	if (cap_tls_make_key(t, way, (enum tls_epoch)d->epoch, &d->key))
		return;
	if (d->epoch == EARLY)
		d->has_next = secret_of(t, way, EARLY).n || secret_of(t, way, HANDSHAKE).n;
	else if (cap_tls_is_13(t) && d->epoch == HANDSHAKE)
		d->has_next = secret_of(t, way, APPLICATION).n;
}

void cap_tls_enter(struct cap_tls *t, int way, enum tls_epoch epoch)
{
	struct tls_dir *d = &t->d[way];
	cap_tls_key_fini(&d->key);
	d->epoch = (uint8_t)epoch;
	d->seq = 0;
	d->slack = d->n_failed = d->n_asked = 0;
	d->is_given_up = false;
	look_up(t, way);
}

void cap_tls_ask_again(struct cap_tls *t, int way)
{
	struct tls_dir *d = &t->d[way];
	if (d->n_asked++ < ASK_ALWAYS || d->n_asked % ASK_EVERY == 0)
		cap_tls_log_look(t->w->log);
	if (cap_tls_log_version(t->w->log) != d->version_asked)
		look_up(t, way);
}

/* --- handshake -------------------------------------------------------------------------------- */

struct cursor {
	const uint8_t *p;
	size_t n;
};

static bool take(struct cursor *c, size_t n, struct cursor *out)
{
	if (n > c->n)
		return false;
	*out = (struct cursor){c->p, n};
	c->p += n;
	c->n -= n;
	return true;
}

/* A vector: its length in len_n bytes, then that much. [RFC8446 3.4] */
static bool take_vector(struct cursor *c, size_t len_n, struct cursor *out)
{
	struct cursor len;
	size_t n = 0;
	if (!take(c, len_n, &len))
		return false;
	for (size_t i = 0; i < len_n; i++)
		n = n << 8 | len.p[i];
	return take(c, n, out);
}

/* The next extension and its id; false at the end. */
static bool take_extension(struct cursor *exts, unsigned *id, struct cursor *body)
{
	struct cursor head;
	if (!take(exts, 2, &head) || !take_vector(exts, 2, body))
		return false;
	*id = cap_tls_u16(head.p);
	return true;
}

/* [RFC8446 4.1.2] */
static void on_client_hello(struct cap_tls *t, int way, struct cursor c)
{
	struct cursor head, skip, exts, body;
	unsigned id;
	bool is_early = false;
	if (!take(&c, 2 + CAP_TLS_RANDOM, &head) || !take_vector(&c, 1, &skip) ||
	    !take_vector(&c, 2, &skip) || !take_vector(&c, 1, &skip))
		return;
	if (take_vector(&c, 2, &exts))
		while (take_extension(&exts, &id, &body))
			is_early = is_early || id == EXT_EARLY_DATA;
	memcpy(t->randoms[0], head.p + 2, CAP_TLS_RANDOM);
	t->client = way;
	t->has_client = true;
	t->has_server = false;
	struct tls_dir *d = &t->d[way];
	if (is_early && d->epoch == CLEAR) {
		cap_tls_enter(t, way, EARLY);
	} else if (d->epoch == EARLY) { /* a second hello: what was sent early is refused */
		cap_tls_key_fini(&d->key);
		d->epoch = CLEAR;
	}
}

/* [RFC8446 4.1.3] */
static void on_server_hello(struct cap_tls *t, int way, struct cursor c)
{
	static const uint8_t retry[CAP_TLS_RANDOM] = /* SHA-256 of "HelloRetryRequest" */
		{0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
		 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
		 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
	struct cursor head, skip, suite, exts, body;
	unsigned id;
	if (!take(&c, 2 + CAP_TLS_RANDOM, &head) || !take_vector(&c, 1, &skip) ||
	    !take(&c, 3, &suite) || memcmp(head.p + 2, retry, sizeof retry) == 0)
		return;
	if (!t->has_client) /* its hello was lost; the server speaks for itself */
		t->client = !way;
	t->version = (uint16_t)cap_tls_u16(head.p);
	t->suite = (uint16_t)cap_tls_u16(suite.p);
	t->is_etm = false;
	if (take_vector(&c, 2, &exts))
		while (take_extension(&exts, &id, &body)) {
			if (id == EXT_VERSIONS && body.n == 2)
				t->version = (uint16_t)cap_tls_u16(body.p);
			else if (id == EXT_ENCRYPT_THEN_MAC)
				t->is_etm = true;
		}
	memcpy(t->randoms[1], head.p + 2, CAP_TLS_RANDOM);
	t->has_server = true;
	if (!cap_tls_is_13(t))
		return;
	cap_tls_enter(t, way, HANDSHAKE);
	struct tls_dir *client = &t->d[!way];
	if (client->epoch == EARLY)
		return;
	uint32_t passed = client->slack; /* read late, behind a gap */
	cap_tls_enter(t, !way, HANDSHAKE);
	client->slack = passed;
}

/* [RFC8446 4.6.3] */
static void on_key_update(struct cap_tls *t, int way)
{
	struct tls_dir *d = &t->d[way];
	uint8_t next[CAP_TLS_SECRET_MAX];
	if (!cap_tls_is_13(t) || d->epoch != APPLICATION || !d->key.ctx)
		return;
	cap_tls_key_next(d->key.suite, d->key.secret, next);
	cap_tls_key_init13(&d->key, d->key.suite, next);
	d->seq = 0;
}

/* Keeps a message for whoever asks what it says. */
static void show(struct cap_tls *t, unsigned type, struct cursor body)
{
	struct buf *b = &t->w->hellos;
	uint8_t head[] = {(uint8_t)type, (uint8_t)(body.n >> 16), (uint8_t)(body.n >> 8),
			  (uint8_t)body.n};
	if (!t->w->seen.hellos.n)
		buf_clear(b);
	buf_put(b, head, sizeof head);
	buf_put(b, body.p, body.n);
	if (b->err)
		buf_clear(b);
	t->w->seen.hellos = buf_view(b);
}

static void on_message(struct cap_tls *t, int way, unsigned type, struct cursor body)
{
	if (type <= SERVER_HELLO || type == EXTENSIONS || (type == TICKET && cap_tls_is_13(t)))
		show(t, type, body);
	switch (type) {
	case CLIENT_HELLO:
		on_client_hello(t, way, body);
		break;
	case SERVER_HELLO:
		on_server_hello(t, way, body);
		break;
	case END_OF_EARLY:
		if (t->d[way].epoch == EARLY)
			cap_tls_enter(t, way, HANDSHAKE);
		break;
	case FINISHED:
		if (t->d[way].epoch == HANDSHAKE)
			cap_tls_enter(t, way, APPLICATION);
		break;
	case KEY_UPDATE:
		on_key_update(t, way);
		break;
	}
}

static bool matters(unsigned type)
{
	return type == CLIENT_HELLO || type == SERVER_HELLO || type == TICKET ||
	       type == END_OF_EARLY || type == EXTENSIONS || type == FINISHED || type == KEY_UPDATE;
}

/* Some bytes of a message, its head first; returns how many. What does not matter is not kept. */
static size_t on_message_bytes(struct cap_tls *t, int way, struct cursor c)
{
	struct tls_dir *d = &t->d[way];
	if (d->hand_left) {
		size_t pass = d->hand_left < c.n ? d->hand_left : c.n;
		d->hand_left -= (uint32_t)pass;
		return pass;
	}
	const uint8_t *p = (const uint8_t *)d->hand.p;
	size_t body = d->hand.n < 4 ? 0 : (size_t)p[1] << 16 | cap_tls_u16(p + 2);
	size_t n = 4 + body - d->hand.n < c.n ? 4 + body - d->hand.n : c.n;
	buf_put(&d->hand, c.p, n);
	if (d->hand.err)
		buf_clear(&d->hand); /* no memory: out of step, until keys change */
	if (d->hand.n < 4)
		return n;
	p = (const uint8_t *)d->hand.p;
	body = (size_t)p[1] << 16 | cap_tls_u16(p + 2);
	unsigned type = p[0];
	if (d->hand.n == 4)
		cap_tls_note(t->w->seen.handshakes, &t->w->seen.n_handshakes, type);
	if (d->hand.n == 4 && (!matters(type) || body > MAX_HELLO)) {
		d->hand_left = (uint32_t)body;
		buf_clear(&d->hand);
	} else if (d->hand.n == 4 + body) {
		on_message(t, way, type, (struct cursor){p + 4, body});
		buf_clear(&d->hand);
	}
	return n;
}

void cap_tls_handshake(struct cap_tls *t, int way, const uint8_t *p, size_t n)
{
	while (n) {
		size_t used = on_message_bytes(t, way, (struct cursor){p, n});
		p += used;
		n -= used;
	}
}
