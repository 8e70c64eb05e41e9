/* Frames that outlive their walk's step, and filters about calls that go on. */
#include "scope/hold.h"

#include "capture/cap_keep.h"
#include "fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEPT 60

/* --- kept frames ------------------------------------------------------------------------------ */

/* All fields of a frame, a line each. */
static void put_all(struct buf *b, const struct cap_frame *fr)
{
	static struct flt_val v[FLT_MAX_VALUES];
	const struct flt_field *f;
	for (size_t i = 0; (f = flt_field_at(i)); i++) {
		unsigned n = flt_field_get(f, fr, v);
		if (n)
			buf_fmt(b, "\n" STR_FMT, STR_ARG(f->name));
		for (unsigned k = 0; k < n; k++) {
			buf_chr(b, '\t');
			flt_val_put(b, f, &v[k]);
			if (f->type == FLT_PROTO && v[k].s.p) /* its bytes */
				buf_put(b, v[k].s.p, v[k].u);
		}
	}
	view_messages(b, fr, &(struct view_opts){0});
}

struct keeping {
	struct cap_kept *k[MAX_KEPT];
	struct buf was[MAX_KEPT];
	size_t n;
};

static void compare(struct keeping *x, const char *name)
{
	struct buf is;
	for (size_t i = 0; i < x->n; i++) {
		buf_init(&is);
		struct cap_frame *fr = cap_keep_open(x->k[i]);
		CHECK(fr);
		put_all(&is, fr);
		struct str a = buf_view(&is), b = buf_view(&x->was[i]), name_of = STR_NONE;
		size_t at = 0;
		while (at < a.n && at < b.n && a.p[at] == b.p[at])
			at++;
		for (size_t k = at; k-- > 0 && !name_of.p;)
			if (a.p[k] == '\n')
				name_of = str_sub(a, k + 1, 40);
		if (at < a.n || at < b.n)
			test_fail(__FILE__, __LINE__, "%s, frame %u: at " STR_FMT, name, fr->rec.no,
				  STR_ARG(name_of));
		buf_fini(&is);
		buf_fini(&x->was[i]);
		cap_keep_free(x->k[i]);
	}
}

static void keep_of(const char *dir, const char *name)
{
	static struct keeping x;
	char path[600];
	struct buf why;
	struct cap *c;
	struct cap_walk *w;
	const struct cap_frame *fr;
	struct trk *t = trk_new(&(struct trk_cfg){.has_media = true});
	x.n = 0;
	snprintf(path, sizeof path, "%s/captures/%s", dir, name);
	buf_init(&why);
	CHECK(t);
	CHECK_EQ(cap_open(path, &c, &why), OK);
	CHECK_EQ(cap_walk_new(c, t, &w), OK);
	CHECK_EQ(cap_walk_conversations(w, 0), OK);
	cap_walk_brief(w);
	while ((fr = cap_walk_next(w)))
		if (fr->n_msgs && x.n < MAX_KEPT) {
			CHECK(x.k[x.n] = cap_keep_frame(fr));
			buf_init(&x.was[x.n]);
			put_all(&x.was[x.n++], fr);
		}
	compare(&x, name); /* what they borrowed is overwritten by now */
	cap_walk_free(w);
	cap_close(c);
	trk_free(t);
	buf_fini(&why);
}

TEST_NO_OOM(a_kept_frame_tells_the_same)
{
	const char *dir = getenv("RUNG_TEST_DATA");
	char path[512];
	if (!dir)
		test_skip("RUNG_TEST_DATA does not say where tests/data is");
	snprintf(path, sizeof path, "%s/captures", dir);
	DIR *d = opendir(path);
	CHECK(d);
	for (const struct dirent *e; (e = readdir(d));)
		if (strstr(e->d_name, ".pcap"))
			keep_of(dir, e->d_name);
	closedir(d);
}

/* --- frames that wait ------------------------------------------------------------------------- */

static struct str sip(struct buf *b, const char *line, const char *call, const char *cseq,
		      const char *from)
{
	buf_clear(b);
	buf_fmt(b,
		"%s\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%s%.1s\r\n"
		"From: <sip:%s@h>;tag=f\r\nTo: <sip:b@h>%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
		"Content-Length: 0\r\n\r\n",
		line, call, cseq, from,
		strncmp(line, "SIP/2.0 1", 9) == 0 || strncmp(line, "INVITE", 6) == 0 ? ""
										      : ";tag=t",
		call, cseq);
	return buf_view(b);
}

#define TO_B "192.0.2.1:5060", "192.0.2.2:5060"
#define TO_A "192.0.2.2:5060", "192.0.2.1:5060"

/* Call x is refused; call y is answered, ends, and is said to be `from` alice. Frame 9 is no SIP.
 */
static void make_calls(struct buf *cap)
{
	struct buf b;
	buf_init(&b);
	pcap_begin(cap, CAP_LINK_ETHERNET);
	rec_udp(cap, 1'000'000, TO_B, sip(&b, "INVITE sip:b@h SIP/2.0", "x", "1 INVITE", "carol"));
	rec_udp(cap, 1'100'000, TO_B, sip(&b, "INVITE sip:b@h SIP/2.0", "y", "1 INVITE", "alice"));
	rec_udp(cap, 1'200'000, TO_A, sip(&b, "SIP/2.0 180 Ringing", "x", "1 INVITE", "carol"));
	rec_udp(cap, 1'300'000, TO_A, sip(&b, "SIP/2.0 200 OK", "y", "1 INVITE", "alice"));
	rec_udp(cap, 1'400'000, TO_B, sip(&b, "ACK sip:b@h SIP/2.0", "y", "1 ACK", "alice"));
	rec_udp(cap, 1'500'000, TO_A, sip(&b, "SIP/2.0 486 Busy Here", "x", "1 INVITE", "carol"));
	rec_udp(cap, 1'600'000, TO_B, sip(&b, "ACK sip:b@h SIP/2.0", "x", "1 ACK", "carol"));
	rec_udp(cap, 3'000'000, TO_B, sip(&b, "OPTIONS sip:b@h SIP/2.0", "z", "1 OPTIONS", "dan"));
	rec_udp(cap, 3'100'000, "192.0.2.1:4000", "192.0.2.2:4000", STR("not SIP"));
	rec_udp(cap, 3'200'000, TO_A, sip(&b, "SIP/2.0 486 Busy Here", "x", "1 INVITE", "carol"));
	rec_udp(cap, 4'000'000, TO_A, sip(&b, "BYE sip:a@h SIP/2.0", "y", "1 BYE", "b"));
	rec_udp(cap, 4'100'000, TO_B, sip(&b, "SIP/2.0 200 OK", "y", "1 BYE", "b"));
	buf_fini(&b);
}

struct live {
	struct hold *h;
	struct buf said; /* frames in the order in which they were decided: "+1 -2" */
	bool says_no;
	enum err err;
	size_t most; /* bytes that waited */
};

static void on_frame(void *arg, const struct cap_frame *fr, bool fits, void *kept)
{
	struct live *l = arg;
	CHECK(!kept || *(uint32_t *)kept == fr->rec.no);
	if (fits || l->says_no)
		buf_fmt(&l->said, "%s%s%u", l->said.n ? " " : "", fits ? "" : "-", fr->rec.no);
}

static void *keep(void *arg, const struct cap_frame *fr)
{
	(void)arg;
	uint32_t *no = malloc(sizeof *no);
	if (no)
		*no = fr->rec.no;
	return no;
}

static void on_verdict(void *arg, const struct trk *t, const struct trk_call *c,
		       const struct vrd *v)
{
	struct live *l = arg;
	(void)t;
	(void)v;
	enum err e = hold_verdict(l->h, c);
	l->err = l->err ? l->err : e;
	buf_str(&l->said, STR(" |"));
}

/* Plays the capture as if it came now; "|" where a call was judged. */
static enum err play_live(struct live *l, const struct buf *cap, const char *filter,
			  const struct hold_cfg *how)
{
	struct buf why;
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	struct hold_cfg cfg = *how;
	struct trk_cfg of_trk = {
		.is_live = true, .report_all = true, .on_verdict = on_verdict, .arg = l};
	buf_init(&why);
	buf_init(&l->said);
	enum err e = cap->err ? cap->err : flt_compile(str_c(filter), &cfg.flt, &why);
	cfg.trk = e ? NULL : trk_new(&of_trk);
	cfg.on_frame = on_frame;
	cfg.keep = keep;
	cfg.drop = free;
	cfg.arg = l;
	l->h = cfg.trk ? hold_new(&cfg) : NULL;
	if (!l->h)
		e = ERR_NOMEM;
	e = e ? e : cap_open_mem(buf_view(cap), &c, &why);
	e = e ? e : cap_walk_new(c, cfg.trk, &w);
	for (const struct cap_frame *fr; !e && !l->err && (fr = cap_walk_next(w));) {
		trk_tick(cfg.trk, (uint64_t)fr->rec.at_ns / 1'000);
		e = hold_frame(l->h, fr);
		l->most = hold_n_bytes(l->h) > l->most ? hold_n_bytes(l->h) : l->most;
	}
	if (!e)
		trk_flush(cfg.trk);
	if (l->h && !e)
		e = hold_end(l->h);
	e = e ? e : l->err ? l->err : l->said.err;
	if (!e)
		CHECK_EQ(hold_n_bytes(l->h), 0);
	hold_free(l->h);
	cap_walk_free(w);
	cap_close(c);
	trk_free(cfg.trk);
	flt_free(cfg.flt);
	buf_fini(&why);
	return e;
}

static void check_live(int line, const char *filter, struct hold_cfg how, const char *want)
{
	struct buf cap;
	struct live l = {.says_no = how.is_ordered};
	buf_init(&cap);
	make_calls(&cap);
	enum err e = play_live(&l, &cap, filter, &how);
	if (e || !str_eq(buf_view(&l.said), str_c(want)))
		test_fail(__FILE__, line, "`%s`: %s, " STR_FMT "\nnot %s", filter, err_text(e),
			  STR_ARG(buf_view(&l.said)), want);
	buf_fini(&l.said);
	buf_fini(&cap);
}
#define LIVE_SO(filter, want, ...)                                                                 \
	check_live(__LINE__, filter, (struct hold_cfg){__VA_ARGS__}, want)
#define ROOM               .max_bytes = 1u << 20
#define LIVE(filter, want) LIVE_SO(filter, want, ROOM)

/* x is judged between frames 7 and 8, and what comes later of it is decided at once. */
TEST(a_filter_about_ends_waits_for_them)
{
	LIVE("call.code == 486", "1 3 6 7 | 10 | |");
	LIVE("call.code == 200", " | | 2 4 5 11 12 |");
	LIVE("call.code == 486 && sip.Method == \"ACK\"", "7 | | |");
	LIVE("!(call.code == 486) && sip.Status-Code", " | | 4 12 |");
	LIVE("sip.CSeq.method == \"BYE\" && call.messages == 5", " | | 11 12 |");
}

TEST_NO_OOM(what_is_settled_is_told_at_once)
{
	LIVE("call.from == \"alice\"", "2 4 5 | 11 12 | |");
	LIVE("call.id == \"z\" || call.code == 486", "1 3 6 7 | 8 10 | |");
	LIVE("sip.Method == \"INVITE\" || call.code == 486", "1 2 3 6 7 | 10 | |");
	LIVE("udp.port == 4000 && !call.code", " | 9 | |");
}

TEST(a_calls_frames_stay_in_order)
{
	LIVE_SO("call.code == 486 && sip.Method == \"ACK\"",
		"-1 -3 -6 7 | -9 -10 -8 | -2 -4 -5 -11 -12 |", ROOM, .is_ordered = true);
	LIVE_SO("sip.Method == \"INVITE\"", "1 | | 2 |", ROOM, .tells_calls = true);
}

/* What waits longest is decided by what is known: x has no code yet when frame 4 comes. */
TEST_NO_OOM(what_waits_is_bounded)
{
	struct buf cap;
	struct live l = {0};
	buf_init(&cap);
	make_calls(&cap);
	enum err e = play_live(&l, &cap, "call.code == 486 || call.state == \"RINGING\"",
			       &(struct hold_cfg){.max_bytes = 1u << 20});
	size_t all = l.most;
	buf_fini(&l.said);
	buf_fini(&cap);
	CHECK(e || all > 5'000);
	LIVE_SO("call.code == 486", "6 7 | 10 | |", .max_bytes = all / 2);
}
