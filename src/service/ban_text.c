/* Bans in words: what an operator asks and is told, and what is written down for the next start.
 *
 * Everything that came from outside was masked when it was noted (ban.c). Times are told as wall
 * time (UTC) and as what is left; on disk they are wall time, since the loop's clock begins anew.
 * A line of the setting "bans" is one ban, its fields between tabs:
 *
 *	address[/bits]  since  until (s; 0: for ever)  flags (m by hand, u UDP only)  level  why
 *	deeds, between commas  request  user  agent */
#include "service/ban_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_US 1000000ull
#define SAVED_S   3600

static const char *const deed_texts[BAN_DEEDS] = {
#define DEED(id, points, text) [BAN_##id] = text,
#include "service/ban.def"
#undef DEED
};

/* ---- words ----------------------------------------------------------------------------------- */

void ban_put_span(struct buf *b, uint64_t from_us, uint64_t until_us)
{
	uint64_t s = until_us > from_us ? (until_us - from_us + SECOND_US - 1) / SECOND_US : 0;
	if (until_us == UINT64_MAX)
		buf_str(b, STR("for ever"));
	else if (s < 120)
		buf_fmt(b, "for %u s", (unsigned)s);
	else if (s < 7200)
		buf_fmt(b, "for %u min", (unsigned)((s + 59) / 60));
	else
		buf_fmt(b, "for %u h", (unsigned)((s + 3599) / 3600));
}

void ban_put_deeds(struct buf *b, const struct ban_suspect *s)
{
	const char *between = "";
	if (s->why[0]) {
		buf_str(b, str_c(s->why));
		between = "; ";
	}
	for (size_t i = 0; i < BAN_DEEDS; i++)
		if (s->n[i]) {
			buf_fmt(b, "%s%llu \xc3\x97 %s", between, (unsigned long long)s->n[i],
				deed_texts[i]);
			between = ", ";
		}
}

static uint64_t wall_of(const struct ban *b, uint64_t at_us)
{
	return env_wall_us(b->loop->env) + at_us - ev_now_us(b->loop);
}

static void put_time(const struct ban *b, struct buf *out, uint64_t at_us)
{
	time_t t = (time_t)(wall_of(b, at_us) / SECOND_US);
	struct tm tm;
	char text[32];
	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &tm);
	buf_str(out, str_c(text));
}

static void put_key(struct buf *out, const struct addr *key)
{
	addr_put_ip(out, key);
	if (key->family == ADDR_V6)
		buf_str(out, STR("/64"));
}

static void put_net(struct buf *out, const struct addr_net *n)
{
	addr_put_ip(out, &n->base);
	buf_fmt(out, "/%u", n->bits);
}

/* ---- list ------------------------------------------------------------------------------------ */

static bool tell_net(const struct ban_net *n, bool (*fn)(void *arg, const struct ban_row *r),
		     void *arg)
{
	char who[80];
	struct buf b;
	struct ban_row r = {.since_us = n->since_us,
			    .until_us = n->until_us,
			    .is_manual = true,
			    .why = str_c(n->why)};
	buf_init_fixed(&b, who, sizeof(who));
	put_net(&b, &n->net);
	r.who = buf_view(&b);
	return fn(arg, &r);
}

static bool tell_suspect(const struct ban_suspect *s,
			 bool (*fn)(void *arg, const struct ban_row *r), void *arg)
{
	char who[80], why[500];
	struct buf b, w;
	struct ban_row r = {.since_us = s->since_us,
			    .until_us = s->until_us,
			    .is_for_udp_only = s->is_for_udp_only,
			    .is_manual = s->is_manual,
			    .n_dropped = s->n_dropped,
			    .request = str_c(s->last.request),
			    .user = str_c(s->last.user),
			    .agent = str_c(s->last.agent)};
	buf_init_fixed(&b, who, sizeof(who));
	buf_init_fixed(&w, why, sizeof(why));
	put_key(&b, &s->key);
	ban_put_deeds(&w, s);
	r.who = buf_view(&b);
	r.why = buf_view(&w);
	return fn(arg, &r);
}

void ban_each(struct ban *b, bool (*fn)(void *arg, const struct ban_row *r), void *arg)
{
	for (size_t i = 0; i < b->book.n_nets; i++)
		if (!tell_net(&b->book.nets[i], fn, arg))
			return;
	LIST_EACH (&b->book.banned, l)
		if (!tell_suspect(LIST_ENTRY(l, struct ban_suspect, banned), fn, arg))
			return;
}

/* ---- explain --------------------------------------------------------------------------------- */

static void put_verdict(const struct ban *b, struct buf *out, const struct ban_suspect *s)
{
	uint64_t now = ev_now_us(b->loop);
	put_key(out, &s->key);
	if (s->until_us <= now) {
		buf_str(out, STR(" is not banned.\n"));
		return;
	}
	buf_str(out, s->is_for_udp_only ? STR(" is banned, by UDP, ") : STR(" is banned "));
	ban_put_span(out, now, s->until_us);
	buf_str(out, STR(" more, since "));
	put_time(b, out, s->since_us);
	if (s->is_manual)
		buf_str(out, STR(", by hand"));
	if (s->until_us != UINT64_MAX) {
		buf_str(out, STR(", until "));
		put_time(b, out, s->until_us);
	}
	buf_str(out, STR(".\n"));
}

static void explain_suspect(const struct ban *b, struct buf *out, const struct ban_suspect *s)
{
	bool is_good = ban_book_is_good(b, &s->key);
	put_verdict(b, out, s);
	buf_str(out, STR("  What it did since "));
	put_time(b, out, s->first_us);
	buf_str(out, STR(": "));
	ban_put_deeds(out, s);
	buf_str(out, STR(".\n"));
	if (s->last.request[0])
		buf_fmt(out, "  The last request of that kind: %s, user %s, program %s.\n",
			s->last.request, s->last.user[0] ? s->last.user : "unknown",
			s->last.agent[0] ? s->last.agent : "unknown");
	if (s->until_us)
		buf_fmt(out, "  Messages dropped unread since: %llu.\n",
			(unsigned long long)s->n_dropped);
	buf_fmt(out, "  Points now: %llu by UDP, %llu by connections; %s are a ban.\n",
		(unsigned long long)ban_book_points(b, s, false),
		(unsigned long long)ban_book_points(b, s, true),
		is_good ? "1000 (somebody has logged in from there lately)" : "100");
	if (s->level)
		buf_fmt(out, "  Bans so far: %u; each is longer than the one before.\n", s->level);
	if (s->until_us) {
		buf_str(out, STR("  To undo it: rung ban del "));
		put_key(out, &s->key);
		buf_chr(out, '\n');
	}
}

static void explain(struct ban *b, const struct addr *a, struct buf *out)
{
	struct addr key = ban_key(a);
	const struct ban_suspect *s = ban_book_find(b, &key);
	bool is_told = s != NULL;
	if (ban_is_exempt(b, a)) {
		put_key(out, &key);
		buf_str(out,
			STR(" is never banned: it is in a network of --trust or --never-ban.\n"));
		return;
	}
	for (size_t i = 0; i < b->book.n_nets; i++)
		if (addr_net_has(&b->book.nets[i].net, a)) {
			put_net(out, &b->book.nets[i].net);
			buf_str(out, STR(" is banned by hand "));
			ban_put_span(out, ev_now_us(b->loop), b->book.nets[i].until_us);
			buf_fmt(out, " more: %s.\n", b->book.nets[i].why);
			is_told = true;
		}
	if (s)
		explain_suspect(b, out, s);
	if (is_told)
		return;
	put_key(out, &key);
	buf_str(out,
		ban_book_is_good(b, &key)
			? STR(" is not banned: somebody logged in from there lately, and nothing "
			      "speaks against it.\n")
			: STR(" is not banned, and nothing is known of it.\n"));
}

enum err ban_explain(struct ban *b, struct str who, struct buf *out)
{
	struct addr_net net;
	if (!addr_net_parse(who, &net))
		return ERR_SYNTAX;
	explain(b, &net.base, out);
	return out->err;
}

/* ---- add and del ----------------------------------------------------------------------------- */

static bool is_single(const struct addr_net *n)
{
	return n->bits == (n->base.family == ADDR_V6 ? 128 : 32) ||
	       (n->base.family == ADDR_V6 && n->bits == 64);
}

static enum err add_net(struct ban *b, const struct addr_net *net, uint64_t until_us,
			struct str reason)
{
	struct ban_book *k = &b->book;
	if (k->n_nets == LIMIT_BAN_NETS)
		return ERR_LIMIT;
	struct ban_net *n = &k->nets[k->n_nets++];
	*n = (struct ban_net){*net, ev_now_us(b->loop), until_us, ""};
	(void)str_copy(n->why, sizeof(n->why), reason);
	k->is_stale = k->is_unsaved = true;
	return OK;
}

static enum err add_suspect(struct ban *b, const struct addr *a, uint64_t until_us,
			    struct str reason)
{
	struct addr key = ban_key(a);
	struct ban_suspect *s = ban_book_get(b, &key);
	if (!s)
		return ERR_NOMEM;
	s->is_manual = true;
	(void)str_copy(s->why, sizeof(s->why), reason);
	ban_book_put(b, s, until_us, false);
	return OK;
}

enum err ban_add(struct ban *b, struct str who, uint32_t for_s, struct str reason, const char **why)
{
	uint64_t until_us = for_s ? ev_now_us(b->loop) + for_s * SECOND_US : UINT64_MAX;
	struct addr_net net;
	char mem[80];
	struct buf text;
	*why = "an address such as 192.0.2.7 or a network such as 192.0.2.0/24 was expected";
	if (!addr_net_parse(who, &net))
		return ERR_SYNTAX;
	*why = "that address is never banned: it is in a network of --trust or --never-ban";
	if (ban_is_exempt(b, &net.base))
		return ERR_STATE;
	buf_init_fixed(&text, mem, sizeof(mem));
	buf_plain(&text, str_sub(reason, 0, sizeof(mem) - 1));
	if (!text.n)
		buf_str(&text, STR("by the operator"));
	enum err e = is_single(&net) ? add_suspect(b, &net.base, until_us, buf_view(&text))
				     : add_net(b, &net, until_us, buf_view(&text));
	*why = e == ERR_LIMIT ? "no more networks can be banned" : "not enough memory";
	ban_book_publish(b);
	return e;
}

static void lift(struct ban *b, struct ban_suspect *s)
{
	ban_book_lift(b, s);
	s->score[0] = s->score[1] = 0;
	s->level = 0;
}

static size_t del_net(struct ban *b, const struct addr_net *net)
{
	struct ban_book *k = &b->book;
	size_t n = 0;
	for (size_t i = 0; i < k->n_nets; i++) {
		const struct addr_net *x = &k->nets[i].net;
		if (net && (x->bits != net->bits || !addr_ip_eq(&x->base, &net->base)))
			continue;
		k->nets[i--] = k->nets[--k->n_nets];
		n++;
	}
	k->is_stale |= n > 0;
	k->is_unsaved |= n > 0;
	return n;
}

static size_t del_all(struct ban *b)
{
	size_t n = del_net(b, NULL);
	LIST_EACH (&b->book.banned, l) {
		lift(b, LIST_ENTRY(l, struct ban_suspect, banned));
		n++;
	}
	return n;
}

size_t ban_del(struct ban *b, struct str who)
{
	struct addr_net net;
	size_t n = 0;
	if (str_eq(who, STR("all"))) {
		n = del_all(b);
	} else if (addr_net_parse(who, &net)) {
		struct addr key = ban_key(&net.base);
		struct ban_suspect *s = is_single(&net) ? ban_book_find(b, &key) : NULL;
		n = del_net(b, &net);
		if (s && s->until_us) {
			lift(b, s);
			n++;
		}
	}
	ban_book_publish(b);
	return n;
}

/* ---- the next start -------------------------------------------------------------------------- */

static uint64_t wall_s(const struct ban *b, uint64_t at_us)
{
	return at_us == UINT64_MAX ? 0 : wall_of(b, at_us) / SECOND_US;
}

static void write_suspect(const struct ban *b, struct buf *out, const struct ban_suspect *s)
{
	addr_put_ip(out, &s->key);
	buf_fmt(out, "\t%llu\t%llu\t%s%s\t%u\t%s\t", (unsigned long long)wall_s(b, s->since_us),
		(unsigned long long)wall_s(b, s->until_us), s->is_manual ? "m" : "",
		s->is_for_udp_only ? "u" : "", s->level, s->why);
	for (size_t i = 0; i < BAN_DEEDS; i++)
		buf_fmt(out, "%s%llu", i ? "," : "", (unsigned long long)s->n[i]);
	buf_fmt(out, "\t%s\t%s\t%s\n", s->last.request, s->last.user, s->last.agent);
}

void ban_write(const struct ban *b, struct buf *out)
{
	unsigned n = 0;
	for (size_t i = 0; i < b->book.n_nets; i++) {
		const struct ban_net *w = &b->book.nets[i];
		put_net(out, &w->net);
		buf_fmt(out, "\t%llu\t%llu\tm\t0\t%s\n", (unsigned long long)wall_s(b, w->since_us),
			(unsigned long long)wall_s(b, w->until_us), w->why);
	}
	for (struct link *l = b->book.banned.prev; l != &b->book.banned; l = l->prev) {
		const struct ban_suspect *s = LIST_ENTRY(l, struct ban_suspect, banned);
		if (!s->is_manual && s->until_us - s->since_us < SAVED_S * SECOND_US)
			continue;
		if (++n > LIMIT_BANS_SAVED)
			break;
		write_suspect(b, out, s);
	}
}

static void cut_to(char *to, size_t cap, struct str line, struct str *rest)
{
	struct str s = str_cut(line, '\t', rest);
	(void)str_copy(to, cap, str_sub(s, 0, cap - 1));
}

static uint64_t cut_number(struct str line, char sep, struct str *rest)
{
	uint64_t v = 0;
	return str_u64(str_cut(line, sep, rest), &v) ? v : 0;
}

static void read_suspect(struct ban *b, struct addr_net *net, uint64_t since_us, uint64_t until_us,
			 struct str rest)
{
	struct str flags = str_cut(rest, '\t', &rest), deeds;
	struct addr key = ban_key(&net->base);
	struct ban_suspect *s = ban_book_get(b, &key);
	if (!s)
		return;
	s->is_manual = str_chr(flags, 'm') != SIZE_MAX;
	s->level = (uint8_t)cut_number(rest, '\t', &rest);
	s->level_us = ev_now_us(b->loop);
	cut_to(s->why, sizeof(s->why), rest, &rest);
	deeds = str_cut(rest, '\t', &rest);
	for (size_t i = 0; i < BAN_DEEDS; i++)
		s->n[i] = cut_number(deeds, ',', &deeds);
	cut_to(s->last.request, sizeof(s->last.request), rest, &rest);
	cut_to(s->last.user, sizeof(s->last.user), rest, &rest);
	cut_to(s->last.agent, sizeof(s->last.agent), rest, &rest);
	ban_book_put(b, s, until_us, str_chr(flags, 'u') != SIZE_MAX);
	s->since_us = s->first_us = since_us;
}

static void read_line(struct ban *b, struct str line)
{
	struct str rest, word = str_cut(line, '\t', &rest);
	uint64_t now = ev_now_us(b->loop), wall = env_wall_us(b->loop->env);
	uint64_t since = cut_number(rest, '\t', &rest) * SECOND_US,
		 until = cut_number(rest, '\t', &rest) * SECOND_US;
	struct addr_net net;
	if (!addr_net_parse(word, &net) || (until && until <= wall))
		return;
	/* the loop's clock may be younger than the ban */
	uint64_t age = since < wall ? wall - since : 0;
	uint64_t since_us = age < now ? now - age : 0;
	uint64_t until_us = until ? now + (until - wall) : UINT64_MAX;
	if (is_single(&net)) {
		read_suspect(b, &net, since_us, until_us, rest);
	} else if (b->book.n_nets < LIMIT_BAN_NETS) {
		struct ban_net *n = &b->book.nets[b->book.n_nets++];
		*n = (struct ban_net){net, since_us, until_us, ""};
		(void)str_cut(rest, '\t', &rest);
		(void)str_cut(rest, '\t', &rest);
		cut_to(n->why, sizeof(n->why), rest, &rest);
	}
}

void ban_read(struct ban *b, struct str lines)
{
	while (lines.n)
		read_line(b, str_cut(lines, '\n', &lines));
	b->book.is_stale = true;
	ban_book_publish(b);
	b->book.is_unsaved = false;
}
