/* TLS with its secrets, on what OpenSSL really said (tests/data/captures/tls-*): every suite, split
 * anywhere, with losses, without secrets, with secrets that come late. [RFC5246] [RFC8446] */
#include "capture/cap_tls_key.h"
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- captures that are rewritten ---------------------------------------------------------------
 */

static void path_of(char out[512], const char *name)
{
	const char *dir = getenv("RUNG_TEST_DATA");
	if (!dir)
		test_skip("RUNG_TEST_DATA does not say where tests/data is");
	snprintf(out, 512, "%s/captures/%s", dir, name);
}

static void read_file(const char *name, struct buf *b)
{
	char path[512], chunk[4'096];
	size_t n;
	path_of(path, name);
	FILE *f = fopen(path, "rb");
	CHECK(f);
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_put(b, chunk, n);
	fclose(f);
}

struct rewriting {
	size_t piece;  /* bytes per segment; 0: as it was */
	uint32_t drop; /* frame that is left out, 0 none */
};

static void text_of(char out[ADDR_TEXT_MAX], const struct addr *a)
{
	addr_text(a, out);
}

/* The capture again, as Ethernet, its segments as r says; frames keep their times. */
static void rewrite(const char *name, const struct rewriting *r, struct buf *out)
{
	struct cap *c;
	struct cap_rec rec;
	struct cap_pkt k;
	char path[512], from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
	path_of(path, name);
	pcap_begin(out, CAP_LINK_ETHERNET);
	CHECK_EQ(cap_open(path, &c, out), OK);
	while (cap_next(c, &rec)) {
		if (cap_pkt_decode(&rec, &k) != OK || k.proto != CAP_TCP || rec.no == r->drop)
			continue;
		text_of(from, &k.src);
		text_of(to, &k.dst);
		uint32_t at = 0;
		do {
			uint32_t n = k.n - at;
			if (r->piece && n > r->piece)
				n = (uint32_t)r->piece;
			rec_tcp(out, (uint64_t)rec.at_ns / 1'000, from, to, k.tcp_seq + at,
				k.tcp_ack, k.tcp_flags, str_of((const char *)k.p + at, n));
			at += n;
		} while (at < k.n);
	}
	cap_close(c);
}

/* Messages of a capture with these secrets, as "TLS METHOD|status cseq" lines; with_frames puts
 * frame numbers before them. */
static void messages(struct str capture, const char *keys, bool with_frames, struct buf *out,
		     struct cap_tls_counts *counts)
{
	struct cap *c;
	struct cap_walk *w;
	struct buf why;
	char path[512];
	buf_init(&why);
	CHECK_EQ(cap_open_mem(capture, &c, &why), OK);
	CHECK_EQ(cap_walk_new(c, NULL, &w), OK);
	if (keys) {
		path_of(path, keys);
		CHECK_EQ(cap_walk_keys(w, path), OK);
	}
	const struct cap_frame *fr;
	while ((fr = cap_walk_next(w)))
		for (size_t i = 0; i < fr->n_msgs; i++) {
			const struct trk_packet *p = &fr->msgs[i].pkt;
			if (with_frames)
				buf_fmt(out, "%u ", p->frame_no);
			buf_str(out, trk_transport_name(p->transport));
			if (p->msg->is_request)
				buf_fmt(out, " " STR_FMT, STR_ARG(p->msg->method_name));
			else
				buf_fmt(out, " %u", p->msg->status);
			buf_fmt(out, " %u\n", p->msg->cseq);
		}
	if (counts)
		*counts = *cap_walk_tls(w);
	cap_walk_free(w);
	cap_close(c);
	buf_fini(&why);
}

static void check_messages(const char *name, const struct rewriting *r, const char *keys,
			   const char *want)
{
	struct buf cap, out;
	buf_init(&cap);
	buf_init(&out);
	rewrite(name, r, &cap);
	messages(buf_view(&cap), keys, false, &out, NULL);
	bool ok = str_eq(buf_view(&out), str_c(want));
	if (!ok)
		fprintf(stderr, "piece %zu, without frame %u:\n" STR_FMT, r->piece, r->drop,
			STR_ARG(buf_view(&out)));
	buf_fini(&cap);
	buf_fini(&out);
	CHECK(ok);
}

#define BOTH(n) "TLS OPTIONS " #n "\nTLS 200 " #n "\n"
static const char in_12[] = BOTH(1) BOTH(2) BOTH(3) BOTH(4) BOTH(5) BOTH(6) BOTH(7) BOTH(8) BOTH(9)
	BOTH(10) BOTH(11) BOTH(12) BOTH(13) BOTH(14) BOTH(114);
static const char in_13[] = BOTH(1) BOTH(2) BOTH(3) BOTH(4) BOTH(5) BOTH(6) BOTH(106);
static const char in_resumed[] = "TLS OPTIONS 1\nTLS OPTIONS 2\nTLS OPTIONS 3\nTLS OPTIONS 4\n"
				 "TLS OPTIONS 5\nTLS OPTIONS 6\n";
static const char in_wss[] = "WSS REGISTER 1\nWSS 200 1\nWSS MESSAGE 2\nWSS 200 2\n";

static const struct {
	const char *name, *keys, *want;
} captures[] = {
	{"tls-12.pcap",      "tls-12.keys",      in_12     },
	{"tls-13.pcap",      "tls-13.keys",      in_13     },
	{"tls-resumed.pcap", "tls-resumed.keys", in_resumed},
};

/* GCM, ChaCha20, CCM, CBC with the MAC inside and outside, RSA and DHE, TLS 1.0 to 1.3,
 * renegotiation, a second hello, key update, tickets, early data. [RFC7366] [RFC8446 4.1.4, 4.6.3]
 */
TEST_NO_OOM(every_suite_is_read)
{
	for (size_t i = 0; i < ARRAY_LEN(captures); i++)
		check_messages(captures[i].name, &(struct rewriting){0}, captures[i].keys,
			       captures[i].want);
}

TEST_NO_OOM(records_split_anywhere)
{
	static const size_t pieces[] = {1, 2, 3, 4, 5, 6, 7, 50, 333};
	for (size_t i = 0; i < ARRAY_LEN(captures); i++)
		for (size_t k = 0; k < ARRAY_LEN(pieces); k++)
			check_messages(captures[i].name, &(struct rewriting){pieces[k], 0},
				       captures[i].keys, captures[i].want);
}

TEST(websocket_with_secrets_in_the_capture)
{
	struct buf cap, out;
	buf_init(&cap);
	buf_init(&out);
	read_file("tls-wss.pcapng", &cap);
	messages(buf_view(&cap), NULL, false, &out, NULL);
	CHECK_EQ(cap.err, OK);
	CHECK_EQ(out.err, OK);
	bool ok = str_eq(buf_view(&out), str_c(in_wss));
	buf_fini(&cap);
	buf_fini(&out);
	CHECK(ok);
}

/* A message belongs to the frame that completed its record. */
TEST_NO_OOM(messages_have_their_frames)
{
	struct buf cap, out;
	buf_init(&cap);
	buf_init(&out);
	read_file("tls-wss.pcapng", &cap);
	messages(buf_view(&cap), NULL, true, &out, NULL);
	CHECK(str_eq(buf_view(&out),
		     STR("15 WSS REGISTER 1\n16 WSS 200 1\n18 WSS MESSAGE 2\n24 WSS 200 2\n")));
	buf_fini(&cap);
	buf_fini(&out);
}

/* Each frame in turn was lost by the sniffer. What is missing then is at most the messages of that
 * frame, unless it carried a hello (those make keys). */
TEST_NO_OOM(a_lost_segment_costs_only_itself)
{
	static const struct {
		const char *name, *keys;
		unsigned n_frames, n_msgs, n_less;
	} files[] = {
		{"tls-13.pcap", "tls-13.keys", 141, 14, 14 + 1},
		{"tls-12.pcap", "tls-12.keys", 290, 30, 30 - 4},
	};
	for (size_t f = 0; f < ARRAY_LEN(files); f++) {
		unsigned n_whole = 0, n_less = 0;
		for (uint32_t drop = 1; drop <= files[f].n_frames; drop++) {
			struct buf cap, out;
			buf_init(&cap);
			buf_init(&out);
			rewrite(files[f].name, &(struct rewriting){0, drop}, &cap);
			messages(buf_view(&cap), files[f].keys, false, &out, NULL);
			unsigned n = 0;
			for (size_t i = 0; i < out.n; i++)
				n += out.p[i] == '\n';
			n_whole += n == files[f].n_msgs;
			n_less += n == files[f].n_msgs - 1;
			/* of a connection without hello nothing is read: two messages, or four */
			CHECK(n + 4 >= files[f].n_msgs);
			buf_fini(&cap);
			buf_fini(&out);
		}
		/* One less where a message was lost itself, and nowhere else. But behind a lost
		 * HelloRetryRequest the ServerHello is read when the gap is given up, and by then
		 * the client's first message has gone by; and what a loss costs the renegotiated
		 * connection, with its four messages, is more. */
		CHECK_EQ(n_less, files[f].n_less);
		CHECK(n_whole > files[f].n_frames / 2);
	}
}

/* --- without secrets ---------------------------------------------------------------------------
 */

TEST_NO_OOM(closed_connections_are_counted)
{
	for (size_t i = 0; i < ARRAY_LEN(captures); i++) {
		struct buf cap, out;
		struct cap_tls_counts n;
		buf_init(&cap);
		buf_init(&out);
		read_file(captures[i].name, &cap);
		messages(buf_view(&cap), NULL, false, &out, &n);
		CHECK_EQ(out.n, 0);
		CHECK_EQ(n.n_no_key, n.n_conns);
		CHECK(n.n_conns >= 5);
		messages(buf_view(&cap), captures[i].keys, false, &out, &n);
		CHECK_EQ(n.n_no_key + n.n_suite + n.n_mid, 0);
		buf_fini(&cap);
		buf_fini(&out);
	}
}

/* Begun before the capture: there is nothing to read, and no key would help. */
TEST_NO_OOM(begun_in_mid_stream)
{
	struct buf cap, out;
	struct cap_tls_counts n;
	buf_init(&cap);
	buf_init(&out);
	pcap_begin(&cap, CAP_LINK_ETHERNET);
	for (unsigned i = 0; i < 3; i++)
		rec_tcp(&cap, 1 + i, "192.0.2.1:4000", "192.0.2.2:5061", 1'000 + 15 * i, 1,
			CAP_TCP_ACK,
			STR("\x17\3\3\0\x0a"
			    "abcdefghij"));
	/* and SIP in the clear behind it is found */
	struct buf m;
	buf_init(&m);
	rec_tcp(&cap, 9, "192.0.2.1:4000", "192.0.2.2:5061", 1'045, 1, CAP_TCP_ACK,
		small_request(&m, "OPTIONS", 7, ""));
	messages(buf_view(&cap), "tls-13.keys", false, &out, &n);
	CHECK(str_eq(buf_view(&out), STR("TCP OPTIONS 7\n")));
	CHECK_EQ(n.n_conns, 1);
	CHECK_EQ(n.n_mid, 1);
	CHECK_EQ(n.n_no_key, 0);
	buf_fini(&cap);
	buf_fini(&out);
	buf_fini(&m);
}

/* --- the key log -------------------------------------------------------------------------------
 */

#define RANDOM  "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"
#define BYTES16 "00112233445566778899aabbccddeeff"

TEST(key_log_lines)
{
	struct cap_tls_log *l = cap_tls_log_new();
	CHECK(l);
	uint8_t random[CAP_TLS_RANDOM];
	for (unsigned i = 0; i < sizeof random; i++)
		random[i] = (uint8_t)i;
	cap_tls_log_add(l,
			STR("# a comment\n\nCLIENT_RANDOM " RANDOM " " BYTES16 BYTES16 "\n"
			    "CLIENT_RANDOM " RANDOM " " BYTES16 BYTES16 BYTES16 "0\n"
			    "CLIENT_RANDOM " RANDOM " " BYTES16 BYTES16 BYTES16 BYTES16 "\n"
			    "CLIENT_RANDOM 00 " BYTES16 BYTES16 BYTES16 "\n"
			    "CLIENT_RANDOM " RANDOM " " BYTES16 BYTES16 "xx112233445566778899aabb"
			    "ccddeeff\nEXPORTER_SECRET " RANDOM " " BYTES16 BYTES16 "\n"
			    "CLIENT_TRAFFIC_SECRET_0\n"));
	CHECK_EQ(cap_tls_log_version(l), 0);
	cap_tls_log_add(l, STR("SERVER_TRAFFIC_SECRET_0 " RANDOM " " BYTES16 BYTES16 "\r\n"
			       "CLIENT_RANDOM " RANDOM " " BYTES16 BYTES16 BYTES16));
	struct str app = cap_tls_log_find(l, CAP_TLS_APPLICATION, true, random);
	struct str master = cap_tls_log_find(l, CAP_TLS_MASTER, false, random);
	bool ok = cap_tls_log_version(l) == 2 && app.n == 32 && (uint8_t)app.p[1] == 0x11 &&
		  master.n == 48 && !cap_tls_log_find(l, CAP_TLS_APPLICATION, false, random).n &&
		  !cap_tls_log_find(l, CAP_TLS_HANDSHAKE, true, random).n;
	cap_tls_log_free(l);
	CHECK(ok);
}

static void write_to(const char *path, const char *mode, const char *text)
{
	FILE *f = fopen(path, mode);
	CHECK(f);
	fputs(text, f);
	fclose(f);
}

/* A client writes while we read: half a line is none yet, a file begun anew is read anew. */
TEST_NO_OOM(a_key_log_that_grows)
{
	const char *dir = getenv("TMPDIR");
	char path[200];
	snprintf(path, sizeof path, "%s/rung-keys-XXXXXX", dir ? dir : "/tmp");
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	close(fd);
	struct cap_tls_log *l = cap_tls_log_new();
	CHECK(l);
	CHECK_EQ(cap_tls_log_follow(l, "/"), ERR_IO);
	CHECK_EQ(cap_tls_log_follow(l, "/nonexistent/keys"), ERR_NOTFOUND);
	CHECK_EQ(cap_tls_log_follow(l, path), OK);
	write_to(path, "a", "CLIENT_RANDOM " RANDOM " " BYTES16);
	cap_tls_log_look(l);
	CHECK_EQ(cap_tls_log_version(l), 0);
	write_to(path, "a", BYTES16 BYTES16 "\nCLIENT_TRAFFIC");
	cap_tls_log_look(l);
	CHECK_EQ(cap_tls_log_version(l), 1);
	write_to(path, "w", "SERVER_TRAFFIC_SECRET_0 " RANDOM " " BYTES16 BYTES16 "\n");
	cap_tls_log_look(l);
	CHECK_EQ(cap_tls_log_version(l), 2);
	write_to(path, "a", "CLIENT_TRAFFIC_SECRET_0 " RANDOM " " BYTES16 BYTES16);
	cap_tls_log_look(l);
	CHECK_EQ(cap_tls_log_version(l), 3); /* the last line may want its end */
	cap_tls_log_free(l);
	unlink(path);
}

/* Secrets that come when the capture is half through: from there on it is read. */
TEST_NO_OOM(secrets_that_come_late)
{
	static const char *const files[][2] = {
		{"tls-13.pcap", "tls-13.keys"},
                {"tls-12.pcap", "tls-12.keys"}
        };
	static const uint32_t late[][2] = {
		{130, 1},
                {285, 3}
        }; /* frame, messages from there on */
	for (size_t f = 0; f < ARRAY_LEN(files); f++) {
		struct cap *c;
		struct cap_walk *w;
		struct buf why;
		char path[512];
		unsigned n = 0;
		buf_init(&why);
		path_of(path, files[f][0]);
		CHECK_EQ(cap_open(path, &c, &why), OK);
		CHECK_EQ(cap_walk_new(c, NULL, &w), OK);
		path_of(path, files[f][1]);
		const struct cap_frame *fr;
		while ((fr = cap_walk_next(w))) {
			n += (unsigned)fr->n_msgs;
			if (fr->rec.no == late[f][0])
				CHECK_EQ(cap_walk_keys(w, path), OK);
		}
		CHECK_EQ(n, late[f][1]);
		cap_walk_free(w);
		cap_close(c);
		buf_fini(&why);
	}
}

/* --- damaged -----------------------------------------------------------------------------------
 */

TEST_NO_OOM(a_capture_cut_anywhere)
{
	struct buf cap;
	buf_init(&cap);
	read_file("tls-wss.pcapng", &cap);
	for (size_t n = 1; n < cap.n; n++) {
		struct buf out;
		buf_init(&out);
		digest(str_of(cap.p, n), &out, NULL);
		buf_fini(&out);
	}
	buf_fini(&cap);
}

TEST_NO_OOM(any_byte_may_be_wrong)
{
	struct buf cap;
	buf_init(&cap);
	read_file("tls-wss.pcapng", &cap);
	for (size_t i = 0; i < cap.n; i++) {
		struct buf out;
		buf_init(&out);
		cap.p[i] ^= (char)0xff;
		digest(buf_view(&cap), &out, NULL);
		cap.p[i] ^= (char)0xff;
		buf_fini(&out);
	}
	buf_fini(&cap);
}

/* --- the suites --------------------------------------------------------------------------------
 */

TEST(suites_go_with_versions)
{
	CHECK(cap_tls_suite(CAP_TLS_1_3, 0x1301));
	CHECK(!cap_tls_suite(CAP_TLS_1_2, 0x1301));
	CHECK(!cap_tls_suite(CAP_TLS_1_3, 0xc02f));
	CHECK(cap_tls_suite(CAP_TLS_1_2, 0xc02f));
	CHECK(!cap_tls_suite(CAP_TLS_1_1, 0xc02f)); /* no AEAD before 1.2 [RFC5288 4] */
	CHECK(cap_tls_suite(CAP_TLS_1_0, 0xc013));
	CHECK(!cap_tls_suite(CAP_TLS_1_2, 0x0000));
}
