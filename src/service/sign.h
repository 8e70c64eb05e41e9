#pragma once
/* A sign of life of a call's dialog, from whoever carries it to whoever tells of it (busy lamps).
 */

#include "base/str.h"

enum sign_kind { SIGN_STARTED, SIGN_EARLY, SIGN_CONFIRMED, SIGN_ENDED };
struct sign { /* texts are borrowed */
	enum sign_kind kind;
	struct str call_id, caller_tag, callee_tag; /* callee_tag: none with STARTED */
	unsigned status;                            /* of the answer; ENDED: 0 after a BYE */
	/* STARTED: values of From and To, addresses of record; who is none of ours is empty */
	struct str from, to, caller_aor, callee_aor;
};
