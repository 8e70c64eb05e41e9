#pragma once
/* STUN messages [RFC8489]: enough to recognise them, to answer Binding requests, and to read
 * answers. */

#include "base/addr.h"
#include "base/buf.h"

#define STUN_HDR    20
#define STUN_COOKIE 0x2112A442u

enum stun_class { STUN_REQUEST, STUN_INDICATION, STUN_SUCCESS, STUN_ERROR };
enum stun_method { STUN_BINDING = 1 };
enum stun_attr {
	STUN_A_MAPPED_ADDRESS = 0x0001,
	STUN_A_USERNAME = 0x0006,
	STUN_A_MESSAGE_INTEGRITY = 0x0008,
	STUN_A_ERROR_CODE = 0x0009,
	STUN_A_XOR_MAPPED_ADDRESS = 0x0020,
	STUN_A_PRIORITY = 0x0024,
	STUN_A_USE_CANDIDATE = 0x0025,
	STUN_A_SOFTWARE = 0x8022,
	STUN_A_FINGERPRINT = 0x8028,
	STUN_A_ICE_CONTROLLED = 0x8029,
	STUN_A_ICE_CONTROLLING = 0x802A
};

struct stun_msg {
	enum stun_class cls;
	uint16_t method;
	uint8_t txid[12];
	struct str attrs;   /* all attributes, borrowed */
	struct addr mapped; /* XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS; ADDR_NONE */
	struct str username, software;
	uint16_t error; /* of an error response, 300..699 */
	uint32_t priority;
	bool is_use_candidate, has_integrity, has_fingerprint;
};
/* Header, cookie and attribute lengths must fit, and a FINGERPRINT must be right: else ERR_SYNTAX.
 */
enum err stun_parse(const void *p, size_t n, struct stun_msg *out);
/* Walks attributes: size_t at = 0; while (stun_attr_next(m, &at, &type, &value)) ... */
bool stun_attr_next(const struct stun_msg *m, size_t *at, uint16_t *type, struct str *value);

/* A Binding request, and the success response to one with the peer's address; both with SOFTWARE
 * (when not empty) and FINGERPRINT. */
void stun_put_request(struct buf *b, const uint8_t txid[12], struct str software);
void stun_put_response(struct buf *b, const uint8_t txid[12], const struct addr *mapped,
		       struct str software);
uint32_t stun_crc32(const void *p, size_t n);
