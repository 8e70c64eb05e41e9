/* Capture files: every format, byte order, resolution; cut off and damaged ones. */
#include "capture/cap_block.h"
#include "fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static void one_message(struct buf *cap)
{
	struct buf m;
	buf_init(&m);
	pcap_begin(cap, CAP_LINK_ETHERNET);
	rec_udp(cap, 1'500'000, "192.0.2.1:5060", "192.0.2.2:5070",
		small_request(&m, "OPTIONS", 7, ""));
	if (m.err)
		cap->err = m.err;
	buf_fini(&m);
}
#define ONE "1 192.0.2.1:5060 > 192.0.2.2:5070 OPTIONS 7\n"

TEST(pcap_is_read)
{
	struct buf cap;
	buf_init(&cap);
	one_message(&cap);
	CHECK_CAPTURE(cap, ONE);
	buf_fini(&cap);
}

static void swap_words(struct buf *b, size_t at, size_t n)
{
	for (size_t i = at; i + 3 < at + n; i += 4) {
		char t[4];
		memcpy(t, b->p + i, 4);
		for (int k = 0; k < 4; k++)
			b->p[i + (size_t)k] = t[3 - k];
	}
}

TEST_NO_OOM(pcap_in_the_other_byte_order)
{
	struct buf cap;
	buf_init(&cap);
	one_message(&cap);
	swap_words(&cap, 0, 40);
	CHECK_CAPTURE(cap, ONE);
	buf_fini(&cap);
}

static int64_t first_time(const struct buf *cap)
{
	struct cap *c;
	struct cap_rec r = {0};
	struct buf why;
	buf_init(&why);
	CHECK_EQ(cap_open_mem(buf_view(cap), &c, &why), OK);
	bool ok = cap_next(c, &r);
	cap_close(c);
	buf_fini(&why);
	CHECK(ok);
	return r.at_ns;
}

TEST_NO_OOM(pcap_times)
{
	struct buf cap;
	buf_init(&cap);
	one_message(&cap);
	CHECK_EQ(first_time(&cap), 1'500'000'000);
	cap.p[0] = 0x4d; /* nanoseconds: a1b23c4d */
	cap.p[1] = 0x3c;
	CHECK_EQ(first_time(&cap), 1'000'500'000);
	buf_fini(&cap);
}

TEST_NO_OOM(pcap_of_patched_libpcap_has_longer_records)
{
	struct buf cap, longer;
	buf_init(&cap);
	buf_init(&longer);
	one_message(&cap);
	buf_put(&longer, cap.p, 40);
	buf_put(&longer, "12345678", 8);
	buf_put(&longer, cap.p + 40, cap.n - 40);
	longer.p[0] = 0x34;
	longer.p[1] = (char)0xcd;
	CHECK_CAPTURE(longer, ONE);
	buf_fini(&cap);
	buf_fini(&longer);
}

/* --- pcapng ----------------------------------------------------------------------------------- */

static void block(struct buf *b, uint32_t type, struct str body)
{
	size_t padded = (body.n + 3) & ~(size_t)3;
	put_le32(b, type);
	put_le32(b, (uint32_t)(12 + padded));
	buf_str(b, body);
	buf_fill(b, 0, padded - body.n);
	put_le32(b, (uint32_t)(12 + padded));
}

static void section(struct buf *b)
{
	block(b, 0x0a0d0d0a, STR("\x4d\x3c\x2b\x1a\1\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"));
}

/* link, snaplen 0, if_tsresol, if_tsoffset in seconds */
static void interface(struct buf *b, unsigned link, unsigned resol, uint64_t offset)
{
	struct buf i;
	buf_init(&i);
	put_le32(&i, link);
	put_le32(&i, 0);
	put_le32(&i, 9 | 1 << 16);
	put_le32(&i, resol);
	put_le32(&i, 14 | 8 << 16);
	buf_put(&i, &offset, 8);
	put_le32(&i, 0);
	block(b, 1, buf_view(&i));
	buf_fini(&i);
}

static void packet(struct buf *b, unsigned iface, uint64_t ticks, struct str frame)
{
	struct buf p;
	buf_init(&p);
	put_le32(&p, iface);
	put_le32(&p, (uint32_t)(ticks >> 32));
	put_le32(&p, (uint32_t)ticks);
	put_le32(&p, (uint32_t)frame.n);
	put_le32(&p, (uint32_t)frame.n);
	buf_str(&p, frame);
	block(b, 6, buf_view(&p));
	buf_fini(&p);
}

static struct str raw_message(struct buf *ip, struct buf *u, struct buf *m)
{
	return ipv4(ip, "192.0.2.1", "192.0.2.2", CAP_UDP, 0, 0,
		    udp(u, 5060, 5070, small_request(m, "OPTIONS", 7, "")));
}

TEST_NO_OOM(pcapng_with_two_interfaces_and_two_sections)
{
	struct buf cap, ip, u, m, e;
	buf_init(&cap);
	buf_init(&ip);
	buf_init(&u);
	buf_init(&m);
	buf_init(&e);
	struct str raw = raw_message(&ip, &u, &m);
	section(&cap);
	block(&cap, 0xbad, STR("a block that nobody knows"));
	interface(&cap, CAP_LINK_RAW, 6, 0);
	interface(&cap, CAP_LINK_ETHERNET, 9, 0);
	packet(&cap, 0, 2'000'000, raw);
	packet(&cap, 1, 2'000'000'000, eth(&e, 0x0800, raw));
	section(&cap);
	interface(&cap, CAP_LINK_IPV4, 0x80 | 10, 5); /* 1/1024 s, five seconds more */
	packet(&cap, 0, 512, raw);
	CHECK_CAPTURE(cap, "1 192.0.2.1:5060 > 192.0.2.2:5070 OPTIONS 7\n"
			   "2 192.0.2.1:5060 > 192.0.2.2:5070 OPTIONS 7\n"
			   "3 192.0.2.1:5060 > 192.0.2.2:5070 OPTIONS 7\n");
	struct cap *c;
	struct cap_rec r;
	CHECK_EQ(cap_open_mem(buf_view(&cap), &c, &e), OK);
	CHECK(cap_next(c, &r));
	CHECK_EQ(r.at_ns, 2'000'000'000);
	CHECK(cap_next(c, &r));
	CHECK_EQ(r.at_ns, 2'000'000'000);
	CHECK_EQ(r.link, CAP_LINK_ETHERNET);
	CHECK(cap_next(c, &r));
	CHECK_EQ(r.at_ns, 5'500'000'000);
	CHECK(!cap_next(c, &r) && !cap_problem(c));
	cap_close(c);
	buf_fini(&cap);
	buf_fini(&ip);
	buf_fini(&u);
	buf_fini(&m);
	buf_fini(&e);
}

/* A damaged file may say any time: the reader's differences must not overflow. */
TEST_NO_OOM(pcapng_times_are_bounded)
{
	static const uint64_t ticks[] = {UINT64_MAX, 1ull << 63, 1ull << 62, 7};
	static const int64_t want[] = {0, 0, 1ll << 62, 7};
	struct buf cap, ip, u, m;
	struct cap *c;
	struct cap_rec r;
	buf_init(&cap);
	buf_init(&ip);
	buf_init(&u);
	buf_init(&m);
	struct str raw = raw_message(&ip, &u, &m);
	section(&cap);
	interface(&cap, CAP_LINK_RAW, 9, 0);
	for (size_t i = 0; i < ARRAY_LEN(ticks); i++)
		packet(&cap, 0, ticks[i], raw);
	CHECK_EQ(cap_open_mem(buf_view(&cap), &c, &m), OK);
	for (size_t i = 0; i < ARRAY_LEN(ticks); i++) {
		CHECK(cap_next(c, &r));
		CHECK(r.at_ns == want[i]);
	}
	cap_close(c);
	buf_fini(&cap);
	buf_fini(&ip);
	buf_fini(&u);
	buf_fini(&m);
}

TEST_NO_OOM(pcapng_simple_packets_and_drops)
{
	struct buf cap, body, ip, u, m;
	buf_init(&cap);
	buf_init(&body);
	buf_init(&ip);
	buf_init(&u);
	buf_init(&m);
	struct str raw = raw_message(&ip, &u, &m);
	section(&cap);
	interface(&cap, CAP_LINK_RAW, 6, 0);
	put_le32(&body, (uint32_t)raw.n);
	buf_str(&body, raw);
	block(&cap, 3, buf_view(&body));
	buf_clear(&body);
	buf_fill(&body, 0, 12);
	put_le32(&body, 5 | 8 << 16); /* isb_ifdrop */
	put_le32(&body, 42);
	put_le32(&body, 0);
	block(&cap, 5, buf_view(&body));
	CHECK_CAPTURE(cap, ONE);
	struct cap *c;
	struct cap_rec r;
	CHECK_EQ(cap_open_mem(buf_view(&cap), &c, &body), OK);
	while (cap_next(c, &r))
		continue;
	CHECK_EQ(cap_sniffer_drops(c), 42);
	cap_close(c);
	buf_fini(&cap);
	buf_fini(&body);
	buf_fini(&ip);
	buf_fini(&u);
	buf_fini(&m);
}

static void put_option(struct buf *b, unsigned code, struct str value)
{
	put_le32(b, code | (uint32_t)value.n << 16);
	buf_str(b, value);
	buf_fill(b, 0, (4 - value.n % 4) % 4);
}

/* A few kilobytes, packed: they must not become all the memory there is. */
TEST_NO_OOM(pcapng_with_nothing_but_secrets)
{
	struct buf cap, b, why;
	struct cap *c;
	struct cap_rec r;
	buf_init(&cap);
	buf_init(&b);
	buf_init(&why);
	section(&cap);
	interface(&cap, CAP_LINK_RAW, 6, 0);
	put_le32(&b, 0x544c534b);
	put_le32(&b, 15u << 20);
	buf_fill(&b, '\n', 15u << 20);
	for (int i = 0; i < 6; i++)
		block(&cap, 10, buf_view(&b));
	CHECK_EQ(cap_open_mem(buf_view(&cap), &c, &why), OK);
	buf_fini(&cap);
	CHECK(!cap_next(c, &r));
	CHECK(cap_problem(c) && strstr(cap_problem(c), "more secrets"));
	CHECK(cap_secrets(c).n < 70u << 20);
	cap_close(c);
	buf_fini(&b);
	buf_fini(&why);
}

TEST_NO_OOM(pcapng_comments_and_secrets)
{
	static const char *const comments[][2] = {
		{NULL,  NULL     },
                {"one", NULL     },
                {"one", "and two"}
        };
	static const struct str want[] = {STR_INIT(""), STR_INIT("one"), STR_INIT("one\0and two")};
	struct buf cap, p, why;
	struct cap *c;
	struct cap_rec r;
	buf_init(&cap);
	buf_init(&p);
	buf_init(&why);
	section(&cap);
	interface(&cap, CAP_LINK_RAW, 6, 0);
	block(&cap, 10, STR("KSLT\3\0\0\0abc"));
	block(&cap, 10, STR("PNPW\3\0\0\0not")); /* of another protocol */
	for (size_t i = 0; i < ARRAY_LEN(comments); i++) {
		buf_clear(&p);
		buf_fill(&p, 0, 12);
		put_le32(&p, 3);
		put_le32(&p, 3);
		buf_put(&p, "xyz\0", 4);
		put_option(&p, 2, STR("\1\0\0\0")); /* epb_flags */
		for (size_t k = 0; k < 2 && comments[i][k]; k++)
			put_option(&p, 1, str_c(comments[i][k]));
		if (i)
			put_le32(&p, 0);
		block(&cap, 6, buf_view(&p));
	}
	block(&cap, 10, STR("KSLT\3\0\0\0def"));
	packet(&cap, 0, 1, STR("xyz"));
	CHECK_EQ(cap_open_mem(buf_view(&cap), &c, &why), OK);
	for (size_t i = 0; i < ARRAY_LEN(comments); i++) {
		CHECK(cap_next(c, &r));
		CHECK(str_eq(r.comment, want[i]));
		CHECK(str_eq(cap_secrets(c), i ? STR_NONE : STR("abc\n")));
	}
	CHECK(cap_next(c, &r));
	CHECK(!r.comment.n);
	CHECK(str_eq(cap_secrets(c), STR("def\n")));
	CHECK(!cap_next(c, &r) && !cap_problem(c));
	cap_close(c);
	buf_fini(&cap);
	buf_fini(&p);
	buf_fini(&why);
}

/* --- packed -------------------------------------------------------------------------------------
 */

static void zstd(const struct buf *in, struct buf *out)
{
	CHECK_EQ(buf_reserve(out, ZSTD_compressBound(in->n)), OK);
	size_t n = ZSTD_compress(out->p + out->n, out->cap - out->n, in->p, in->n, 3);
	CHECK(!ZSTD_isError(n));
	out->n += n;
}

static void gzip(const struct buf *in, struct buf *out)
{
	z_stream z = {0};
	CHECK_EQ(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	CHECK_EQ(buf_reserve(out, in->n + 1'000), OK);
	z.next_in = (Bytef *)in->p;
	z.avail_in = (uInt)in->n;
	z.next_out = (Bytef *)out->p + out->n;
	z.avail_out = (uInt)(out->cap - out->n);
	CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->n = out->cap - z.avail_out;
	deflateEnd(&z);
}

TEST_NO_OOM(zstd_is_unpacked)
{
	struct buf cap, packed;
	buf_init(&cap);
	buf_init(&packed);
	one_message(&cap);
	zstd(&cap, &packed);
	CHECK_CAPTURE(packed, ONE);
	/* a skippable frame, then two frames, of which one is empty */
	struct buf head = {.p = cap.p, .n = 24}, tail = {.p = cap.p + 24, .n = cap.n - 24},
		   none = {0};
	packed.n = 0;
	buf_put(&packed, "\x50\x2a\x4d\x18\3\0\0\0abc", 11);
	zstd(&head, &packed);
	zstd(&none, &packed);
	zstd(&tail, &packed);
	CHECK_CAPTURE(packed, ONE);
	buf_fini(&cap);
	buf_fini(&packed);
}

/* What was read so far is shown, whatever the packing, and the end is told to be none. */
TEST_NO_OOM(a_cut_packed_file_gives_what_is_there)
{
	struct buf cap, m;
	buf_init(&cap);
	buf_init(&m);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	for (unsigned i = 1; i <= 4; i++)
		rec_udp(&cap, i, "192.0.2.1:5060", "192.0.2.2:5060",
			small_request(&m, "OPTIONS", i, ""));
	size_t half = 24 + (cap.n - 24) / 2; /* the second piece begins between two frames */
	struct buf head = {.p = cap.p, .n = half}, tail = {.p = cap.p + half, .n = cap.n - half};
	for (unsigned is_zstd = 0; is_zstd < 2; is_zstd++) {
		struct buf packed;
		buf_init(&packed);
		(is_zstd ? zstd : gzip)(&head, &packed);
		size_t first = packed.n;
		(is_zstd ? zstd : gzip)(&tail, &packed);
		for (size_t n = first; n <= packed.n; n++) {
			struct buf out, problem;
			buf_init(&out);
			buf_init(&problem);
			digest(str_of(packed.p, n), &out, &problem);
			size_t lines = 0;
			for (size_t i = 0; i < out.n; i++)
				lines += out.p[i] == '\n';
			bool is_whole = n == first || n == packed.n;
			CHECK(lines >= 2 && lines <= 4);
			CHECK(n < packed.n || lines == 4);
			CHECK_EQ(problem.n > 0, !is_whole);
			buf_fini(&out);
			buf_fini(&problem);
		}
		/* zeros fill a block behind gzip; anything else is damage */
		buf_fill(&packed, is_zstd ? 'x' : 0, 100);
		struct buf out, problem;
		buf_init(&out);
		buf_init(&problem);
		digest(buf_view(&packed), &out, &problem);
		CHECK_EQ(problem.n > 0, is_zstd);
		buf_fini(&out);
		buf_fini(&problem);
		buf_fini(&packed);
	}
	buf_fini(&cap);
	buf_fini(&m);
}

TEST_NO_OOM(a_packed_file_may_be_wrong_anywhere)
{
	struct buf cap;
	buf_init(&cap);
	one_message(&cap);
	for (unsigned is_zstd = 0; is_zstd < 2; is_zstd++) {
		struct buf packed;
		buf_init(&packed);
		(is_zstd ? zstd : gzip)(&cap, &packed);
		for (size_t i = 0; i < packed.n; i++) {
			struct buf out;
			buf_init(&out);
			packed.p[i] ^= (char)0xff;
			digest(buf_view(&packed), &out, NULL);
			packed.p[i] ^= (char)0xff;
			buf_fini(&out);
		}
		buf_fini(&packed);
	}
	buf_fini(&cap);
}

TEST_NO_OOM(gzip_is_unpacked)
{
	struct buf cap, packed;
	buf_init(&cap);
	buf_init(&packed);
	one_message(&cap);
	gzip(&cap, &packed);
	CHECK_CAPTURE(packed, ONE);
	/* two gzip files one behind the other are one */
	struct buf head = {.p = cap.p, .n = 24}, tail = {.p = cap.p + 24, .n = cap.n - 24};
	packed.n = 0;
	gzip(&head, &packed);
	gzip(&tail, &packed);
	CHECK_CAPTURE(packed, ONE);
	buf_fini(&cap);
	buf_fini(&packed);
}

/* --- damaged files ---------------------------------------------------------------------------- */

TEST_NO_OOM(a_cut_file_gives_what_is_there)
{
	struct buf cap, m;
	buf_init(&cap);
	buf_init(&m);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	for (unsigned i = 1; i <= 3; i++)
		rec_udp(&cap, i, "192.0.2.1:5060", "192.0.2.2:5060",
			small_request(&m, "OPTIONS", i, ""));
	size_t per = (cap.n - 24) / 3;
	for (size_t n = 0; n < cap.n; n++) {
		struct buf out, problem;
		buf_init(&out);
		buf_init(&problem);
		digest(str_of(cap.p, n), &out, &problem);
		size_t whole = n < 24 ? 0 : (n - 24) / per, lines = 0;
		for (size_t i = 0; i < out.n; i++)
			lines += out.p[i] == '\n';
		if (n >= 24)
			CHECK_EQ(lines, whole);
		CHECK_EQ(problem.n > 0, n > 24 && (n - 24) % per != 0);
		if (problem.n)
			CHECK(str_find(buf_view(&problem), STR("file ends inside")) != SIZE_MAX);
		buf_fini(&out);
		buf_fini(&problem);
	}
	buf_fini(&cap);
	buf_fini(&m);
}

TEST_NO_OOM(any_byte_may_be_wrong)
{
	struct buf cap, m;
	buf_init(&cap);
	buf_init(&m);
	one_message(&cap);
	rec_tcp(&cap, 2'000'000, "192.0.2.1:4000", "192.0.2.2:5060", 1, 0, CAP_TCP_ACK,
		small_request(&m, "MESSAGE", 8, "hello"));
	for (size_t i = 0; i < cap.n; i++) {
		struct buf out;
		buf_init(&out);
		cap.p[i] ^= (char)0xff;
		digest(buf_view(&cap), &out, NULL);
		cap.p[i] ^= (char)0xff;
		buf_fini(&out);
	}
	buf_fini(&cap);
	buf_fini(&m);
}

static void check_refused(struct str bytes, enum err want, const char *says)
{
	struct cap *c = NULL;
	struct buf why;
	buf_init(&why);
	enum err e = cap_open_mem(bytes, &c, &why);
	bool ok = e == want && str_find(buf_view(&why), str_c(says)) != SIZE_MAX;
	if (!e)
		cap_close(c);
	buf_fini(&why);
	CHECK(ok);
}

TEST_NO_OOM(what_is_no_capture_is_refused_in_words)
{
	check_refused(STR(""), ERR_IO, "empty");
	check_refused(STR("abc"), ERR_IO, "too short");
	check_refused(STR("INVITE sip:a SIP/2.0\r\n\r\n"), ERR_UNSUPPORTED, "not a capture file");
	check_refused(STR("\x28\xb5\x2f\xfd....."), ERR_IO, "damaged");
	check_refused(STR("\xfd\x37zXZ."), ERR_UNSUPPORTED, "xz");
	check_refused(STR("snoop\0\0\0"), ERR_UNSUPPORTED, "editcap");
	struct cap *c;
	struct buf why;
	buf_init(&why);
	CHECK_EQ(cap_open("/nonexistent/x.pcap", &c, &why), ERR_NOTFOUND);
	CHECK_EQ(cap_open("/", &c, &why), ERR_IO);
	CHECK(str_find(buf_view(&why), STR("directory")) != SIZE_MAX);
	buf_fini(&why);
}

/* What can be read of a pipe is not yet a packet: who waits is not to hang in the next one. */
TEST_NO_OOM(waiting_for_a_packet)
{
	static const struct cap_rec made = {
		.link = CAP_LINK_ETHERNET, .n = 4, .n_wire = 4, .p = (const uint8_t *)"abcd"};
	struct cap_rec r;
	struct cap *c;
	struct buf b, why;
	int fd[2];
	buf_init(&b);
	buf_init(&why);
	CHECK(!pipe(fd));
	cap_block_section(&b);
	cap_block_iface(&b, &made);
	CHECK_EQ(write(fd[1], b.p, b.n), b.n);
	CHECK_EQ(cap_open_fd(fd[0], &c, &why), OK);
	CHECK(!cap_wait(c, 0));
	buf_clear(&b);
	cap_block_counts(&b, 0, 0, &(struct cap_counts){.n_dropped_iface = 7});
	CHECK_EQ(write(fd[1], b.p, b.n), b.n);
	CHECK(!cap_wait(c, 0) && cap_sniffer_drops(c) == 7);
	buf_clear(&b);
	cap_block_packet(&b, 0, 1, &made, STR_NONE);
	CHECK_EQ(write(fd[1], b.p, 20), 20);
	CHECK(!cap_wait(c, 0));
	CHECK_EQ(write(fd[1], b.p + 20, b.n - 20), b.n - 20);
	CHECK(cap_wait(c, 0) && cap_next(c, &r) && r.n == 4 && r.no == 1);
	CHECK(!cap_wait(c, 0));
	close(fd[1]);
	CHECK(cap_wait(c, 0) && !cap_next(c, &r) && !cap_problem(c));
	cap_close(c);
	buf_fini(&b);
	buf_fini(&why);
}
