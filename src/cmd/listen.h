#pragma once
/* Which addresses `rung serve` listens on. */

#include "cmd/opt.h"
#include "service/exchange.h"

/* What --listen says; "ADDR:PORT" alone is both UDP and TCP. False: unreadable. */
bool listen_parse(struct str s, enum tp_proto *proto, bool *is_both, struct addr *a);
/* Will there be TLS or WSS? */
bool listen_is_secure(const struct opt_list *list);
/* Opens what the list says, or the usual ones. Negative: done; else an exit code, after a message.
 */
int listen_all(struct exc *exc, const struct opt_list *list);
