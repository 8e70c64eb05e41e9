/* rung serve: what is asked of it through the control socket, and what it asks of its shards.
 *
 * The scope's thread sends a command as an inbox message and never waits: an answer is a word that
 * it may read later (event/words). A command is freed by the shard that ran it. */
#include "base/assert.h"
#include "cmd/serve_priv.h"
#include "service/accounts.h"

#include <stdlib.h>

struct command {
	struct inbox_msg msg;
	enum command_kind kind;
	struct pol_config *policy; /* CMD_POLICY */
};

/* On shard 0: what the database holds is in force. */
static void on_reloaded(void *ctx, enum err e)
{
	struct serve *s = ctx;
	if (e == OK)
		ev_words_set(s->words, s->n_shards, 1);
}

static void set_policy(struct serve *s, struct pol_config *policy)
{
	enum err e = exc_set_policy(s->exc, policy);
	(void)e; /* without memory the old one stays */
}

void serve_on_command(void *ctx, struct ev_loop *l, struct inbox_msg *m)
{
	struct serve *s = ctx;
	struct command *c = CONTAINER_OF(m, struct command, msg);
	switch (c->kind) {
	case CMD_RELOAD:
		acc_reload(exc_accounts(s->exc), on_reloaded, s);
		break;
	case CMD_COUNT:
		ev_words_set(s->words, l->shard, (uint32_t)exc_pending(s->exc, l->shard) + 1);
		break;
	case CMD_POLICY:
		set_policy(s, c->policy);
		break;
	}
	free(c);
}

void serve_drop_command(struct inbox_msg *m)
{
	struct command *c = CONTAINER_OF(m, struct command, msg);
	pol_free(c->policy);
	free(c);
}

void serve_command(struct serve *s, size_t shard, enum command_kind kind)
{
	struct command *c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->msg.kind = INBOX_CONTROL;
	c->kind = kind;
	ev_send(s->shards, shard, &c->msg);
}

bool serve_send_policy(struct serve *s, struct pol_config *policy)
{
	struct command *c = calloc(1, sizeof(*c));
	if (!c) {
		pol_free(policy);
		return false;
	}
	c->msg.kind = INBOX_CONTROL;
	c->kind = CMD_POLICY;
	c->policy = policy;
	ev_send(s->shards, 0, &c->msg);
	return true;
}

static bool is_reload(struct str cmd, uint32_t *confirm_s)
{
	return str_starts(cmd, STR("reload all ")) && str_u32(str_skip(cmd, 11), confirm_s);
}

void serve_on_control(void *ctx, struct str cmd, struct buf *out)
{
	struct serve *s = ctx;
	uint32_t confirm_s;
	if (is_reload(cmd, &confirm_s)) {
		serve_config_reload(s, confirm_s, out);
	} else if (str_eq(cmd, STR("reload confirmed"))) {
		serve_config_confirm(s, out);
	} else if (str_eq(cmd, STR("reload"))) { /* accounts: `rung user` has changed some */
		serve_command(s, 0, CMD_RELOAD);
		buf_str(out, STR("ok\n"));
	} else {
		buf_fmt(out, "unknown command `" STR_FMT "`\n", STR_ARG(cmd));
	}
}

void serve_on_live(void *ctx, int fd)
{
	struct serve *s = ctx;
	if (live_watch(s->live, fd))
		serve_line(s, env_wall_us(s->env),
			   STR("too many watch the live scope; one was refused"));
}
