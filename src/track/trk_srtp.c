/* SRTP opened with SDES keys, over libsrtp.
 *
 * Which key a packet has is not said by the packet. Offers name several, answers choose one,
 * re-INVITEs bring new ones; so the key that fitted last is tried, and when it does not fit any
 * more the others, newest first. Authentication tells: a wrong key does not open anything. What
 * cannot be opened is tried with all keys only now and then, else each packet of a call without its
 * key would cost a derivation for every key.
 *
 * The index of a packet is its sequence number and a roll-over count. The count since the stream
 * was first seen is the caller's; when the capture began in the middle of a call there were some
 * before, which are guessed: up to MAX_ROC.
 *
 * Invariant: session belongs to `key`, or both are NULL; keys live as long as their call, and the
 * call's streams are freed before them or with them.
 */
#include "track/trk_srtp.h"

#include "base/cut.h"
#include "track/trk_media_priv.h"

#include <srtp2/srtp.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROC    3
#define PATIENCE   4  /* packets that no key fits: one of them may be nobody's */
#define TRY_EVERY  32 /* packets, once none fitted */
#define MAX_TRIES  24 /* keys in vain, until the call has a new one: a session is dear to make */
#define MIN_PACKET 12

static const struct {
	const char *name;
	uint8_t size;
	void (*policy)(srtp_crypto_policy_t *p);
} suites[CAP_SRTP__N] = {
	[CAP_AES_128_80] = {"AES_CM_128_HMAC_SHA1_80", 30, srtp_crypto_policy_set_rtp_default        },
	[CAP_AES_128_32] = {"AES_CM_128_HMAC_SHA1_32", 30,
			    srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32                           },
	[CAP_AES_256_80] = {"AES_256_CM_HMAC_SHA1_80", 46,
			    srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80                           },
	[CAP_AES_256_32] = {"AES_256_CM_HMAC_SHA1_32", 46,
			    srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32                           },
	[CAP_GCM_128] = {"AEAD_AES_128_GCM",        28, srtp_crypto_policy_set_aes_gcm_128_16_auth},
	[CAP_GCM_256] = {"AEAD_AES_256_GCM",        44, srtp_crypto_policy_set_aes_gcm_256_16_auth},
};

struct trk_srtp {
	const struct trk_key *key;
	srtp_t session;
	uint32_t roc, roc_before;     /* set in the session; of the packets that we did not see */
	uint32_t n_failed;            /* packets in a row */
	uint32_t n_tries;             /* keys in a row */
	const struct trk_key *newest; /* of the call, when it was tried last */
};

enum trk_srtp_suite trk_srtp_suite(struct str name)
{
	for (int i = CAP_SRTP_NONE + 1; i < CAP_SRTP__N; i++)
		if (str_ieq(name, str_c(suites[i].name)))
			return (enum trk_srtp_suite)i;
	return CAP_SRTP_NONE;
}

uint8_t trk_srtp_key_size(enum trk_srtp_suite s)
{
	return suites[s].size;
}

struct trk_srtp *trk_srtp_new(void)
{
	static bool is_ready;
	/* A second time it fails, for itself or for another user of the library; the first was
	 * enough. Had that failed, no session can be made. */
	if (!is_ready)
		(void)srtp_init();
	is_ready = true;
	return calloc(1, sizeof(struct trk_srtp));
}

static void close_session(struct trk_srtp *x)
{
	if (x->session)
		srtp_dealloc(x->session);
	x->session = NULL;
	x->key = NULL;
}

void trk_srtp_free(struct trk_srtp *x)
{
	if (!x)
		return;
	close_session(x);
	free(x);
}

/* A session with one stream: that of the packet, so that its roll-over count can be set. */
static bool open_session(struct trk_srtp *x, const struct trk_key *k, uint32_t ssrc)
{
	unsigned char bytes[sizeof k->bytes], mki[sizeof k->mki];
	srtp_master_key_t master = {.key = bytes, .mki_id = mki, .mki_size = k->n_mki};
	srtp_master_key_t *masters[] = {&master};
	srtp_policy_t policy = {
		.ssrc = {ssrc_specific, ssrc},
		.keys = masters,
		.num_master_keys = 1,
		.window_size = 128
        };
	memcpy(bytes, k->bytes, sizeof bytes);
	memcpy(mki, k->mki, sizeof mki);
	suites[k->suite].policy(&policy.rtp);
	suites[k->suite].policy(&policy.rtcp);
	close_session(x);
	if (srtp_create(&x->session, &policy) != srtp_err_status_ok) {
		x->session = NULL;
		return false;
	}
	x->key = k;
	x->roc = 0;
	return true;
}

static uint32_t ssrc_of(struct str packet)
{
	return be32((const uint8_t *)packet.p + 8);
}

static srtp_err_status_t unprotect(struct trk_srtp *x, struct str packet, uint32_t roc,
				   uint8_t *out, size_t *n)
{
	int len = (int)packet.n;
	memcpy(out, packet.p, packet.n);
	if (roc != x->roc &&
	    srtp_set_stream_roc(x->session, ssrc_of(packet), roc) == srtp_err_status_ok)
		x->roc = roc;
	srtp_err_status_t e = srtp_unprotect_mki(x->session, out, &len, x->key->n_mki != 0);
	*n = len > 0 ? (size_t)len : 0;
	return e;
}

/* With any key, and any roll-over count that may have been before. */
static enum err try_all(struct trk_srtp *x, const struct trk_key *keys, uint8_t side,
			struct str packet, uint32_t roc, uint8_t *out, size_t *n)
{
	for (const struct trk_key *k = keys; k && x->n_tries < MAX_TRIES; k = k->next) {
		if (k->side != side)
			continue;
		x->n_tries++;
		if (!open_session(x, k, ssrc_of(packet)))
			continue;
		for (uint32_t before = 0; before <= MAX_ROC; before++)
			if (unprotect(x, packet, roc + before, out, n) == srtp_err_status_ok) {
				x->roc_before = before;
				x->n_tries = 0;
				return OK;
			}
	}
	close_session(x);
	return ERR_AUTH;
}

enum err trk_srtp_open(struct trk_srtp *x, const struct trk_key *keys, uint8_t side,
		       struct str packet, uint32_t roc, uint8_t *out, size_t *n)
{
	if (packet.n < MIN_PACKET || packet.n > 65'535)
		return ERR_SYNTAX;
	if (x->session) {
		srtp_err_status_t e = unprotect(x, packet, roc + x->roc_before, out, n);
		if (e == srtp_err_status_ok) {
			x->n_failed = 0;
			return OK;
		}
		if (e == srtp_err_status_replay_fail || e == srtp_err_status_replay_old)
			return ERR_AUTH;
	}
	if (x->newest != keys) {
		x->newest = keys;
		x->n_failed = x->n_tries = 0;
	}
	if (x->n_failed >= PATIENCE && x->n_failed++ % TRY_EVERY)
		return ERR_AUTH;
	enum err e = try_all(x, keys, side, packet, roc, out, n);
	x->n_failed = e ? x->n_failed + 1 : 0;
	return e;
}
