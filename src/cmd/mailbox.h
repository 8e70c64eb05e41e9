#pragma once
/* The server's side of `rung mailbox`. */

#include "service/exchange.h"

/* Answers a line of the control socket; false: it is no command of this kind. */
bool mailbox_command(struct exc *x, struct str cmd, struct buf *out);
