/* The book: what was read once is read again, byte for byte, from files, packed files and pipes. */
#include "scope/book.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reading {
	struct buf bytes; /* of all messages, in order */
	size_t from[400];
	uint32_t ids[400];
	unsigned n, n_frames;
};

static void on_frame(void *arg, const struct cap_frame *fr)
{
	struct reading *r = arg;
	r->n_frames++;
	for (size_t i = 0; i < fr->n_msgs && r->n < 399; i++) {
		if (!fr->msgs[i].no)
			continue;
		r->ids[r->n] = fr->msgs[i].no;
		r->from[r->n++] = r->bytes.n;
		buf_str(&r->bytes, fr->msgs[i].pkt.bytes);
	}
	r->from[r->n] = r->bytes.n;
}

static void path_of(char out[512], const char *name)
{
	const char *dir = getenv("RUNG_TEST_DATA");
	if (!dir)
		test_skip("RUNG_TEST_DATA does not say where tests/data is");
	snprintf(out, 512, "%s/captures/%s", dir, name);
}

static void check_bytes(struct book *b, struct reading *r)
{
	CHECK(r->n > 0);
	CHECK_EQ(r->bytes.err, OK);
	for (unsigned i = r->n; i-- > 0;) { /* not in the order of reading */
		struct str got, want = {r->bytes.p + r->from[i], r->from[i + 1] - r->from[i]};
		const struct sip_msg *m;
		CHECK_EQ(book_bytes(b, r->ids[i], &got), OK);
		CHECK(str_eq(got, want));
		CHECK_EQ(book_msg(b, r->ids[i], &m), OK);
		CHECK_EQ(m->n_bytes, want.n);
	}
	struct str none;
	CHECK_EQ(book_bytes(b, r->ids[r->n - 1] + 1, &none), ERR_NOTFOUND);
}

static void open_book(struct cap *c, struct reading *r, struct book **b, bool is_live)
{
	struct book_cfg cfg = {.on_frame = on_frame, .arg = r, .is_live = is_live};
	*r = (struct reading){0};
	buf_init(&r->bytes);
	CHECK_EQ(book_new(c, &cfg, b), OK);
	while (book_read(*b, 7))
		continue;
}

static void close_book(struct reading *r, struct book *b)
{
	book_free(b);
	buf_fini(&r->bytes);
}

TEST_NO_OOM(a_file_is_read_again)
{
	static const char *const names[] = {"call-transfer-blind.pcap", "call-tcp.pcap",
					    "made-tunnels.pcap", "mwi-jssip-ws.pcap"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[512];
		struct cap *c;
		struct book *b;
		struct reading r;
		struct buf why;
		buf_init(&why);
		path_of(path, names[i]);
		CHECK_EQ(cap_open(path, &c, &why), OK);
		CHECK(cap_size(c) > 1'000);
		open_book(c, &r, &b, false);
		CHECK_EQ(cap_n_read(c), cap_size(c));
		check_bytes(b, &r);
		close_book(&r, b);
		buf_fini(&why);
	}
}

static void read_file(const char *name, struct buf *out)
{
	char path[512];
	path_of(path, name);
	FILE *f = fopen(path, "rb");
	CHECK(f);
	char chunk[4'096];
	size_t n;
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_put(out, chunk, n);
	fclose(f);
}

TEST_NO_OOM(what_cannot_be_read_twice_is_put_aside)
{
	for (int live = 0; live < 2; live++) {
		struct buf file, why;
		struct cap *c;
		struct book *b;
		struct reading r;
		buf_init(&file);
		buf_init(&why);
		read_file("call-busy-486.pcap", &file);
		CHECK_EQ(cap_open_mem(buf_view(&file), &c, &why), OK);
		open_book(c, &r, &b, live);
		check_bytes(b, &r);
		close_book(&r, b);
		buf_fini(&file);
		buf_fini(&why);
	}
}

TEST(a_filter_names_messages)
{
	struct buf file, why;
	struct cap *c;
	struct book *b;
	struct flt *f;
	buf_init(&file);
	buf_init(&why);
	read_file("call-transfer-blind.pcap", &file);
	struct book_cfg cfg = {0};
	CHECK_EQ(file.err, OK);
	CHECK_EQ(cap_open_mem(buf_view(&file), &c, &why), OK);
	CHECK_EQ(book_new(c, &cfg, &b), OK);
	while (book_read(b, 1'000))
		continue;
	CHECK_EQ(flt_compile(STR("sip.Method == \"REFER\" || sip.Status-Code == 202"), &f, &why),
		 OK);
	uint32_t *ids;
	size_t n;
	CHECK_EQ(book_filter(b, f, &ids, &n), OK);
	unsigned n_refer = 0;
	for (size_t i = 0; i < n; i++) {
		const struct sip_msg *m;
		CHECK_EQ(book_msg(b, ids[i], &m), OK);
		CHECK(m->method == SIP_REFER);
		n_refer++;
	}
	CHECK_EQ(n_refer, 4); /* the request and its answer, on both hops */
	free(ids);
	flt_free(f);
	book_free(b);
	buf_fini(&file);
	buf_fini(&why);
}

#define N_ALIKE 60

static void put_message(struct buf *cap, unsigned i, const char *head)
{
	struct buf m;
	buf_init(&m);
	buf_fmt(&m,
		"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u\r\n"
		"From: <sip:c@d>;tag=t\r\nTo: <sip:a@b>\r\nCall-ID: id%u\r\n"
		"CSeq: 1 OPTIONS\r\n%sContent-Length: 27\r\n\r\n"
		"line\r\nReason: of the body\r\n",
		i, i, head);
	rec_udp(cap, 1'000'000u * (i + 1), "192.0.2.1:5060", "192.0.2.2:5060", buf_view(&m));
	buf_fini(&m);
}

/* Header lines as they may be written, and what is none; then many values that look alike. */
static void put_messages(struct buf *cap)
{
	static const char *const heads[] = {
		"User-Agent: Deskphone 7.3\r\n",
		"USER-AGENT-X: Deskphone 7.3\r\nServer: Deskphone\r\n",
		"Max-Forwards: 70\r\nReason: SIP;cause=200\r\nReason:   Q.850;cause=16  \r\n",
		"reason: x\r\nSubject: Reason: y\r\nuser-agent: z\r\n",
		"Reason : before the colon\r\n",
		"Reason:\r\n",
		"Reason: folded\r\n more\r\n",
	};
	pcap_begin(cap, 1);
	for (unsigned i = 0; i < ARRAY_LEN(heads); i++)
		put_message(cap, i, heads[i]);
	for (unsigned i = 0; i < N_ALIKE; i++) {
		char head[40];
		snprintf(head, sizeof head, "Server: model-%02u\r\n", i);
		put_message(cap, (unsigned)ARRAY_LEN(heads) + i, head);
	}
}

struct asked {
	struct flt *f;
	const uint32_t *ids; /* what book_filter said */
	size_t n, at;
	uint32_t id; /* of the last message */
};

static bool check_frame(void *arg, const struct cap_frame *fr)
{
	struct asked *a = arg;
	a->id++;
	bool is_said = a->at < a->n && a->ids[a->at] == a->id;
	a->at += is_said;
	CHECK_EQ(fr->n_msgs, 1);
	CHECK_EQ(is_said, flt_match(a->f, fr));
	return true;
}

TEST(a_filter_over_records_says_what_it_says_of_frames)
{
	static const char *const filters[] = {
		"sip.Reason",
		"!sip.Reason",
		"sip.Reason matches \"^q\"",
		"sip.Reason matches \"cause=(16|200)$\"",
		"sip.Reason matches \"body\"",
		"sip.Reason matches \"^$\"",
		"sip.Reason == \"Q.850;cause=16\"",
		"sip.Reason != \"x\"",
		"all sip.Reason matches \"cause\"",
		"sip.User-Agent matches \"phone|z\"",
		"sip.User-Agent || sip.Server matches \"phone\"",
		"sip.Server matches \"[02468]$\"",
		"frame contains \"z9hG4bK3\"",
		"frame contains c0:00:02:01",
		"frame matches \"ID[2-4]\"",
		"frame contains \"CSeq\" && !(frame contains \"Max-Forwards\")",
	};
	struct buf file, why;
	struct cap *c;
	struct book *b;
	struct book_cfg cfg = {0};
	buf_init(&file);
	buf_init(&why);
	put_messages(&file);
	CHECK_EQ(file.err, OK);
	CHECK_EQ(cap_open_mem(buf_view(&file), &c, &why), OK);
	CHECK_EQ(book_new(c, &cfg, &b), OK);
	while (book_read(b, 1'000))
		continue;
	for (unsigned i = 0; i < ARRAY_LEN(filters); i++) {
		struct asked a = {0};
		uint32_t *ids;
		CHECK_EQ(flt_compile(str_c(filters[i]), &a.f, &why), OK);
		CHECK_EQ(book_filter(b, a.f, &ids, &a.n), OK);
		a.ids = ids;
		CHECK_EQ(book_frames(b, 0, check_frame, &a), OK);
		CHECK_EQ(a.id, 7 + N_ALIKE);
		CHECK_EQ(a.at, a.n);
		free(ids);
		flt_free(a.f);
	}
	book_free(b);
	buf_fini(&file);
	buf_fini(&why);
}

/* Live: what is kept is looked at once, what comes then as it comes. */
TEST_NO_OOM(a_filter_watches_live)
{
	for (unsigned before = 0; before < 2; before++) {
		struct buf file, why;
		struct cap *c;
		struct book *b;
		struct flt *f;
		struct book_cfg cfg = {
			.is_live = true, .trk = {.is_listed = true, .keep_s = 60}
                };
		unsigned n_fitting = 0, n_calls = 0;
		buf_init(&file);
		buf_init(&why);
		read_file("call-transfer-blind.pcap", &file);
		CHECK_EQ(cap_open_mem(buf_view(&file), &c, &why), OK);
		CHECK_EQ(book_new(c, &cfg, &b), OK);
		CHECK_EQ(flt_compile(STR("sip.Method == \"REFER\" && udp.dstport == 5060"), &f,
				     &why),
			 OK);
		if (before)
			CHECK_EQ(book_watch(b, f), OK);
		while (book_read(b, 1'000))
			continue;
		CHECK(book_n_frames(b) > 100);
		if (!before)
			CHECK_EQ(book_watch(b, f), OK);
		for (struct trk_call *x = trk_first(book_trk(b)); x;
		     x = trk_after(book_trk(b), x)) {
			n_calls++;
			n_fitting += x->is_fitting;
		}
		CHECK(n_calls > 2);
		CHECK_EQ(n_fitting, 1);
		CHECK_EQ(book_watch(b, NULL), OK);
		for (struct trk_call *x = trk_first(book_trk(b)); x; x = trk_after(book_trk(b), x))
			CHECK(!x->is_fitting);
		flt_free(f);
		book_free(b);
		buf_fini(&file);
		buf_fini(&why);
	}
}

static unsigned n_fitting(struct book *b)
{
	unsigned n = 0;
	for (const struct trk_call *c = trk_first(book_trk(b)); c; c = trk_after(book_trk(b), c))
		n += c->is_fitting && c->kind == TRK_CALL;
	return n;
}

/* What a filter asks about calls changes while they go on; in a file they are over. */
TEST_NO_OOM(a_filter_watches_calls)
{
	static const struct {
		const char *file, *filter;
		unsigned before,
			after; /* calls that fit when the first message was read; the last */
	} asks[] = {
		{"call-busy-486.pcap", "call.code == 486",                               0, 1},
		{"call-busy-486.pcap", "call.state == \"setup\"",                        1, 0},
		{"call-busy-486.pcap", "call.code == 486 && sip.Method == \"ACK\"",      0, 1},
		{"call-busy-486.pcap", "call.code == 486 && sip.Method == \"BYE\"",      0, 0},
		{"call-answered.pcap", "call.hangup == \"caller\" && call.duration > 1", 0, 1},
		{"call-answered.pcap", "call.code == 486 || sip.Method == \"BYE\"",      0, 1},
	};
	for (unsigned i = 0; i < 2 * ARRAY_LEN(asks); i++) {
		bool is_live = i & 1, has_changed, has_grown = false;
		struct buf file, why;
		struct cap *c;
		struct book *b;
		struct flt *f;
		struct book_cfg cfg = {
			.is_live = is_live, .trk = {.is_listed = true, .keep_s = 60}
                };
		buf_init(&file);
		buf_init(&why);
		read_file(asks[i / 2].file, &file);
		CHECK_EQ(cap_open_mem(buf_view(&file), &c, &why), OK);
		CHECK_EQ(book_new(c, &cfg, &b), OK);
		CHECK_EQ(flt_compile(str_c(asks[i / 2].filter), &f, &why), OK);
		while (!trk_stats(book_trk(b))->n_calls[TRK_CALL])
			CHECK(book_read(b, 1));
		CHECK_EQ(book_watch(b, f), OK);
		if (is_live && n_fitting(b) != asks[i / 2].before)
			test_fail(__FILE__, __LINE__, "%s: %u at first", asks[i / 2].filter,
				  n_fitting(b));
		while (book_read(b, 10)) {
			CHECK_EQ(book_watch_renew(b, &has_changed), OK);
			has_grown = has_grown || has_changed;
		}
		if (!is_live)
			CHECK_EQ(book_watch(b, f), OK);
		CHECK_EQ(book_watch_renew(b, &has_changed), OK);
		CHECK(!is_live || asks[i / 2].before == asks[i / 2].after || has_grown ||
		      has_changed);
		if (n_fitting(b) != asks[i / 2].after)
			test_fail(__FILE__, __LINE__, "%s %s: %u", is_live ? "live" : "file",
				  asks[i / 2].filter, n_fitting(b));
		book_free(b);
		flt_free(f);
		buf_fini(&file);
		buf_fini(&why);
	}
}

TEST_NO_OOM(a_ring_forgets_the_oldest)
{
	struct spool s;
	char bytes[10];
	uint64_t off[30];
	spool_init(&s, 64);
	for (unsigned i = 0; i < 30; i++) {
		memset(bytes, 'a' + (int)i % 26, sizeof bytes);
		CHECK_EQ(spool_put(&s, bytes, sizeof bytes, &off[i]), OK);
	}
	for (unsigned i = 0; i < 30; i++) {
		bool is_kept = i >= 24; /* 64 bytes hold the last six */
		CHECK_EQ(spool_get(&s, off[i], bytes, sizeof bytes), is_kept ? OK : ERR_NOTFOUND);
		if (is_kept)
			CHECK(bytes[0] == 'a' + (int)i % 26 && bytes[9] == bytes[0]);
	}
	char big[65] = {0};
	CHECK_EQ(spool_put(&s, big, sizeof big, off), ERR_LIMIT);
	spool_fini(&s);
}
