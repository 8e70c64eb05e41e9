#pragma once
/* TLS taken off a connection, for who has its secrets: bytes of each direction in, application data
 * out. Without secrets its records are counted and passed over. */

#include "capture/cap_tls_log.h"

struct cap_tls; /* one connection */
/* Application data of a direction (0 or 1), in order. */
typedef void cap_tls_fn(void *arg, int way, const uint8_t *p, size_t n);

#define CAP_TLS_SEEN_MAX 32
struct cap_tls_seen { /* the records that a frame completed, and the messages in them */
	bool is_there;
	uint8_t n_types, n_opaque, n_handshakes, n_records;
	uint8_t types[CAP_TLS_SEEN_MAX];  /* content types; in TLS 1.3 those inside, when opened */
	uint8_t opaque[CAP_TLS_SEEN_MAX]; /* TLS 1.3: content types of the wrappings */
	uint8_t handshakes[CAP_TLS_SEEN_MAX]; /* message types that could be read */
	struct {
		uint16_t version, n;
	} records[CAP_TLS_SEEN_MAX]; /* as their heads say */
	struct str hellos; /* what has extensions, each behind its type (1 byte), length (3) */
};

struct cap_tls_counts { /* connections */
	uint32_t n_conns;
	uint32_t n_no_key; /* not read: no secret in the log */
	uint32_t n_suite;  /* a cipher suite that we do not open */
	uint32_t n_mid;    /* begun before the capture, or the sniffer lost its hellos */
};

struct cap_tls_world {           /* what connections share; zeroed, then log */
	struct cap_tls_log *log; /* the caller's */
	struct cap_tls_seen seen;
	struct cap_tls_counts counts;
	uint8_t *scratch;  /* a record opened */
	struct buf hellos; /* of seen */
};
void cap_tls_world_fini(struct cap_tls_world *w);

struct cap_tls *cap_tls_new(struct cap_tls_world *w); /* NULL without memory */
void cap_tls_free(struct cap_tls *t);
/* The client's random, by which its secrets are known; NULL while its hello was not seen. */
const uint8_t *cap_tls_random(const struct cap_tls *t);
/* Bytes of memory that it holds, roughly. */
size_t cap_tls_n_bytes(const struct cap_tls *t);
/* The next bytes of a direction; the first ones begin at a record. False: out of step, the rest is
 * dropped and the next call must begin at a record again. */
bool cap_tls_feed(struct cap_tls *t, int way, const uint8_t *p, size_t n, cap_tls_fn *fn,
		  void *arg);
/* That many bytes of the direction were lost; the next call must begin at a record. */
void cap_tls_gap(struct cap_tls *t, int way, size_t lost);
