#pragma once
/* What bytes begin with: protocols are known by content, never by a port. */

#include <stddef.h>
#include <stdint.h>

enum cap_start { CAP_NO, CAP_MAYBE, CAP_YES }; /* CAP_MAYBE: too few bytes to tell */

/* A SIP message, leading CRLFs aside. */
enum cap_start cap_sip_start(const void *p, size_t n);
/* A TLS record. [RFC8446 5.1] */
enum cap_start cap_tls_start(const uint8_t *p, size_t n);
