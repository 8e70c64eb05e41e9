/* The intrusive ring. */
#include "base/list.h"
#include "test.h"

struct item {
	int v;
	struct link link;
};

TEST(list_order_and_removal)
{
	struct link head;
	struct item it[5];
	list_init(&head);
	CHECK(list_is_empty(&head));
	CHECK(!list_pop(&head));
	for (int i = 0; i < 5; i++) {
		it[i].v = i;
		list_push(&head, &it[i].link);
	}
	list_del(&it[2].link);
	list_del(&it[2].link); /* harmless */
	list_add_after(&head, &it[2].link);
	int seen[5], n = 0;
	LIST_EACH (&head, l) {
		struct item *x = LIST_ENTRY(l, struct item, link);
		seen[n++] = x->v;
		if (x->v == 3)
			list_del(l);
	}
	CHECK_EQ(n, 5);
	CHECK(seen[0] == 2 && seen[1] == 0 && seen[2] == 1 && seen[3] == 3 && seen[4] == 4);
	CHECK(LIST_ENTRY(list_pop(&head), struct item, link)->v == 2);
	CHECK(LIST_ENTRY(list_pop(&head), struct item, link)->v == 0);
	CHECK(LIST_ENTRY(list_pop(&head), struct item, link)->v == 1);
	CHECK(LIST_ENTRY(list_pop(&head), struct item, link)->v == 4);
	CHECK(list_is_empty(&head));
}
