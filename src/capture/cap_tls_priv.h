#pragma once
/* A TLS connection inside: records (cap_tls.c), handshake and keys (cap_tls_hand.c). */

#include "base/buf.h"
#include "capture/cap_tls.h"
#include "capture/cap_tls_key.h"

#define CAP_TLS_MAX_SLACK 256u

enum tls_content { CHANGE_CIPHER_SPEC = 20, ALERT, HANDSHAKE_DATA, APPLICATION_DATA, HEARTBEAT };
enum tls_epoch { CLEAR, EARLY, HANDSHAKE, APPLICATION /* and all of TLS 1.2 */ };

struct tls_dir {
	uint8_t head[5];
	uint8_t n_head, epoch;
	bool is_kept, is_given_up;
	bool has_next; /* without a key: an early secret, or the next epoch's, is known */
	uint32_t left;
	struct buf rec;
	struct buf hand;    /* a handshake message, so far */
	uint32_t hand_left; /* bytes of one that does not matter, to pass over */
	struct cap_tls_key key;
	uint64_t seq;
	uint32_t slack, n_failed, n_asked, version_asked;
};

struct cap_tls {
	struct cap_tls_world *w;
	struct tls_dir d[2];
	uint8_t randoms[2][CAP_TLS_RANDOM]; /* client's, server's */
	bool has_client, has_server, is_etm, is_open;
	uint32_t *counted; /* in which count of unread ones it is */
	int client;        /* way of the client */
	uint16_t version, suite;
	cap_tls_fn *fn; /* of the call at work */
	void *arg;
};

/* Begins an epoch of a direction: its key, when the secret is known; number 0. */
void cap_tls_enter(struct cap_tls *t, int way, enum tls_epoch epoch);
/* The key of an epoch; false while its secret is not known, or its suite not one that we open. */
bool cap_tls_make_key(const struct cap_tls *t, int way, enum tls_epoch epoch,
		      struct cap_tls_key *k);
/* The present epoch's missing key, when the log may have got it meanwhile. */
void cap_tls_ask_again(struct cap_tls *t, int way);
/* Bytes of handshake records: several messages in one, or one in several. */
void cap_tls_handshake(struct cap_tls *t, int way, const uint8_t *p, size_t n);

static inline bool cap_tls_is_13(const struct cap_tls *t)
{
	return t->version == CAP_TLS_1_3;
}
static inline unsigned cap_tls_u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}
static inline void cap_tls_note(uint8_t *list, uint8_t *n, unsigned value)
{
	if (*n < CAP_TLS_SEEN_MAX)
		list[(*n)++] = (uint8_t)value;
}
