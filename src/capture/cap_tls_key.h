#pragma once
/* Keys of one direction of a TLS connection, and the opening of its records. Pure but for the
 * cipher's context. [RFC5246 6] [RFC8446 5.2, 7] */

#include "base/str.h"

struct evp_cipher_ctx_st; /* of OpenSSL, whose headers and base/err.h both name an ERR_STATE */

#define CAP_TLS_SECRET_MAX 48
#define CAP_TLS_RECORD_MAX (16'384 + 2'048) /* bytes of a protected record [RFC5246 6.2.3] */
#define CAP_TLS_OPEN_ROOM  (CAP_TLS_RECORD_MAX + 64)

enum {
	CAP_TLS_1_0 = 0x0301,
	CAP_TLS_1_1 = 0x0302,
	CAP_TLS_1_2 = 0x0303,
	CAP_TLS_1_3 = 0x0304,
};

struct cap_tls_suite {
	uint16_t id;
	uint8_t bulk; /* private */
	uint8_t hash; /* of PRF or HKDF; private */
	uint8_t mac;  /* of CBC suites; private */
	uint8_t secret_n;
};
/* NULL: none that we can open in this version. */
const struct cap_tls_suite *cap_tls_suite(uint16_t version, uint16_t id);

struct cap_tls_key {
	struct evp_cipher_ctx_st *ctx; /* NULL: there is no key */
	const struct cap_tls_suite *suite;
	uint16_t version;
	bool is_etm; /* encrypt-then-MAC [RFC7366] */
	uint8_t iv[16], mac_key[CAP_TLS_SECRET_MAX];
	uint8_t secret[CAP_TLS_SECRET_MAX]; /* TLS 1.3: of this generation */
};

/* TLS 1.3, from a traffic secret of suite->secret_n bytes. False without memory; k->ctx is then
 * NULL. Both _init functions forget what was in k. */
bool cap_tls_key_init13(struct cap_tls_key *k, const struct cap_tls_suite *suite,
			const uint8_t *secret);
/* Up to TLS 1.2, from the master secret (48 bytes) and the hellos' randoms (32 bytes each). */
bool cap_tls_key_init12(struct cap_tls_key *k, const struct cap_tls_suite *suite, uint16_t version,
			bool is_etm, bool is_server, const uint8_t *master,
			const uint8_t *client_random, const uint8_t *server_random);
void cap_tls_key_fini(struct cap_tls_key *k); /* also of a zeroed one */
/* TLS 1.3: the next generation's secret. [RFC8446 7.2] */
void cap_tls_key_next(const struct cap_tls_suite *suite, const uint8_t *secret,
		      uint8_t next[CAP_TLS_SECRET_MAX]);
/* Opens a record: head are its five bytes, body[0..n) the rest; out has CAP_TLS_OPEN_ROOM bytes.
 * True when it is genuine and has this sequence number: *plain is then its content (in out), with
 * padding and inner type still at its end in TLS 1.3. */
bool cap_tls_open(const struct cap_tls_key *k, uint64_t seq, const uint8_t head[5],
		  const uint8_t *body, size_t n, uint8_t *out, struct str *plain);
/* A record has gone by, opened or not: in TLS 1.0 its end is the next one's IV. */
void cap_tls_key_pass(struct cap_tls_key *k, const uint8_t *body, size_t n);
