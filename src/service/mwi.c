/* Message-waiting. Each subscription is one node in a table by its mailbox; the protocol is the
 * dialog layer's. A mailbox with too many live subscriptions gets no more: a client that subscribes
 * in a loop (baresip's MWI module against a fast server does) is bounded by that as by the rate
 * limit in front. Invariant: a node is in the table from mwi_on_subscribe until on_end. */
#include "service/mwi.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/list.h"
#include "service/codes.h"

#include <stdlib.h>
#include <string.h>

struct mwi {
	struct tsx_mgr *tsx;
	struct dlg_mgr *dlg;
	uint8_t key[16];
	uint32_t max_per_user, n;
	struct htab by_aor;
};

struct watcher {
	struct hnode node;
	struct mwi *mwi;
	struct sub *sub;
	size_t n_aor, n_account;
	char aor[]; /* and behind it the mailbox as the phone calls it */
};

enum err mwi_new(struct tsx_mgr *tsx, struct dlg_mgr *dlg, const uint8_t key[16],
		 const struct mwi_config *cfg, struct mwi **out)
{
	struct mwi *m = calloc(1, sizeof(*m));
	if (!m)
		return ERR_NOMEM;
	*m = (struct mwi){.tsx = tsx, .dlg = dlg, .max_per_user = cfg->max_per_user};
	if (!m->max_per_user)
		m->max_per_user = LIMIT_MWI_PER_USER;
	memcpy(m->key, key, sizeof(m->key));
	if (htab_init(&m->by_aor, 64)) {
		free(m);
		return ERR_NOMEM;
	}
	*out = m;
	return OK;
}

static void drop(void *arg, struct hnode *node)
{
	struct mwi *m = arg;
	struct watcher *w = CONTAINER_OF(node, struct watcher, node);
	sub_drop(w->sub);
	htab_del(&m->by_aor, node);
	free(w);
}

void mwi_free(struct mwi *m)
{
	if (!m)
		return;
	htab_each(&m->by_aor, drop, m);
	htab_fini(&m->by_aor);
	free(m);
}

uint32_t mwi_live(const struct mwi *m)
{
	return m->n;
}

/* [RFC3842 3.5] */
static enum err body(void *ctx, struct sub *s, struct str *content_type, struct buf *out)
{
	struct watcher *w = ctx;
	buf_fmt(out,
		"Messages-Waiting: no\r\nMessage-Account: %.*s\r\nVoice-Message: 0/0 (0/0)\r\n",
		(int)w->n_account, w->aor + w->n_aor);
	return out->err;
}

static void on_end(void *ctx, struct sub *s, const struct sub_end *end)
{
	struct watcher *w = ctx;
	htab_del(&w->mwi->by_aor, &w->node);
	w->mwi->n--;
	free(w);
}

static const struct sub_notifier notifier = {.body = body, .on_end = on_end};

static uint32_t count(const struct mwi *m, uint64_t hash, struct str aor)
{
	uint32_t n = 0;
	for (struct hnode *h = htab_first(&m->by_aor, hash); h; h = htab_next(h)) {
		struct watcher *w = CONTAINER_OF(h, struct watcher, node);
		n += str_eq(aor, str_of(w->aor, w->n_aor));
	}
	return n;
}

void mwi_on_subscribe(struct mwi *m, tsx_id st, struct tp_rx *rx, struct str aor)
{
	uint64_t hash = htab_hash(m->key, aor.p, aor.n);
	if (count(m, hash, aor) >= m->max_per_user) {
		code_refuse(m->tsx, st, CODE_TOO_MANY_SUBSCRIPTIONS, STR("Retry-After: 60\r\n"));
		return;
	}
	struct sip_addr to; /* the mailbox's name for the phone, not the one we store it under */
	struct str account = STR_NONE;
	if (sip_addr_parse(sip_value(rx->msg, SIP_HDR_TO), &to) == OK)
		account = to.uri_text;
	struct watcher *w = calloc(1, sizeof(*w) + aor.n + account.n);
	if (!w) {
		code_refuse(m->tsx, st, CODE_OVERLOAD, STR_NONE);
		return;
	}
	w->mwi = m;
	w->n_aor = aor.n;
	w->n_account = account.n;
	memcpy(w->aor, aor.p, aor.n);
	if (account.n)
		memcpy(w->aor + aor.n, account.p, account.n);
	struct sub_accept acc = {
		.event = STR("message-summary"),
		.content_type = STR("application/simple-message-summary"),
		.contact_user = STR("mwi"),
	};
	if (sub_accept(m->dlg, st, rx, &acc, &notifier, w, &w->sub)) {
		free(w);
		return;
	}
	htab_add(&m->by_aor, &w->node, hash);
	m->n++;
}
