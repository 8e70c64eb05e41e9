/* Which server transaction a request belongs to.
 *
 * With a branch of RFC 3261 ("z9hG4bK...") the key is branch, sent-by and method; an ACK carries
 * the branch of its INVITE when it acknowledges a non-2xx, and a CANCEL always does, so both are
 * looked up as INVITE. Without such a branch the peer speaks RFC 2543, and the key is Request-URI,
 * From tag, Call-ID, CSeq number and topmost Via; the To tag is compared too, but not for an ACK,
 * whose To tag is that of whoever answered: the rest of the key is unique without it.
 *
 * The key is hashed with a secret of the shard, so that nobody can make keys collide on purpose. A
 * live transaction is confirmed by comparing the request it holds; a record keeps a second hash
 * instead of the key, 128 bits together.
 *
 * [RFC3261 17.2.3, 8.2.2.2]
 */
#include "transaction/priv.h"

static bool has_cookie(const struct sip_msg *m)
{
	return str_istarts(m->via_branch, STR("z9hG4bK"));
}

static void put(struct buf *b, struct str s)
{
	buf_str(b, s);
	buf_chr(b, '\n');
}

/* The key in m->keys; false without memory for it. */
static bool put_key(struct tsx_mgr *m, const struct sip_msg *req, uint8_t method)
{
	struct buf *b = &m->keys;
	buf_clear(b);
	if (has_cookie(req)) {
		put(b, req->via_branch);
		put(b, req->via_host);
		buf_put(b, &req->via_port, sizeof(req->via_port));
	} else {
		put(b, req->via);
		put(b, req->ruri);
		put(b, req->from_tag);
		put(b, req->call_id);
		buf_put(b, &req->cseq, sizeof(req->cseq));
	}
	if (method == SIP_METHOD_OTHER)
		buf_str(b, req->method_name);
	else
		buf_chr(b, (char)method);
	return b->err == OK;
}

static uint64_t hash_of(const uint8_t key[16], const struct buf *b)
{
	uint64_t h = htab_hash_nocase(key, b->p, b->n);
	return h ? h : 1;
}

/* Without memory for the key all requests share one hash: slow, but still right, since live
 * transactions are compared; records are not made then. */
uint64_t tsx_key_hash(struct tsx_mgr *m, const struct sip_msg *req, uint8_t method)
{
	return put_key(m, req, method) ? hash_of(m->key, &m->keys) : 0;
}

uint64_t tsx_key_check(struct tsx_mgr *m, const struct sip_msg *req, uint8_t method)
{
	return put_key(m, req, method) ? hash_of(m->check_key, &m->keys) : 0;
}

static bool is_same_method(const struct sip_msg *a, const struct sip_msg *req, uint8_t method)
{
	return a->method == method &&
	       (method != SIP_METHOD_OTHER || str_eq(a->method_name, req->method_name));
}

/* a is the request of a transaction, b one that may belong to it. */
static bool is_match(const struct sip_msg *a, const struct sip_msg *b, uint8_t method)
{
	if (!is_same_method(a, b, method) || has_cookie(a) != has_cookie(b))
		return false;
	if (has_cookie(a))
		return str_ieq(a->via_branch, b->via_branch) && a->via_port == b->via_port &&
		       str_ieq(a->via_host, b->via_host);
	return a->cseq == b->cseq && str_eq(a->call_id, b->call_id) &&
	       str_eq(a->from_tag, b->from_tag) && str_eq(a->ruri, b->ruri) &&
	       str_eq(a->via, b->via) && (b->method == SIP_ACK || str_eq(a->to_tag, b->to_tag));
}

void tsx_find_server(struct tsx_mgr *m, const struct sip_msg *req, uint8_t method, uint64_t hash,
		     struct tsx_server **st, struct tsx_record **rec)
{
	*st = NULL;
	*rec = NULL;
	uint64_t check = 0;
	for (struct tsx_key *k = keytab_first(&m->by_key, hash); k; k = keytab_next(k)) {
		if (!k->is_record) {
			struct tsx_server *s = CONTAINER_OF(k, struct tsx_server, key);
			if (!is_match(s->rx->msg, req, method))
				continue;
			*st = s;
			return;
		}
		struct tsx_record *r = CONTAINER_OF(k, struct tsx_record, key);
		if (!check)
			check = tsx_key_check(m, req, method);
		if (check && r->check == check) {
			*rec = r;
			return;
		}
	}
}

uint64_t tsx_merge_hash(struct tsx_mgr *m, const struct sip_msg *req)
{
	struct buf *b = &m->keys;
	buf_clear(b);
	put(b, req->from_tag);
	put(b, req->call_id);
	buf_u64(b, req->cseq);
	put(b, req->method_name);
	uint64_t h = b->err == OK ? htab_hash(m->key, b->p, b->n) : 0;
	return h || b->err != OK ? h : 1;
}
