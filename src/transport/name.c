/* Whom a TLS peer must prove to be: the host of the URI that led to it [RFC5922 7.3]. A tp_dst is a
 * small value that is copied everywhere, so it carries a number for the name; the text stands in a
 * table of the shard, and goes along when a message moves to the shard that has the connection.
 *
 * The number is a keyed hash of the name in lower case, equal on all shards. The table is a ring:
 * the oldest name goes when it is full. Whoever still holds its number cannot connect (ERR_NET), as
 * if the peer had not been there; a name is never taken for another.
 */
#include "transport/tp_priv.h"

#include <stdlib.h>
#include <string.h>

static uint64_t number_of(const struct tp *tp, const char *lower, size_t n)
{
	return siphash(tp->call_id_key, lower, n) | 1;
}

uint64_t tp_name_put(struct tp *tp, struct str name)
{
	char lower[256];
	if (!name.n || name.n >= sizeof(lower))
		return 0;
	for (size_t i = 0; i < name.n; i++)
		lower[i] =
			name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] + 32) : name.p[i];
	lower[name.n] = '\0';
	uint64_t number = number_of(tp, lower, name.n);
	if (tp_name_get(tp, number))
		return number;
	char *text = strdup(lower);
	if (!text)
		return 0;
	struct tp_name *slot = &tp->names[tp->next_name++ % LIMIT_TLS_NAMES];
	free(slot->text);
	*slot = (struct tp_name){number, text};
	return number;
}

const char *tp_name_get(const struct tp *tp, uint64_t number)
{
	for (size_t i = 0; number && i < LIMIT_TLS_NAMES; i++) {
		if (tp->names[i].number == number)
			return tp->names[i].text;
	}
	return NULL;
}

void tp_names_fini(struct tp *tp)
{
	for (size_t i = 0; i < LIMIT_TLS_NAMES; i++)
		free(tp->names[i].text);
}
