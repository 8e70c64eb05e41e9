#pragma once
/* Between the resolver's cache (dns.c) and its back ends. */

#include "base/hash.h"
#include "net/dns.h"

struct dns_entry { /* one name and set of types: asked, or answered */
	struct hnode node;
	struct link lru;     /* answered: in dns.lru, oldest first; asked or told: alone */
	struct link ready;   /* answered, its waiters not told yet: in dns.ready */
	struct link waiters; /* struct dns_query.link */
	struct dns *dns;
	struct tmr timer; /* the waiters' patience */
	uint64_t expires_us, asked_us;
	enum err err;
	bool is_asking; /* the back end holds a pointer to this */
	uint8_t types;
	struct dns_answer answer;
	size_t n_name;
	char name[]; /* lower case, NUL-terminated */
};

struct dns_backend {
	/* Begins to ask; the answer comes by dns_answered, perhaps before this returns. An error:
	 * nothing has begun. */
	enum err (*ask)(struct dns *d, struct dns_entry *e);
	void (*free)(struct dns *d); /* may call dns_answered for what was under way */
};

struct dns {
	struct ev_loop *loop;
	const struct dns_backend *backend;
	void *impl; /* of the back end */
	struct htab entries;
	struct link lru, ready;
	size_t n_asking;
	struct ev_task tell;
	uint8_t key[16];
	bool is_closing;
};

enum err dns_new_with(struct ev_loop *loop, const struct dns_backend *backend, void *impl,
		      struct dns **out);
/* Adds a record to an answer of SRV or NAPTR; one that does not fit is left out. */
void dns_add_rr(struct dns_answer *a, const struct dns_rr *rr, struct str target,
		struct str service);
/* Reads the records of a type (DNS_SRV, DNS_NAPTR) out of a reply. ERR_NOTFOUND: it has none.
 * ERR_NET: it cannot be read. */
enum err dns_reply_read(const void *p, size_t n, unsigned type, struct dns_answer *a,
			uint32_t *ttl_s);
/* e is OK with an answer, or the failure; ttl_s as the server said, ignored for failures. */
void dns_answered(struct dns_entry *e, enum err err, const struct dns_answer *a, uint32_t ttl_s);
