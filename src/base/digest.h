#pragma once
/* Message digests over libcrypto; contexts live on the stack: no allocation, no failure, any
 * thread.
 */

#include "base/str.h"

enum md_alg { MD_MD5, MD_SHA256, MD_SHA512_256, MD__N };

#define MD_MAX 32 /* bytes of the longest digest above; its hex form is twice that */

size_t md_size(enum md_alg alg); /* bytes */
/* Digest of the concatenated parts joined by ':' (the shape of HTTP and SIP Digest) in lower-case
 * hex; out has 2*md_size bytes, no NUL. Returns the string. [RFC7616 3.4] */
struct str md_hex_joined(enum md_alg alg, const struct str *parts, size_t n_parts,
			 char out[2 * MD_MAX]);
/* Raw digest of one string; out has md_size bytes. */
void md_raw(enum md_alg alg, struct str in, uint8_t out[MD_MAX]);
/* Equal length and bytes, in time that does not depend on the contents. */
bool md_equal(struct str a, struct str b);
/* Base64 (RFC 4648, with padding). b64_get appends the bytes; false and nothing appended when `in`
 * is not exact base64, false also when b has failed. */
struct buf;
void b64_put(struct buf *b, const void *p, size_t n);
bool b64_get(struct buf *b, struct str in);
/* The URL-safe alphabet (RFC 4648 5) without padding: letters, digits, '-' and '_' alone. Writes
 * (n * 4 + 2) / 3 characters and returns their number. */
size_t url64_put(char *out, const void *p, size_t n);
/* Number of bytes; 0 when there is a foreign character or more than `cap` bytes. */
size_t url64_get(struct str in, uint8_t *out, size_t cap);
