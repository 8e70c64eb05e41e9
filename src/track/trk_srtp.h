#pragma once
/* Decryption of SRTP with keys that stand in the SDP. [RFC3711] [RFC4568] [RFC7714] */

#include "base/err.h"
#include "base/str.h"

enum trk_srtp_suite {
	CAP_SRTP_NONE,
	CAP_AES_128_80,
	CAP_AES_128_32,
	CAP_AES_256_80,
	CAP_AES_256_32,
	CAP_GCM_128,
	CAP_GCM_256,
	CAP_SRTP__N
};
/* By its name in a=crypto; CAP_SRTP_NONE when it is none of ours. */
enum trk_srtp_suite trk_srtp_suite(struct str name);
uint8_t trk_srtp_key_size(enum trk_srtp_suite s); /* bytes of key and salt */

struct trk_key;
struct trk_srtp;
struct trk_srtp *trk_srtp_new(void);    /* of one SSRC; NULL without memory */
void trk_srtp_free(struct trk_srtp *x); /* NULL is nothing */
/* Decrypts a packet with whichever of the side's keys fits (newest first; the one that fitted last
 * before all). roc: roll-overs of the sequence number since the stream was first seen. out needs
 * packet.n bytes. ERR_AUTH: no key fits, or the packet came before. ERR_SYNTAX: no RTP. */
enum err trk_srtp_open(struct trk_srtp *x, const struct trk_key *keys, uint8_t side,
		       struct str packet, uint32_t roc, uint8_t *out, size_t *n);
