#pragma once
/* The call detail records on their way to the disk: gathered on the scope's thread, written by its
 * worker in batches, so that neither a full disk nor a slow one holds up the scope. A call that
 * ended is in the database within LEDGER_US of its verdict, and a kill -9 cannot take it from
 * there. */

#include "event/shard.h"
#include "store/cdr.h"

struct adm_ledger;
struct adm_ledger_cfg {
	uint64_t keep_days; /* 0: as long as there is room */
	uint64_t max_rows;
	/* Something was lost or went wrong: a sentence. On the scope's thread. */
	void (*on_trouble)(void *ctx, struct str text);
	/* The record of that call is in the database, or is lost and was told. Same thread; may be
	 * NULL. */
	void (*on_settled)(void *ctx, struct str call_id);
	void *ctx;
};
/* Takes db. `l`: a loop of shards with workers. */
enum err adm_ledger_new(struct ev_loop *l, struct st_cdrs *db, const struct adm_ledger_cfg *cfg,
			struct adm_ledger **out);
/* Writes what is waiting, closes the database; no worker runs any more. NULL is harmless. */
void adm_ledger_free(struct adm_ledger *g);
void adm_ledger_add(struct adm_ledger *g, const struct st_cdr *row); /* copies */
uint64_t adm_ledger_n_lost(const struct adm_ledger *g);
