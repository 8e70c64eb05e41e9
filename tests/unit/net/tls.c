/* TLS over connections in virtual time. What OpenSSL draws differs from run to run; what is checked
 * here does not. */

#include "net/tls.h"

#include "cert.h"
#include "event/sim.h"
#include "net/conn.h"
#include "test.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAIRS_MAX 1000

static struct sim *sim;
static struct env *envs[2]; /* 0 connects, 1 accepts */
static struct ev_shards *shards[2];
static struct net nets[2];
static struct addr ips[2];
static struct env_sock *listener;
static struct net_tls *ctx[2];
static struct side {
	struct net_conn conn;
	struct buf got;
	unsigned ups, downs, unsents, pauses;
	bool is_midway, is_there;
	enum err why;
} sides[2][PAIRS_MAX];
static size_t n_accepted;
static char dir[32], refused[400];

static struct side *side_of(struct net_conn *c)
{
	return CONTAINER_OF(c, struct side, conn);
}

static void on_up(struct net_conn *c)
{
	side_of(c)->ups++;
}

static size_t on_bytes(struct net_conn *c, struct str bytes)
{
	buf_put(&side_of(c)->got, bytes.p, bytes.n);
	return bytes.n;
}

static void on_unsent(struct net_conn *c, uint64_t tag, enum err why)
{
	side_of(c)->unsents++;
}

static void on_down(struct net_conn *c, enum err why)
{
	side_of(c)->downs++;
	side_of(c)->why = why;
}

static void on_pause(struct net_conn *c, bool is_midway)
{
	side_of(c)->pauses++;
	side_of(c)->is_midway = is_midway;
}

static const struct net_conn_user user = {on_up, on_bytes, on_unsent, on_down, on_pause};

static void on_refused(void *arg, struct str why)
{
	str_copy(refused, sizeof(refused), why);
}

/* --- certificates --------------------------------------------------------------------------- */

/* dir/NAME/tls-cert.pem and tls-key.pem, for that domain and 10.0.0.2. */
static struct net_tls_self make_cert(const char *name)
{
	static char folders[4][64];
	static unsigned at;
	char *folder = folders[at++ % 4];
	struct str names[] = {str_c(name)};
	static const struct addr ip = {
		.family = ADDR_V4, .ip = {10, 0, 0, 2}
        };
	struct buf why;
	struct net_tls_self s = {
		.dir = folder, .names = names, .n_names = 1, .addrs = &ip, .n_addrs = 1};
	buf_init(&why);
	snprintf(folder, sizeof(folders[0]), "%s/%s", dir, name);
	mkdir(folder, 0700);
	enum err e = net_tls_self(&s, &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
	return s;
}

static void new_tls(int side, const struct net_tls_cfg *cfg)
{
	struct buf why;
	struct net_tls_cfg c = *cfg;
	c.on_refused = on_refused;
	buf_init(&why);
	enum err e = net_tls_new(&c, &ctx[side], &why);
	buf_fini(&why);
	CHECK_EQ(e, OK);
}

/* Server with a certificate for example.com, and a client that trusts it. */
static void usual_tls(void)
{
	struct net_tls_self s = make_cert("example.com");
	new_tls(1, &(struct net_tls_cfg){.cert = {s.cert}, .key = {s.key}, .n_certs = 1});
	new_tls(0, &(struct net_tls_cfg){.ca = s.cert});
}

/* --- the world ------------------------------------------------------------------------------ */

static void accept_some(void *arg, unsigned events)
{
	struct addr peer;
	while (n_accepted < PAIRS_MAX) {
		struct side *s = &sides[1][n_accepted];
		if (net_conn_accept(&s->conn, &nets[1], &user, listener, &peer, 400'000) != OK)
			return;
		n_accepted++;
		s->is_there = true;
		struct net_filter *f;
		CHECK_EQ(net_tls_filter(ctx[1], NULL, &f), OK);
		if (f)
			net_conn_filter(&s->conn, f);
	}
}

static void begin(void)
{
	const char *why;
	struct sim_host *h;
	memset(sides, 0, sizeof(sides));
	ctx[0] = ctx[1] = NULL;
	refused[0] = '\0';
	n_accepted = 0;
	strcpy(dir, "/tmp/rung-tls.XXXXXX");
	CHECK(mkdtemp(dir));
	CHECK_EQ(sim_new(7, &sim), OK);
	struct sim_link link = {.delay_us = 1'000};
	sim_link_default(sim, &link);
	for (uint8_t i = 0; i < 2; i++) {
		ips[i] = (struct addr){
			.family = ADDR_V4, .ip = {10, 0, 0, (uint8_t)(1 + i)}
                };
		CHECK_EQ(sim_host_new(sim, "host", &ips[i], 1, &h), OK);
		CHECK_EQ(sim_env_new(h, &envs[i]), OK);
		CHECK_EQ(ev_shards_new(&envs[i], 1, &shards[i]), OK);
		sim_add_loop(sim, ev_shard(shards[i], 0));
		CHECK_EQ(net_init(&nets[i], ev_shard(shards[i], 0)), OK);
		ips[i].port = 5061;
	}
	CHECK_EQ(env_tcp_listen(envs[1], &ips[1], 0, accept_some, NULL, &listener, &why), OK);
}

static void pass(uint64_t us)
{
	sim_run(sim, sim_now_us(sim) + us);
}

static void dial(size_t i, const char *peer)
{
	struct side *s = &sides[0][i];
	struct net_filter *f;
	CHECK_EQ(net_conn_connect(&s->conn, &nets[0], &user, NULL, &ips[1], 400'000), OK);
	s->is_there = true;
	CHECK_EQ(net_tls_filter(ctx[0], peer, &f), OK);
	if (f)
		net_conn_filter(&s->conn, f);
}

static void link_up(size_t i, const char *peer)
{
	dial(i, peer);
	pass(20'000);
	CHECK(sides[0][i].ups == 1 && sides[1][i].ups == 1);
	CHECK(sides[0][i].conn.state == NET_UP && sides[1][i].conn.state == NET_UP);
}

static void end(void)
{
	char command[64];
	env_close(listener);
	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; k < PAIRS_MAX && sides[i][k].is_there; k++) {
			net_conn_fini(&sides[i][k].conn);
			buf_fini(&sides[i][k].got);
		}
		if (ctx[i])
			net_tls_watch(ctx[i], NULL, NULL, NULL);
		net_fini(&nets[i]);
		sim_del_loop(sim, ev_shard(shards[i], 0));
		ev_shards_free(shards[i]);
		net_tls_free(ctx[i]);
		env_free(envs[i]);
	}
	sim_free(sim);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	CHECK_EQ(system(command), 0);
}

/* --- cases ---------------------------------------------------------------------------------- */

TEST(tls_moves_bytes)
{
	static char large[200'000];
	begin();
	usual_tls();
	link_up(0, "example.com");
	struct side *a = &sides[0][0], *b = &sides[1][0];
	CHECK_EQ(net_conn_send(&a->conn, STR("hello"), 1), OK);
	pass(10'000);
	CHECK_STR(buf_view(&b->got), "hello");
	CHECK_EQ(net_conn_send(&b->conn, STR("back"), 1), OK);
	pass(10'000);
	CHECK_STR(buf_view(&a->got), "back");
	CHECK(b->pauses && !b->is_midway && !b->conn.in.cap && !b->conn.filter->out.cap);
	memset(large, 'x', sizeof(large));
	for (size_t i = 0; i < sizeof(large); i += 997)
		large[i] = (char)('a' + i % 26);
	buf_clear(&b->got);
	CHECK_EQ(net_conn_send(&a->conn, str_of(large, sizeof(large)), 2), OK);
	pass(1'000'000);
	CHECK_EQ(b->got.n, sizeof(large));
	CHECK(memcmp(b->got.p, large, sizeof(large)) == 0);
	CHECK(!a->conn.is_waiting && !a->conn.out);
	net_conn_close(&a->conn, ERR_STATE);
	pass(10'000);
	CHECK(a->downs == 1 && b->downs == 1 && b->why == ERR_NET);
	end();
}

/* What is sent before the handshake is done waits for it, in order. */
TEST(tls_queues_until_it_stands)
{
	begin();
	usual_tls();
	dial(0, "example.com");
	CHECK_EQ(net_conn_send(&sides[0][0].conn, STR("one "), 1), OK);
	CHECK_EQ(net_conn_send(&sides[0][0].conn, STR("two"), 2), OK);
	pass(20'000);
	CHECK_STR(buf_view(&sides[1][0].got), "one two");
	end();
}

static void expect_refusal(const char *peer, enum err want, const char *sentence)
{
	refused[0] = '\0';
	dial(0, peer);
	CHECK_EQ(net_conn_send(&sides[0][0].conn, STR("secret"), 9), OK);
	pass(20'000);
	CHECK(sides[0][0].downs == 1 && !sides[0][0].ups && sides[0][0].unsents == 1);
	CHECK_EQ(sides[0][0].why, want);
	CHECK(!sides[1][0].got.n);
	CHECK_STR_EQ(str_c(refused), str_c(sentence));
}

/* [RFC5922 7.3] */
TEST(tls_refuses_another_name)
{
	begin();
	usual_tls();
	expect_refusal("example.org", ERR_AUTH,
		       "the certificate of example.org is refused: it does not name that host");
	end();
}

/* [RFC5922 7.1] [RFC5280 4.2.1.12] */
TEST_NO_OOM(tls_refuses_a_certificate_for_another_use)
{
	static const char *const usages[] = {"serverAuth", "clientAuth"};
	for (int i = 0; i < 2; i++) {
		begin();
		struct net_tls_self s = make_cert("example.com");
		cert_restrict(s.cert, s.key, usages[i]);
		new_tls(1, &(struct net_tls_cfg){.cert = {s.cert}, .key = {s.key}, .n_certs = 1});
		new_tls(0, &(struct net_tls_cfg){.ca = s.cert});
		if (i)
			expect_refusal("example.com", ERR_AUTH,
				       "the certificate of example.com is refused: unsuitable "
				       "certificate purpose");
		else
			link_up(0, "example.com");
		end();
	}
}

TEST(tls_accepts_an_address)
{
	begin();
	usual_tls();
	link_up(0, "10.0.0.2");
	end();
}

TEST(tls_refuses_an_unknown_issuer)
{
	begin();
	usual_tls();
	net_tls_free(ctx[0]);
	ctx[0] = NULL;
	struct net_tls_self other = make_cert("example.org");
	new_tls(0, &(struct net_tls_cfg){.ca = other.cert});
	expect_refusal("example.com", ERR_AUTH,
		       "the certificate of example.com is refused: self-signed certificate");
	end();
}

/* A client that nobody told whom to trust, where the system trusts what that file says. */
static void trust_of_system(const char *file)
{
	setenv("SSL_CERT_FILE", file, 1);
	setenv("SSL_CERT_DIR", dir, 1);
	new_tls(0, &(struct net_tls_cfg){0});
}

static void end_of_system(void)
{
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	end();
}

/* What the system trusts is read when a certificate asks for it, and once. */
TEST(tls_trusts_the_system)
{
	char file[64];
	begin();
	snprintf(file, sizeof(file), "%s/example.com/tls-cert.pem", dir);
	trust_of_system(file);
	struct net_tls_self s = make_cert("example.com");
	new_tls(1, &(struct net_tls_cfg){.cert = {s.cert}, .key = {s.key}, .n_certs = 1});
	link_up(0, "example.com");
	CHECK_EQ(remove(s.cert), 0);
	link_up(1, "example.com");
	end_of_system();
}

TEST(tls_refuses_whom_the_system_does_not_trust)
{
	begin();
	struct net_tls_self s = make_cert("example.com"), other = make_cert("example.org");
	new_tls(1, &(struct net_tls_cfg){.cert = {s.cert}, .key = {s.key}, .n_certs = 1});
	trust_of_system(other.cert);
	expect_refusal("example.com", ERR_AUTH,
		       "the certificate of example.com is refused: self-signed certificate");
	end_of_system();
}

/* Who watches reads it before a connection asks. */
TEST(tls_reads_the_system_soon)
{
	begin();
	struct net_tls_self s = make_cert("example.com");
	new_tls(1, &(struct net_tls_cfg){.cert = {s.cert}, .key = {s.key}, .n_certs = 1});
	trust_of_system(s.cert);
	net_tls_watch(ctx[0], ev_shard(shards[0], 0), NULL, NULL);
	pass(5'000'000);
	CHECK_EQ(remove(s.cert), 0);
	link_up(0, "example.com");
	end_of_system();
}

TEST(tls_lax_accepts_all)
{
	begin();
	usual_tls();
	net_tls_free(ctx[0]);
	ctx[0] = NULL;
	new_tls(0, &(struct net_tls_cfg){.is_lax = true});
	link_up(0, "whoever.invalid");
	end();
}

TEST(tls_asks_for_a_client_certificate)
{
	begin();
	struct net_tls_self s = make_cert("example.com"), c = make_cert("client.example.com");
	new_tls(1, &(struct net_tls_cfg){.cert = {s.cert},
					 .key = {s.key},
					 .n_certs = 1,
					 .ca = c.cert,
					 .needs_client = true});
	new_tls(0, &(struct net_tls_cfg){.ca = s.cert});
	dial(0, "example.com");
	pass(20'000);
	CHECK(sides[1][0].downs == 1 && !sides[1][0].ups);
	net_tls_free(ctx[0]);
	ctx[0] = NULL;
	net_conn_fini(&sides[0][0].conn);
	buf_fini(&sides[0][0].got);
	new_tls(0, &(struct net_tls_cfg){
			   .ca = s.cert, .cert = {c.cert}, .key = {c.key}, .n_certs = 1});
	link_up(1, "example.com");
	sides[0][0] = (struct side){.is_there = true};
	end();
}

/* [RFC6066 3] */
TEST(tls_chooses_the_certificate_by_name)
{
	begin();
	struct net_tls_self a = make_cert("example.com"), b = make_cert("example.net");
	new_tls(1, &(struct net_tls_cfg){
			   .cert = {a.cert, b.cert},
                             .key = {a.key,  b.key },
                             .n_certs = 2
        });
	new_tls(0, &(struct net_tls_cfg){.ca = b.cert});
	link_up(0, "example.net");
	dial(1, "example.com"); /* whose certificate this client does not know */
	pass(20'000);
	CHECK_EQ(sides[0][1].why, ERR_AUTH);
	end();
}

static unsigned loads;
static enum err loaded;

static void on_loaded(void *arg, enum err e, struct str why)
{
	loads++;
	loaded = e;
}

/* A new certificate is for new connections; a bad file changes nothing. */
TEST(tls_reloads)
{
	begin();
	usual_tls();
	loads = 0;
	net_tls_watch(ctx[1], ev_shard(shards[1], 0), on_loaded, NULL);
	link_up(0, "example.com");
	pass(60'000'000);
	CHECK_EQ(loads, 0);
	struct net_tls_self other = make_cert("example.net");
	char cert[64], key[64];
	snprintf(cert, sizeof(cert), "%s/example.com/tls-cert.pem", dir);
	snprintf(key, sizeof(key), "%s/example.com/tls-key.pem", dir);
	CHECK_EQ(rename(other.cert, cert), 0);
	pass(10'000'000);
	CHECK(loads == 1 && loaded == ERR_SYNTAX); /* the key does not fit */
	CHECK_EQ(rename(other.key, key), 0);
	pass(10'000'000);
	CHECK(loads == 2 && loaded == OK);
	CHECK_EQ(net_conn_send(&sides[0][0].conn, STR("still"), 0), OK);
	pass(10'000);
	CHECK_STR(buf_view(&sides[1][0].got), "still");
	dial(1, "example.com"); /* it is another's certificate now */
	pass(20'000);
	CHECK_EQ(sides[0][1].why, ERR_AUTH);
	net_tls_reload(ctx[1]);
	net_tls_reload(ctx[1]);
	pass(1'000'000);
	CHECK_EQ(loads, 4);
	end();
}

TEST(tls_key_of_its_own)
{
	struct stat st;
	struct buf why;
	bool is_named = false;
	begin();
	struct net_tls_self s = make_cert("example.com");
	CHECK(s.is_new);
	CHECK(stat(s.key, &st) == 0 && (st.st_mode & 0777) == 0600);
	ino_t key = st.st_ino;
	CHECK(!make_cert("example.com").is_new);
	struct str names[] = {STR("example.com"), STR("pbx.example.com"), STR("192.0.2.7")};
	s.names = names;
	s.n_names = 3;
	buf_init(&why);
	CHECK_EQ(net_tls_self(&s, &why), OK);
	CHECK(s.is_new && stat(s.key, &st) == 0 && st.st_ino == key);
	static const char *const good[] = {"example.com", "PBX.example.com", "192.0.2.7",
					   "10.0.0.2"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(net_tls_file_names(s.cert, good[i], &is_named) == OK && is_named);
	static const char *const bad[] = {"example.net", "x.example.com", "192.0.2.8", ""};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(net_tls_file_names(s.cert, bad[i], &is_named) == OK && !is_named);
	end();
}

/* A record that never ends is seen, so that it can be given a time. */
TEST(tls_half_a_record)
{
	begin();
	usual_tls();
	link_up(0, "example.com");
	struct side *a = &sides[0][0], *b = &sides[1][0];
	size_t n;
	CHECK_EQ(env_write(a->conn.sock, "\x17\x03\x03\x01\x00half", 9, &n), OK);
	pass(10'000);
	CHECK(b->is_midway && !b->got.n && b->conn.state == NET_UP);
	end();
}

TEST(tls_garbage_ends_it)
{
	begin();
	usual_tls();
	link_up(0, "example.com");
	size_t n;
	CHECK_EQ(env_write(sides[0][0].conn.sock,
			   "\x17\x03\x03\x00\x20hardly a record of anything....", 37, &n),
		 OK);
	pass(10'000);
	CHECK(sides[1][0].downs == 1 && sides[1][0].why == ERR_NET);
	CHECK_EQ(sides[0][0].downs, 1); /* told by an alert, or by the end */
	end();
}

TEST(tls_null_is_plain)
{
	begin();
	ctx[0] = net_tls_new_null();
	ctx[1] = net_tls_new_null();
	CHECK(ctx[0] && ctx[1] && net_tls_can_serve(ctx[1]));
	dial(0, "example.com");
	pass(20'000);
	CHECK_EQ(net_conn_send(&sides[0][0].conn, STR("plain"), 0), OK);
	pass(10'000);
	CHECK_STR(buf_view(&sides[1][0].got), "plain");
	end();
}

/* An idle connection, after messages both ways, takes less than 40 kB (both ends are here). */
TEST_NO_OOM(tls_memory_of_idle_connections)
{
	begin();
	usual_tls();
	for (size_t i = 0; i < 100; i++)
		link_up(i, "example.com");
	size_t before = mallinfo2().uordblks;
	for (size_t i = 100; i < PAIRS_MAX; i++) {
		link_up(i, "example.com");
		CHECK_EQ(net_conn_send(&sides[0][i].conn, STR("there"), 0), OK);
		CHECK_EQ(net_conn_send(&sides[1][i].conn, STR("back"), 0), OK);
		pass(10'000);
		buf_fini(&sides[0][i].got);
		buf_fini(&sides[1][i].got);
	}
	size_t each = (mallinfo2().uordblks - before) / (PAIRS_MAX - 100) / 2;
	printf("# %zu bytes per idle connection\n", each);
	CHECK(each <= 40'000);
	end();
}
