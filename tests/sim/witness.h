#pragma once
/* A witness at the exchange's transport, on all shards: it sees each whole message that comes and
 * goes and fails the test where one of these does not hold:
 *
 *   - what is passed on has the lines and the body that it came with, in their order; only those of
 *     the way differ (Via, Max-Forwards, Max-Breadth, Record-Route, Route, credentials for us,
 *     Diversion, History-Info), each by what RFC 3261 16.6 and 16.7 allow: no message grows without
 *     an edit;
 *   - a server transaction has one final response, whatever was repeated; behind that only a 2xx of
 *     an INVITE may go, which always goes [RFC3261 16.7 step 5];
 *   - the two dialogs of a call through the back-to-back user agent belong together: what one
 *     describes the other has said, they end together, and each is told of once (witness_legs.c).
 */

#include "stage.h"

struct witness;
struct witness *witness_new(struct stage *s);       /* looks at the exchange that is open */
void witness_again(struct witness *w);              /* at the one that was opened after a crash */
unsigned witness_passed(const struct witness *w);   /* messages that it saw come and go */
unsigned witness_compared(const struct witness *w); /* descriptions in two dialogs */
void witness_check_calls(const struct witness *w);  /* when all are over */
void witness_free(struct witness *w);
