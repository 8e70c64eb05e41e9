/* The key log: "LABEL <client random in hex> <secret in hex>" a line.
 *
 * A table from label and random to the secret, its nodes in one arena. The same secret may be
 * logged by both ends of a connection, or by every test run into one file: the first line stays.
 *
 * A followed file is read up to its last line end; a line behind that is tried, and read again when
 * it has got its end. A file that became shorter was begun anew and is read from its start.
 *
 * "RSA" lines (a premaster secret by what the client encrypted) are not read: every library that
 * wrote them writes CLIENT_RANDOM, too, and with that no key exchange matters.
 *
 * Format: draft-ietf-tls-keylogfile.
 */
#include "capture/cap_tls_log.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/hash.h"
#include "capture/cap_tls_key.h"
#include "event/env.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES  (64u << 10)
#define MAX_SECRETS (1u << 20) /* further ones are not kept: 150 MB */

struct secret {
	struct hnode node;
	uint8_t label, is_server, n;
	uint8_t random[CAP_TLS_RANDOM];
	uint8_t bytes[];
};

struct cap_tls_log {
	struct htab table;
	uint8_t hash_key[16];
	struct arena mem;
	uint32_t version;
	int fd;       /* of the followed file, or -1 */
	uint64_t off; /* of its first byte not read */
};

static const struct {
	struct str name;
	uint8_t label;
	bool is_server;
} labels[] = {
	{STR_INIT("CLIENT_RANDOM"),                   CAP_TLS_MASTER,      false},
	{STR_INIT("CLIENT_EARLY_TRAFFIC_SECRET"),     CAP_TLS_EARLY,       false},
	{STR_INIT("CLIENT_HANDSHAKE_TRAFFIC_SECRET"), CAP_TLS_HANDSHAKE,   false},
	{STR_INIT("SERVER_HANDSHAKE_TRAFFIC_SECRET"), CAP_TLS_HANDSHAKE,   true },
	{STR_INIT("CLIENT_TRAFFIC_SECRET_0"),         CAP_TLS_APPLICATION, false},
	{STR_INIT("SERVER_TRAFFIC_SECRET_0"),         CAP_TLS_APPLICATION, true },
};

struct cap_tls_log *cap_tls_log_new(void)
{
	struct cap_tls_log *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	if (htab_init(&l->table, 64)) {
		free(l);
		return NULL;
	}
	env_entropy(l->hash_key, sizeof l->hash_key);
	arena_init(&l->mem);
	l->fd = -1;
	return l;
}

void cap_tls_log_free(struct cap_tls_log *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	htab_fini(&l->table);
	arena_fini(&l->mem);
	free(l);
}

/* A random is its own hash, but whose it is decides who can make it collide. */
static uint64_t hash_of(const struct cap_tls_log *l, enum cap_tls_label label, bool is_server,
			const uint8_t *random)
{
	return htab_hash(l->hash_key, random, CAP_TLS_RANDOM) + (uint64_t)label * 2 + is_server;
}

struct str cap_tls_log_find(const struct cap_tls_log *l, enum cap_tls_label label, bool is_server,
			    const uint8_t random[CAP_TLS_RANDOM])
{
	uint64_t hash = hash_of(l, label, is_server, random);
	for (struct hnode *n = htab_first(&l->table, hash); n; n = htab_next(n)) {
		const struct secret *s = CONTAINER_OF(n, struct secret, node);
		if (s->label == label && s->is_server == is_server &&
		    memcmp(s->random, random, CAP_TLS_RANDOM) == 0)
			return str_of((const char *)s->bytes, s->n);
	}
	return STR_NONE;
}

static void put_hex(struct buf *b, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_fmt(b, "%02x", p[i]);
}

void cap_tls_log_put(const struct cap_tls_log *l, const uint8_t random[CAP_TLS_RANDOM],
		     struct buf *b)
{
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		struct str s = cap_tls_log_find(l, (enum cap_tls_label)labels[i].label,
						labels[i].is_server, random);
		if (!s.n)
			continue;
		buf_str(b, labels[i].name);
		buf_chr(b, ' ');
		put_hex(b, random, CAP_TLS_RANDOM);
		buf_chr(b, ' ');
		put_hex(b, (const uint8_t *)s.p, s.n);
		buf_chr(b, '\n');
	}
}

static int nibble(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Bytes written, 0 when s is no hex of at most max bytes. */
static size_t unhex(struct str s, uint8_t *out, size_t max)
{
	if (s.n % 2 || s.n / 2 > max)
		return 0;
	for (size_t i = 0; i < s.n / 2; i++) {
		int hi = nibble(s.p[2 * i]), lo = nibble(s.p[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return 0;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return s.n / 2;
}

static void add_line(struct cap_tls_log *l, struct str line)
{
	struct str rest, name = str_cut(line, ' ', &rest), value;
	struct str id = str_cut(rest, ' ', &value);
	uint8_t random[CAP_TLS_RANDOM], bytes[CAP_TLS_SECRET_MAX];
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		if (!str_eq(name, labels[i].name))
			continue;
		enum cap_tls_label label = labels[i].label;
		bool is_server = labels[i].is_server;
		size_t n = unhex(str_trim(value), bytes, sizeof bytes);
		/* a secret of TLS 1.3 is as long as the suite's hash */
		if (unhex(id, random, sizeof random) != sizeof random || (n != 48 && n != 32) ||
		    (label == CAP_TLS_MASTER && n != 48) || l->table.n >= MAX_SECRETS ||
		    cap_tls_log_find(l, label, is_server, random).n)
			return;
		struct secret *s = arena_alloc(&l->mem, sizeof *s + n);
		if (!s)
			return;
		s->label = (uint8_t)label;
		s->is_server = is_server;
		s->n = (uint8_t)n;
		memcpy(s->random, random, sizeof random);
		memcpy(s->bytes, bytes, n);
		htab_add(&l->table, &s->node, hash_of(l, label, is_server, random));
		l->version++;
		return;
	}
}

void cap_tls_log_add(struct cap_tls_log *l, struct str text)
{
	while (text.n)
		add_line(l, str_trim(str_cut(text, '\n', &text)));
}

void cap_tls_log_look(struct cap_tls_log *l)
{
	struct stat st;
	if (l->fd < 0 || fstat(l->fd, &st) != 0 || (uint64_t)st.st_size == l->off)
		return;
	if ((uint64_t)st.st_size < l->off)
		l->off = 0;
	char *text = malloc(READ_BYTES);
	ssize_t got;
	while (text && (got = pread(l->fd, text, READ_BYTES, (off_t)l->off)) > 0) {
		size_t n = (size_t)got;
		while (n && text[n - 1] != '\n')
			n--;
		if (!n && (size_t)got < READ_BYTES) {
			/* still being written, or by hand: then nothing is missing but its end */
			add_line(l, str_of(text, (size_t)got));
			break;
		}
		/* one longer than all that was read is no secret */
		cap_tls_log_add(l, str_of(text, n));
		l->off += n ? n : (size_t)got;
	}
	free(text);
}

enum err cap_tls_log_follow(struct cap_tls_log *l, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return access(path, F_OK) == 0 ? ERR_IO : ERR_NOTFOUND;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return ERR_IO;
	}
	if (l->fd >= 0)
		close(l->fd);
	l->fd = fd;
	l->off = 0;
	cap_tls_log_look(l);
	return OK;
}

uint32_t cap_tls_log_version(const struct cap_tls_log *l)
{
	return l->version;
}
