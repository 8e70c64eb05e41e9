#pragma once
/* What the files of dialog/ share. */

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"
#include "dialog/auth.h"
#include "dialog/body.h"
#include "dialog/dlg_text.h"
#include "dialog/register.h"
#include "dialog/session.h"
#include "dialog/sid.h"
#include "dialog/subscription.h"
#include "sip/out.h"
#include "transaction/fsm.h"

struct dlg_mgr {
	struct ev_loop *loop;
	struct tp *tp;
	struct tsx_mgr *tsx;
	struct block_cache *blocks;
	struct pool dialogs, sessions, works, subs, requests, registrations;
	struct htab table;   /* dialogs by Call-ID and local tag */
	uint32_t n_dying;    /* dialogs that wait for the answer to their BYE; kill.c */
	struct pool graves;  /* of dialogs that are over; kill.c */
	struct htab by_name; /* graves */
	struct link grave_list;
	uint8_t key[16], mark[16]; /* mark: begins a body that brings its own header lines */
	void *refusal_ctx;
	void (*on_refusal)(void *ctx, enum dlg_refusal why, unsigned status, struct buf *lines);
	char *product; /* heap */
	struct str product_s;
	struct buf scratch;         /* a message being written */
	struct buf lines;           /* header lines on their way into it */
	struct buf routes;          /* Route lines */
	struct buf names;           /* From and To */
	struct buf sdp;             /* what a user was asked for */
	struct buf refusal;         /* its lines */
	struct ses_text *last_text; /* that sessions were given; they have mostly the same */
	struct fsm_index ses_fsm;
};
enum { DLG_KIND_DIALOG = 'D', DLG_KIND_SESSION = 'E', DLG_KIND_SUB = 'U', DLG_KIND_NONE = 'n' };

#define DLG_ALLOW "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE, PRACK, NOTIFY"
/* Appends the Allow line. */
void dlg_put_allow(struct buf *b, bool takes_refer);
#define DLG_TAG_MAX 24

/* --- ident.c: names and accounts ---------------------------------------------------------------
 */
struct str dlg_make_tag(struct dlg_mgr *m, char out[DLG_TAG_MAX]);
/* Drawn until it belongs to our shard. */
struct str dlg_make_call_id(struct dlg_mgr *m, struct arena *a);
/* Copies all strings. */
enum err dlg_copy_account(struct arena *a, const struct uac_account *in, struct uac_account *out);
/* arena_str that tells a refusal from an empty string. */
enum err dlg_dup(struct arena *a, struct str in, struct str *out);
/* "Alice" <sip:alice@example.com> of a From, To value or a plain URI: with brackets, without
 * header parameters. ERR_SYNTAX when it cannot be read. */
enum err dlg_name_addr(struct arena *a, struct str value, struct str *out);
/* A URI that the owner wants a request made of: ERR_UNSUPPORTED when it asks for headers or another
 * method. [RFC3261 19.1.5] */
enum err dlg_check_target(struct str uri, struct str method);
/* Appends "<sip:user@host:port;transport=tcp>" as peers at dst reach us, with params behind it;
 * a sips URI where one is asked for and the way to dst is secure. */
enum err dlg_put_contact(struct dlg_mgr *m, const struct tp_dst *dst, bool is_secure,
			 struct str user, struct str params, struct buf *b);
/* Whether our Contact in the answer to it must be sips. [RFC3261 12.1.1] */
bool dlg_asks_for_sips(const struct sip_msg *msg);

/* --- uac.c: one request, to its final answer ---------------------------------------------------
 */
struct uac_spec {
	struct str method, ruri;
	struct str from, to;                  /* complete, with tags */
	struct str call_id, routes, next_hop; /* routes: whole lines; next_hop: a URI to resolve */
	struct str headers, content_type, body;
	struct str contact_user, contact_params;
	bool has_contact, is_secure; /* is_secure: that is a sips URI, whatever the request's is */
	bool is_inside;              /* a dialog: only realms known to it are answered */
	uint8_t max_forwards;
	const struct tp_dst *dst;      /* not NULL: instead of next_hop */
	const struct uac_account *acc; /* may be NULL */
	struct auth *auth;             /* borrowed; NULL: one of its own */
	obj_id dialog;  /* whose Session-ID it has, and learns; 0: none, it may be gone */
	uint32_t *cseq; /* last number used; borrowed; NULL: its own */
};
/* An INVITE stays until its machine has run out: further 2xx come to on_2xx, the first included;
 * on_done is for all other ends. on_over is the last call after a 2xx. */
struct uac_invite_user {
	void (*on_2xx)(void *ctx, struct uac *u, struct tp_rx *rx);
	void (*on_over)(void *ctx, struct uac *u);
};
struct uac {
	struct dlg_mgr *m;
	struct arena arena;
	const struct uac_user *user;
	const struct uac_invite_user *invite; /* NULL: not an INVITE */
	void *ctx;
	struct uac_spec s; /* strings in the arena */
	struct uac_account own_acc;
	struct auth own_auth;
	struct auth_try auth_try;
	uint32_t own_cseq, sent_cseq;
	struct buf auth_lines; /* of the attempt under way */
	struct tp_targets targets;
	size_t at; /* of targets */
	struct tp_resolve *resolve;
	tsx_id ct;
	struct ev_task task; /* tells `result` */
	struct uac_result result;
	bool is_cancelled, is_accepted;
	_Alignas(16) char mem[1024];
};
enum err uac_start(struct dlg_mgr *m, const struct uac_spec *spec, const struct uac_user *user,
		   const struct uac_invite_user *invite, void *ctx, struct uac **out);
/* INVITE only: CANCEL; on_done comes with what the peer says, or at once when nothing was sent. */
void uac_cancel(struct uac *u, struct str extra_lines);
/* Appends the Routes of a request for `ruri` outside of dialogs: the outbound proxy, then the
 * Service-Route; for a sips URI all of them as sips [RFC5630 5.1.1]. */
enum err dlg_put_account_routes(struct buf *b, const struct uac_account *acc, struct str ruri);
/* Where such a request goes first: by these Routes, else to `target`. */
struct str dlg_account_hop(const struct uac_account *acc, struct str target);
struct tp_dst uac_dst(const struct uac *u);

/* --- dlg.c: dialog state -----------------------------------------------------------------------
 */
struct dlg_usage;
struct dlg_usage_ops {
	/* A request of the peer whose CSeq is in order; to be answered. */
	void (*on_request)(struct dlg_usage *u, tsx_id st, struct tp_rx *rx);
	void (*on_ack)(struct dlg_usage *u, struct tp_rx *rx);               /* may be NULL */
	bool (*on_cancel)(struct dlg_usage *u, tsx_id st, struct tp_rx *rx); /* may be NULL */
	void (*on_2xx)(struct dlg_usage *u, struct tp_rx *rx); /* repeated; may be NULL */
	bool takes_half; /* also requests while the remote tag is not known (NOTIFY) */
};
struct dlg_usage {
	const struct dlg_usage_ops *ops;
};

struct dlg_grave {
	struct hnode node; /* hash of Call-ID and both tags */
	struct link link;  /* in order of time */
	uint64_t due_us;
	bool awaits_prack;
};

struct dlg_ack { /* the last ACK for a 2xx, for repetitions */
	uint32_t cseq;
	struct buf text; /* header lines of its own (credentials), then the body */
	size_t n_lines;
	struct tp_dst dst;
	bool has_dst, is_set;
	struct tp_resolve *resolve;
};

struct dlg { /* [RFC3261 12] */
	struct dlg_mgr *m;
	struct hnode node;
	struct dlg_texts *texts; /* heap */
	struct dlg_usage *usage; /* NULL: nobody */
	struct dlg_ack *ack;     /* heap; made before an INVITE of ours can be answered */
	struct uac_realm *realm; /* of the account, borrowed; may be NULL */
	struct auth auth;
	struct sid sid;
	struct dlg_usage own_usage; /* dlg_kill */
	struct uac *bye;            /* dlg_kill */
	struct tp_dst back;         /* where the request that made it went, or the peer came from */
	uint32_t local_cseq, remote_cseq;
	/* Caller: of the last reliable provisional response [RFC3262 4]; callee: of the one whose
	 * PRACK our 2xx has overtaken, 0: none. */
	uint32_t rseq;
	uint8_t n_routes;
	bool has_back : 1; /* only `back` leads to him */
	bool has_remote_cseq : 1, is_uac : 1, is_early : 1, is_secure : 1;
	bool takes_refer : 1;  /* and says so in Allow */
	bool awaits_prack : 1; /* a refusal overtook it */
	bool has_agreed : 1;   /* offer and answer went by reliable provisional responses */
	bool is_hidden : 1;    /* its target is where `back` leads, whatever the URI says */
	bool is_dying : 1, is_in_table : 1;
};
_Static_assert(sizeof(struct dlg) <= 200, "each call that talks has two");

/* A half dialog for a request about to be sent; in the table by Call-ID and local tag. acc is
 * copied. Call-ID and tag: empty for new ones. */
enum err dlg_new_uac(struct dlg_mgr *m, const struct uac_account *acc, struct str to,
		     struct str target, struct str call_id, struct str local_tag, struct dlg **out);
/* The dialog that a request makes at us. [RFC3261 12.1.1] */
enum err dlg_new_uas(struct dlg_mgr *m, struct tp_rx *rx, struct str local_tag,
		     struct str contact_user, const struct uac_account *acc, struct dlg **out);
/* The dialog that a response makes at us, as a sibling of the half one. [RFC3261 12.1.2] */
enum err dlg_fork(const struct dlg *half, struct tp_rx *resp, const struct tp_dst *sent_to,
		  struct dlg **out);
/* Makes a half dialog whole by a response or (NOTIFY) a request. */
enum err dlg_complete(struct dlg *d, struct tp_rx *rx);
/* 2xx: route set and target are taken anew. [RFC3261 13.2.2.4] */
enum err dlg_confirm(struct dlg *d, struct tp_rx *resp);
/* A dialog of another run of the process, as a UAS of it. All strings are copied. */
#define DLG_ROUTES_MAX 64
struct dlg_kept {
	struct str call_id, local_tag, remote_tag, local, remote, target;
	struct str routes[DLG_ROUTES_MAX];
	size_t n_routes;
	uint32_t local_cseq, remote_cseq;
	struct tp_dst back;
	bool has_back, is_secure;
};
enum err dlg_restore(struct dlg_mgr *m, const struct dlg_kept *k, struct str contact_user,
		     const struct uac_account *acc, struct dlg **out);
void dlg_free(struct dlg *d); /* NULL is harmless */
struct dlg *dlg_find(struct dlg_mgr *m, struct str call_id, struct str local_tag,
		     struct str remote_tag);
/* Order of CSeq; answers 500 itself and returns false. [RFC3261 12.2.2] */
bool dlg_check_order(struct dlg *d, tsx_id st, struct tp_rx *rx);
/* Target refresh by request or response; also where it came from. */
void dlg_refresh(struct dlg *d, struct tp_rx *rx);
/* Sends a request inside the dialog. */
struct dlg_request {
	struct str method, headers, content_type, body;
	uint8_t max_forwards;     /* 0: 70 */
	const struct tp_dst *dst; /* not NULL: go there */
};
enum err dlg_send(struct dlg *d, const struct dlg_request *req, const struct uac_user *user,
		  const struct uac_invite_user *invite, void *ctx, struct uac **out);
struct dlg_way { /* of one request [RFC3261 12.2.1.1] */
	struct str ruri, next_hop;
	struct str routes; /* whole lines; in m->routes, as the request-URI may be */
};
enum err dlg_make_way(const struct dlg *d, struct dlg_way *w);
/* Sets d->back where only the way that rx came by leads to its sender. */
void dlg_learn_way(struct dlg *d, const struct tp_rx *rx);
/* True when requests are to go by d->back. */
bool dlg_way_back_stands(const struct dlg *d);
void dlg_put_with_tag(struct buf *b, struct str name_addr, struct str tag);
/* Room for the ACK of an INVITE of ours. */
enum err dlg_expect_ack(struct dlg *d);
bool dlg_has_acked(const struct dlg *d);
/* When no 2xx can come any more that would want it again. */
void dlg_forget_ack(struct dlg *d);
/* ACK for a 2xx: kept, sent, and sent again by dlg_ack_again. [RFC3261 13.2.2.4] */
void dlg_send_ack(struct dlg *d, uint32_t cseq, struct str auth_lines, struct str body);
/* In two steps, where the body has to be waited for. */
void dlg_prepare_ack(struct dlg *d, uint32_t cseq, struct str auth_lines);
void dlg_send_prepared_ack(struct dlg *d, struct str body);
void dlg_ack_again(struct dlg *d);
/* Takes over a dialog that nobody wants: ACK for its 2xx, BYE, and it is freed. [RFC3261 13.2.2.4]
 */
void dlg_kill(struct dlg *d, uint32_t cseq, struct str auth_lines);
/* Takes over one whose peer does not answer, or refuses as one that is over: BYE with that status
 * as its Reason, and it is freed. [RFC3261 12.2.1.2] [RFC5057 5.2] */
void dlg_leave(struct dlg *d, unsigned status);
/* A 2xx that belongs to nothing we know: ACK, and BYE unless its dialog is one that was ended.
 * False: it is not ours. */
bool dlg_kill_stray(struct dlg_mgr *m, struct tp_rx *rx);
/* Remembers for 64*T1 that this dialog is over, if a 2xx or PRACK of it may still come. */
void dlg_bury(const struct dlg *d);
bool dlg_awaited_prack(struct dlg_mgr *m, const struct sip_msg *prack);
void dlg_graves_fini(struct dlg_mgr *m);
/* A response inside the dialog, or one that makes it, with Contact, Allow, and Record-Route copied.
 * The bytes are in m->scratch. */
struct dlg_answer {
	unsigned status;
	enum dlg_refusal why; /* a refusal of this layer */
	struct str reason, headers, content_type, body;
};
enum err dlg_write_answer(struct dlg *d, const struct tp_rx *rx, const struct dlg_answer *ans);
/* Writes it and gives it to the transaction; a failure to write is answered 500, and without memory
 * even for that the transaction is dropped: it must not live on unanswered. */
enum err dlg_answer(struct dlg *d, tsx_id st, struct tp_rx *rx, const struct dlg_answer *ans);
/* True when a failed request inside the dialog means that it is gone. [RFC5057 5.1] */
bool dlg_is_fatal(const struct uac_result *r);
/* A refusal of NOTIFY that ends the subscription, whatever else it says. [RFC6665 4.2.2] */
bool sub_ends_by(unsigned status);

/* --- mgr.c: refusals outside of any dialog; what every user agent refuses
 * ----------------------------------------------------
 */
void dlg_refuse(struct dlg_mgr *m, tsx_id st, enum dlg_refusal why, unsigned status,
		struct str reason, struct str lines);
/* Require (420), and the like; answers and returns false. [RFC3261 8.2] */
bool dlg_check_require(struct dlg_mgr *m, tsx_id st, const struct tp_rx *rx, bool is_between);
/* One Replaces at most, and that in an INVITE; answers and returns false. [RFC3891 3] */
bool dlg_check_replaces(struct dlg_mgr *m, tsx_id st, const struct tp_rx *rx);
bool dlg_is_event(const struct sip_msg *msg, struct str package);
/* --- what dlg_mgr tells its objects --------------------------------------------------------- */
void ses_free(struct ses *s);
void rgc_on_flow_down(struct rgc *r, tp_flow flow);
void keep_on_pong(struct rgc *r, const struct tp_pong *p);
