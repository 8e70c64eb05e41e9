#pragma once
/* Seen only in this folder: a decision under way. */

#include "policy/decide.h"

/* How the call came to where it is now: at the bottom the number that was called, above it each
 * forward that was followed. */
struct pol_way {
	const struct pol_way *up;
	struct str user;    /* whose forward this is; of the lowest: what was called */
	const char *reason; /* [RFC5806 5]; NULL at the bottom */
	unsigned cause;     /* [RFC7044 10.2] */
	struct str to;      /* where the forward leads */
	enum pol_who who;   /* on whose account it goes on */
	struct str as;
	uint8_t hop;    /* of the plan's */
	bool is_mapped; /* a rule says who it is */
};

struct pol_deciding {
	const struct pol_config *c;
	const struct pol_request *rq;
	struct pol_plan *p;
	struct str number, caller; /* after rewriting */
	struct str rule_caller;    /* that a rule asserts */
	uint32_t ring_s;           /* of the rule */
	unsigned depth;            /* numbers that were looked up in each other */
	bool was_offline, was_down, was_loop, is_full;
	bool needs_b2bua; /* whatever `mode` says */
};

[[gnu::format(printf, 2, 3)]] void pol_say(struct pol_deciding *d, const char *fmt, ...);

/* match.c */
bool pol_fits(const struct pol_pattern *p, struct str text, struct str *rest);
/* The text as the first pattern that fits rewrites it, in the plan's memory; else as it is. */
struct str pol_rewritten(struct pol_deciding *d, const struct pol_rewrites *w, struct str text);
bool pol_is_now(const struct pol_whens *w, const struct pol_clock *at);
bool pol_rule_fits(struct pol_deciding *d, const struct pol_route *t);
struct str pol_print(struct pol_deciding *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* plan.c: each appends steps and gives the first one's place, -1: nothing can be reached there */
int pol_emit_dest(struct pol_deciding *d, const struct pol_way *way, const struct pol_dest *to);
int pol_emit_trunks(struct pol_deciding *d, const struct pol_way *way, const struct pol_route *t);
/* Someone's forward: loops and too many of them are left out. `on` tells user, reason, cause, who.
 */
int pol_emit_forward(struct pol_deciding *d, const struct pol_way *way, struct pol_way on,
		     const struct pol_dest *to);
/* decide.c: by rules, names, accounts */
int pol_emit_number(struct pol_deciding *d, const struct pol_way *way, struct str number);

/* Adds to lines and names what `set` and `remove` say. */
void pol_put_headers(struct pol_deciding *d, const struct pol_headers *set,
		     const struct pol_texts *remove, struct str *lines, struct str *names);

/* diversion.c */
void pol_put_diversion(struct pol_deciding *d, const struct pol_way *way, struct pol_step *s);
unsigned pol_forwards_before(const struct pol_request *rq);
