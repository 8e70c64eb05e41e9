#pragma once
/* Seen only by registrar.c (the way of a request) and registrar_read.c (what it says). */

#include "base/limits.h"
#include "service/registrar.h"

#define CONTACTS_INLINE 2
#define REG_HOUR_S      3600

struct request {
	struct link link; /* of reg.live */
	struct reg *reg;  /* NULL: the registrar is gone, drop frees */
	tsx_id st;
	struct tp_rx *rx;
	struct auth_check check;
	struct loc_change change;
	struct loc_contact few[CONTACTS_INLINE], *contacts;
	size_t n_contacts;
	bool is_star, is_in_location;
	bool is_outbound; /* a flow, and the phone wants to hear of it */
	char *path;
	size_t n_aor;
	char aor[LIMIT_AOR_BYTES];
};

struct reg {
	struct reg_env env;
	struct reg_cfg cfg;
	struct link live, idle;
	size_t n_idle;
	struct buf out, lines;
	uint64_t date_s; /* when `date` was written: one serves a second */
	char date[40];
};

static inline struct str reg_aor(const struct request *q)
{
	return str_of(q->aor, q->n_aor);
}

/* Whose binding is it, by which path, and which contacts? Fills q. CODE_NONE, or why not. */
enum code reg_read(struct request *q);
