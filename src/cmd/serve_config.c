/* rung serve: the configuration file, at the start and again.
 *
 * The scope's thread reads and compiles the file, where it keeps nobody waiting, and hands the
 * finished policy to shard 0, which publishes it (service/steer.c). A file with errors changes
 * nothing.
 *
 * What a flag says is not asked of the file. Of what stands in the file, listeners, data folder,
 * realm, shards, domains, trusted networks and the echo number count from the next start: a reload
 * says so when they have changed.
 *
 * Going back: the text that was in force last without a doubt is kept. `reload all S` with S > 0
 * puts the new one in force and sets a timer; when it comes before `reload confirmed`, the kept
 * text is compiled and published again. Invariant: `good` is the text of the policy that a timer
 * would go back to; without a timer it is the one in force. */
#include "base/assert.h"
#include "cmd/config.h"
#include "cmd/serve_priv.h"

#include <stdio.h>
#include <stdlib.h>

static const char *keep(struct serve *s, struct str text)
{
	return arena_cstr(&s->texts, text);
}

static void keep_list(struct serve *s, const struct pol_texts *from, struct opt_list *to)
{
	if (to->n)
		return; /* the flag wins */
	for (size_t i = 0; i < from->n && to->n < OPT_LIST_MAX; i++)
		if ((to->v[to->n] = keep(s, from->v[i].s)))
			to->n++;
}

static void fill_flags(struct serve *s, const struct pol_config *c)
{
	const struct pol_domain *d = c->domains.v;
	keep_list(s, &c->listen, &s->listen);
	keep_list(s, &c->trust, &s->trust);
	for (size_t i = 0, had = s->domains.n; !had && i < c->domains.n && i < OPT_LIST_MAX; i++)
		if ((s->domains.v[s->domains.n] = keep(s, d[i].name.s)))
			s->domains.n++;
	if (!s->data && c->data.s.n)
		s->data = keep(s, c->data.s);
	if (!s->realm && c->realm.s.n)
		s->realm = keep(s, c->realm.s);
	if (!s->echo && c->echo.s.n)
		s->echo = keep(s, c->echo.s);
	if (!s->n_shards)
		s->n_shards = c->shards;
}

bool serve_config_open(struct serve *s)
{
	struct buf why;
	arena_init(&s->texts);
	buf_init(&s->good);
	buf_init(&s->tried);
	buf_init(&why);
	if (!s->config)
		return true;
	enum err e = config_read(s->config, &s->good, &why);
	if (e == OK)
		e = config_make(s->config, buf_view(&s->good), &s->policy, &why);
	if (why.n)
		fwrite(why.p, 1, why.n, stderr);
	buf_fini(&why);
	if (e)
		return false;
	fill_flags(s, s->policy);
	s->start_only = serve_config_start_only(s->policy);
	return true;
}

void serve_config_close(struct serve *s)
{
	pol_free(s->policy);
	buf_fini(&s->good);
	buf_fini(&s->tried);
	arena_fini(&s->texts);
}

/* A sum over what counts from the next start only. */
uint64_t serve_config_start_only(const struct pol_config *c)
{
	const struct pol_domain *d = c->domains.v;
	const struct str one[] = {c->data.s, c->realm.s, c->echo.s};
	uint64_t sum = c->shards;
	for (size_t i = 0; i < c->listen.n; i++)
		sum = sum * 31 + hash_quick32(c->listen.v[i].s);
	for (size_t i = 0; i < c->trust.n; i++)
		sum = sum * 37 + hash_quick32(c->trust.v[i].s);
	for (size_t i = 0; i < c->domains.n; i++)
		sum = sum * 41 + hash_quick32(d[i].name.s);
	for (size_t i = 0; i < ARRAY_LEN(one); i++)
		sum = sum * 43 + hash_quick32(one[i]);
	return sum;
}

/* ---- again ----------------------------------------------------------------------------------- */

static void go_back(struct tmr *t)
{
	struct serve *s = CONTAINER_OF(t, struct serve, unconfirmed);
	struct pol_config *c = NULL;
	struct buf why;
	buf_init(&why);
	s->is_unconfirmed = false;
	if (config_make(s->config, buf_view(&s->good), &c, &why) == OK && serve_send_policy(s, c))
		serve_line(
			s, env_wall_us(s->env),
			STR("the new configuration was not confirmed: the one before is in force "
			    "again"));
	else
		serve_line(
			s, env_wall_us(s->env),
			STR("the new configuration was not confirmed, but there is no memory to go "
			    "back"));
	buf_fini(&why);
}

static void stop_waiting(struct serve *s)
{
	ev_timer_stop(s->loop, &s->unconfirmed);
	s->is_unconfirmed = false;
}

/* The new text is the one to go back to from now on. */
static void settle(struct serve *s, struct buf *text)
{
	struct buf old = s->good;
	s->good = *text;
	*text = old;
	stop_waiting(s);
}

static void read_again(struct serve *s, uint32_t confirm_s, struct buf *out)
{
	struct buf text, why;
	struct pol_config *c = NULL;
	buf_init(&text);
	buf_init(&why);
	enum err e = config_read(s->config, &text, &why);
	if (e == OK)
		e = config_make(s->config, buf_view(&text), &c, &why);
	bool has_changed = e == OK && serve_config_start_only(c) != s->start_only;
	if (e == OK && !serve_send_policy(s, c))
		e = ERR_NOMEM;
	buf_str(out, e ? STR("refused: what was in force stays\n") : STR("ok\n"));
	buf_str(out, buf_view(&why));
	if (has_changed)
		buf_str(out,
			STR("note: listen, domains, trust, data, realm, echo and shards count from "
			    "the next start\n"));
	if (e == OK && confirm_s) {
		buf_fmt(out, "goes back in %u s unless `rung reload --confirmed`\n", confirm_s);
		s->is_unconfirmed = true;
		buf_fini(&s->tried);
		s->tried = text;
		buf_init(&text);
		ev_timer(s->loop, &s->unconfirmed, confirm_s * 1000000ull, go_back);
	} else if (e == OK) {
		settle(s, &text);
	}
	buf_fini(&text);
	buf_fini(&why);
}

void serve_config_reload(struct serve *s, uint32_t confirm_s, struct buf *out)
{
	serve_reload(s);
	if (!s->config)
		buf_str(out, STR("ok\n"));
	else
		read_again(s, confirm_s, out);
}

void serve_config_confirm(struct serve *s, struct buf *out)
{
	if (!s->is_unconfirmed) {
		buf_str(out, STR("refused: nothing waits to be confirmed\n"));
		return;
	}
	settle(s, &s->tried);
	buf_str(out, STR("ok\n"));
}
