#pragma once
/* What the keys of the file hold: texts, patterns, times, destinations, networks, and lists of
 * them, each with its place in the file. Arrays lie in the policy's memory. */

#include "base/addr.h"
#include "policy/tree.h"

struct pol_text {
	struct str s;
	struct pol_at at;
};
struct pol_texts {
	struct pol_text *v;
	size_t n;
};

/* "0049..." or "...@example.com": `...` stands for any text, `?` for any one character;
 * "...text...": the text is in it. */
struct pol_pattern {
	struct str text, head, tail; /* before and after `...`; without it all is head */
	bool has_rest, is_inside;    /* is_inside: head may stand anywhere */
	struct pol_at at;
};
struct pol_patterns {
	struct pol_pattern *v;
	size_t n;
};
struct pol_rewrite { /* `to` gets in place of its `...` what that of `from` took */
	struct pol_pattern from, to;
};
struct pol_rewrites {
	struct pol_rewrite *v;
	size_t n;
};

struct pol_when {     /* "mon-fri 08:00-18:00", "2026-12-24", "22:00-06:00" */
	uint8_t days; /* bit 0: Sunday; 0: every day */
	uint16_t from_min, to_min;
	uint32_t date; /* 20261224; 0: any */
};
struct pol_whens {
	struct pol_when *v;
	size_t n;
};

enum pol_dest_kind {
	POL_TO_NONE,
	POL_TO_USER,
	POL_TO_GROUP,
	POL_TO_DIAL, /* a number that the file does not give away: routes and accounts know it */
	POL_TO_URI,
};
struct pol_dest {
	enum pol_dest_kind kind;
	uint32_t i; /* of the user or group */
	struct str text;
	struct pol_at at;
};
struct pol_dests {
	struct pol_dest *v;
	size_t n;
};
struct pol_number {
	struct pol_text name;
	struct pol_dest to;
};
struct pol_numbers {
	struct pol_number *v;
	size_t n;
};
struct pol_source { /* a network or, by name, a trunk */
	struct pol_text text;
	bool is_net;
	struct addr_net net;
	uint32_t trunk;
};
struct pol_sources {
	struct pol_source *v;
	size_t n;
};
struct pol_header { /* of a rule: a header that must match, or is to be set */
	struct pol_text name;
	struct pol_pattern value;
};
struct pol_headers {
	struct pol_header *v;
	size_t n;
};

enum pol_yes { POL_UNSET, POL_YES, POL_NO };
enum pol_history { POL_HISTORY_UNSET, POL_HISTORY_ASKED, POL_HISTORY_ALWAYS, POL_HISTORY_OFF };
enum pol_mode { POL_MODE_UNSET, POL_MODE_PROXY, POL_MODE_B2BUA, POL_MODE_REDIRECT };
enum pol_ring { POL_RING_UNSET, POL_RING_ALL, POL_RING_IN_TURN };

struct pol_list { /* of blocks; each begins with a struct pol_text: its name, or just its place */
	void *v;
	size_t n;
};
