/* Who may pass: digests, nonces, counts, and what outsiders learn. [RFC7616 3.3] [RFC7616 3.4]
 * [RFC8760 2.3] [RFC3261 22] */
#include "registrar_rig.h"
#include "test.h"

#include <string.h>

static unsigned ask_as(struct rig *r, const char *user, const char *password, uint32_t cseq,
		       uint32_t nc)
{
	return rig_ask(r,
		       &(struct ask){.user = user, .password = password, .cseq = cseq, .nc = nc});
}

static bool is_stale(struct rig *r)
{
	struct sip_challenge ch;
	enum err e = sip_challenge_parse(rig_hdr(r, SIP_HDR_WWW_AUTHENTICATE), &ch);
	return e == OK && ch.stale;
}

TEST_NO_OOM(challenges_in_order)
{
	struct rig *r = rig_new(1, NULL);
	struct sip_challenge ch;
	struct sip_iter it = {0};
	struct str value;
	CHECK_EQ(rig_ask(r, &(struct ask){0}), 401);
	CHECK_EQ(rig_code(r), 2001);
	CHECK(sip_each(r->last, SIP_HDR_WWW_AUTHENTICATE, &it, &value));
	CHECK_EQ(sip_challenge_parse(value, &ch), OK);
	CHECK_EQ(ch.alg, MD_MD5); /* what old phones take first */
	CHECK(ch.qop_auth && !ch.stale);
	CHECK_STR_EQ(ch.realm, STR("rung-test"));
	CHECK(sip_each(r->last, SIP_HDR_WWW_AUTHENTICATE, &it, &value));
	CHECK_EQ(sip_challenge_parse(value, &ch), OK);
	CHECK_EQ(ch.alg, MD_SHA256);
	CHECK(!sip_each(r->last, SIP_HDR_WWW_AUTHENTICATE, &it, &value));
	CHECK_EQ(rig_register(
			 r, &(struct ask){.challenge = 1, .user = "100", .password = "secret100"}),
		 200); /* SHA-256 */
	rig_free(r, false);
}

/* libre before SHA-256 fails at an algorithm that it does not know, wherever that stands. */
TEST_NO_OOM(old_baresip_is_offered_one)
{
	static const struct {
		const char *agent;
		size_t n;
	} t[] = {
		{"User-Agent: baresip v1.0.0 (x86_64/linux)\r\n",  1},
		{"User-Agent: baresip v2.12.0 (x86_64/linux)\r\n", 1},
		{"User-Agent: baresip v4.10.0 (x86_64/linux)\r\n", 2},
		{"User-Agent: baresip\r\n",                        2},
		{"User-Agent: Linphonec/5.1.65\r\n",               2},
		{"",					       2},
	};
	struct rig *r = rig_new(1, NULL);
	for (uint32_t i = 0; i < ARRAY_LEN(t); i++) {
		struct sip_iter it = {0};
		struct sip_challenge ch;
		struct str value;
		size_t n = 0;
		CHECK_EQ(rig_ask(r, &(struct ask){.more = t[i].agent, .cseq = i + 1}), 401);
		while (sip_each(r->last, SIP_HDR_WWW_AUTHENTICATE, &it, &value)) {
			CHECK_EQ(sip_challenge_parse(value, &ch), OK);
			CHECK_EQ(ch.alg, n++ ? MD_SHA256 : MD_MD5);
			CHECK_EQ(ch.nonce.n, 24);
		}
		CHECK_EQ(n, t[i].n);
	}
	rig_free(r, false);
}

TEST_NO_OOM(other_algorithms_may_be_offered)
{
	static const enum md_alg strong[] = {MD_SHA512_256, MD_SHA256};
	rig_offer(strong, 2);
	struct rig *r = rig_new(1, NULL);
	rig_offer(NULL, 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct ask a = {
			.cseq = 1 + 10 * i, .challenge = i, .user = "100", .password = "secret100"};
		struct sip_challenge ch;
		CHECK_EQ(rig_register(r, &a), 200);
		CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 5 + 10 * i}), 401);
		CHECK_EQ(sip_challenge_parse(rig_hdr(r, SIP_HDR_WWW_AUTHENTICATE), &ch), OK);
		CHECK_EQ(ch.alg, MD_SHA512_256);
	}
	rig_free(r, false);
}

TEST_NO_OOM(other_requests_get_407)
{
	struct rig *r = rig_new(1, NULL);
	struct ask a = {.method = "MESSAGE", .ruri = "sip:200@192.0.2.1", .contact = ""};
	CHECK_EQ(rig_ask(r, &a), 407);
	CHECK(sip_has(r->last, SIP_HDR_PROXY_AUTHENTICATE));
	a.user = "100";
	a.password = "secret100";
	a.cseq = 2;
	CHECK_EQ(rig_ask(r, &a), 200);
	rig_free(r, false);
}

/* Unknown user, wrong password, disabled account: one and the same answer. */
TEST_NO_OOM(outsiders_learn_nothing)
{
	static const struct {
		const char *user, *password;
		enum auth_verdict verdict;
	} c[] = {
		{"100", "wrong",     AUTH_WRONG_PASSWORD},
                {"999", "secret100", AUTH_UNKNOWN_USER  },
		{"300", "wrong",     AUTH_WRONG_PASSWORD},
                {"300", "secret300", AUTH_DISABLED      },
		{"",    "",          AUTH_UNKNOWN_USER  },
	};
	struct rig *r = rig_new(1, NULL);
	for (uint32_t i = 0; i < 5; i++) {
		CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 10 * i + 1}), 401);
		CHECK_EQ(ask_as(r, c[i].user, c[i].password, 10 * i + 2, 1), 401);
		CHECK_EQ(rig_code(r), 2002);
		CHECK(!is_stale(r));
		CHECK_EQ(r->outcome.auth, c[i].verdict);
		/* the operator hears whom it was about, when it came without a name */
		CHECK_STR_EQ(str_c(r->outcome_user), str_c(*c[i].user ? c[i].user : "100"));
	}
	rig_free(r, false);
}

TEST_NO_OOM(counts_are_used_once)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 1}), 401);
	struct str nonce = rig_hdr(r, SIP_HDR_WWW_AUTHENTICATE);
	enum err e;
	struct sip_msg *challenge = sip_msg_from(str_of(r->last->bytes, r->last->n_bytes), &e);
	static const struct {
		uint32_t nc;
		unsigned status;
	} c[] = {
		{1,          200},
                {2,          200},
                {4,          200},
                {3,          200},
                {3,          401},
                {4,          401},
		{40,         200},
                {8,          401},
                {9,          200},
                {9,          401},
                {0xfffffff0, 200},
                {41,         401}
        };
	CHECK(nonce.n > 0 && challenge);
	for (uint32_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		sip_msg_free(r->last);
		r->last = sip_msg_from(str_of(challenge->bytes, challenge->n_bytes), &e);
		if (ask_as(r, "100", "secret100", 10 + i, c[i].nc) != c[i].status)
			test_fail(__FILE__, __LINE__, "nc %u: %u", c[i].nc, r->last->status);
		if (c[i].status == 401) {
			CHECK(is_stale(r)); /* the digest was right */
			CHECK_EQ(rig_code(r), 2003);
		}
	}
	sip_msg_free(challenge);
	rig_free(r, false);
}

TEST_NO_OOM(nonces_grow_old)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 1}), 401);
	rig_run_s(r, 3599);
	CHECK_EQ(ask_as(r, "100", "secret100", 2, 1), 200);
	CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 3}), 401);
	rig_run_s(r, 3602);
	CHECK_EQ(ask_as(r, "100", "secret100", 4, 1), 401);
	CHECK(is_stale(r));
	CHECK_EQ(r->outcome.auth, AUTH_STALE);
	CHECK_EQ(ask_as(r, "100", "secret100", 5, 1), 200);
	rig_free(r, false);
}

/* A wrong password on an old nonce is a wrong password, not stale. */
TEST_NO_OOM(stale_is_true_only_for_right_digests)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 1}), 401);
	rig_run_s(r, 4000);
	CHECK_EQ(ask_as(r, "100", "wrong", 2, 1), 401);
	CHECK(!is_stale(r));
	rig_free(r, false);
}

TEST_NO_OOM(a_restart_makes_nobody_stale)
{
	struct rig *r = rig_new(2, NULL);
	struct st_mem *disk = r->disk;
	enum err e;
	CHECK_EQ(rig_register(r, &(struct ask){0}), 200);
	CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 50}), 401);
	struct sip_msg *challenge = sip_msg_from(str_of(r->last->bytes, r->last->n_bytes), &e);
	rig_free(r, true);
	r = rig_new(1, disk); /* also with fewer shards */
	for (uint32_t i = 0; i < 3; i++) {
		static const uint32_t nc[] = {2, 2, 1};
		if (r->last)
			sip_msg_free(r->last);
		r->last = sip_msg_from(str_of(challenge->bytes, challenge->n_bytes), &e);
		CHECK_EQ(ask_as(r, "100", "secret100", 60 + i, nc[i]), i == 1 ? 401 : 200);
	}
	sip_msg_free(challenge);
	rig_free(r, false);
}

TEST_NO_OOM(foreign_nonces)
{
	static const char *const nonces[] = {
		"", "abc", "AAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAA/AAA+AAAAAAAAAAAAAA=", "!!!!!!!!!!!!!!!!!!!!!!!!"};
	struct rig *r = rig_new(2, NULL);
	for (uint32_t i = 0; i < 5; i++) {
		char text[700];
		struct buf b;
		enum err e;
		CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 10 * i + 1}), 401);
		buf_init_fixed(&b, text, sizeof(text));
		buf_fmt(&b,
			"SIP/2.0 401 x\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a>;tag=1\r\nTo: "
			"<sip:a>;tag=2"
			"\r\nCall-ID: a\r\nCSeq: 1 REGISTER\r\nWWW-Authenticate: Digest "
			"realm=\"rung-test\", nonce=\"%s\", qop=\"auth\"\r\nContent-Length: "
			"0\r\n\r\n",
			nonces[i]);
		sip_msg_free(r->last);
		r->last = sip_msg_from(buf_view(&b), &e);
		CHECK(r->last != NULL);
		CHECK_EQ(ask_as(r, "100", "secret100", 10 * i + 2, 1), 401);
		CHECK_EQ(r->outcome.auth, AUTH_FOREIGN_NONCE);
		CHECK(is_stale(r));
		CHECK_EQ(ask_as(r, "100", "secret100", 10 * i + 3, 1), 200);
	}
	rig_free(r, false);
}

/* RFC 2069 phones: one use per nonce. */
TEST_NO_OOM(without_qop)
{
	struct rig *r = rig_new(1, NULL);
	enum err e;
	CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 1}), 401);
	struct sip_msg *challenge = sip_msg_from(str_of(r->last->bytes, r->last->n_bytes), &e);
	struct ask a = {.user = "100", .password = "secret100", .no_qop = true, .cseq = 2};
	CHECK_EQ(rig_ask(r, &a), 200);
	sip_msg_free(r->last);
	r->last = challenge;
	a.cseq = 3;
	CHECK_EQ(rig_ask(r, &a), 401);
	CHECK(is_stale(r));
	a.cseq = 4;
	CHECK_EQ(rig_ask(r, &a), 200);
	rig_free(r, false);
}

TEST_NO_OOM(credentials_for_another_request)
{
	struct rig *r = rig_new(1, NULL);
	struct ask a = {.method = "MESSAGE",
			.ruri = "sip:200@192.0.2.1",
			.contact = "",
			.user = "100",
			.password = "secret100"};
	static const struct {
		const char *uri;
		unsigned status;
	} c[] = {
		{"sip:200@192.0.2.1:5060;transport=udp", 200}, /* ports and parameters may change */
		{"sip:200@lilkr",                        200}, /* and a name may become an address */
		{"sip:100@192.0.2.1",                    400},
		{"not a uri",                            400},
	};
	for (uint32_t i = 0; i < 4; i++) {
		struct ask first = a;
		first.user = NULL;
		first.cseq = 10 * i + 1;
		CHECK_EQ(rig_ask(r, &first), 407);
		a.cseq = 10 * i + 2;
		a.uri = c[i].uri;
		CHECK_EQ(rig_ask(r, &a), c[i].status);
		if (c[i].status == 400)
			CHECK_EQ(rig_code(r), 2005);
	}
	rig_free(r, false);
}

TEST_NO_OOM(unreadable_credentials)
{
	struct rig *r = rig_new(1, NULL);
	CHECK_EQ(rig_ask(r, &(struct ask){.more = "Authorization: Digest username=\"100\r\n"}),
		 400);
	CHECK_EQ(rig_code(r), 2004);
	/* of another realm or scheme: as if there were none */
	CHECK_EQ(rig_ask(r,
			 &(struct ask){.cseq = 2, .more = "Authorization: Basic QWxhZGRpbg==\r\n"}),
		 401);
	CHECK_EQ(rig_code(r), 2001);
	CHECK_EQ(rig_ask(r, &(struct ask){.cseq = 3,
					  .more = "Authorization: Digest username=\"100\", "
						  "realm=\"other\", nonce=\"x\", uri=\"sip:x\", "
						  "response=\"00\"\r\n"}),
		 401);
	CHECK_EQ(rig_code(r), 2001);
	/* without what qop needs */
	CHECK_EQ(
		rig_ask(r, &(struct ask){.cseq = 4,
					 .more = "Authorization: Digest username=\"100\", "
						 "realm=\"rung-test\", nonce=\"x\", uri=\"sip:x\", "
						 "qop=auth, response=\"00\"\r\n"}),
		400);
	CHECK_EQ(
		rig_ask(r, &(struct ask){.cseq = 5,
					 .more = "Authorization: Digest username=\"100\", "
						 "realm=\"rung-test\", nonce=\"x\", uri=\"sip:x\", "
						 "algorithm=SHA-512-256, response=\"00\"\r\n"}),
		401); /* not offered here */
	CHECK_EQ(r->outcome.auth, AUTH_WRONG_ALG);
	rig_free(r, false);
}

/* Whether a nonce still counts is asked of the shard that issued it; the phone may have gone. */
TEST_NO_OOM(a_check_may_be_cancelled)
{
	struct rig *r = rig_new(4, NULL);
	for (unsigned i = 0; i < 8; i++) {
		static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
		CHECK_EQ(rig_ask(r, &(struct ask){.call_id = "first", .cseq = 1 + i}), 401);
		CHECK_EQ(rig_ask(r, &(struct ask){.call_id = ids[i],
						  .user = "100",
						  .password = "secret100",
						  .cseq = 1}),
			 200);
	}
	struct auth_stats s = {0};
	uint64_t n_ok = 0;
	for (unsigned i = 0; i < 4; i++) {
		auth_stats(r->shard[i].auth, &s);
		n_ok += s.n_by_verdict[AUTH_OK];
	}
	CHECK_EQ(n_ok, 8);
	rig_free(r, false);
}
