/* What somebody may send who wants the analyzer to stand still or to fill the memory: the cost of a
 * message must not follow how many came before. Each history is played in two lengths; the longer
 * one may cost a little more than its share, not its square. */
#include "fixture.h"
#include "track/trk_priv.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TIMES 16 /* as long is the longer one */

struct flood {
	struct trk *t;
	struct vrd v;
	bool is_live;
};

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct addr at(uint32_t host_no, unsigned port)
{
	return (struct addr){
		.family = ADDR_V4,
		.port = (uint16_t)port,
		.ip = {10, (uint8_t)(host_no >> 16), (uint8_t)(host_no >> 8), (uint8_t)host_no}
        };
}

static void send_text(struct flood *f, unsigned i, unsigned from, unsigned to, const char *text,
		      int n)
{
	struct trk_packet p = {.at_us = 1'700'000'000'000'000 + i * 50ull,
			       .frame_no = i + 1,
			       .from = at(from, 5060),
			       .to = at(to, 5060),
			       .bytes = str_of(text, (size_t)n)};
	CHECK(n > 0 && n < 3'000);
	CHECK(trk_message(f->t, &p, NULL) == OK);
}

static double play_history(void (*one)(struct flood *f, unsigned i), unsigned n, bool is_live)
{
	struct trk_cfg cfg = {
		.is_live = is_live, .has_media = true, .finds_media = true, .has_join = true};
	struct flood f = {.t = trk_new(&cfg), .is_live = is_live};
	CHECK(f.t);
	vrd_init(&f.v);
	double begin = now_s();
	for (unsigned i = 0; i < n; i++)
		one(&f, i);
	if (is_live)
		trk_flush(f.t);
	else
		trk_join_settle(f.t);
	for (struct trk_call *c = trk_first(f.t); !is_live && c; c = trk_after(f.t, c))
		CHECK(vrd_judge(&f.v, f.t, c) == OK);
	double took = now_s() - begin;
	vrd_fini(&f.v);
	trk_free(f.t);
	return took;
}

/* Three times its share is no square, and more than a busy machine makes of it. */
static void check_flat(int line, void (*one)(struct flood *f, unsigned i), unsigned n)
{
	for (int live = 0; live < 2; live++) {
		double few = play_history(one, n, live), many = 0;
		for (int tries = 0; tries < 3; tries++) {
			many = play_history(one, n * TIMES, live);
			if (many < few * TIMES * 3 + 0.02)
				break;
			few = play_history(one, n, live);
		}
		if (many >= few * TIMES * 3 + 0.02)
			test_fail(__FILE__, line, "%u took %.4f s, %u took %.4f s", n, few,
				  n * TIMES, many);
	}
}
#define IS_FLAT(one, n) check_flat(__LINE__, one, n)

static void reinvite(struct flood *f, unsigned i)
{
	char text[3'000];
	int n = snprintf(text, sizeof text,
			 "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u\r\n"
			 "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: x\r\n"
			 "CSeq: %u INVITE\r\nContent-Type: application/sdp\r\n\r\n"
			 "v=0\r\no=- %u 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n"
			 "m=audio 4000 RTP/AVP 0 8 96\r\na=rtpmap:96 x/8000\r\n",
			 i, i, i);
	send_text(f, i, 1, 2, text, n);
}

TEST_NO_OOM(flood_of_reinvites)
{
	IS_FLAT(reinvite, 500);
}

/* All alike but for the Call-ID: numbers, o=, address and port. */
static void alike(struct flood *f, unsigned i)
{
	char text[3'000];
	int n = snprintf(text, sizeof text,
			 "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u\r\n"
			 "From: <sip:1001@h>;tag=1\r\nTo: <sip:1002@h>\r\nCall-ID: c%u\r\n"
			 "CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n"
			 "v=0\r\no=- 1234567 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\n"
			 "t=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n",
			 i, i);
	send_text(f, i, i % 3, (i + 1) % 3, text, n);
}

TEST_NO_OOM(flood_of_calls_that_might_be_joined)
{
	IS_FLAT(alike, 400);
}

/* All of them say that they belong to one. */
static void same_call(struct flood *f, unsigned i)
{
	char text[3'000];
	int n = snprintf(text, sizeof text,
			 "INVITE sip:%u@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u\r\n"
			 "From: <sip:%u@h>;tag=1\r\nTo: <sip:%u@h>\r\nCall-ID: call-number-%u\r\n"
			 "CSeq: 1 INVITE\r\nX-Call-ID: call-number-0\r\n\r\n",
			 i, i, i + 70'000, i + 900'000, i);
	send_text(f, i, 1, 2, text, n);
}

TEST_NO_OOM(flood_of_calls_that_say_they_are_one)
{
	IS_FLAT(same_call, 400);
}

/* Transfers that all go to one number, and calls to it. */
static void refer(struct flood *f, unsigned i)
{
	char text[3'000];
	bool is_refer = i % 2;
	int n = snprintf(text, sizeof text,
			 "%s sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u\r\n"
			 "From: <sip:%u@h>;tag=1\r\nTo: <sip:777@h>\r\nCall-ID: c%u\r\n"
			 "CSeq: 1 %s\r\nRefer-To: <sip:777@h>\r\n\r\n",
			 is_refer ? "REFER" : "INVITE", i, i + 4'000, i,
			 is_refer ? "REFER" : "INVITE");
	send_text(f, i, is_refer ? 1 : 2, is_refer ? 2 : 1, text, n);
}

TEST_NO_OOM(flood_of_transfers)
{
	IS_FLAT(refer, 1'500);
}

/* Eight packets of one SSRC each between ever new ports, named by nobody. */
static void same_ssrc(struct flood *f, unsigned i)
{
	uint8_t b[12 + 20] = {0x80, 0};
	b[11] = 5;
	for (unsigned k = 0; k < 8; k++) {
		b[3] = (uint8_t)k;
		b[7] = (uint8_t)(k * 20);
		struct trk_packet p = {.at_us = 1'700'000'000'000'000 + i * 50ull,
				       .frame_no = i * 8 + k,
				       .from = at(i, 4000),
				       .to = at(1, 5000),
				       .bytes = str_of((const char *)b, sizeof b)};
		struct trk_datagram d = trk_datagram_of(&p);
		trk_media(f->t, &d, NULL);
	}
}

TEST_NO_OOM(flood_of_streams_with_one_ssrc)
{
	IS_FLAT(same_ssrc, 2'000);
}

/* Addresses that a hash without a secret would all put into one place: half of the product in
 * trk_media.c is 0. */
static void chosen_address(struct flood *f, unsigned i)
{
	static const uint64_t half = 0x9e3779b97f4a7c15u;
	struct trk_packet p = {
		.at_us = 1'700'000'000'000'000 + i * 50ull,
		.frame_no = i,
		.from = {.family = ADDR_V6, .port = 4000},
		.to = {.family = ADDR_V6, .port = 4000},
		.bytes = STR("\x80\0\0\1\0\0\0\1\0\0\0\1payload of no meaning")
        };
	memcpy(p.from.ip, &half, 8);
	memcpy(p.to.ip, &half, 8);
	memcpy(p.from.ip + 8, &i, 4);
	struct trk_datagram d = trk_datagram_of(&p);
	trk_media(f->t, &d, NULL);
}

TEST_NO_OOM(flood_from_chosen_addresses)
{
	IS_FLAT(chosen_address, 600);
}

/* Eight bytes that made the hash of a message forget what was before them, at each place where it
 * takes eight: messages of other lengths, all with one hash. */
static void chosen_bytes(struct flood *f, unsigned i)
{
	static const uint8_t half[] = {0x15, 0x7c, 0x4a, 0x7f, 0xb9, 0x79, 0x37, 0x9e};
	char text[3'000];
	int n = snprintf(text, sizeof text,
			 "INFO sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%08u\r\n"
			 "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: x\r\n"
			 "CSeq: %08u INFO\r\nX: ",
			 i, i);
	while (n % 16)
		text[n++] = 'x';
	memcpy(text + n, half, 8);
	n += 8;
	n += snprintf(text + n, sizeof text - (size_t)n, "yyyyyyyy\r\n\r\n");
	send_text(f, i, 1, 2, text, n);
}

TEST_NO_OOM(flood_of_messages_with_one_hash)
{
	IS_FLAT(chosen_bytes, 400);
}

/* --- memory ----------------------------------------------------------------------------------- */

TEST_NO_OOM(a_live_call_does_not_grow_without_end)
{
	struct flood f = {.t = trk_new(&(struct trk_cfg){.is_live = true, .has_media = true})};
	uint64_t most = 0;
	CHECK(f.t);
	for (unsigned i = 0; i < 60'000; i++) {
		reinvite(&f, i);
		most = f.t->n_bytes > most ? f.t->n_bytes : most;
	}
	CHECK(most > 100'000 && most < 3u << 20);
	trk_flush(f.t);
	CHECK_EQ(f.t->n_bytes, 0);
	CHECK_EQ(f.t->call_pool.n_used, 0);
	trk_free(f.t);
}

TEST(trackers_do_not_share_their_secret)
{
	struct trk *a = trk_new(&(struct trk_cfg){0}), *b = trk_new(&(struct trk_cfg){0});
	if (a && b)
		CHECK(memcmp(a->hash_key, b->hash_key, sizeof a->hash_key) != 0);
	trk_free(a);
	trk_free(b);
}
