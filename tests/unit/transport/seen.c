/* What the outside calls us: learned from answers, named to those outside alone. [RFC3581 4] */
#include "transport/seen.h"

#include "rig.h"

#include <stdio.h>

static struct ev_words *words;

static bool learn(struct tp *tp, const char *to, enum tp_proto proto, const char *via)
{
	char text[400];
	enum err e;
	struct tp_dst dst = {.proto = proto, .is_fixed = true};
	CHECK(addr_parse(str_c(to), 5060, &dst.to));
	snprintf(
		text, sizeof(text),
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1:5060%s;branch=z9hG4bK1\r\n"
		"From: <sip:a@b>;tag=f\r\nTo: <sip:a@b>;tag=t\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"
		"Content-Length: 0\r\n\r\n",
		via);
	struct sip_msg *m = sip_msg_from(str_c(text), &e);
	CHECK(m);
	bool is_news = tp_seen_learn(tp, words, &dst, m);
	sip_msg_free(m);
	return is_news;
}

static void check_named(struct tp *tp, const char *to, enum tp_proto proto, const char *want)
{
	struct tp_dst dst = {.proto = proto, .is_fixed = true};
	struct addr at;
	char text[ADDR_TEXT_MAX];
	CHECK(addr_parse(str_c(to), 5060, &dst.to));
	CHECK_EQ(tp_local_for(tp, &dst, &at), OK);
	CHECK_STR_EQ(str_c(addr_text(&at, text)), str_c(want));
	CHECK(tp_is_local(tp, &at));
}

TEST(address_outside_is_learned)
{
	struct world *w = world_new(false);
	struct node *n = node_new(w, "10.0.0.1", 1, NULL);
	struct tp *tp = n->tp[0];
	node_listen(n, TP_UDP, "10.0.0.1:5060");
	node_listen(n, TP_TCP, "10.0.0.1:5060");
	CHECK_EQ(ev_words_new(TP_SEEN_WORDS, &words), OK);
	check_named(tp, "198.51.100.9", TP_UDP, "10.0.0.1:5060"); /* before anything is set */
	tp_set_seen(tp, words);
	check_named(tp, "198.51.100.9", TP_UDP, "10.0.0.1:5060");
	CHECK(!learn(tp, "198.51.100.9", TP_UDP, ""));
	CHECK(!learn(tp, "198.51.100.9", TP_UDP, ";rport=5060;received=10.0.0.1"));
	/* the near side of a NAT, or a private network beyond one: nothing to tell to others */
	CHECK(!learn(tp, "10.9.9.9", TP_UDP, ";rport=5060;received=10.7.7.7"));
	CHECK(learn(tp, "198.51.100.9", TP_UDP, ";rport=41000;received=203.0.113.5"));
	CHECK(!learn(tp, "198.51.100.9", TP_UDP, ";rport=41000;received=203.0.113.5"));
	check_named(tp, "198.51.100.9", TP_UDP, "203.0.113.5:41000");
	check_named(tp, "198.51.100.9", TP_TCP, "203.0.113.5:5060"); /* nobody knows better */
	check_named(tp, "10.9.9.9", TP_UDP, "10.0.0.1:5060");
	/* over a stream only the address counts */
	CHECK(!learn(tp, "198.51.100.9", TP_TCP, ";rport=50001;received=203.0.113.5"));
	check_named(tp, "198.51.100.9", TP_UDP, "203.0.113.5:41000");
	/* another port, another address, and none any more */
	CHECK(learn(tp, "198.51.100.9", TP_UDP, ";rport=41001;received=203.0.113.5"));
	CHECK(learn(tp, "198.51.100.9", TP_TCP, ";rport=50001;received=203.0.113.6"));
	check_named(tp, "198.51.100.9", TP_UDP, "203.0.113.6:5060");
	struct addr old;
	CHECK(addr_parse(STR("203.0.113.5:41001"), 0, &old));
	CHECK(!tp_is_local(tp, &old));
	CHECK(learn(tp, "198.51.100.9", TP_UDP, ";rport=5060;received=10.0.0.1"));
	check_named(tp, "198.51.100.9", TP_UDP, "10.0.0.1:5060");
	/* what was set counts */
	struct addr set;
	CHECK(addr_parse(STR("203.0.113.9"), 0, &set));
	tp_advertise(tp, &set);
	CHECK(!learn(tp, "198.51.100.9", TP_UDP, ";rport=41000;received=203.0.113.5"));
	check_named(tp, "198.51.100.9", TP_UDP, "203.0.113.9:5060");
	world_free(w);
	ev_words_free(words);
}
