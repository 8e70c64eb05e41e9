#pragma once
/* Intrusive doubly linked ring. A `struct link` head is its own first and last; an unlinked link
 * points to itself. */

#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *next, *prev;
};

static inline void list_init(struct link *l)
{
	l->next = l->prev = l;
}
static inline bool list_is_empty(const struct link *l)
{
	return l->next == l;
}
static inline void list_add_after(struct link *at, struct link *l)
{
	l->prev = at;
	l->next = at->next;
	at->next->prev = l;
	at->next = l;
}
static inline void list_push(struct link *head, struct link *l) /* at the end */
{
	list_add_after(head->prev, l);
}
static inline void list_del(struct link *l) /* may be called on an unlinked one */
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}
/* First element taken off the list, or NULL. */
static inline struct link *list_pop(struct link *head)
{
	struct link *l = head->next;
	if (l == head)
		return NULL;
	list_del(l);
	return l;
}

#define LIST_ENTRY(l, type, member) CONTAINER_OF(l, type, member)
/* The body may remove the current element. */
#define LIST_EACH(head, l)                                                                         \
	for (struct link *l = (head)->next, *l##_n = l->next; l != (head);                         \
	     l = l##_n, l##_n = l->next)
