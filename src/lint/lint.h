#pragma once
/* The lint: each message, transaction and dialog held against the RFCs. What is found is counted
 * per peer and rule, with the first few examples, so memory follows the peers and never the
 * messages. Rules are rows of lint.def. Packets in, counts out: the same engine serves a file and a
 * live tap.
 *
 * What cannot be known is not held against anybody: a dialog that began before the capture, a
 * message that the capture lost, copies, and what a proxy only passes on bring no finding. */

#include "track/trk.h"

enum lint_severity {
	LINT_NOTE,    /* odd, but no RFC forbids it in so many words */
	LINT_WARNING, /* against a SHOULD */
	LINT_ERROR    /* against a MUST, or the grammar */
};

enum lint_whose {
	LINT_OF_AUTHOR, /* of the user agent that wrote the message */
	LINT_OF_SENDER  /* of the host that sent it over this hop */
};

enum lint_rule {
	LINT_NONE,
#define LINT(id, code, severity, whose, rfc, wrong, right) LINT_##id,
#include "lint/lint.def"
#undef LINT
	LINT__N
};

struct lint_about {        /* a rule */
	const char *code;  /* stable name for programs: "contact-missing" */
	const char *rfc;   /* "RFC3261 8.1.1.8" */
	const char *wrong; /* a sentence without its full stop */
	const char *right; /* what it should be, the same */
	enum lint_severity severity;
	enum lint_whose whose;
};
const struct lint_about *lint_about(enum lint_rule r);
const char *lint_severity_name(enum lint_severity s);
/* The rule of that code, LINT_NONE when there is none. */
enum lint_rule lint_find_rule(struct str code);

#define LINT_MAX_FRAMES 5

struct lint_kind { /* a rule that a peer broke */
	struct lint_kind *next;
	uint16_t rule;
	uint8_t n_frames;
	uint32_t count;
	uint32_t frames[LINT_MAX_FRAMES]; /* of the first ones */
	uint16_t caret;                   /* column of the fault in the line, in bytes */
	struct str line;                  /* of the first message, without its line end */
	struct str detail;                /* what exactly, of the first one; may be empty */
	char text[];                      /* holds both */
};

struct lint_peer {
	struct hnode node;
	struct lint_peer *next; /* in order of appearance */
	struct addr addr;       /* port 0 */
	char agent[96];         /* User-Agent or Server; empty when it never said */
	bool is_behind;         /* its messages were only seen as passed on by that address */
	bool is_rest;           /* all peers beyond the bound in one */
	uint32_t n_selves;      /* addresses that are known to be this peer */
	uint64_t n_messages;    /* that it wrote */
	uint64_t n_passed;      /* that it passed on for others */
	uint64_t n_copies;      /* resent */
	uint64_t n_found[3];    /* by enum lint_severity */
	unsigned n_kinds[3];
	struct lint_kind *kinds;
};
/* 100, less 5 for each kind of error and 1 for each kind of warning, at least 0. Notes are free. It
 * goes by kinds, so that a long capture is judged like a short one. */
unsigned lint_score(const struct lint_peer *p);
char lint_grade(unsigned score); /* A from 95, B from 85, C from 70, D from 50, else F */

struct lint_cfg {
	uint32_t max_peers; /* 0: 1,024; the others share one card */
	uint32_t max_calls; /* under watch at a time, the one silent longest goes; 0: 8,192 */
};

struct lint;
/* NULL without memory. */
struct lint *lint_new(const struct lint_cfg *cfg);
void lint_free(struct lint *l);
/* One message, in order of time. !is_shown: it is taken note of, but what is wrong with it is not
 * counted (a filter left it out). ERR_SYNTAX: not SIP. ERR_NOMEM: not, or not fully, looked at. */
enum err lint_message(struct lint *l, const struct trk_packet *p, bool is_shown);
const struct lint_peer *lint_first(const struct lint *l); /* the rest by ->next */

/* --- views ----------------------------------------------------------------------------------- */

struct lint_look {
	bool is_ascii, is_colour;
};
/* Score card and findings of each peer. */
void lint_put_text(struct buf *b, const struct lint *l, const struct lint_look *o);
/* The same, one JSON object per line: {"peer":...} cards, each followed by its {"rule":...} lines.
 */
void lint_put_json(struct buf *b, const struct lint *l);
/* All rules, a line each. */
void lint_put_rules(struct buf *b, bool is_json);
