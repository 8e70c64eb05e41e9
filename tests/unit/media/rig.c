/* See rig.h. */

#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sim *rig_sim;
struct party rig_a, rig_b;

struct addr rig_addr(const char *text)
{
	struct addr a = {0};
	CHECK(addr_parse(str_c(text), 0, &a));
	return a;
}

static void party_open(struct party *p, const char *name, const char *ip)
{
	struct addr a = rig_addr(ip);
	memset(p, 0, sizeof(*p));
	CHECK_EQ(sim_host_new(rig_sim, name, &a, 1, &p->host), OK);
	CHECK_EQ(sim_env_new(p->host, &p->env), OK);
	ev_loop_init(&p->loop, p->env);
	sim_add_loop(rig_sim, &p->loop);
}

void rig_open(uint64_t seed, const struct sim_link *link)
{
	struct sim_link quiet = {.delay_us = 10'000};
	CHECK_EQ(sim_new(seed, &rig_sim), OK);
	sim_link_default(rig_sim, link ? link : &quiet);
	party_open(&rig_a, "a", "192.0.2.1");
	party_open(&rig_b, "b", "192.0.2.2");
}

static void party_close(struct party *p)
{
	md_session_free(p->s);
	p->s = NULL;
	sim_del_loop(rig_sim, &p->loop);
	ev_loop_fini(&p->loop);
	env_free(p->env);
}

void rig_close(void)
{
	party_close(&rig_a);
	party_close(&rig_b);
	sim_free(rig_sim);
}

static void on_event(void *arg, struct md_session *s, const struct md_event *ev)
{
	static const char *const names[] = {
		[MD_FIRST_PACKET] = "first", [MD_LATCHED] = "latched", [MD_DTMF] = "dtmf",
		[MD_TONE] = "tone",          [MD_TONE_END] = "end",    [MD_PLAYED] = "played",
		[MD_DTMF_SENT] = "sent",     [MD_SILENT] = "silent",   [MD_BYE] = "bye",
		[MD_FILE_ERROR] = "file",
	};
	struct party *p = arg;
	char text[ADDR_TEXT_MAX];
	size_t n = strlen(p->told), cap = sizeof(p->told) - n;
	char *at = p->told + n;
	CHECK(s == p->s);
	if (ev->type == MD_DTMF)
		snprintf(at, cap, "dtmf %c %u;", ev->digit, ev->duration_ms);
	else if (ev->type == MD_TONE)
		snprintf(at, cap, "tone %.0f %.0f;", ev->freq_hz / 10, ev->level_dbm0);
	else if (ev->type == MD_FIRST_PACKET || ev->type == MD_LATCHED)
		snprintf(at, cap, "%s %s;", names[ev->type], addr_text(&ev->addr, text));
	else
		snprintf(at, cap, "%s;", names[ev->type]);
	if (p->hook)
		p->hook(p, ev);
}

void rig_session(struct party *p, const struct md_config *c)
{
	struct md_config own = {.is_latching = true, .has_detector = true};
	const char *why = "";
	if (c)
		own = *c;
	own.local = p == &rig_a ? rig_addr("192.0.2.1") : rig_addr("192.0.2.2");
	own.fn = on_event;
	own.arg = p;
	CHECK_EQ(md_session_new(&p->loop, &own, &p->s, &why), OK);
	p->st = (struct sdp_stream){
		.is_active = true,
		.ptime_ms = 20,
		.codec = {.name = "PCMU", .pt = 0, .channels = 1, .clock = 8000},
		.dtmf_send = 101,
		.dtmf_recv = 101,
		.n_recv = 1,
	};
	p->st.recv[0] = p->st.codec;
}

void rig_apply(struct party *p, enum sdp_dir dir, const struct addr *to)
{
	p->st.dir = dir;
	p->st.rtp = p->st.rtcp = *to;
	p->st.rtcp.port++;
	CHECK_EQ(md_session_apply(p->s, &p->st), OK);
}

void rig_connect(void)
{
	struct addr a, b;
	if (!rig_a.s)
		rig_session(&rig_a, NULL);
	if (!rig_b.s)
		rig_session(&rig_b, NULL);
	a = md_session_rtp(rig_a.s);
	b = md_session_rtp(rig_b.s);
	rig_apply(&rig_a, SDP_SENDRECV, &b);
	rig_apply(&rig_b, SDP_SENDRECV, &a);
}

void rig_run(uint32_t ms)
{
	sim_run(rig_sim, sim_now_us(rig_sim) + ms * 1000ull);
}

struct md_stats rig_stats(const struct party *p)
{
	struct md_stats st;
	md_session_stats(p->s, &st);
	return st;
}

bool rig_told(const struct party *p, const char *what)
{
	return strstr(p->told, what) != NULL;
}

const char *rig_path(const char *name)
{
	static char path[200];
	const char *dir = getenv("TMPDIR");
	snprintf(path, sizeof(path), "%s/rung-media-%d-%s", dir ? dir : "/tmp", (int)getpid(),
		 name);
	return path;
}
