#pragma once
/* What systemd is told of the state of the exchange, over the socket that it names in
 * NOTIFY_SOCKET. Without that variable, nothing happens. [sd_notify(3)] */

#include <stdint.h>

void notify(const char *state); /* "READY=1" */
/* Half of what the unit's WatchdogSec gives, so often "WATCHDOG=1" wants to be said; 0: never. */
uint64_t notify_watchdog_us(void);
