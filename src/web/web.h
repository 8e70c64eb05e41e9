#pragma once
/* The API over HTTP: what admin/ can list and end, accounts, /metrics for Prometheus, and a
 * description of itself (/openapi.json). It has a thread of its own; what it wants of the exchange
 * goes as questions of admin/ask, and accounts and call records are read from the data folder by
 * its own handles.
 *
 * Every request but /healthz and /openapi.json needs "Authorization: Bearer TOKEN"; the token is
 * that of DIR/api.token, made at the first start and readable by the exchange's user alone. */

#include "admin/ask.h"

struct web;
struct web_cfg {
	struct addr listen; /* a wildcard listens on all addresses of its family */
	const char *dir;    /* data folder */
	struct adm *adm;
	const char *version;
};
/* Listens and starts the thread; the shards may start later. ERR_NET, ERR_IO, ERR_NOMEM with a
 * sentence in why. */
enum err web_new(const struct web_cfg *cfg, struct web **out, struct buf *why);
/* Asks the thread to end and joins it: while the shards still run. NULL is harmless. */
void web_stop(struct web *w);
/* Frees it when the shards have ended. */
void web_free(struct web *w);
