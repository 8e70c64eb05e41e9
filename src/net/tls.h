#pragma once
/* TLS 1.2 and 1.3 as a filter over net/conn.h, on OpenSSL, which touches no socket. A context holds
 * what a process knows: certificates, keys, whom it trusts; all its shards read it. [RFC8446]
 * [RFC5246] [RFC6066 3] [RFC5922] */

#include "event/shard.h"
#include "net/filter.h"

struct net_tls;

#define NET_TLS_CERTS 16
struct net_tls_cfg { /* strings are copied */
	/* PEM files: certificate with its chain, and key (NULL: in the same file). The first is for
	 * peers that name none of the others; of those each stands for the names in it. None: only
	 * for connections that we make. */
	const char *cert[NET_TLS_CERTS], *key[NET_TLS_CERTS];
	size_t n_certs;
	/* Names that lead to us, the best first: see net_tls_name. */
	const char *name[NET_TLS_CERTS];
	size_t n_names;
	const char *ca;      /* PEM file of who is trusted; NULL: the system's own */
	bool is_lax;         /* whom we connect to is not verified */
	bool needs_client;   /* who connects to us must show a certificate that `ca` vouches for */
	const char *key_log; /* appends the secrets of each connection, for analyzers; NULL: none */
	/* Why a certificate was refused, in a sentence; from any shard. May be NULL. */
	void (*on_refused)(void *ctx, struct str why);
	void *ctx;
};
/* Reads all files. Else a sentence in `why`: ERR_NOTFOUND, ERR_SYNTAX (no PEM, key does not fit).
 */
enum err net_tls_new(const struct net_tls_cfg *cfg, struct net_tls **out, struct buf *why);
/* One whose connections carry plain text, for simulations: what OpenSSL writes differs from run to
 * run. NULL: no memory. */
struct net_tls *net_tls_new_null(void);
/* When all its connections are freed and the loops stand. NULL is harmless. */
void net_tls_free(struct net_tls *t);
bool net_tls_can_serve(const struct net_tls *t); /* has a certificate */
/* By which name a peer is to reach us who does not know us by the connection he has: one that a
 * certificate of ours speaks for [RFC5922 7.5]. Empty: by that address, which the first certificate
 * names, or there is nothing better. Borrowed until the end of the turn. */
struct str net_tls_name(struct net_tls *t, const struct addr *local);
/* No certificate speaks for any of cfg.name: *name is what net_tls_name says instead. */
bool net_tls_is_misnamed(struct net_tls *t, struct str *name);

/* --- another certificate while connections live; theirs stays as it was --- */
/* Told on the loop that watches: OK, or why the new files are refused (the old ones stay). */
typedef void net_tls_loaded_fn(void *ctx, enum err e, struct str why);
/* Looks every few seconds, in a worker, whether the files have changed. l is a shard's loop; NULL:
 * no more, then net_tls_free comes after ev_shards_free. */
void net_tls_watch(struct net_tls *t, struct ev_loop *l, net_tls_loaded_fn *fn, void *ctx);
/* Reads the files now, in a worker; on the loop that watches. */
void net_tls_reload(struct net_tls *t);

/* --- connections --- */
/* A filter for an accepted connection (peer NULL), or for one to a peer that must prove to be
 * `peer`: a domain, or an address as text. *out NULL: none is needed. ERR_UNSUPPORTED: no
 * certificate to serve with. */
enum err net_tls_filter(struct net_tls *t, const char *peer, struct net_filter **out);

/* Does the certificate of PEM file speak for that host? [RFC5922 7.1, 7.2] For tests and tools. */
enum err net_tls_file_names(const char *file, const char *host, bool *is_named);

/* --- a certificate of one's own making --- */
struct net_tls_self {
	const char *dir;         /* where tls-cert.pem and tls-key.pem live */
	const struct str *names; /* domains */
	size_t n_names;
	const struct addr *addrs;
	size_t n_addrs;
	char cert[512], key[512]; /* out: the files */
	bool is_new;              /* out: the certificate was made now */
};
/* Makes key (0600) and self-signed certificate unless they are there; the certificate anew, with
 * the old key, when it lacks a name or is about to expire. Blocks. */
enum err net_tls_self(struct net_tls_self *s, struct buf *why);
