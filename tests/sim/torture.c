/* The torture messages of RFC 4475 and RFC 5118 against the whole exchange, byte for byte, over UDP
 * and TCP, from a host that knows no SIP of ours. What may come back stands in
 * tests/msg/torture.tbl, whose parser column is tested in tests/unit/sip. After each message an
 * OPTIONS must be answered, and once the timers have run out nothing may be left in memory.
 *
 * Each message meets a new exchange: no answer can be a repetition of another's. A second pass
 * sends them from a trusted source to an exchange that is responsible for their domains, so that
 * they get past the challenge and deep into registrar, proxy and resolver. */
#include "raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	char name[64], section[32], parser[16], layer[16], udp[64], tcp[16];
};

static const struct sim_link lan = {.delay_us = 1000};

static size_t read_file(const char *path, char *to, size_t cap)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		test_fail(__FILE__, __LINE__, "cannot read %s", path);
	size_t n = fread(to, 1, cap, f);
	fclose(f);
	CHECK(n < cap);
	return n;
}

static void take_column(struct str *line, char *to, size_t cap)
{
	CHECK(str_copy(to, cap, str_trim(str_cut(*line, '|', line))));
}

static bool read_entry(struct str *table, struct entry *e)
{
	while (table->n) {
		struct str line = str_cut(*table, '\n', table);
		if (!line.n || line.p[0] == '#')
			continue;
		take_column(&line, e->name, sizeof(e->name));
		take_column(&line, e->section, sizeof(e->section));
		take_column(&line, e->parser, sizeof(e->parser));
		take_column(&line, e->layer, sizeof(e->layer));
		take_column(&line, e->udp, sizeof(e->udp));
		take_column(&line, e->tcp, sizeof(e->tcp));
		return true;
	}
	return false;
}

static bool is_in(const char *set, struct str status)
{
	struct str rest = str_c(set);
	while (rest.n)
		if (str_eq(str_cut(rest, ' ', &rest), status))
			return true;
	return false;
}

/* The final answers that came on that socket: at least one, each in the set; none for "discard" and
 * "wait". */
static void check_answers(struct raw *r, int sock, const struct entry *e, const char *set)
{
	unsigned n = 0;
	for (size_t i = 0; i < r->n_msgs; i++) {
		struct raw_msg *m = r->msgs[i];
		struct str status = str_sub(m->text, 8, 3);
		if (m->sock != sock || m->is_taken)
			continue;
		CHECK(str_starts(m->text, STR("SIP/2.0 ")));
		m->is_taken = true;
		if (status.p[0] == '1')
			continue;
		n++;
		if (set && !is_in(set, status))
			test_fail(__FILE__, __LINE__, "%s [%s]: " STR_FMT ", not one of %s",
				  e->name, e->section, STR_ARG(status), set);
	}
	bool is_answered = strcmp(set ? set : e->udp, "discard") != 0;
	if ((n > 0) != is_answered)
		test_fail(__FILE__, __LINE__, "%s [%s]: %u answers", e->name, e->section, n);
}

static void check_options(struct raw *r, int sock)
{
	struct raw_req q = {.method = "OPTIONS", .uri = "sip:" STAGE_SERVER};
	raw_flush(r);
	raw_request(r, sock, &q);
	raw_get(r, "SIP/2.0 200", 5);
}

static void check_nothing_left(struct stage *s)
{
	stage_run(s, 400); /* every timer of a transaction, and Timer C */
	for (size_t i = 0; i < s->n_shards; i++) {
		CHECK_EQ(exc_live(s->exc, i), 0);
		CHECK_EQ(exc_pending(s->exc, i), 0);
	}
}

static void over_udp(struct stage *s, const struct entry *e, struct str bytes)
{
	struct raw *r = raw_new(s, "10.0.0.66", 5060, "tormentor");
	bool is_strict = !s->cfg.n_trust;
	raw_bytes(r, 0, bytes);
	stage_run(s, 6);
	check_answers(r, 0, e, is_strict ? e->udp : NULL);
	check_options(r, 0);
	check_nothing_left(s);
	raw_free(r);
}

static void over_tcp(struct stage *s, const struct entry *e, struct str bytes)
{
	struct raw *r = raw_new(s, "10.0.0.66", 5060, "tormentor");
	int t = raw_connect(r);
	bool is_strict = !s->cfg.n_trust;
	raw_bytes(r, t, bytes);
	stage_run(s, 10);
	if (strcmp(e->tcp, "wait") == 0) {
		check_answers(r, t, e, "discard");
	} else if (strcmp(e->tcp, "400 close") == 0) {
		check_answers(r, t, e, "400");
		CHECK(r->socks[t].has_ended);
	} else {
		check_answers(r, t, e, is_strict ? e->udp : NULL);
		if (strcmp(e->name, "dblreq") == 0)
			CHECK(r->n_msgs >= 2); /* and its INVITE says 150 bytes, but has 155 */
		else if (r->socks[t].has_ended)
			test_fail(__FILE__, __LINE__, "%s [%s]: connection closed", e->name,
				  e->section);
		else
			check_options(r, t); /* the stream is still in step */
	}
	check_options(r, 0);
	check_nothing_left(s);
	raw_free(r);
}

static void torment(const struct exc_cfg *cfg,
		    void (*send)(struct stage *s, const struct entry *e, struct str bytes))
{
	static char table[32768], bytes[8192];
	struct str rest =
		str_of(table, read_file(TEST_DIR "/msg/torture.tbl", table, sizeof(table)));
	struct entry e;
	unsigned n = 0;
	for (; read_entry(&rest, &e); n++) {
		char path[512];
		snprintf(path, sizeof(path), TEST_DIR "/data/torture/%s.dat", e.name);
		struct stage *s = stage_new_with(7, 2, &lan, cfg);
		send(s, &e, str_of(bytes, read_file(path, bytes, sizeof(bytes))));
		stage_free(s);
	}
	CHECK_EQ(n, 61);
}

static const struct exc_cfg stranger = {.realm = STR_INIT("sim"), .product = STR_INIT("rung")};

TEST_NO_OOM(torture_udp)
{
	torment(&stranger, over_udp);
}

TEST_NO_OOM(torture_tcp)
{
	torment(&stranger, over_tcp);
}

static const struct str domains[] = {STR_INIT("example.com"), STR_INIT("*.example.com"),
				     STR_INIT("example.org"), STR_INIT("example.net"),
				     STR_INIT("[2001:db8::10]")};

static struct exc_cfg trusting(struct addr_net *net)
{
	struct exc_cfg cfg = stranger;
	CHECK(addr_net_parse(STR("10.0.0.66/32"), net));
	cfg.domains = domains;
	cfg.n_domains = sizeof(domains) / sizeof(domains[0]);
	cfg.trust = net;
	cfg.n_trust = 1;
	return cfg;
}

TEST_NO_OOM(torture_udp_behind_the_challenge)
{
	struct addr_net net;
	struct exc_cfg cfg = trusting(&net);
	torment(&cfg, over_udp);
}

TEST_NO_OOM(torture_tcp_behind_the_challenge)
{
	struct addr_net net;
	struct exc_cfg cfg = trusting(&net);
	torment(&cfg, over_tcp);
}
