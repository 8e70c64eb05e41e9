/* What an operator asks of the bans: they are kept by shard 0, so the other shards have nothing. */
#include "service/ban.h"

#include "admin/admin_priv.h"

static struct ban *bans(struct adm_ask *q)
{
	return exc_bans(q->adm->exc);
}

struct walk {
	struct adm_ask *q;
	uint64_t now_us, wall_us;
};

static bool emit(void *arg, const struct ban_row *b)
{
	struct walk *w = arg;
	struct adm_row r;
	adm_row_init(&r, ADM_ban);
	adm_text(&r, ADM_F_ban_address, b->who);
	adm_text(&r, ADM_F_ban_transport, b->is_for_udp_only ? STR("udp") : STR("all"));
	adm_text(&r, ADM_F_ban_why, b->why);
	adm_text(&r, ADM_F_ban_user_agent, b->agent);
	adm_text(&r, ADM_F_ban_request, b->request);
	adm_text(&r, ADM_F_ban_user, b->user);
	adm_number(&r, ADM_F_ban_dropped, b->n_dropped);
	adm_number(&r, ADM_F_ban_by_hand, b->is_manual);
	adm_number(&r, ADM_F_ban_since, w->wall_us - (w->now_us - b->since_us));
	if (b->until_us == UINT64_MAX)
		return adm_emit(w->q, &r);
	uint64_t left = b->until_us > w->now_us ? b->until_us - w->now_us : 0;
	adm_number(&r, ADM_F_ban_left, (left + 999999) / 1000000);
	adm_number(&r, ADM_F_ban_until, w->wall_us + left);
	return adm_emit(w->q, &r);
}

void adm_bans_list(struct adm_ask *q)
{
	struct ev_loop *l = ev_shard(q->adm->shards, 0);
	struct walk w = {.q = q, .now_us = ev_now_us(l), .wall_us = env_wall_us(l->env)};
	ban_each(bans(q), emit, &w);
}

void adm_bans_delete(struct adm_ask *q)
{
	q->n_rows = ban_del(bans(q), str_c(q->key));
	adm_answer(q, q->n_rows ? ADM_DONE : ADM_NO_SUCH, q->n_rows ? "" : "that is not banned");
}

void adm_bans_ask(struct adm_ask *q)
{
	const char *why = "";
	if (q->verb == ADM_DO_EXPLAIN) {
		enum err e = ban_explain(bans(q), str_c(q->key), &q->out);
		adm_answer(q, e ? ADM_FAILED : ADM_DONE,
			   e == ERR_SYNTAX ? "an address such as 192.0.2.7 was expected" : "");
		return;
	}
	enum err e = ban_add(bans(q), str_c(q->key), (uint32_t)q->limit, str_c(q->filter), &why);
	q->n_rows = e == OK;
	adm_answer(q, e ? ADM_FAILED : ADM_DONE, e ? why : "");
}
