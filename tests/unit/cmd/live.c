/* The live stream of an exchange: what a watcher gets, and how much he is told that he did not. */
#include "cmd/live.h"

#include "capture/cap.h"
#include "capture/cap_pkt.h"
#include "test.h"
#include "track/trk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_NOTES    20u
#define N_MESSAGES 3'000u

static void count_line(void *ctx, uint64_t wall_us, struct str line)
{
	unsigned *n = ctx;
	*n += str_starts(line, STR("storm")); /* and not that the scope is behind */
}

/* Notes, which are not streamed, fill the ring; of the messages behind them few find room. */
static void offer_too_much(struct live *l)
{
	static char text[100'000] = "storm";
	static const char message[] =
		"OPTIONS sip:h SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
	struct tp_tap tap = live_tap(l, 0);
	struct addr a = {.family = ADDR_V4, .port = 5060};
	struct exc_note note = {.kind = EXC_NOTE_STORM, .text = str_of(text, sizeof text)};
	for (unsigned i = 0; i < N_NOTES; i++)
		live_note(l, &note);
	for (unsigned i = 0; i < N_MESSAGES; i++)
		tap.fn(tap.ctx, i, false, TP_UDP, &a, &a, str_c(message));
}

/* Reads the stream to its end: packets, and drops that it tells. */
static void read_stream(int fd, unsigned *n, uint64_t *n_dropped)
{
	struct cap *c;
	struct cap_rec r;
	struct buf why;
	buf_init(&why);
	enum err e = cap_open_fd(fd, &c, &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
	while (cap_next(c, &r))
		*n += r.link == CAP_LINK_PDU;
	*n_dropped = cap_sniffer_drops(c);
	cap_close(c);
}

TEST_NO_OOM(drops_are_told_to_watchers)
{
	struct live *l;
	int early[2], late[2];
	unsigned n_notes = 0, n = 0;
	uint64_t n_dropped = 0;
	CHECK_EQ(live_new(NULL, 1, &l), OK);
	live_set_printer(l, count_line, &n_notes);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, early) &&
	      !socketpair(AF_UNIX, SOCK_STREAM, 0, late));
	CHECK_EQ(live_watch(l, early[0]), OK);
	offer_too_much(l);
	CHECK_EQ(live_watch(l, late[0]), OK); /* it was before his time */
	live_drain(l, N_MESSAGES, 5'000'000);
	live_free(l);
	read_stream(early[1], &n, &n_dropped);
	CHECK(n > 0 && n < N_MESSAGES && n_notes > 0 && n_notes < N_NOTES);
	CHECK_EQ(n_dropped, N_MESSAGES + N_NOTES - n - n_notes);
	read_stream(late[1], &n, &n_dropped);
	CHECK_EQ(n_dropped, 0);
}

/* A call between connections of two shards: its messages come in the order of time, by the name of
 * what carried them. */
TEST_NO_OOM(shards_are_merged_and_transports_named)
{
	static const struct {
		size_t shard;
		enum tp_proto proto;
		enum trk_transport name;
	} t[] = {
		{1, TP_WS,  TRK_WS },
                {0, TP_WSS, TRK_WSS},
                {0, TP_TLS, TRK_TLS},
		{1, TP_UDP, TRK_UDP},
                {0, TP_TCP, TRK_TCP},
	};
	static const char message[] =
		"OPTIONS sip:h SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
	struct addr a = {.family = ADDR_V4, .port = 5060};
	struct live *l;
	struct cap *c;
	struct cap_rec r;
	struct cap_pkt k;
	struct buf why;
	int fd[2];
	unsigned n = 0;
	CHECK_EQ(live_new(NULL, 2, &l), OK);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	CHECK_EQ(live_watch(l, fd[0]), OK);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct tp_tap tap = live_tap(l, t[i].shard);
		tap.fn(tap.ctx, 1'000 + i, true, t[i].proto, &a, &a, str_c(message));
	}
	live_drain(l, 2'000, 2'000);
	live_free(l);
	buf_init(&why);
	CHECK_EQ(cap_open_fd(fd[1], &c, &why), OK);
	for (; cap_next(c, &r); n++) {
		CHECK_EQ(cap_pkt_decode(&r, &k), OK);
		CHECK(n < ARRAY_LEN(t) && k.is_pdu);
		CHECK_EQ(r.at_ns, (1'000 + n) * 1'000);
		CHECK_EQ(k.over, t[n].name);
	}
	CHECK_EQ(n, ARRAY_LEN(t));
	cap_close(c);
	buf_fini(&why);
}

static void note_number(void *ctx, const struct trk_packet *p)
{
	struct buf *b = ctx;
	buf_fmt(b, "%u ", p->from.port);
}

static void offer(struct live *l, size_t shard, uint64_t at_us, uint16_t number)
{
	static const char message[] =
		"OPTIONS sip:h SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
	struct tp_tap tap = live_tap(l, shard);
	struct addr from = {.family = ADDR_V4, .port = number}, to = {.family = ADDR_V4};
	tap.fn(tap.ctx, at_us, false, TP_UDP, &from, &to, str_c(message));
}

/* A request and its response may lie in the rings of two shards. */
TEST(taken_by_time_whatever_the_ring)
{
	struct live *l;
	char mem[64];
	struct buf seen;
	buf_init_fixed(&seen, mem, sizeof(mem));
	CHECK_EQ(live_new(NULL, 2, &l), OK);
	live_set_copy(l, note_number, &seen);
	offer(l, 0, 20, 2);
	offer(l, 0, 40, 4);
	offer(l, 1, 10, 1);
	offer(l, 1, 30, 3);
	offer(l, 0, 60, 6); /* it came while the rings were looked at */
	CHECK(live_drain(l, 50, 50));
	CHECK_STR(buf_view(&seen), "1 2 3 4 ");
	offer(l, 1, 55, 5);
	CHECK(live_drain(l, 70, 70));
	CHECK_STR(buf_view(&seen), "1 2 3 4 5 6 ");
	CHECK(!live_drain(l, 80, 80));
	live_free(l);
}

/* ---- killed ---------------------------------------------------------------------------------- */

#define CALLER 100u
#define CALLEE 200u
#define SECOND 1'000'000ull

struct kept { /* a keeper: what it was given, and how much of it is safe */
	struct buf b;
	size_t at[64], n, n_safe;
};

static void keep(void *ctx, struct str call_id, uint64_t at_us, struct str head, struct str rest)
{
	struct kept *k = ctx;
	CHECK(k->n < ARRAY_LEN(k->at) - 1);
	buf_str(&k->b, head);
	buf_str(&k->b, rest);
	k->at[++k->n] = k->b.n;
}

static void flush(void *ctx)
{
	struct kept *k = ctx;
	k->n_safe = k->n;
}

static bool note_verdict(void *arg, const struct trk_call *c, const struct vrd *v)
{
	struct buf *b = arg;
	buf_fmt(b, STR_FMT ": " STR_FMT "\n", STR_ARG(c->call_id), STR_ARG(v->f[0].text));
	return true;
}

/* One message between the caller and us, of a call with a body. */
static void pass(struct live *l, uint64_t at_us, const char *start, unsigned cseq,
		 const char *method, bool is_from_caller, bool has_tag)
{
	char text[600];
	bool is_request = strncmp(start, "SIP", 3) != 0, is_sent = is_request != is_from_caller;
	struct addr ends[2] = {
		{.family = ADDR_V4, .port = CALLER},
                {.family = ADDR_V4, .port = CALLEE}
        };
	struct tp_tap tap = live_tap(l, 0);
	snprintf(text, sizeof(text),
		 "%s\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%u%s\r\nFrom: <sip:a@h>;tag=f\r\n"
		 "To: <sip:b@h>%s\r\nCall-ID: c\r\nCSeq: %u %s\r\nContent-Length: 4\r\n\r\nbody",
		 start, cseq, method, has_tag ? ";tag=t" : "", cseq, method);
	tap.fn(tap.ctx, at_us, is_sent, TP_UDP, &ends[is_sent], &ends[!is_sent], str_c(text));
}

static void begin_call(struct live *l)
{
	pass(l, 1 * SECOND, "INVITE sip:b@h SIP/2.0", 1, "INVITE", true, false);
	pass(l, 2 * SECOND, "SIP/2.0 180 Ringing", 1, "INVITE", true, true);
	pass(l, 3 * SECOND, "SIP/2.0 200 OK", 1, "INVITE", true, true);
	pass(l, 3 * SECOND + 1, "ACK sip:b@h SIP/2.0", 1, "ACK", true, true);
}

static void end_call(struct live *l)
{
	pass(l, 8 * SECOND, "BYE sip:b@h SIP/2.0", 2, "BYE", true, true);
	pass(l, 8 * SECOND + 1, "SIP/2.0 200 OK", 2, "BYE", true, true);
}

static struct live *start_live(const char *dir, size_t n_shards, struct kept *k, struct buf *told)
{
	struct live *l;
	struct live_keeper keeper = {.ctx = k, .keep = keep, .flush = flush};
	CHECK_EQ(live_new(dir, n_shards, &l), OK);
	live_set_keeper(l, &keeper);
	live_set_calls(l, note_verdict, told);
	return l;
}

/* What is sent again long after a call's end makes no second one. */
TEST_NO_OOM(an_ended_call_stays_ended)
{
	char mem[1000];
	struct buf told;
	struct kept k = {0};
	buf_init(&k.b);
	buf_init_fixed(&told, mem, sizeof(mem));
	struct live *l = start_live(NULL, 1, &k, &told);
	begin_call(l);
	end_call(l);
	live_drain(l, 9 * SECOND, 9 * SECOND);
	live_drain(l, 20 * SECOND, 20 * SECOND); /* forgotten */
	size_t n = told.n;
	CHECK(n > 0);
	pass(l, 21 * SECOND, "CANCEL sip:b@h SIP/2.0", 1, "CANCEL", true, false);
	pass(l, 22 * SECOND, "SIP/2.0 487 Request Terminated", 1, "INVITE", true, true);
	pass(l, 23 * SECOND, "ACK sip:b@h SIP/2.0", 1, "ACK", true, true);
	live_drain(l, 24 * SECOND, 24 * SECOND);
	live_end(l);
	CHECK_EQ(told.n, n);
	live_free(l);
	buf_fini(&k.b);
}

/* The ring is full, and there is nothing in it of the call that comes now. */
static void fill(struct live *l)
{
	uint64_t n = live_n_dropped(l);
	while (live_n_dropped(l) == n)
		offer(l, 0, 0, 1);
}

/* A call has its record, however far behind the scope is; what is not of it is dropped meanwhile.
 */
TEST(a_full_ring_loses_no_call)
{
	static const char want[] = "c: answered after 2.0 s, talked 5.0 s, the caller hung up\n";
	for (unsigned at_end = 0; at_end < 2; at_end++) {
		char mem[1000];
		struct buf told;
		struct kept k = {0};
		buf_init(&k.b);
		buf_init_fixed(&told, mem, sizeof(mem));
		struct live *l = start_live(NULL, 1, &k, &told);
		fill(l);
		begin_call(l);
		end_call(l);
		CHECK_EQ(live_n_dropped(l), 1);
		offer(l, 0, 8 * SECOND + 2, 1); /* behind what waits there is no room */
		CHECK_EQ(live_n_dropped(l), 2);
		live_drain(l, 9 * SECOND, 9 * SECOND);
		CHECK_EQ(told.n, 0);
		if (at_end) {
			live_end(l);
		} else {
			offer(l, 0, 9 * SECOND, 1); /* takes them along */
			CHECK_EQ(live_n_dropped(l), 2);
			live_drain(l, 10 * SECOND, 10 * SECOND);
			live_drain(l, 20 * SECOND, 20 * SECOND);
		}
		CHECK_STR(buf_view(&told), want);
		live_free(l);
		buf_fini(&k.b);
	}
}

/* As much as may wait, and no more. */
TEST_NO_OOM(what_waits_is_bounded)
{
	static char body[200'000];
	struct addr a = {.family = ADDR_V4, .port = 5060};
	struct live *l;
	CHECK_EQ(live_new(NULL, 1, &l), OK);
	fill(l);
	struct tp_tap tap = live_tap(l, 0);
	snprintf(body, sizeof(body), "INVITE sip:h SIP/2.0\r\n");
	unsigned n = 0;
	for (; live_n_dropped(l) < 2; n++)
		tap.fn(tap.ctx, 1, false, TP_UDP, &a, &a, str_of(body, sizeof(body)));
	CHECK(n > 60 && n <= 16u * 1024 * 1024 / sizeof(body) + 1);
	live_free(l);
}

static void replay(struct live *l, struct str step)
{
	_Alignas(8) char mem[1000];
	CHECK(step.n <= sizeof(mem));
	memcpy(mem, step.p, step.n);
	live_replay(l, str_of(mem, step.n));
}

/* A call is told once and whole, wherever between its messages and our looks at them the process
 * is killed, and however many shards the next one has. */
TEST_NO_OOM(a_call_outlives_the_process)
{
	static const char want[] = "c: answered after 2.0 s, talked 5.0 s, the caller hung up\n";
	char dir[] = "/tmp/rung-live-XXXXXX", path[64], mem[1000], line[400];
	CHECK(mkdtemp(dir));
	for (unsigned when = 0; when < 4; when++) {
		struct kept k = {0};
		struct buf told;
		buf_init(&k.b);
		buf_init_fixed(&told, mem, sizeof(mem));
		struct live *l = start_live(dir, 1, &k, &told);
		begin_call(l);
		if (when >= 1)
			live_drain(l, 4 * SECOND, 104 * SECOND);
		if (when >= 2)
			end_call(l);
		if (when >= 3)
			live_drain(l, 8 * SECOND + 2, 108 * SECOND + 2);
		CHECK_EQ(told.n, 0);
		size_t n = k.n_safe;
		live_free(l); /* as a kill does: nothing is read, nothing is judged */
		l = start_live(dir, 2, &k, &told);
		for (size_t i = 0; i < n; i++)
			replay(l, str_sub(buf_view(&k.b), k.at[i], k.at[i + 1] - k.at[i]));
		live_recover(l, 8 * SECOND + 2, 108 * SECOND + 2);
		if (when < 2)
			end_call(l);
		live_drain(l, 9 * SECOND, 109 * SECOND);
		CHECK(!live_drain(l, 10 * SECOND, 110 * SECOND));
		snprintf(line, sizeof(line), STR_FMT, STR_ARG(buf_view(&told)));
		CHECK_STR(str_c(line), want);
		live_free(l);
		l = start_live(dir, 1, &k,
			       &told); /* nothing is left, and the second file is gone */
		live_recover(l, 11 * SECOND, 111 * SECOND);
		live_end(l);
		CHECK_EQ(told.n, sizeof(want) - 1);
		live_free(l);
		snprintf(path, sizeof(path), "%s/tap.1", dir);
		CHECK(access(path, F_OK) != 0);
		buf_fini(&k.b);
	}
	snprintf(path, sizeof(path), "%s/tap.0", dir);
	unlink(path);
	rmdir(dir);
}
