#pragma once
/* Shared by HEP in and out. */

#include "base/addr.h"

/* "udp:ADDR[:PORT]" or "tcp:ADDR[:PORT]". ERR_SYNTAX with *why. */
enum err cap_hep_address(const char *text, struct addr *out, bool *is_tcp, struct buf *why);
