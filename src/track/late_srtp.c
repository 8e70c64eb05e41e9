/* libsrtp2, for media that are encrypted with keys of the SDP (trk_srtp.c). */
#include "base/late.h"

#include <srtp2/srtp.h>

/* clang-format off */
#define POLICY(name) LATE(SRTP2_SO, void, name, (srtp_crypto_policy_t *to), (to))
LATE(SRTP2_SO, srtp_err_status_t, srtp_init,           (void), ())
LATE(SRTP2_SO, srtp_err_status_t, srtp_create,         (srtp_t *to, const srtp_policy_t *policy), (to, policy))
LATE(SRTP2_SO, srtp_err_status_t, srtp_set_stream_roc, (srtp_t s, uint32_t ssrc, uint32_t roc), (s, ssrc, roc))
LATE(SRTP2_SO, srtp_err_status_t, srtp_unprotect_mki,  (srtp_t s, void *packet, int *n, unsigned has_mki), (s, packet, n, has_mki))
LATE(SRTP2_SO, srtp_err_status_t, srtp_dealloc,        (srtp_t s), (s))
POLICY(srtp_crypto_policy_set_rtp_default)
POLICY(srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32)
POLICY(srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80)
POLICY(srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32)
POLICY(srtp_crypto_policy_set_aes_gcm_128_16_auth)
POLICY(srtp_crypto_policy_set_aes_gcm_256_16_auth)
