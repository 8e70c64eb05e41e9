#pragma once
/* Certificates that only tests make. */

/* The certificate in that file is signed once more, good for that use alone ("serverAuth"). */
void cert_restrict(const char *cert, const char *key_file, const char *usage);
