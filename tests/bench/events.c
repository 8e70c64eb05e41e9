/* A subscription in user space, without digest: SUBSCRIBE, 200, NOTIFY, 200, and its end by the
 * same again, while 4,000 others stand. [RFC6665] */
#include "bench.h"
#include "rig.h"

#include <stdio.h>

#define USERS 5000
#define HELD  4000

static struct addr phone;
static uint32_t n_made;

/* Our 200 went out before the NOTIFY, which is the last datagram. */
static void notified(struct rig *r)
{
	static char text[RIG_TEXT];
	struct str notify = null_env_last(r->env);
	if (!str_starts(notify, STR("NOTIFY ")))
		rig_die("no NOTIFY");
	struct str via = rig_value(notify, "Via: "), from = rig_value(notify, "From: ");
	struct str to = rig_value(notify, "To: "), call_id = rig_value(notify, "Call-ID: ");
	struct str cseq = rig_value(notify, "CSeq: ");
	int n = snprintf(text, sizeof(text),
			 "SIP/2.0 200 OK\r\nVia: " STR_FMT "\r\nFrom: " STR_FMT "\r\nTo: " STR_FMT
			 "\r\nCall-ID: " STR_FMT "\r\nCSeq: " STR_FMT
			 "\r\nContent-Length: 0\r\n\r\n",
			 STR_ARG(via), STR_ARG(from), STR_ARG(to), STR_ARG(call_id), STR_ARG(cseq));
	rig_feed(r, str_of(text, (size_t)n), &phone);
}

static void subscribe(struct rig *r, uint32_t serial, unsigned cseq, const char *uri,
		      const char *to_tag, unsigned expires_s)
{
	static char text[RIG_TEXT];
	uint32_t user = serial % USERS, whom = (serial + 1) % USERS;
	char target[64];
	snprintf(target, sizeof(target), "sip:user%06u@192.0.2.1", whom);
	int n = snprintf(
		text, sizeof(text),
		"SUBSCRIBE %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.43:5060;rport;branch="
		"z9hG4bK%08x%u\r\nMax-Forwards: 70\r\nFrom: <sip:user%06u@192.0.2.1>;tag=a%08x\r\n"
		"To: <sip:user%06u@192.0.2.1>%s\r\nCall-ID: %08x-s@192.0.2.43\r\nCSeq: %u "
		"SUBSCRIBE\r\nContact: <sip:user%06u@192.0.2.43:5060>\r\nEvent: presence\r\n"
		"Accept: application/pidf+xml\r\nExpires: %u\r\nContent-Length: 0\r\n\r\n",
		uri ? uri : target, serial, cseq, user, serial, whom, to_tag, serial, cseq, user,
		expires_s);
	rig_feed(r, str_of(text, (size_t)n), &phone);
	for (int i = 0; i < 20 && !str_starts(null_env_last(r->env), STR("NOTIFY ")); i++) {
		null_env_advance(r->env, 1000);
		ev_turn(r->loop);
	}
}

static void hold(struct rig *r)
{
	for (; n_made < HELD; n_made++) {
		subscribe(r, n_made, 1, NULL, "", 3600);
		notified(r);
	}
}

static void come_and_go(void *arg, uint64_t n)
{
	struct rig *r = arg;
	char uri[200], tag[200];
	for (uint64_t i = 0; i < n; i++, n_made++) {
		subscribe(r, n_made, 1, NULL, "", 3600);
		struct str notify = null_env_last(r->env),
			   contact = rig_value(notify, "Contact: <");
		struct str from = rig_value(notify, "From: ");
		snprintf(uri, sizeof(uri), STR_FMT,
			 STR_ARG(str_sub(contact, 0, str_chr(contact, '>'))));
		snprintf(tag, sizeof(tag), STR_FMT,
			 STR_ARG(str_skip(from, str_find(from, STR(";tag=")))));
		notified(r);
		subscribe(r, n_made, 2, uri, tag, 0);
		notified(r);
		null_env_advance(r->env, 2000);
	}
}

void bench_main(void)
{
	static struct rig r;
	addr_parse(STR("192.0.2.43:5060"), 0, &phone);
	rig_open(&r, "user%06u", USERS, false);
	hold(&r);
	come_and_go(&r, 20000); /* 80 s: pools and tables have their steady size */
	bench_run(&(struct bench){.name = "SUBSCRIBE and NOTIFY, 4,000 held",
				  .fn = come_and_go,
				  .arg = &r,
				  .ops = 2,
				  .budget_ns = 15000,
				  .budget_mallocs = 20});
	rig_close(&r);
}
