#pragma once
/* Where a request goes: a pure function of the policy, the facts of the request, and who is there.
 * Nothing is allocated: the plan holds its own texts, and borrows the rest from policy and request.
 */

#include "policy/config.h"
#include "sip/hdr.h"

enum pol_who { /* sends the request */
	       POL_FROM_NOBODY,
	       POL_FROM_USER,
	       POL_FROM_TRUSTED,
	       POL_FROM_TRUNK,
};

struct pol_clock {       /* local time */
	uint32_t date;   /* 20261224 */
	uint16_t minute; /* of the day */
	uint8_t day;     /* 0: Sunday */
};

struct pol_ask { /* what only the exchange knows */
	void *ctx;
	bool (*has_account)(void *ctx, struct str user);
	bool (*is_registered)(void *ctx, struct str user); /* and can be reached */
	bool (*is_up)(void *ctx, const struct pol_trunk *t, const struct pol_host *h);
	bool (*is_ours)(void *ctx, const struct sip_uri *u);
};

struct pol_request {
	enum pol_who who;
	struct str user;               /* POL_FROM_USER: the account */
	const struct pol_trunk *trunk; /* POL_FROM_TRUNK */
	struct addr source;
	struct str method, from_user, from_host, to_user, to_host; /* users unescaped */
	bool is_ours;                                              /* the request-URI is */
	const struct sip_msg *msg;                                 /* for headers; may be NULL */
	struct pol_clock at; /* looked at if the policy has times */
	uint32_t dice;       /* random, for weights */
	struct str domain;   /* in URIs that we write */
	const struct pol_ask *ask;
	struct buf *trace; /* each step of the decision in words, a line each; may be NULL */
};

enum pol_act {
	POL_SEND,     /* steps */
	POL_REDIRECT, /* targets, as Contacts */
	POL_REJECT,   /* status, reason */
	POL_NO_USER,  /* nobody has that number */
	POL_OFFLINE,  /* somebody has, but nobody can be reached */
	POL_FOREIGN,  /* of another domain, no rule: goes there by its request-URI */
	POL_DENIED,   /* may not: an open relay otherwise */
	POL_LOOP,     /* only forwards that lead back, or too many of them */
	POL_NO_TRUNK, /* all trunks that lead there are down */
	POL_FULL,     /* more than a plan holds */
};

enum pol_on { POL_ON_BUSY, POL_ON_NO_ANSWER, POL_ON_OFFLINE, POL_ON_REFUSED, POL_ON__N };

struct pol_target {
	struct str user, uri; /* one of them: whoever is registered for user, or that request-URI */
	const struct pol_trunk *trunk; /* uri is at this one; NULL: none */
	bool is_mapped; /* somebody else than was called: by a rule, as a member of a group */
};
struct pol_step {                      /* targets that ring together */
	uint8_t first, n;              /* of the plan's targets */
	uint8_t next[POL_ON__N];       /* step to go on with, by how this one ends; 0: none */
	uint32_t ring_s;               /* 0: as long as the caller waits */
	struct str diversion;          /* value for Diversion, empty: not forwarded [RFC5806] */
	uint8_t hop;                   /* where the call was then, of the plan's */
	struct str caller;             /* number to assert (P-Asserted-Identity), may be empty */
	const struct pol_trunk *trunk; /* all its targets are of it; NULL: none */
	struct str lines;              /* of the trunk: headers that it adds */
	struct str remove, pass;       /* names of headers, by commas: go no further; cross */
};

struct pol_hop { /* where a forward led to [RFC7044] */
	struct str to;
	uint8_t up;     /* the hop that it led from */
	uint16_t cause; /* why */
};

#define POL_MAX_STEPS   16
#define POL_MAX_TARGETS 32
struct pol_plan {
	enum pol_act act;
	unsigned status; /* of POL_REDIRECT, POL_REJECT */
	struct str reason;
	enum pol_mode mode;           /* PROXY or B2BUA */
	bool recurses;                /* follow a 3xx */
	bool has_farewell;            /* a tone for a caller whose callee hangs up */
	const struct pol_route *rule; /* that decided; NULL: none */
	struct str lines;             /* header lines that `set` adds */
	struct str remove;            /* names of headers that go no further, separated by commas */
	size_t n_steps, n_targets, n_hops;
	struct pol_hop hops[POL_MAX_STEPS]; /* the first is what was called */
	struct pol_step steps[POL_MAX_STEPS];
	struct pol_target targets[POL_MAX_TARGETS];
	struct buf text; /* over mem */
	char mem[4096];
};
void pol_decide(const struct pol_config *c, const struct pol_request *rq, struct pol_plan *out);

/* The plan in words, or as a JSON object. */
void pol_plan_put(const struct pol_plan *p, struct buf *out);
void pol_plan_json(const struct pol_plan *p, struct str trace, struct buf *out);
const char *pol_act_text(enum pol_act a);
