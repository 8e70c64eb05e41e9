/* rung serve: what is asked of it through the control socket, and what it asks of its shards.
 *
 * The scope's thread sends a command as an inbox message and never waits: an answer is a word that
 * it may read later (event/words). A command is freed by the shard that ran it. A question of an
 * operator (admin/ask) comes home piece by piece, and goes on its way when its reader has taken the
 * piece; when he leaves meanwhile it is freed at its next homecoming. */
#include "admin/line.h"
#include "base/assert.h"
#include "cmd/mailbox.h"
#include "cmd/serve_priv.h"
#include "service/accounts.h"

#include <stdlib.h>

struct command {
	struct adm_msg msg;
	struct serve *serve;
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

static void drop_command(struct adm_msg *m)
{
	struct command *c = CONTAINER_OF(m, struct command, msg);
	pol_free(c->policy);
	free(c);
}

static void set_policy(struct serve *s, struct pol_config *policy)
{
	enum err e = exc_set_policy(s->exc, policy);
	(void)e; /* without memory the old one stays */
}

static void run_command(struct adm_msg *m, struct ev_loop *l)
{
	struct command *c = CONTAINER_OF(m, struct command, msg);
	struct serve *s = c->serve;
	switch (c->kind) {
	case CMD_RELOAD:
		net_tls_reload(s->tls);
		[[fallthrough]];
	case CMD_ACCOUNTS:
		acc_reload(exc_accounts(s->exc), on_reloaded, s);
		break;
	case CMD_COUNT:
		ev_words_set(s->words, l->shard, (uint32_t)exc_pending(s->exc, l->shard) + 1);
		break;
	case CMD_HANGUP:
	case CMD_HANGUP_ALL:
		exc_hangup(s->exc, l->shard, c->kind == CMD_HANGUP_ALL);
		break;
	case CMD_POLICY:
		set_policy(s, c->policy);
		break;
	}
	free(c);
}

static void send(struct serve *s, size_t shard, struct command *c)
{
	c->msg = (struct adm_msg){
		.msg.kind = INBOX_CONTROL, .run = run_command, .drop = drop_command};
	c->serve = s;
	ev_send(s->shards, shard, &c->msg.msg);
}

void serve_command(struct serve *s, size_t shard, enum command_kind kind)
{
	struct command *c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->kind = kind;
	send(s, shard, c);
}

bool serve_send_policy(struct serve *s, struct pol_config *policy)
{
	struct command *c = calloc(1, sizeof(*c));
	if (!c) {
		pol_free(policy);
		return false;
	}
	c->kind = CMD_POLICY;
	c->policy = policy;
	send(s, 0, c);
	return true;
}

/* ---- questions ------------------------------------------------------------------------------- */

static void say(struct control_conn *c, struct str text)
{
	control_say(c, text);
	control_end(c);
}

static void on_piece(struct adm_ask *q)
{
	struct control_conn *c = q->ctx;
	struct buf b;
	if (!c) { /* the reader has left */
		adm_ask_free(q);
		return;
	}
	buf_init(&b);
	adm_line_answer(&b, q);
	if (b.err || q->is_end) {
		control_set_tag(c, NULL);
		adm_ask_free(q);
		say(c, buf_view(&b));
	} else {
		control_say(c, buf_view(&b));
	}
	buf_fini(&b);
}

static void ask(struct serve *s, struct control_conn *c, struct str cmd)
{
	struct adm_ask *q = adm_ask_new(s->adm, s->scope);
	if (!q || adm_line_parse(cmd, q)) {
		say(c, q ? STR("=failed 0 0 that question is not understood\n")
			 : STR("=failed 0 0 not enough memory\n"));
		adm_ask_free(q);
		return;
	}
	q->on_piece = on_piece;
	q->ctx = c;
	control_set_tag(c, q);
	adm_ask(q);
}

static bool is_reload(struct str cmd, uint32_t *confirm_s)
{
	return str_starts(cmd, STR("reload all ")) && str_u32(str_skip(cmd, 11), confirm_s);
}

void serve_on_control(void *ctx, struct control_conn *c, struct str cmd)
{
	struct serve *s = ctx;
	struct buf b;
	uint32_t confirm_s;
	if (str_starts(cmd, STR("ask\t"))) {
		ask(s, c, cmd);
		return;
	}
	buf_init(&b);
	if (is_reload(cmd, &confirm_s)) {
		serve_config_reload(s, confirm_s, &b);
	} else if (str_eq(cmd, STR("reload confirmed"))) {
		serve_config_confirm(s, &b);
	} else if (str_eq(cmd, STR("reload"))) { /* accounts: `rung user` has changed some */
		serve_reload(s);
		buf_str(&b, STR("ok\n"));
	} else if (str_eq(cmd, STR("listeners"))) {
		serve_put_listeners(s, &b);
		buf_chr(&b, '\n');
	} else if (!mailbox_command(s->exc, cmd, &b)) {
		buf_fmt(&b, "unknown command `" STR_FMT "`\n", STR_ARG(cmd));
	}
	say(c, buf_view(&b));
	buf_fini(&b);
}

void serve_on_control_sent(void *ctx, struct control_conn *c)
{
	struct adm_ask *q = control_tag(c);
	if (q)
		adm_go_on(q);
}

void serve_on_control_gone(void *ctx, struct control_conn *c)
{
	struct adm_ask *q = control_tag(c);
	if (q && q->is_away)
		q->ctx = NULL;
	else
		adm_ask_free(q);
}

void serve_on_live(void *ctx, int fd)
{
	struct serve *s = ctx;
	if (live_watch(s->live, fd))
		serve_line(s, env_wall_us(s->env),
			   STR("too many watch the live scope; one was refused"));
}
