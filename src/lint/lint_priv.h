#pragma once
/* The lint's inside: a message being looked at, and what is remembered of its call. */

#include "base/list.h"
#include "base/pool.h"
#include "lint/lint.h"
#include "sdp/sdp.h"
#include "sip/hdr.h"

#define MAX_TSX    8  /* of a call: the last ones */
#define MAX_SIDES  8  /* of what senders did in a call */
#define MAX_SEEN   16 /* messages that a copy is told by */
#define MAX_ROUTES 4  /* of a route set; longer ones are not compared */
#define MAX_TAGS   16 /* option tags that are remembered */
#define MAX_MEDIA  4  /* of an offer; larger ones are not compared */
#define MAX_FMTS   14

struct lint_seen {       /* a message that came by */
	uint32_t hash;   /* of bytes, sender, receiver */
	uint32_t key;    /* of what stays the same from hop to hop */
	uint32_t sender; /* hash of the address */
	uint16_t ip_id;
	uint8_t n_even; /* intervals in a row that were like the one before */
	bool is_resent;
	uint64_t last_us, gap_us;
};

struct lint_fmt {
	uint8_t pt;
	uint32_t codec; /* hash of name and clock */
};
struct lint_media {
	uint8_t type, dir, n_fmts;
	bool has_port, is_cut; /* is_cut: more formats than we keep */
	struct lint_fmt fmts[MAX_FMTS];
};
struct lint_sdp { /* what an answer is compared with */
	uint8_t n;
	bool is_cut;
	struct lint_media media[MAX_MEDIA];
};

/* A request on one hop and what was answered. Texts are kept as hashes: they are only compared. */
struct lint_tsx {
	bool is_used, has_to_tag, has_timestamp, has_rport, has_offer, has_sdp, needs_received;
	bool is_direct; /* one Via: its sender is the client itself */
	bool needs_100rel, was_reliable, has_provisional, is_reused;
	bool has_contact_expiry; /* REGISTER: adds bindings */
	bool has_credentials;
	uint8_t method, n_routes, n_rr, n_tags, n_vias, max_forwards;
	bool has_max_forwards;
	uint16_t status; /* of the first final response, else of the last provisional one */
	uint32_t cseq, branch, from, to; /* from, to: hashes of the addresses */
	uint32_t vias, from_tag, from_uri, to_tag, to_uri, ruri, routes;
	uint32_t rr[MAX_ROUTES];
	uint32_t tags[MAX_TAGS]; /* Supported and Require */
	uint32_t expires, session_expires;
	uint32_t final_tag;                  /* To tag of the first final response */
	uint32_t direct_tag, direct_contact; /* of a response whose Contact is its sender */
	uint32_t target;                     /* Contact of the 2xx */
	bool is_strict, has_ok_sdp;          /* of the 2xx: a route without lr; a body */
	uint32_t rseq, rseq_tag;
	uint64_t first_us;
	struct lint_sdp *offer; /* of the request; owned */
};

struct lint_side {      /* one end that sends requests in a call, on one hop */
	uint32_t key;   /* address and tag */
	uint32_t cseq;  /* highest */
	uint64_t at_us; /* when that was */
	uint32_t nonce, nc, nc_cseq, response;
	uint32_t route[MAX_ROUTES]; /* its route set */
	uint8_t n_route;
	bool has_route;
};

struct lint_origin { /* an o= line that came by */
	uint32_t key, body;
	uint64_t version;
};

struct lint_call {
	struct hnode node;
	struct link age;
	uint32_t id; /* second hash of the Call-ID */
	uint8_t seen_at, tsx_at, side_at, origin_at;
	bool has_invite, has_other_sub; /* something else than one subscription's */
	uint32_t package;               /* of the SUBSCRIBEs; 0 none */
	struct lint_seen seen[MAX_SEEN];
	struct lint_tsx tsx[MAX_TSX];
	struct lint_side sides[MAX_SIDES];
	struct lint_origin origins[4];
};

struct lint_self {
	struct hnode node;
	struct addr addr;
	struct lint_peer *peer;
};

struct lint {
	struct lint_cfg cfg;
	uint8_t hash_key[16]; /* against chosen Call-IDs and addresses */
	struct htab peers, selves, calls;
	uint32_t n_peers, n_selves;
	struct lint_peer *first, *last, *rest;
	struct pool call_pool;
	struct link ages;
	uint32_t n_calls;
	void *block; /* where a message is indexed that comes without an index */
	size_t block_cap;
	struct sdp sdp;
};

/* A message being looked at. */
struct lint_at {
	struct lint *l;
	const struct trk_packet *p;
	const struct sip_msg *m;
	struct lint_call *c;  /* NULL: no Call-ID, or no memory */
	struct lint_tsx *tsx; /* responses: the request on this hop, if it was seen */
	struct lint_peer *author, *sender;
	bool is_shown;
	bool is_passed; /* seen before on another hop: its author has been judged */
	bool is_forwarded;
	bool is_2xx, is_1xx;
	uint8_t method;
	uint32_t from, to; /* hashes of the addresses */
	unsigned n_vias;
	const struct sdp *sdp; /* of the body, or NULL */
	struct str sdp_text;
	enum err err;
};

/* A fault. `where` points into the message, to the byte that is meant; else the start line is
 * shown. The detail is only written for the first of its kind. */
void lint_hit(struct lint_at *a, enum lint_rule r, struct str where);
[[gnu::format(printf, 4, 5)]] void lint_hit_fmt(struct lint_at *a, enum lint_rule r,
						struct str where, const char *fmt, ...);
/* The first value of a header, or the start line when there is none. */
struct str lint_at_hdr(const struct lint_at *a, enum sip_hdr_id id);
uint32_t lint_hash(struct str s); /* never 0 */
uint32_t lint_addr_hash(const struct addr *a, bool with_port);

struct lint_kind *lint_kind_of(const struct lint_peer *p, enum lint_rule r);

/* lint_peer.c: fills author and sender, counts the message */
void lint_find_peers(struct lint_at *a);
/* Who sits at an address, given what a message of its own calls it (agent may be empty). */
struct lint_peer *lint_peer_at(struct lint *l, const struct addr *a, struct str agent);

/* lint_msg.c: the index pass's findings, what must be there and what must not */
void lint_check_diags(struct lint_at *a);
void lint_check_message(struct lint_at *a);
/* lint_status.c: what a response of a certain status, an event, a timer must have */
void lint_check_response(struct lint_at *a);
void lint_check_events(struct lint_at *a);
void lint_check_timers(struct lint_at *a);
/* lint_val.c: the grammar of header values */
void lint_check_values(struct lint_at *a);
/* lint_auth.c */
void lint_check_auth(struct lint_at *a);
/* lint_sdp.c: a->sdp is set when the body is SDP that can be read */
void lint_check_sdp(struct lint_at *a);
void lint_sdp_keep(struct lint_at *a, struct lint_tsx *x); /* the offer of a request */
void lint_check_answer(struct lint_at *a, const struct lint_sdp *offer);
/* lint_tsx.c: transactions; lint_dlg.c: dialogs */
void lint_check_request(struct lint_at *a);
void lint_check_reply(struct lint_at *a);
void lint_check_ack(struct lint_at *a);
void lint_check_dialog(struct lint_at *a);
void lint_learn_answer(struct lint_at *a);
void lint_resent(struct lint_at *a, struct lint_seen *s, bool is_first_gap);

/* lint_tsx.c */
struct lint_tsx *lint_tsx_find(struct lint_at *a, uint8_t method, uint32_t branch, bool is_reply);
/* The only INVITE with the message's CSeq on this hop; NULL when there is none, or several. */
struct lint_tsx *lint_invite_of(struct lint_at *a);
/* URIs of a list header as hashes, in order; returns how many there are, which may be more than
 * MAX_ROUTES. *is_strict (may be NULL): the first or last has no lr. */
unsigned lint_uris(const struct lint_at *a, enum sip_hdr_id id, uint32_t out[MAX_ROUTES],
		   bool *is_strict);
/* user, host and port of a URI as one hash; 0 when it cannot be read. */
uint32_t lint_uri_hash(struct str uri);
bool lint_is_sender(const struct lint_at *a, const struct sip_uri *u);
/* lint_auth.c: credentials against those that the sender used before */
void lint_check_credentials(struct lint_at *a, struct lint_side *side);
