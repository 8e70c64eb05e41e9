/* Branch codes, owners, and received messages made by hand. */

#include "rig.h"

#include <string.h>

static struct world *w;
static struct node *n;

static void begin(size_t shards)
{
	w = world_new(true);
	n = node_new(w, "127.0.0.1", shards, NULL);
}

TEST(branch_round_trip)
{
	char out[TP_BRANCH_MAX];
	begin(1);
	const obj_id ids[] = {1, 0x0102030405060708, UINT64_MAX, 0x8000000000000000};
	for (size_t i = 0; i < 4; i++) {
		obj_id id = 0;
		struct str b = tp_branch_make(n->tp[0], ids[i], out);
		CHECK_EQ(b.n, 30);
		CHECK_EQ(strlen(out), 30);
		CHECK(str_starts(b, STR("z9hG4bK")));
		CHECK(tp_branch_read(n->tp[0], b, &id));
		CHECK(id == ids[i]);
	}
	size_t before = test_allocs();
	obj_id id;
	tp_branch_read(n->tp[0], tp_branch_make(n->tp[0], 7, out), &id);
	CHECK_EQ(test_allocs(), before);
	world_free(w);
}

/* Tokens are compared without case [RFC3261 7.3.1]: who folds them on the way does no harm. */
TEST(branch_without_case)
{
	char out[TP_BRANCH_MAX];
	obj_id id = 0;
	begin(1);
	struct str b = tp_branch_make(n->tp[0], 0x46aabbccddeeff01, out);
	for (size_t i = 0; i < b.n; i++)
		if (out[i] >= 'a' && out[i] <= 'z')
			out[i] = (char)(out[i] - 32);
	CHECK(tp_branch_read(n->tp[0], b, &id));
	CHECK(id == 0x46aabbccddeeff01);
	world_free(w);
}

TEST(branch_forged)
{
	char out[TP_BRANCH_MAX + 1];
	obj_id id;
	begin(1);
	struct str b = tp_branch_make(n->tp[0], 0x4600000100000001, out);
	for (size_t i = 0; i < b.n; i++) { /* no other character will do at any place */
		char was = out[i];
		for (int c = 0; c < 256; c++) {
			if (c == was || (c ^ 32) == was)
				continue;
			out[i] = (char)c;
			CHECK(!tp_branch_read(n->tp[0], b, &id));
		}
		out[i] = was;
	}
	out[b.n] = '0';
	CHECK(!tp_branch_read(n->tp[0], str_of(out, b.n + 1), &id));
	CHECK(!tp_branch_read(n->tp[0], str_of(out, b.n - 1), &id));
	CHECK(!tp_branch_read(n->tp[0], STR_NONE, &id));
	CHECK(!tp_branch_read(n->tp[0], STR("z9hG4bK"), &id));
	/* another key, another exchange */
	tp_set_keys(n->tp[0], (const uint8_t *)"another key.....",
		    (const uint8_t *)"0123456789abcdef");
	CHECK(!tp_branch_read(n->tp[0], b, &id));
	world_free(w);
}

TEST(owner_of_call_id)
{
	char out[TP_BRANCH_MAX];
	size_t seen[4] = {0};
	begin(4);
	for (unsigned i = 0; i < 400; i++) {
		uint8_t id[3] = {'c', (uint8_t)('0' + i % 10), (uint8_t)('0' + i / 10)};
		size_t s = tp_owner_of(n->tp[0], str_of((char *)id, 3), STR_NONE);
		CHECK(s < 4);
		CHECK_EQ(tp_owner_of(n->tp[3], str_of((char *)id, 3), STR("z9hG4bKforeign")), s);
		seen[s]++;
	}
	for (size_t s = 0; s < 4; s++)
		CHECK(seen[s] > 50);
	/* our branch names its shard */
	for (size_t s = 0; s < 4; s++) {
		struct str b = tp_branch_make(n->tp[1], (obj_id)s << 48 | 99, out);
		CHECK_EQ(tp_owner_of(n->tp[2], STR("whatever"), b), s);
	}
	/* a shard that is not there cannot be named */
	struct str b = tp_branch_make(n->tp[1], (obj_id)9 << 48 | 99, out);
	CHECK(tp_owner_of(n->tp[2], STR("whatever"), b) < 4);
	world_free(w);
}

TEST(names)
{
	enum tp_proto p = TP_UDP;
	CHECK_STR(tp_proto_name(TP_WSS), "WSS");
	CHECK_STR(tp_proto_param(TP_TCP), "tcp");
	CHECK(tp_proto_find(STR("Tls"), &p));
	CHECK_EQ(p, TP_TLS);
	CHECK(!tp_proto_find(STR("sctp"), &p));
	CHECK(!tp_proto_find(STR("TC"), &p));
	CHECK(tp_is_reliable(TP_WS) && !tp_is_reliable(TP_UDP));
}

TEST(rx_counts_references)
{
	struct addr from = at("192.0.2.1:5060"), to = at("192.0.2.2:5060");
	begin(1);
	struct tp_rx *rx = tp_rx_make(n->tp[0], request("abc", NULL, 5), &from, &to, TP_UDP);
	CHECK(rx);
	CHECK_STR(rx->msg->call_id, "abc");
	CHECK_STR(rx->msg->body, "xxxxx");
	CHECK(tp_rx_ref(rx) == rx);
	tp_rx_unref(n->tp[0], rx);
	CHECK_EQ(rx->refs, 1);
	struct tp_dst d = tp_response_dst(rx);
	CHECK(d.is_fixed && d.flow == 0 && d.proto == TP_UDP);
	CHECK(addr_eq(&d.to, &from) && addr_eq(&d.from, &to));
	tp_rx_unref(n->tp[0], rx);
	tp_rx_unref(n->tp[0], NULL);
	CHECK(!tp_rx_make(n->tp[0], STR("no message at all"), &from, &to, TP_UDP));
	world_free(w);
}

/* A block of the usual size has room for few header lines; more are found a larger one. */
TEST(rx_with_many_headers)
{
	static char text[4000];
	struct addr a = at("192.0.2.1:5060");
	begin(1);
	for (unsigned headers = 1; headers < 300; headers += 29) {
		struct str head = request("abc", NULL, 0);
		memcpy(text, head.p, head.n - 2);
		char *p = text + head.n - 2;
		for (unsigned i = 0; i < headers; i++, p += 6)
			memcpy(p, "X: y\r\n", 6);
		memcpy(p, "\r\n", 2);
		struct str all = str_of(text, (size_t)(p + 2 - text));
		struct tp_rx *rx = tp_rx_make(n->tp[0], all, &a, &a, TP_UDP);
		if (headers + 7 > SIP_MAX_ROWS) {
			CHECK(!rx);
			continue;
		}
		CHECK(rx);
		CHECK_EQ(rx->msg->n_rows, 7 + headers);
		tp_rx_unref(n->tp[0], rx);
	}
	world_free(w);
}
