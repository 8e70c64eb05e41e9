/* Any bytes as HEP packets one behind the other: what is read is written again and read alike. */
#include "wire/hep.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_again(const struct wire_hep *h)
{
	struct wire_hep again;
	struct buf b;
	size_t used;
	bool is_mixed = h->from.family && h->to.family && h->from.family != h->to.family;
	buf_init(&b);
	if (!is_mixed && wire_hep_put(&b, h) == OK) {
		ASSERT(wire_hep_starts(b.p, b.n));
		ASSERT(wire_hep_parse(b.p, b.n, &again, &used) == OK && used == b.n);
		ASSERT(again.from.port == h->from.port && again.to.port == h->to.port);
		ASSERT(again.at_us == h->at_us && again.agent == h->agent);
		ASSERT(again.type == h->type && again.is_packed == h->is_packed);
		ASSERT(str_eq(again.payload, h->payload) && str_eq(again.key, h->key));
		ASSERT(str_eq(again.correlation, h->correlation) && str_eq(again.node, h->node));
		ASSERT(!h->from.family || addr_eq(&again.from, &h->from));
	}
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct wire_hep h;
	size_t used;
	while (n && wire_hep_parse(p, n, &h, &used) == OK) {
		ASSERT(used > 0 && used <= n);
		check_again(&h);
		p += used;
		n -= used;
	}
	wire_hep_starts(p, n);
	return 0;
}
