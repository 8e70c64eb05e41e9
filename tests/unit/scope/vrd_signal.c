/* The verdict's rules that look closely at signalling: tags, loops, glare, fragments, NAT; each
 * with a call that asks for it, and one like it that must not. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

static void up(struct play *p)
{
	setup(p);
	ring(p);
	answer(p);
	ack(p);
}

/* The text of a finding, "" when it is not there. */
static const char *text_of(const struct play *p, enum vrd_rule rule)
{
	static char mem[700];
	mem[0] = 0;
	for (unsigned i = 0; i < p->v.n; i++)
		if (p->v.f[i].rule == rule)
			str_copy(mem, sizeof mem, p->v.f[i].text);
	return mem;
}
#define SAYS(rule, part) CHECK(strstr(text_of(&p, VRD_##rule), part))
#define SAYS_NOT(rule, part)                                                                       \
	CHECK(text_of(&p, VRD_##rule)[0] && !strstr(text_of(&p, VRD_##rule), part))

/* --- 481, 482, 491 ---------------------------------------------------------------------------- */

TEST_NO_OOM(an_unknown_dialog_is_named_by_its_tags)
{
	struct play p;
	up(&p);
	msg(&p, 5, "A>P", "BYE 2 e", "To-tag: other\r\n");
	msg(&p, 5.1, "P>A", "481 Gone 2 BYE e", "To-tag: other\r\n");
	judge(&p);
	SAYS(BYE_UNANSWERED, "was answered 481 Gone; it was asked for From tag f, To tag other: no "
			     "answer to the INVITE gave that To tag");
	play_end(&p);

	up(&p); /* the right tag: the other side forgot */
	msg(&p, 5, "A>P", "BYE 2 e", "To-tag: t\r\n");
	msg(&p, 5.1, "P>A", "481 Gone 2 BYE e", "To-tag: t\r\n");
	judge(&p);
	SAYS(BYE_UNANSWERED, "From tag f, To tag t");
	SAYS_NOT(BYE_UNANSWERED, "no answer");
	play_end(&p);
}

#define VIA(host) "Via: SIP/2.0/UDP " host ";branch=z9hG4bK1\r\n"

TEST_NO_OOM(a_loop_is_named_by_the_vias)
{
	struct play p;
	setup(&p);
	p.via = "p1.lab";
	refuse(&p, "483 Hops",
	       "To-tag: t\r\n" VIA("p2.lab:5070") VIA("p1.lab") VIA("p2.lab:5070") VIA("p1.lab")
		       VIA("phone"));
	VERDICT_IS(CALL_LOOP, "its 6 Via lines name again and again: p2.lab:5070, p1.lab");
	play_end(&p);

	setup(&p);
	p.via = "p1.lab";
	refuse(&p, "483 Hops", "To-tag: t\r\n" VIA("p2.lab") VIA("phone"));
	VERDICT_IS(CALL_LOOP, "its 3 Via lines name no host twice");
	play_end(&p);
}

TEST_NO_OOM(who_waits_after_a_glare)
{
	static const struct {
		double again;
		const char *text;
		bool is_early;
	} rows[] = {
		{0,   "the caller did not try again",       false},
		{5,   "the caller tried again after 0.9 s", true },
		{7.1, "the caller tried again after 3.0 s", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct play p;
		up(&p);
		msg(&p, 4, "A>P", "INVITE 2 h", "To-tag: t\r\n");
		msg(&p, 4.1, "P>A", "491 Pending 2 INVITE h", "To-tag: t\r\n");
		if (rows[i].again > 0) {
			msg(&p, rows[i].again, "A>P", "INVITE 3 i", "To-tag: t\r\n");
			msg(&p, rows[i].again + 0.1, "P>A", "200 OK 3 INVITE i", "To-tag: t\r\n");
		}
		bye_from_callee(&p, 9);
		judge(&p);
		CHECK(strstr(text_of(&p, VRD_GLARE), rows[i].text));
		CHECK_EQ(!!strstr(text_of(&p, VRD_GLARE), "too early"), rows[i].is_early);
		play_end(&p);
	}
}
