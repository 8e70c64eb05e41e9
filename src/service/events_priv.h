#pragma once
/* Seen only by events.c (making, loading, the journal), events_home.c (what is known of an
 * address), events_sub.c (subscriptions), events_publish.c, events_message.c and events_body.c
 * (documents). */

#include "base/limits.h"
#include "base/list.h"
#include "dialog/subscription.h"
#include "service/codes.h"
#include "service/events.h"
#include "sip/hdr.h"

#define EVT_WORDS 4096u /* of the filter that tells whose dialogs are watched */

/* --- what is known of an address, on its shard ------------------------------------------------ */

struct evt_pub { /* a publication [RFC3903 6] */
	struct link link;
	uint64_t etag, ends_us;
	uint8_t slot;      /* keeps its ids apart from those of others */
	uint32_t n_record; /* bytes in the journal */
	size_t n;
	char body[];
};
struct evt_known_dialog {
	struct link link;
	struct evt_dialog d; /* strings behind it */
	uint32_t stamp;      /* of its last change */
	uint64_t gone_us;    /* when it terminated; 0: it lives */
	char text[];
};
struct evt_watcher {
	struct link link; /* of res->watchers */
	struct evt_res *res;
	obj_id sub;
	uint16_t member, shard;
	uint8_t pkg;
	bool has_seen; /* `seen` counts: the stamp of the last document that it got */
	bool is_poked; /* knows that there is news, and has not asked yet */
	uint32_t seen;
	uint64_t id; /* for winfo */
	uint16_t n_uri;
	char uri[]; /* who watches: an address of record */
};
struct evt_message { /* waits for its recipient */
	struct link link;
	struct evt_res *res;
	uint64_t serial, ends_s; /* wall clock */
	struct evt_put *put;     /* its sender waits until it is written */
	size_t n_from, n_to, n_type, n_date, n_body;
	char text[]; /* From, To, Content-Type, Date, body */
};
struct evt_res {
	struct hnode node;
	struct evt_shard *s;
	struct link watchers, pubs, dialogs, messages;
	struct link gone; /* contacts that have ended: events_reg.c */
	uint32_t n_gone;
	uint32_t n_watchers[EVT__N];
	uint32_t n_pubs, n_dialogs, n_messages;
	uint32_t stamp, stamps[EVT__N]; /* grows with each change; the last one of each package */
	uint32_t purged;                /* stamp of the newest dialog that was forgotten */
	uint32_t n_new, n_old;
	bool has_mailbox, has_mail_news; /* counts were set; its phones do not know them yet */
	bool is_open;                    /* somebody is registered */
	struct tmr timer;                /* publications and dead dialogs */
	struct tmr deliver;
	struct uac *sending;   /* an offline message on its way */
	struct uac *notifying; /* unsolicited */
	uint8_t n_aor;
	char aor[];
};

/* --- messages between the shards -------------------------------------------------------------- */

enum evt_ask_op { EVT_WATCH, EVT_FETCH, EVT_UNWATCH };
struct evt_head {
	struct inbox_msg inbox;
	bool is_full, is_news;
	bool is_lost; /* the question itself comes back: there was no memory for an answer */
	uint16_t member;
	obj_id sub;      /* of evt_shard.subs */
	uint64_t serial; /* of the question; 0: something has changed */
};
struct evt_ask { /* a subscription's shard → the address's */
	struct evt_head h;
	uint8_t op, pkg;
	uint16_t from;
	uint32_t version;
	uint8_t n_aor, n_uri;
	uint16_t n_entity;
	char text[]; /* address, watcher, the address as he calls it */
};
struct evt_tell { /* the address's shard → a subscription's */
	struct evt_head h;
	size_t n;
	char body[];
};
enum evt_put_op { EVT_PUT_PUBLICATION, EVT_PUT_MESSAGE, EVT_PUT_MAILBOX };
struct evt_put { /* something to be known of an address; answered where st is set */
	struct inbox_msg inbox;
	uint8_t op;
	uint16_t from;
	tsx_id st;
	struct evt_shard *at; /* of the address */
	enum code code;       /* the answer: a refusal, or none and a status */
	unsigned status;
	uint64_t etag;
	uint32_t expires_s, n_new, n_old;
	bool has_etag;
	size_t n_aor, n_from, n_to, n_type, n_date, n_body;
	char text[];
};
struct evt_dialog_msg {
	struct inbox_msg inbox;
	struct evt_known_dialog *known; /* as it will be kept */
	uint8_t n_aor;
	char aor[];
};
struct evt_gather_msg {
	struct inbox_msg inbox;
	uint8_t n_aor;
	char aor[];
};

/* --- a subscription, on its shard ------------------------------------------------------------- */

struct evt_member {     /* one address of a subscription; a list has several */
	uint64_t asked; /* serial of the question under way; 0: none */
	bool is_dirty, is_full, is_news, has_answer;
	uint8_t n_aor;
	char *aor;  /* heap; of a single one in evt_sub.text */
	char *body; /* heap: the answer, until it is sent */
	size_t n_body;
};
struct evt_sub {
	struct hnode node; /* by subscriber */
	struct evt_shard *s;
	struct sub *sub;
	uint8_t pkg, n_user, n_aor;
	bool is_list, is_in_table;
	uint16_t n_members, n_asked; /* n_asked: questions under way */
	uint32_t n_record;           /* bytes in the journal */
	uint64_t generation;         /* of the accounts that a list was made of */
	struct evt_member one, *members;
	char *text; /* heap: who watches, what address */
};

struct evt_shard {
	struct evt *e;
	size_t n;
	struct ev_loop *loop;
	const struct dlg_stack *stack;
	struct st_journal *journal; /* NULL: nothing is durable */
	struct htab res;            /* by address */
	struct pool subs;
	struct htab by_user; /* subscriptions, by who has them */
	struct ev_words *watched;
	uint64_t serial, message_serial, live_bytes;
	uint32_t n_watchers, n_messages, compact_at, n_ticks;
	uint64_t message_bytes;
	bool is_compacting;
	bool has_unpoked; /* a change could not be told for want of memory */
	struct tmr tick;
	struct link writes; /* under way */
	struct buf doc, entity, key_text, record;
	void (*gather)(void *ctx, struct str aor);
	void *gather_ctx;
};
struct evt {
	struct evt_env env;
	uint8_t key[16];
	struct buf list_type; /* of a list's NOTIFYs: its boundary is ours alone */
	struct str boundary;  /* in it */
	size_t n;
	struct evt_shard *s[];
};

struct evt_info {
	struct str event, type;
	bool is_own;
	uint8_t base;
	uint32_t gap_us;
};
const struct evt_info *evt_info(unsigned pkg);

static inline struct str evt_aor(const struct evt_res *r)
{
	return str_of(r->aor, r->n_aor);
}
static inline size_t evt_home(const struct evt_shard *s, struct str aor)
{
	return loc_shard_of(s->e->env.loc, aor);
}

/* events.c: the journal; keys are a letter and a name. Writes key = value (empty: delete) and tells
 * whoever waits. ERR_NOMEM, ERR_LIMIT: nothing was written. */
struct evt_waits { /* one of them, or nobody */
	obj_id sub;
	struct evt_message *message;
	struct evt_put *put; /* of a publication: it is answered then */
};
enum err evt_write(struct evt_shard *s, struct str key, struct str value, struct evt_waits who);
/* Numbers in its values. */
static inline void evt_put_le(struct buf *b, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_chr(b, (char)(v >> (8 * i)));
}
static inline uint64_t evt_get_le(struct str s, size_t at, unsigned n)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < n && at + i < s.n; i++)
		v |= (uint64_t)(uint8_t)s.p[at + i] << (8 * i);
	return v;
}
/* events_home.c */
struct evt_res *evt_res_find(struct evt_shard *s, struct str aor);
struct evt_res *evt_res_get(struct evt_shard *s, struct str aor); /* NULL without memory */
void evt_res_tidy(struct evt_res *r); /* frees it when nothing is known of it any more */
void evt_res_changed(struct evt_res *r, unsigned pkg);
void evt_home_init(struct evt_shard *s);
void evt_home_fini(struct evt_shard *s);
void evt_on_location(void *ctx, size_t shard, const struct loc_event *ev);
void evt_poke(struct evt_watcher *w);
void evt_poke_again(void *arg, struct hnode *node);
void evt_res_plan(struct evt_res *r); /* (re)starts its timer */
/* events_sub.c */
void evt_sub_init(struct evt_shard *s);
void evt_sub_fini(struct evt_shard *s);
void evt_sub_load(struct evt_shard *s, struct str value, uint64_t within_us);
/* Where its dialog belongs. */
struct str evt_sub_call_id(struct str key);
void evt_sub_saved(struct evt_shard *s, obj_id sub, enum err e);
void evt_sub_record(struct evt_sub *x, struct buf *key, struct buf *value);
/* events_list.c */
bool evt_list_fill(struct evt_sub *x); /* its members; false without memory */
void evt_list_put(struct evt_sub *x, struct str entity, bool is_full, uint32_t version,
		  struct buf *out);
/* events_publish.c */
void evt_put_init(struct evt_shard *s);
struct evt_put *evt_put_new(enum evt_put_op op, struct str aor, struct str from, struct str to,
			    struct str type, struct str date, struct str body);
void evt_put_send(struct evt_shard *s, struct evt_put *p);
void evt_answer(struct evt_put *p, enum code code, unsigned status); /* takes p */
void evt_publish_arrived(struct evt_res *r, struct evt_put *p);
void evt_pub_end(struct evt_res *r, struct evt_pub *p); /* has expired, or was removed */
void evt_pub_free(struct evt_res *r, struct evt_pub *p);
void evt_pub_load(struct evt_shard *s, struct str aor, struct str key, struct str value);
void evt_pub_record(const struct evt_res *r, const struct evt_pub *p, struct buf *key,
		    struct buf *value);
/* events_message.c */
void evt_message_arrived(struct evt_res *r, struct evt_put *p);
void evt_mailbox_arrived(struct evt_res *r, struct evt_put *p);
void evt_message_load(struct evt_shard *s, struct str aor, struct str key, struct str value);
void evt_mailbox_load(struct evt_shard *s, struct str aor, struct str value);
void evt_message_stored(struct evt_message *m, enum err e);
void evt_messages_expire(void *arg, struct hnode *res);
void evt_deliver(struct evt_res *r); /* he has registered */
void evt_message_free(struct evt_message *m);
void evt_message_record(const struct evt_message *m, struct buf *key, struct buf *value);
void evt_mailbox_record(const struct evt_res *r, struct buf *key, struct buf *value);
/* events_body.c: documents of an address. `since`: only what has changed after that stamp, where
 * the package has partial documents; *is_full tells whether it came to be whole. */
struct evt_view {
	const struct evt_res *res; /* NULL: nothing is known */
	struct evt_shard *s;
	struct str aor, entity; /* entity: as the watcher calls it, a URI */
	uint32_t version, since;
	bool is_full;
	bool has_seen; /* `since` is that of a document that he had */
};
void evt_body_put(unsigned pkg, struct evt_view *v, struct buf *out);
/* events_reg.c: contacts that have ended, until those who watch have been told. The number of a
 * contact in documents; a change of a contact, before it is told; a watcher has had a document, or
 * is gone; whether a document has some, and these. */
uint32_t evt_contact_id(const struct loc_binding *c);
void evt_gone_note(struct evt_res *r, const struct loc_event *ev);
void evt_gone_told(struct evt_res *r);
void evt_gone_free(struct evt_res *r);
bool evt_gone_has(const struct evt_view *v);
void evt_gone_put(const struct evt_view *v, struct buf *out);
/* sip:name@host of a user of ours, with the host by which `entity`, an address of ours, was asked
 * for; as XML text. */
void evt_uri_put(const struct evt_shard *s, struct str aor, struct str entity, struct buf *out);
