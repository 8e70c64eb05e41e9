#pragma once
/* Names to addresses, asynchronously, with a bounded cache (also of failures) and one question on
 * the way per name. Two back ends: c-ares over the loop, and a table for simulations and tests.
 * "localhost" and names below it are the loopback addresses [RFC6761 6.3]; the hosts file counts.
 * One resolver belongs to one shard. */

#include "event/loop.h"

enum dns_type { DNS_A = 1, DNS_AAAA = 2 };

#define DNS_MAX_ADDRS 16
struct dns_answer {
	size_t n;                        /* at least 1 in an OK */
	struct addr addr[DNS_MAX_ADDRS]; /* port 0, as the server ordered them */
};

struct dns;
struct dns_query; /* a running question */
typedef void dns_fn(void *ctx, enum err e, const struct dns_answer *a);

struct dns_config {          /* zeroed: as the system is set up */
	const char *servers; /* "192.0.2.1:5353,[2001:db8::1]"; NULL: /etc/resolv.conf */
	uint32_t timeout_ms; /* of one question to one server; default 1500 */
	uint32_t tries;      /* per server, default 2 */
};
/* The system's resolver (c-ares). ERR_UNSUPPORTED over env_sim. */
enum err dns_new(struct ev_loop *loop, const struct dns_config *config, struct dns **out);
/* A table, at first empty: other names are not found. */
enum err dns_new_table(struct ev_loop *loop, struct dns **out);
/* Adds an address of a name, with the time to live of its answer. ERR_STATE: no table. */
enum err dns_table_add(struct dns *d, struct str name, const struct addr *ip, uint32_t ttl_s);
/* What the table's answers take (default 1 ms; a name can be silent by never answering). */
void dns_table_delay(struct dns *d, uint64_t delay_us);
/* Running questions are forgotten without a call. NULL is harmless. */
void dns_free(struct dns *d);

/* `types`: DNS_A | DNS_AAAA. OK: *now is filled, fn is not called. ERR_MORE: fn will be called from
 * the loop, once, unless cancelled. Else (also as fn's e): ERR_NOTFOUND no such name or no address
 * of these types, ERR_TIMEOUT no answer, ERR_NET the servers cannot be asked, ERR_SYNTAX no host
 * name, ERR_LIMIT too many questions, ERR_NOMEM. */
enum err dns_lookup(struct dns *d, struct str name, unsigned types, struct dns_answer *now,
		    dns_fn *fn, void *ctx, struct dns_query **running);
void dns_cancel(struct dns_query *q); /* NULL is harmless */
/* Forgets all answers that are not on their way. */
void dns_flush(struct dns *d);
