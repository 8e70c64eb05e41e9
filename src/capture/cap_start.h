#pragma once
/* What bytes begin with: protocols are known by content, never by a port. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cap_start { CAP_NO, CAP_MAYBE, CAP_YES }; /* CAP_MAYBE: too few bytes to tell */

/* A SIP message, leading CRLFs aside. */
enum cap_start cap_sip_start(const void *p, size_t n);
/* Whether a datagram may be SIP. Most are not: RTP's first byte is no character of a start line. */
static inline bool cap_may_be_sip(const void *p, size_t n)
{
	return n && *(const uint8_t *)p < 128;
}
static inline bool cap_is_sip(const void *p, size_t n)
{
	return cap_may_be_sip(p, n) && cap_sip_start(p, n) == CAP_YES;
}
/* A TLS record. [RFC8446 5.1] */
enum cap_start cap_tls_start(const uint8_t *p, size_t n);
