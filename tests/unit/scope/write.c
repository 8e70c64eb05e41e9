/* Captures written and read back: both formats, several interfaces, rings, a full disk; and the
 * frames that a filtered message needs. */
#include "capture/cap_dep.h"
#include "capture/cap_ring.h"
#include "fixture.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of one test; removed with what is in it. */
struct dir {
	char path[64], file[96];
};

static void dir_begin(struct dir *d, const char *name)
{
	snprintf(d->path, sizeof d->path, "/tmp/rung-write.XXXXXX");
	if (!mkdtemp(d->path))
		test_skip("no folder can be made in /tmp");
	snprintf(d->file, sizeof d->file, "%s/%s", d->path, name);
}

static void dir_glob(const struct dir *d, glob_t *g)
{
	char pattern[96];
	snprintf(pattern, sizeof pattern, "%s/*", d->path);
	memset(g, 0, sizeof *g);
	glob(pattern, 0, NULL, g);
}

static void dir_end(const struct dir *d)
{
	glob_t g;
	dir_glob(d, &g);
	for (size_t i = 0; i < g.gl_pathc; i++)
		unlink(g.gl_pathv[i]);
	globfree(&g);
	rmdir(d->path);
}

static struct cap_rec rec(uint32_t iface, uint16_t link, int64_t at_ns, struct str bytes)
{
	return (struct cap_rec){.no = 1,
				.link = link,
				.n = (uint32_t)bytes.n,
				.n_wire = (uint32_t)bytes.n + 5,
				.at_ns = at_ns,
				.p = (const uint8_t *)bytes.p,
				.iface = iface,
				.snaplen = 96};
}

/* "iface link time n/n_wire name comment", a line for each record. */
static void list(const char *path, struct buf *out)
{
	struct cap *c;
	struct cap_rec r;
	struct buf why;
	buf_init(&why);
	CHECK_EQ(cap_open(path, &c, &why), OK);
	while (cap_next(c, &r))
		buf_fmt(out, "%u %u %lld %u/%u %u %s " STR_FMT "\n", r.iface, r.link,
			(long long)r.at_ns, r.n, r.n_wire, r.snaplen, r.if_name ? r.if_name : "-",
			STR_ARG(r.comment));
	bool is_whole = !cap_problem(c);
	cap_close(c);
	buf_fini(&why);
	CHECK(is_whole);
}

static void check_list(const char *path, const char *want)
{
	struct buf got;
	buf_init(&got);
	list(path, &got);
	CHECK_EQ(got.err, OK);
	CHECK_STR_EQ(buf_view(&got), str_c(want));
	buf_fini(&got);
}

TEST_NO_OOM(pcapng_keeps_interfaces_times_comments)
{
	struct dir d;
	struct cap_out *o;
	struct buf why;
	buf_init(&why);
	dir_begin(&d, "a.pcapng");
	CHECK_EQ(cap_format_of(str_c(d.file)), CAP_FORMAT_PCAPNG);
	CHECK_EQ(cap_out_open(d.file, CAP_FORMAT_PCAPNG, &o, &why), OK);
	struct cap_rec r = rec(7, CAP_LINK_ETHERNET, 1'000'000'000'123'456'789, STR("abcde"));
	r.is_ns = true;
	r.if_name = "eth0";
	r.comment = STR("its own");
	CHECK_EQ(cap_out_rec(o, &r, STR_NONE, &why), OK);
	CHECK_EQ(cap_out_rec(o, &r, STR("another"), &why), OK);
	struct cap_rec raw = rec(7, CAP_LINK_RAW, 2'000'123'456, STR("xyz"));
	CHECK_EQ(cap_out_secrets(o, CAP_SECRETS_TLS, STR("CLIENT_RANDOM 00 11\n"), &why), OK);
	CHECK_EQ(cap_out_rec(o, &raw, STR_NONE, &why), OK);
	struct cap_counts counts = {10, 3, 4};
	CHECK_EQ(cap_out_counts(o, 7, r.at_ns, &counts, &why), OK);
	CHECK_EQ(cap_out_close(o, &why), OK);
	check_list(d.file, "0 1 1000000000123456789 5/10 96 eth0 its own\n"
			   "0 1 1000000000123456789 5/10 96 eth0 another\n"
			   "1 101 2000123000 3/8 96  \n");
	struct cap *c;
	CHECK_EQ(cap_open(d.file, &c, &why), OK);
	while (cap_next(c, &r))
		continue;
	CHECK_EQ(cap_sniffer_drops(c), 4);
	cap_close(c);
	dir_end(&d);
	buf_fini(&why);
}

TEST_NO_OOM(pcap_has_one_link_type)
{
	struct dir d;
	struct cap_out *o;
	struct buf why;
	buf_init(&why);
	dir_begin(&d, "a.pcap");
	CHECK_EQ(cap_format_of(str_c(d.file)), CAP_FORMAT_PCAP);
	CHECK_EQ(cap_out_open(d.file, CAP_FORMAT_PCAP, &o, &why), OK);
	struct cap_rec r = rec(0, CAP_LINK_ETHERNET, 5'000'000'789, STR("abcde"));
	r.is_ns = true;
	CHECK_EQ(cap_out_rec(o, &r, STR_NONE, &why), OK);
	struct cap_rec other = rec(1, CAP_LINK_ETHERNET, 6'000'000'789, STR("f"));
	CHECK_EQ(cap_out_rec(o, &other, STR_NONE, &why), OK);
	struct cap_rec raw = rec(2, CAP_LINK_RAW, 7'000'000'000, STR("xyz"));
	CHECK_EQ(cap_out_rec(o, &raw, STR_NONE, &why), ERR_UNSUPPORTED);
	CHECK(str_find(buf_view(&why), STR(".pcapng")) != SIZE_MAX);
	CHECK_EQ(cap_out_close(o, &why), OK);
	check_list(d.file, "0 1 5000000789 5/10 96 - \n0 1 6000000789 1/6 96 - \n");
	dir_end(&d);
	buf_fini(&why);
}

TEST_NO_OOM(captures_without_a_packet_are_valid)
{
	struct dir d;
	struct buf why;
	struct cap_out *o;
	buf_init(&why);
	dir_begin(&d, "a");
	for (int f = CAP_FORMAT_PCAPNG; f <= CAP_FORMAT_PCAP; f++) {
		CHECK_EQ(cap_out_open(d.file, (enum cap_format)f, &o, &why), OK);
		CHECK_EQ(cap_out_close(o, &why), OK);
		check_list(d.file, "");
	}
	snprintf(d.file, sizeof d.file, "%s/none/a", d.path);
	CHECK_EQ(cap_out_open(d.file, CAP_FORMAT_PCAP, &o, &why), ERR_IO);
	CHECK(why.n > 0);
	dir_end(&d);
	buf_fini(&why);
}

/* A limit on the size of files stands for the full disk: what it cuts is cut back to whole records.
 */
TEST_NO_OOM(full_disk_leaves_a_valid_file)
{
	struct dir d;
	struct buf why;
	struct rlimit limit, old;
	dir_begin(&d, "a");
	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
	for (rlim_t room = 0; room < 400; room += 25)
		for (int f = CAP_FORMAT_PCAPNG; f <= CAP_FORMAT_PCAP; f++) {
			struct cap_out *o;
			struct cap_rec r = rec(0, CAP_LINK_ETHERNET, 1'000, STR("abcde"));
			buf_init(&why);
			CHECK_EQ(cap_out_open(d.file, (enum cap_format)f, &o, &why), OK);
			for (unsigned i = 0; i < 10; i++)
				CHECK_EQ(cap_out_rec(o, &r, STR_NONE, &why), OK);
			limit = old;
			limit.rlim_cur = room;
			setrlimit(RLIMIT_FSIZE, &limit);
			enum err e = cap_out_flush(o, &why);
			setrlimit(RLIMIT_FSIZE, &old);
			CHECK_EQ(e, room < 24 + 10 * 21 || f == CAP_FORMAT_PCAPNG ? ERR_IO : OK);
			CHECK(e == OK || str_find(buf_view(&why), STR("is whole")) != SIZE_MAX);
			if (e)
				CHECK_EQ(cap_out_rec(o, &r, STR_NONE, &why), ERR_IO);
			CHECK_EQ(cap_out_close(o, &why), e);
			struct buf lines;
			struct stat st;
			buf_init(&lines);
			CHECK_EQ(stat(d.file, &st), 0);
			CHECK((rlim_t)st.st_size <= room || e == OK);
			if (st.st_size)
				list(d.file, &lines); /* fails when the file is cut in a record */
			buf_fini(&lines);
			buf_fini(&why);
		}
	dir_end(&d);
}

TEST(writing_without_memory)
{
	struct buf why;
	struct cap_out *o;
	buf_init(&why);
	CHECK_EQ(cap_out_open("/dev/null", CAP_FORMAT_PCAPNG, &o, &why), OK);
	struct cap_rec r = rec(0, CAP_LINK_ETHERNET, 1'000, STR("abcde"));
	enum err e = OK;
	for (uint32_t i = 0; i < 6 && e == OK; i++) {
		r.iface = i;
		e = cap_out_rec(o, &r, STR_NONE, &why);
	}
	enum err closed = cap_out_close(o, &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
	CHECK_EQ(closed, OK);
}

/* --- rings ----------------------------------------------------------------------------------- */

static void ring_of(const struct dir *d, const char *const *options, unsigned n)
{
	struct cap_ring_cfg cfg = {.path = d->file};
	struct cap_ring *g;
	struct buf why;
	buf_init(&why);
	for (; *options; options++)
		CHECK(cap_ring_option(&cfg, str_c(*options)));
	CHECK_EQ(cap_ring_open(&cfg, &g, &why), OK);
	CHECK_EQ(cap_ring_secrets(g, CAP_SECRETS_TLS, STR("A B C\n"), &why), OK);
	char bytes[300] = {0};
	for (unsigned i = 0; i < n; i++) {
		struct cap_rec r = rec(0, CAP_LINK_ETHERNET, (int64_t)(i + 1) * 1'000'000'000,
				       str_of(bytes, sizeof bytes));
		CHECK_EQ(cap_ring_rec(g, &r, STR_NONE, &why), OK);
	}
	CHECK_EQ(cap_ring_n(g), n);
	CHECK_EQ(cap_ring_close(g, NULL, &why), OK);
	buf_fini(&why);
}

/* Names without their times, and how many records each file has. */
static void check_files(const struct dir *d, const char *want)
{
	struct buf got, lines;
	glob_t g;
	buf_init(&got);
	buf_init(&lines);
	dir_glob(d, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		unsigned n = 0;
		const char *name = g.gl_pathv[i] + strlen(d->path) + 1;
		buf_clear(&lines);
		list(g.gl_pathv[i], &lines);
		for (size_t k = 0; k < lines.n; k++)
			n += lines.p[k] == '\n';
		CHECK(strlen(name) == strlen("ring_00001_19700101000001.pcapng"));
		buf_fmt(&got, "%.10s %s %u\n", name, strchr(name, '.'), n);
	}
	globfree(&g);
	CHECK_STR_EQ(buf_view(&got), str_c(want));
	buf_fini(&got);
	buf_fini(&lines);
}

TEST_NO_OOM(ring_by_size)
{
	struct dir d;
	dir_begin(&d, "ring.pcapng");
	ring_of(&d, (const char *const[]){"filesize:1", "files:2", NULL}, 7);
	/* 1000 bytes: headers, secrets, and two packets of 332 */
	check_files(&d, "ring_00003 .pcapng 2\nring_00004 .pcapng 1\n");
	dir_end(&d);
}

TEST_NO_OOM(ring_by_time)
{
	struct dir d;
	dir_begin(&d, "ring.pcapng");
	ring_of(&d, (const char *const[]){"duration:3", NULL}, 7);
	check_files(&d, "ring_00001 .pcapng 3\nring_00002 .pcapng 3\nring_00003 .pcapng 1\n");
	dir_end(&d);
}

TEST_NO_OOM(ring_options)
{
	struct cap_ring_cfg cfg = {.path = "/tmp/never-made.pcapng"};
	struct cap_ring *g;
	struct buf why;
	buf_init(&why);
	CHECK(!cap_ring_option(&cfg, STR("filesize")));
	CHECK(!cap_ring_option(&cfg, STR("filesize:x")));
	CHECK(!cap_ring_option(&cfg, STR("files:0")));
	CHECK(!cap_ring_option(&cfg, STR("size:1")));
	CHECK(cap_ring_option(&cfg, STR("files:3")));
	CHECK_EQ(cap_ring_open(&cfg, &g, &why), ERR_LIMIT);
	CHECK(why.n > 0);
	buf_fini(&why);
}

/* --- frames that messages need --------------------------------------------------------------- */

struct needed {
	struct buf *out;
	bool has_bytes;
};

static void on_needed(void *arg, const struct cap_rec *r)
{
	struct needed *n = arg;
	buf_fmt(n->out, " %u", r->no);
	if ((r->p != NULL) != n->has_bytes)
		n->out->err = ERR_STATE;
}

/* Which frames, before those with a message that `method` fits. */
static void needed_by(struct str capture, struct str method, bool keeps_bytes, struct buf *out)
{
	struct cap *c = NULL;
	struct cap_walk *w = NULL;
	struct buf why;
	struct needed n = {out, keeps_bytes};
	const struct cap_frame *fr;
	buf_init(&why);
	struct cap_dep *d = cap_dep_new(keeps_bytes);
	enum err e = d ? cap_open_mem(capture, &c, &why) : ERR_NOMEM;
	if (!e)
		e = cap_walk_new(c, NULL, &w);
	while (!e && (fr = cap_walk_next(w))) {
		bool fits = fr->n_msgs && str_starts(fr->msgs[0].pkt.bytes, method);
		cap_dep_frame(d, fr, fits, on_needed, &n);
		if (fits)
			buf_fmt(out, " [%u]", fr->rec.no);
	}
	cap_walk_free(w);
	cap_close(c);
	cap_dep_free(d);
	buf_fini(&why);
	CHECK_EQ(e, OK);
}

static void check_needed(const struct buf *cap, struct str method, const char *want)
{
	for (int keeps = 0; keeps < 2; keeps++) {
		char mem[100];
		struct buf got;
		buf_init_fixed(&got, mem, sizeof mem);
		needed_by(buf_view(cap), method, keeps, &got);
		CHECK_EQ(got.err, OK);
		CHECK_STR_EQ(buf_view(&got), str_c(want));
	}
}

#define A "192.0.2.1:4000"
#define B "192.0.2.2:5060"

TEST(segments_that_a_message_needs)
{
	struct buf cap, m, s;
	buf_init(&cap);
	buf_init(&m);
	buf_init(&s);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	buf_str(&s, small_request(&m, "MESSAGE", 1, "first"));
	size_t first = s.n;
	buf_str(&s, small_request(&m, "INFO", 2, "second"));
	buf_str(&s, small_request(&m, "BYE", 3, ""));
	size_t bye = s.n - m.n;
	struct str all = buf_view(&s);
	const size_t cuts[] = {0, 20, first - 2, first + 9, first + 60, bye, s.n};
	for (unsigned i = 0; i + 1 < ARRAY_LEN(cuts); i++) {
		rec_tcp(&cap, i, A, B, 1'000 + (uint32_t)cuts[i], 0, CAP_TCP_ACK,
			str_sub(all, cuts[i], cuts[i + 1] - cuts[i]));
		rec_tcp(&cap, i, B, A, 7, 0, CAP_TCP_ACK, STR_NONE);
	}
	if (s.err)
		cap.err = s.err;
	buf_fini(&s);
	buf_fini(&m);
	CHECK_EQ(cap.err, OK);
	check_needed(&cap, STR("MESSAGE"), " 1 3 [5]");
	check_needed(&cap, STR("INFO"), " 5 7 [9]");
	check_needed(&cap, STR("BYE"), " [11]");
	buf_fini(&cap);
}

TEST(fragments_that_a_message_needs)
{
	struct buf cap, m, u, ip, e;
	struct buf *all[] = {&cap, &m, &u, &ip, &e};
	enum err bad = OK;
	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		buf_init(all[i]);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	small_request(&m, "MESSAGE", 1, "first");
	struct str d = udp(&u, 5060, 5060, buf_view(&m));
	for (uint16_t id = 1; id <= 2; id++)
		pcap_rec(&cap, id,
			 eth(&e, 0x0800,
			     ipv4(&ip, "192.0.2.1", "192.0.2.2", 17, id, 0x2000,
				  str_sub(d, 0, 64))));
	rec_udp(&cap, 3, A, B, STR("something else"));
	pcap_rec(&cap, 4,
		 eth(&e, 0x0800,
		     ipv4(&ip, "192.0.2.1", "192.0.2.2", 17, 2, 64 / 8, str_skip(d, 64))));
	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		bad = bad ? bad : all[i]->err;
	for (unsigned i = 1; i < ARRAY_LEN(all); i++)
		buf_fini(all[i]);
	CHECK_EQ(bad, OK);
	check_needed(&cap, STR("MESSAGE"), " 2 [4]");
	check_needed(&cap, STR("BYE"), "");
	buf_fini(&cap);
}
