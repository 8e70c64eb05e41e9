#pragma once
/* Is a stream WebSocket, by its looks? [RFC6455 5] */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a segment begins with a data frame whose payload begins like SIP. */
bool cap_ws_looks_like_sip(const uint8_t *p, size_t n);
