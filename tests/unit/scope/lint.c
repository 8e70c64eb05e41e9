/* The lint over real captures: whole, with a message missing, begun in the middle, with packets
 * seen twice or in another order. What is really wrong is found again; nothing else is ever found.
 * And whose card a finding goes to, and the bounds. The rules have pages of their own in
 * tests/lint. */
#include "fixture.h"

#include "base/assert.h"
#include "lint/lint.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MSGS 400

struct tape { /* the messages of a capture */
	struct trk_packet p[MAX_MSGS];
	unsigned n;
};

static const char *data_dir(void)
{
	const char *dir = getenv("RUNG_TEST_DATA");
	if (!dir)
		test_skip("RUNG_TEST_DATA does not say where tests/data is");
	return dir;
}

static bool tape_read(struct tape *t, const char *name)
{
	char path[512];
	struct buf why;
	struct cap *c;
	struct cap_walk *w;
	const struct cap_frame *fr;
	buf_init(&why);
	snprintf(path, sizeof path, "%s/captures/%s", data_dir(), name);
	t->n = 0;
	CHECK_EQ(cap_open(path, &c, &why), OK);
	CHECK_EQ(cap_walk_new(c, NULL, &w), OK);
	while ((fr = cap_walk_next(w)))
		for (size_t i = 0; i < fr->n_msgs && t->n < MAX_MSGS; i++) {
			struct trk_packet *p = &t->p[t->n++];
			*p = fr->msgs[i].pkt;
			char *copy = malloc(p->bytes.n + 1);
			CHECK(copy);
			memcpy(copy, p->bytes.p, p->bytes.n);
			p->bytes.p = copy;
			p->msg = NULL;
		}
	cap_walk_free(w);
	cap_close(c);
	buf_fini(&why);
	return t->n > 0;
}

static void tape_free(struct tape *t)
{
	for (unsigned i = 0; i < t->n; i++)
		free((char *)(uintptr_t)t->p[i].bytes.p);
}

/* How often each rule fired, whoever broke it. */
struct tally {
	uint32_t n[LINT__N];
};

static void count(const struct lint *l, struct tally *t)
{
	memset(t, 0, sizeof *t);
	for (const struct lint_peer *p = lint_first(l); p; p = p->next)
		for (const struct lint_kind *k = p->kinds; k; k = k->next)
			t->n[k->rule] += k->count;
}

enum damage { WHOLE, WITHOUT_ONE, FROM_ONE_ON, ALL_TWICE, TWICE_UNNUMBERED, SWAPPED };

static void play_tape(const struct tape *t, enum damage how, unsigned at, struct tally *out)
{
	struct lint *l = lint_new(&(struct lint_cfg){0});
	CHECK(l);
	for (unsigned i = how == FROM_ONE_ON ? at : 0; i < t->n; i++) {
		unsigned k = how != SWAPPED ? i : i == at ? at + 1 : i == at + 1 ? at : i;
		struct trk_packet p = t->p[k < t->n ? k : i];
		p.at_us = t->p[i].at_us;
		if (how == WITHOUT_ONE && i == at)
			continue;
		if (how == ALL_TWICE)
			p.ip_id = (uint16_t)(i + 1);
		CHECK_EQ(lint_message(l, &p, true), OK);
		p.at_us += how == ALL_TWICE ? 80'000 : 700;
		if (how == TWICE_UNNUMBERED)
			p.ip_id = 0;
		if (how == ALL_TWICE || how == TWICE_UNNUMBERED)
			CHECK_EQ(lint_message(l, &p, true), OK);
	}
	count(l, out);
	lint_free(l);
}

static void check_subset(const char *name, const char *what, unsigned at, const struct tally *got,
			 const struct tally *whole)
{
	for (unsigned r = 1; r < LINT__N; r++)
		if (got->n[r] && !whole->n[r])
			test_fail(__FILE__, __LINE__, "%s, %s at message %u: %s", name, what, at,
				  lint_about((enum lint_rule)r)->code);
}

static void each_capture(void fn(const char *name, const struct tape *t, const struct tally *whole))
{
	static struct tape t;
	char path[512];
	unsigned n = 0;
	snprintf(path, sizeof path, "%s/captures", data_dir());
	DIR *dir = opendir(path);
	CHECK(dir);
	for (struct dirent *d; (d = readdir(dir));) {
		struct tally whole;
		/* those made by hand have proxies that add no Via, and copies of their own */
		struct str name = str_c(d->d_name);
		if (!str_ends(name, STR(".pcap")) || str_starts(name, STR("made-")) ||
		    !tape_read(&t, d->d_name))
			continue;
		play_tape(&t, WHOLE, 0, &whole);
		fn(d->d_name, &t, &whole);
		tape_free(&t);
		n++;
	}
	closedir(dir);
	CHECK(n > 20);
}

static void lose(const char *name, const struct tape *t, const struct tally *whole)
{
	struct tally got;
	for (unsigned i = 0; i < t->n; i++) {
		play_tape(t, WITHOUT_ONE, i, &got);
		check_subset(name, "one lost", i, &got, whole);
		play_tape(t, FROM_ONE_ON, i, &got);
		check_subset(name, "begun", i, &got, whole);
		bool is_near = i + 1 < t->n && t->p[i + 1].at_us < t->p[i].at_us + 100'000;
		play_tape(t, is_near ? SWAPPED : WHOLE, i, &got);
		check_subset(name, "swapped", i, &got, whole);
	}
}

TEST_NO_OOM(a_lossy_capture_accuses_nobody)
{
	each_capture(lose);
}

static void mirror(const char *name, const struct tape *t, const struct tally *whole)
{
	struct tally got;
	for (enum damage how = ALL_TWICE; how <= TWICE_UNNUMBERED; how++) {
		play_tape(t, how, 0, &got);
		if (memcmp(&got, whole, sizeof got) != 0)
			test_fail(__FILE__, __LINE__, "%s: copies are counted", name);
	}
}

TEST_NO_OOM(a_mirror_port_accuses_nobody)
{
	each_capture(mirror);
}

/* --- whose fault
 * ---------------------------------------------------------------------------------- */

#define HEAD(vias, more)                                                                           \
	vias "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\n"                \
	     "Call-ID: c\r\nCSeq: 2 BYE\r\n" more "Content-Length: 0\r\n\r\n"
#define VIA_A "Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKa\r\n"
#define VIA_P "Via: SIP/2.0/UDP 192.0.2.57:5060;branch=z9hG4bKp\r\n"
#define BYE   "BYE sip:b@192.0.2.43 SIP/2.0\r\n"

static void say(struct lint *l, unsigned frame, const char *hop, const char *text)
{
	struct trk_packet p = {.at_us = 1'000'000u * frame,
			       .frame_no = frame,
			       .from = host(hop[0]),
			       .to = host(hop[2]),
			       .bytes = str_c(text)};
	CHECK_EQ(lint_message(l, &p, true), OK);
}

static const struct lint_peer *peer(const struct lint *l, const char *agent, bool is_behind)
{
	for (const struct lint_peer *p = lint_first(l); p; p = p->next)
		if (strcmp(p->agent, agent) == 0 && p->is_behind == is_behind &&
		    (p->n_messages || p->n_passed))
			return p;
	return NULL;
}

TEST(what_a_proxy_passes_on_is_its_authors)
{
	struct lint *l = lint_new(&(struct lint_cfg){0});
	CHECK(l);
	/* the phone writes a Contact into its BYE, the proxy forgets Max-Forwards */
	say(l, 1, "A>P",
	    BYE HEAD(VIA_A,
		     "Max-Forwards: 70\r\nUser-Agent: Phone\r\nContact: <sip:a@192.0.2.21>\r\n"));
	say(l, 2, "P>B",
	    BYE HEAD(VIA_P VIA_A, "User-Agent: Phone\r\nContact: <sip:a@192.0.2.21>\r\n"));
	say(l, 3, "B>P", "SIP/2.0 200 OK\r\n" HEAD(VIA_P VIA_A, "Server: Other\r\n"));
	say(l, 4, "P>A", "SIP/2.0 200 OK\r\n" HEAD(VIA_A, "Server: Other\r\n"));
	const struct lint_peer *phone = peer(l, "Phone", false), *proxy = peer(l, "", false);
	const struct lint_peer *other = peer(l, "Other", false);
	CHECK(phone && proxy && other);
	CHECK_EQ(phone->n_found[LINT_ERROR], 1);
	CHECK_EQ(phone->kinds->rule, LINT_CONTACT_BYE);
	CHECK_EQ(phone->n_messages, 1);
	CHECK_EQ(proxy->n_found[LINT_ERROR], 1);
	CHECK_EQ(proxy->kinds->rule, LINT_NO_MAX_FORWARDS);
	CHECK_EQ(proxy->n_passed, 2);
	CHECK_EQ(proxy->n_messages, 0);
	CHECK_EQ(other->n_messages, 1);
	CHECK(!peer(l, "Phone", true));
	CHECK_EQ(lint_score(phone), 95);
	CHECK_EQ(lint_grade(lint_score(phone)), 'A');
	lint_free(l);
}

TEST(who_is_only_seen_behind_a_proxy_has_a_card)
{
	struct lint *l = lint_new(&(struct lint_cfg){0});
	CHECK(l);
	say(l, 1, "P>B",
	    BYE HEAD(VIA_P VIA_A,
		     "Max-Forwards: 69\r\nUser-Agent: Phone\r\nContact: <sip:a@192.0.2.21>\r\n"));
	const struct lint_peer *phone = peer(l, "Phone", true);
	CHECK(phone);
	CHECK_EQ(phone->kinds->rule, LINT_CONTACT_BYE);
	CHECK_STR(phone->kinds->line, "Contact: <sip:a@192.0.2.21>");
	CHECK_EQ(phone->kinds->caret, 9);
	lint_free(l);
}

/* A card without a name gets the first one; one that is there already takes over what was counted.
 */
TEST(a_name_that_comes_late)
{
	struct lint *l = lint_new(&(struct lint_cfg){0});
	CHECK(l);
	say(l, 1, "A>P", BYE HEAD(VIA_A, "Contact: <sip:a@192.0.2.21>\r\nMax-Forwards: 70\r\n"));
	CHECK(peer(l, "", false));
	say(l, 2, "A>P", BYE HEAD(VIA_A, "Max-Forwards: 70\r\nUser-Agent: Phone\r\n"));
	CHECK(!peer(l, "", false));
	CHECK_EQ(peer(l, "Phone", false)->n_messages, 2);
	CHECK_EQ(peer(l, "Phone", false)->n_found[LINT_ERROR], 1);
	say(l, 3, "A>P", BYE HEAD(VIA_A, "Max-Forwards: 71\r\nUser-Agent: Phone\r\n"));
	CHECK_EQ(peer(l, "Phone", false)->n_found[LINT_WARNING], 1);
	lint_free(l);
}

/* --- bounds
 * --------------------------------------------------------------------------------------- */

TEST(peers_and_calls_are_bounded)
{
	struct lint *l = lint_new(&(struct lint_cfg){.max_peers = 3, .max_calls = 2});
	unsigned n = 0, n_rest = 0;
	CHECK(l);
	for (unsigned i = 0; i < 50; i++) {
		char text[600];
		snprintf(text, sizeof text,
			 BYE VIA_A
			 "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>;tag=2\r\n"
			 "Call-ID: c%u\r\nCSeq: 2 BYE\r\nMax-Forwards: 99\r\n"
			 "User-Agent: Phone %u\r\nContent-Length: 0\r\n\r\n",
			 i, i);
		say(l, i + 1, "A>P", text);
	}
	for (const struct lint_peer *p = lint_first(l); p; p = p->next) {
		n++;
		n_rest += p->is_rest;
		CHECK(p->kinds && !p->kinds->next);
		CHECK(p->kinds->n_frames <= LINT_MAX_FRAMES);
	}
	CHECK_EQ(n, 4);
	CHECK_EQ(n_rest, 1);
	lint_free(l);
}

TEST(rules_have_different_codes)
{
	for (unsigned r = 1; r < LINT__N; r++)
		CHECK_EQ(lint_find_rule(str_c(lint_about((enum lint_rule)r)->code)), r);
	CHECK_EQ(lint_find_rule(STR("no such rule")), LINT_NONE);
}

/* --- views
 * ---------------------------------------------------------------------------------------- */

TEST(cards_and_findings_as_text_and_json)
{
	struct lint *l = lint_new(&(struct lint_cfg){0});
	struct buf b;
	CHECK(l);
	buf_init(&b);
	say(l, 1, "A>P",
	    BYE HEAD(VIA_A, "Max-Forwards: 70\r\nUser-Agent: Ph\x1b[1mone\r\n"
			    "Contact: <sip:\xc3\xa9@192.0.2.21>;q=2\r\n"));
	lint_put_text(&b, l, &(struct lint_look){.is_ascii = true});
	CHECK_EQ(b.err, OK);
	CHECK_STR_EQ(buf_view(&b),
		     STR("Ph?[1mone at 192.0.2.21: B (90 of 100)\n"
			 "  1 message: 2 errors of 2 kinds, 0 warnings, 0 notes\n"
			 "  error    a q value that is not 0 to 1 with at most three decimals.\n"
			 "           1 time, frame 1; q-bad; [RFC3261 25.1]\n"
			 "           | Contact: <sip:\xc3\xa9@192.0.2.21>;q=2\n"
			 "           |          ^\n"
			 "           -> q=0.7.\n"
			 "  error    BYE or CANCEL with a Contact (table 2: not applicable).\n"
			 "           1 time, frame 1; contact-bye; [RFC3261 20]\n"
			 "           | Contact: <sip:\xc3\xa9@192.0.2.21>;q=2\n"
			 "           |          ^\n"
			 "           -> no Contact in BYE and CANCEL.\n"));
	buf_clear(&b);
	lint_put_json(&b, l);
	CHECK_EQ(b.err, OK);
	CHECK(str_starts(buf_view(&b), STR("{\"peer\":{\"agent\":\"Ph\\u001b[1mone\",\"address\":"
					   "\"192.0.2.21\",\"behind\":false},\"messages\":1,")));
	CHECK(str_find(buf_view(&b), STR("\n{\"rule\":\"q-bad\",\"severity\":\"error\",\"rfc\":"
					 "\"RFC3261 25.1\",")) != SIZE_MAX);
	buf_clear(&b);
	lint_put_rules(&b, false);
	CHECK(str_starts(buf_view(&b), STR("bare-lf                      error    RFC3261 7 ")));
	buf_fini(&b);
	lint_free(l);
}
