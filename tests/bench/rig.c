/* See rig.h. */
#include "rig.h"

#include "service/accounts.h"
#include "store/mem.h"
#include "transaction/transaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rig_die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static void add_accounts(struct rig *r, const char *name_format, unsigned n)
{
	char name[32];
	struct st_account a = {.user = STR("bench"), .is_enabled = true};
	acc_set_password(&a, STR("bench"), STR("bench"));
	if (st_begin(r->st))
		rig_die("no accounts");
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), name_format, i);
		a.user = str_c(name);
		if (st_account_put(r->st, &a, ST_ADD))
			rig_die("no account");
	}
	if (st_commit(r->st))
		rig_die("no accounts");
}

void rig_open(struct rig *r, const char *name_format, unsigned n_accounts, bool is_b2bua)
{
	struct buf why;
	struct addr_net all;
	const char *reason;
	buf_init(&why);
	*r = (struct rig){.env = null_env_new()};
	addr_parse(STR("192.0.2.1:5060"), 0, &r->server);
	addr_net_parse(STR("192.0.2.0/24"), &all);
	if (!r->env || ev_shards_new(&r->env, 1, &r->shards) || ev_workers_start(r->shards, 0))
		rig_die("no shard");
	r->loop = ev_shard(r->shards, 0);
	if (st_mem_new(&r->disk) || st_open_mem(r->disk, &r->st, &why))
		rig_die("no store");
	add_accounts(r, name_format, n_accounts);
	struct exc_cfg cfg = {.realm = STR("bench"),
			      .trust = &all,
			      .n_trust = 1,
			      .product = STR("rung"),
			      .is_b2bua = is_b2bua};
	if (exc_new(r->shards, r->st, r->env, &cfg, &r->exc, &why) ||
	    exc_listen(r->exc, TP_UDP, &r->server, &reason))
		rig_die("no exchange");
	ev_turn(r->loop);
}

void rig_close(struct rig *r)
{
	exc_free(r->exc);
	st_close(r->st);
	ev_workers_stop(r->shards);
	ev_shards_free(r->shards);
	env_free(r->env);
	st_mem_free(r->disk);
}

void rig_feed(struct rig *r, struct str bytes, const struct addr *from)
{
	struct tp *tp = exc_transport(r->exc, 0);
	struct tp_rx *rx = tp_rx_make(tp, bytes, from, &r->server, TP_UDP);
	if (!rx)
		rig_die("message refused");
	tsx_on_message(exc_transactions(r->exc, 0), rx);
	tp_rx_unref(tp, rx);
	ev_turn(r->loop);
}

struct str rig_value(struct str msg, const char *head)
{
	size_t at = str_find(msg, str_c(head));
	if (at == SIZE_MAX)
		rig_die(head);
	struct str rest = str_skip(msg, at + strlen(head));
	return str_sub(rest, 0, str_find(rest, STR("\r\n")));
}
