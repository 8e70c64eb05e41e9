/* Golden files: what the analyzer makes of real captures. tests/data/captures holds the captures,
 * tests/data/scope what must come out, byte for byte. With RUNG_GOLDEN_WRITE set the files are
 * written instead; look at the difference before committing it. */
#include "fixture.h"
#include "track/trk_join.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *data_dir(void)
{
	const char *dir = getenv("RUNG_TEST_DATA");
	if (!dir)
		test_skip("RUNG_TEST_DATA does not say where tests/data is");
	return dir;
}

static void path_of(char out[512], const char *kind, const char *name)
{
	snprintf(out, 512, "%s/%s/%s", data_dir(), kind, name);
}

static void read_file(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "rb");
	char chunk[4'096];
	size_t n;
	while (f && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_put(b, chunk, n);
	if (f)
		fclose(f);
}

static void check_golden(const struct buf *got, const char *name)
{
	char path[512];
	struct buf want;
	path_of(path, "scope", name);
	CHECK_EQ(got->err, OK);
	if (getenv("RUNG_GOLDEN_WRITE")) {
		FILE *f = fopen(path, "wb");
		CHECK(f && fwrite(got->p, 1, got->n, f) == got->n);
		fclose(f);
		return;
	}
	buf_init(&want);
	read_file(path, &want);
	bool ok = str_eq(buf_view(got), buf_view(&want));
	/* the first line that differs */
	struct str a = buf_view(got), b = buf_view(&want);
	unsigned line = 0;
	while (!ok && (a.n || b.n)) {
		struct str x = str_cut(a, '\n', &a), y = str_cut(b, '\n', &b);
		line++;
		if (!str_eq(x, y)) {
			char msg[500];
			snprintf(msg, sizeof msg, "%s:%u\n got: " STR_FMT "\nwant: " STR_FMT, name,
				 line, STR_ARG(x), STR_ARG(y));
			buf_fini(&want);
			test_fail(__FILE__, __LINE__, "%s", msg);
		}
	}
	buf_fini(&want);
}

struct reading { /* a capture walked to its end */
	struct trk *t;
	struct buf list; /* messages that fit the filter */
	struct lad_item items[200];
	size_t n;
};

static void read_file_of(struct reading *r, const char *path, const char *filter)
{
	struct buf why;
	struct cap *c;
	struct cap_walk *w;
	struct flt *f;
	buf_init(&why);
	*r = (struct reading){0};
	buf_init(&r->list);
	r->t = trk_new(&(struct trk_cfg){.has_media = true, .has_join = true});
	CHECK(r->t);
	CHECK_EQ(flt_compile(str_c(filter), &f, &why), OK);
	CHECK_EQ(cap_open(path, &c, &why), OK);
	CHECK_EQ(cap_walk_new(c, r->t, &w), OK);
	char *end = strstr(path, ".pcap");
	CHECK(end);
	memcpy(end, ".keys", 6);
	if (cap_walk_keys(w, path) != OK)
		CHECK(access(path, F_OK) != 0); /* most captures have none */
	const struct cap_frame *fr;
	while ((fr = cap_walk_next(w))) {
		if (!flt_match(f, fr))
			continue;
		view_messages(&r->list, fr, &(struct view_opts){0});
		for (size_t i = 0; i < fr->n_msgs && r->n < 200; i++)
			r->items[r->n++] = (struct lad_item){fr->msgs[i].call, fr->msgs[i].no};
	}
	trk_join_settle(r->t);
	cap_walk_free(w);
	cap_close(c);
	flt_free(f);
	buf_fini(&why);
}

static void read_capture(struct reading *r, const char *name, const char *filter)
{
	char path[512];
	path_of(path, "captures", name);
	read_file_of(r, path, filter);
}

static void reading_fini(struct reading *r)
{
	trk_free(r->t);
	buf_fini(&r->list);
}

/* The walkthrough's own view: filtered, message by message, and as a flow graph. */
TEST_NO_OOM(the_view_of_the_walkthrough)
{
	struct reading r;
	struct buf b;
	buf_init(&b);
	read_capture(&r, "call-answered.pcap", "ip.addr == 127.0.0.21 && sip");
	check_golden(&r.list, "walkthrough-list.txt");
	lad_put_items(&b, r.t, r.items, r.n, &(struct lad_opts){0});
	check_golden(&b, "walkthrough-flow.txt");
	buf_fini(&b);
	reading_fini(&r);
}

/* What was put together comes behind the frame that its last fragment came in, as in Wireshark. */
TEST_NO_OOM(layers_of_a_datagram_put_together)
{
	struct reading r;
	read_capture(
		&r, "made-tunnels.pcap",
		"frame.number == 20 && frame.protocols == \"eth:ethertype:ip:gre:ip:udp:sip\"");
	CHECK_EQ(r.n, 1);
	reading_fini(&r);
}

/* One frame for each tunnel, tunnels in tunnels, fragments inside and outside. */
TEST_NO_OOM(tunnels)
{
	struct reading r;
	read_capture(&r, "made-tunnels.pcap", "sip");
	check_golden(&r.list, "tunnels-list.txt");
	reading_fini(&r);
}

/* Each frame cut after each byte, and with each byte turned round: nothing behind the end is read
 * (the copies are as long as they say), and nothing loops. */
TEST(tunnels_cut_and_broken)
{
	char path[512];
	struct buf why;
	struct cap *c;
	struct cap_rec r;
	struct cap_pkt k;
	unsigned n_whole = 0;
	buf_init(&why);
	path_of(path, "captures", "made-tunnels.pcap");
	CHECK_EQ(cap_open(path, &c, &why), OK);
	while (cap_next(c, &r)) {
		for (uint32_t n = 0; n <= r.n; n++) {
			uint8_t *copy = malloc(n ? n : 1);
			CHECK(copy);
			memcpy(copy, r.p, n);
			struct cap_rec cut = r;
			cut.p = copy;
			cut.n = n;
			CHECK_EQ(cap_pkt_decode(&cut, &k), OK);
			CHECK(!k.n || (k.p >= copy && k.p + k.n <= copy + n));
			CHECK(!k.l4 || (k.l4 >= copy && k.l4 < k.p));
			n_whole += n == r.n && k.proto == CAP_UDP;
			for (unsigned bit = 0; n && bit < 8; bit += 3) {
				copy[n - 1] ^= (uint8_t)(1u << bit);
				CHECK_EQ(cap_pkt_decode(&cut, &k), OK);
				CHECK(!k.n || (k.p >= copy && k.p + k.n <= copy + n));
				CHECK(!k.l4 || (k.l4 >= copy && k.l4 < k.p));
			}
			free(copy);
		}
	}
	CHECK_EQ(n_whole, 21); /* of 23 frames two are the halves of a tunnelled packet */
	cap_close(c);
	buf_fini(&why);
}

static void check_ladders(const char *name)
{
	struct reading r;
	struct buf b;
	struct vrd v;
	char file[100], golden[120];
	snprintf(file, sizeof file, "%s.pcap", name);
	snprintf(golden, sizeof golden, "%s.ladder", name);
	buf_init(&b);
	vrd_init(&v);
	read_capture(&r, file, "sip");
	for (const struct trk_call *c = trk_first(r.t); c; c = trk_after(r.t, c)) {
		CHECK_EQ(vrd_judge(&v, r.t, c), OK);
		if (c != trk_first(r.t))
			buf_chr(&b, '\n');
		lad_put(&b, r.t, c, &v, &(struct lad_opts){0});
	}
	check_golden(&b, golden);
	vrd_fini(&v);
	buf_fini(&b);
	reading_fini(&r);
}

#define LADDER_OF(test, file)                                                                      \
	TEST_NO_OOM(test)                                                                          \
	{                                                                                          \
		check_ladders(file);                                                               \
	}
LADDER_OF(ladder_answered, "call-answered")
LADDER_OF(ladder_busy, "call-busy-486")
LADDER_OF(ladder_cancelled, "call-cancelled")
LADDER_OF(ladder_dtmf, "call-dtmf-rfc4733")
LADDER_OF(ladder_hold, "call-hold-reinvite")
LADDER_OF(ladder_loss, "call-rtp-loss-10pct")
LADDER_OF(ladder_mwi, "mwi-baresip")
LADDER_OF(ladder_tcp, "call-tcp")
LADDER_OF(ladder_transfer, "call-transfer-blind")
LADDER_OF(ladder_websocket, "call-jssip-ws-dtls")
LADDER_OF(ladder_wrong_password, "register-wrong-password")

/* The capture's only call (or registration) as SVG, Mermaid, JSON, and the list as CSV. */
static void check_exports(const char *name)
{
	struct reading r;
	struct buf b, csv;
	struct vrd v;
	struct sheet *s;
	const struct trk_call *the_call = NULL;
	char file[100], golden[120];
	snprintf(file, sizeof file, "%s.pcap", name);
	buf_init(&b);
	buf_init(&csv);
	vrd_init(&v);
	read_capture(&r, file, "sip");
	view_csv_head(&csv);
	for (const struct trk_call *c = trk_first(r.t); c; c = trk_after(r.t, c)) {
		CHECK_EQ(vrd_judge(&v, r.t, c), OK);
		view_csv_call(&csv, c, &v);
		the_call = !the_call || c->kind == TRK_CALL ? c : the_call;
	}
	snprintf(golden, sizeof golden, "%s.csv", name);
	check_golden(&csv, golden);
	CHECK_EQ(vrd_judge(&v, r.t, the_call), OK);
	struct sheet_leg leg = {the_call, &v};
	CHECK_EQ(sheet_new(r.t, &leg, 1, NULL, &s), OK);
	lad_put_svg(&b, s);
	CHECK(b.n < 100'000);
	snprintf(golden, sizeof golden, "%s.svg", name);
	check_golden(&b, golden);
	buf_clear(&b);
	lad_put_mermaid(&b, s);
	snprintf(golden, sizeof golden, "%s.mmd", name);
	check_golden(&b, golden);
	buf_clear(&b);
	lad_put_json(&b, r.t, s);
	buf_chr(&b, '\n');
	snprintf(golden, sizeof golden, "%s.json", name);
	check_golden(&b, golden);
	sheet_free(s);
	vrd_fini(&v);
	buf_fini(&b);
	buf_fini(&csv);
	reading_fini(&r);
}

#define EXPORTS_OF(test, file)                                                                     \
	TEST_NO_OOM(test)                                                                          \
	{                                                                                          \
		check_exports(file);                                                               \
	}
EXPORTS_OF(exports_busy, "call-busy-486")
EXPORTS_OF(exports_dtmf, "call-dtmf-rfc4733")
EXPORTS_OF(exports_loss, "call-rtp-loss-10pct")
EXPORTS_OF(exports_wrong_password, "register-wrong-password")

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The ground on which a call hangs together with earlier ones. */
static void put_joins(struct buf *b, const struct trk_call *c)
{
	for (const struct trk_join *j = NULL; (j = trk_join_next(c, j));) {
		enum trk_ground g = (enum trk_ground)j->ground;
		if (j->b == c)
			buf_fmt(b, "\t%s %u: %s",
				trk_join_about(g)->is_cause ? "caused by" : "leg of", j->a->no,
				trk_join_about(g)->code);
	}
}

static void put_findings(struct buf *b, const char *dir, const char *file, bool has_names)
{
	struct reading r;
	struct vrd v;
	char path[600];
	snprintf(path, sizeof path, "%s/%s", dir, file);
	vrd_init(&v);
	read_file_of(&r, path, "sip");
	for (const struct trk_call *c = trk_first(r.t); c; c = trk_after(r.t, c)) {
		CHECK_EQ(vrd_judge(&v, r.t, c), OK);
		buf_fmt(b, "%s\t%u\t" STR_FMT "\t", file, c->no,
			STR_ARG(trk_kind_name((enum trk_kind)c->kind)));
		if (has_names)
			vrd_put_parties(b, c, true);
		for (unsigned i = 0; i < v.n; i++)
			buf_fmt(b, "%s%s",
				!i && has_names ? "\t"
				: i             ? " "
						: "",
				vrd_about((enum vrd_rule)v.f[i].rule)->code);
		put_joins(b, c);
		buf_chr(b, '\n');
	}
	vrd_fini(&v);
	reading_fini(&r);
}

static size_t put_all_findings(struct buf *b, const char *dir, bool has_names)
{
	char *names[200];
	size_t n = 0;
	DIR *d = opendir(dir);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d)) && n < 200;)
		if (strstr(e->d_name, ".pcap"))
			names[n++] = strdup(e->d_name);
	closedir(d);
	qsort(names, n, sizeof names[0], by_name);
	for (size_t i = 0; i < n; i++) {
		put_findings(b, dir, names[i], has_names);
		free(names[i]);
	}
	return n;
}

/* Every finding over every capture: one too few or too many is a failure. */
TEST_NO_OOM(findings_over_all_captures)
{
	char dir[512];
	struct buf b;
	buf_init(&b);
	path_of(dir, "captures", "");
	CHECK(put_all_findings(&b, dir, true) >= 45);
	check_golden(&b, "findings.tsv");
	buf_fini(&b);
}

/* Captures of other projects, which are not part of this one: only what must be found. */
TEST_NO_OOM(findings_over_captures_from_the_field)
{
	const char *dir = getenv("RUNG_TEST_FIELD");
	struct buf b;
	buf_init(&b);
	if (!dir || !put_all_findings(&b, dir, false))
		test_skip("RUNG_TEST_FIELD names no folder with captures from the field");
	check_golden(&b, "findings-field.tsv");
	buf_fini(&b);
}
