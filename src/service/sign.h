#pragma once
/* A sign of life of a call's dialog, from whoever carries it to whoever tells of it (busy lamps).
 */

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum sign_kind {
	SIGN_STARTED,
	SIGN_EARLY,
	SIGN_CONFIRMED,
	SIGN_TALKS, /* asked about an address: what was CONFIRMED goes on */
	SIGN_ENDED
};
struct sign_talk { /* a dialog that talks, as lamps know it; call 0: none */
	uint64_t call;
	char *aor;           /* of its party; heap, the carrier's to free */
	uint16_t home, word; /* its struct evt_watch */
	uint8_t n_aor;
	bool is_caller; /* that party */
};
struct sign { /* texts are borrowed */
	enum sign_kind kind;
	struct str call_id, caller_tag, callee_tag; /* callee_tag: none with STARTED */
	unsigned status;                            /* of the answer; ENDED: 0 after a BYE */
	struct str from, to;                        /* values */
	/* STARTED: addresses of record; who is none of ours is empty. TALKS: who is asked about */
	struct str caller_aor, callee_aor;
	/* CONFIRMED: filled when the carrier is to remember the dialog alone, NULL: he cannot;
	 * TALKS, ENDED: what he remembered */
	struct sign_talk *talk;
};
