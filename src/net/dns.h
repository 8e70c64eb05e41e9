#pragma once
/* Names to addresses, asynchronously, with a bounded cache (also of failures) and one question on
 * the way per name. Two back ends: c-ares over the loop, and a table for simulations and tests.
 * "localhost" and names below it are the loopback addresses [RFC6761 6.3]; the hosts file counts.
 * One resolver belongs to one shard. */

#include "event/loop.h"

enum dns_type { DNS_A = 1, DNS_AAAA = 2, DNS_SRV = 4, DNS_NAPTR = 8 };

#define DNS_MAX_ADDRS 16
#define DNS_MAX_RRS   12
#define DNS_TEXT      800 /* twelve targets and services as they are used; the rest is left out */

struct dns_rr {            /* SRV [RFC2782] or NAPTR [RFC3403 4.1]; texts: dns_text */
	uint16_t priority; /* NAPTR: order. The lowest first */
	uint16_t weight;   /* NAPTR: preference, the lowest first */
	uint16_t port;     /* SRV */
	uint16_t target;   /* host, or name to ask SRV of; in lower case, "" is the root: none */
	uint16_t service;  /* NAPTR: "sip+d2u", in lower case */
	char flag;         /* NAPTR: 's', 'a', 'u', 'p', in lower case; 0: none */
};
struct dns_answer {
	size_t n; /* at least 1 in an OK */
	union {
		struct addr addr[DNS_MAX_ADDRS]; /* port 0, as the server ordered them */
		struct {
			struct dns_rr rr[DNS_MAX_RRS]; /* as the server ordered them */
			uint16_t n_text;
			char text[DNS_TEXT];
		};
	};
};
static inline struct str dns_text(const struct dns_answer *a, uint16_t at)
{
	return str_c(a->text + at);
}

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
/* Adds an SRV or NAPTR record: its numbers and flag are those of rr, its texts are given. */
enum err dns_table_add_rr(struct dns *d, struct str name, enum dns_type type,
			  const struct dns_rr *rr, struct str target, struct str service,
			  uint32_t ttl_s);
/* What the table's answers take (default 1 ms; a name can be silent by never answering). */
void dns_table_delay(struct dns *d, uint64_t delay_us);
/* Running questions are forgotten without a call. NULL is harmless. */
void dns_free(struct dns *d);

/* `types`: DNS_A | DNS_AAAA, or one of the others alone. OK: *now is filled, fn is not called.
 * ERR_MORE: fn will be called from the loop, once, unless cancelled. Else (also as fn's e):
 * ERR_NOTFOUND no such name or no address of these types, ERR_TIMEOUT no answer, ERR_NET the
 * servers cannot be asked, ERR_SYNTAX no host name, ERR_LIMIT too many questions, ERR_NOMEM. */
enum err dns_lookup(struct dns *d, struct str name, unsigned types, struct dns_answer *now,
		    dns_fn *fn, void *ctx, struct dns_query **running);
void dns_cancel(struct dns_query *q); /* NULL is harmless */
/* Asks what will be wanted soon, if it is not known; nobody is told. */
void dns_prefetch(struct dns *d, struct str name, unsigned types);
/* Forgets all answers that are not on their way. */
void dns_flush(struct dns *d);
