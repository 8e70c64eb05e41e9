#pragma once
/* Routes through this exchange: what of a request's Route headers is ours, and the token that our
 * Record-Route carries.
 *
 * The token says which way the two sides of a dialog are reached (the connection or address that a
 * phone opened, FIELD: a phone is reached only there), and proves that the dialog was set up
 * through us: only then does an in-dialog request pass without digest. [RFC3261 16.4, 16.6, 16.12]
 * [RFC5626 5.2] */

#include "transport/transport.h"

struct rt_self { /* who we are, as far as routes care */
	struct tp *tp;
	uint8_t key[16]; /* of the tokens; equal on all shards and after a restart */
	bool (*is_us)(void *ctx, const struct sip_uri *uri); /* host and port name this exchange */
	void *ctx;
};

struct rt_side { /* how one side is reached; is_set false: by the URI, like anybody */
	bool is_set;
	struct tp_dst dst;
};

struct rt_token {
	uint32_t caller_hash; /* of the caller's tag: tells the direction of a request */
	struct rt_side caller, callee;
};

#define RT_TOKEN_MAX 128
#define RT_PATH      STR("path\n") /* instead of a Call-ID: the token of a Path is good for all */
/* Text of a token (letters, digits, '-' and '_'), bound to the Call-ID. */
struct str rt_token_put(const struct rt_self *self, struct str call_id, const struct rt_token *t,
			char out[RT_TOKEN_MAX]);
bool rt_token_read(const struct rt_self *self, struct str call_id, struct str text,
		   struct rt_token *out);
uint32_t rt_tag_hash(const struct rt_self *self, struct str tag);

struct rt_plan {               /* what routing makes of a request; strings point into the message */
	unsigned n_own;        /* topmost Route values that name us: to be removed */
	bool is_strict_ruri;   /* a strict router wrote our Record-Route into the request-URI: the
				  last Route value replaces it */
	struct str ruri;       /* the request-URI after that */
	struct sip_uri uri;    /* read */
	enum err uri_err;      /* of sip_uri_parse */
	bool is_us;            /* it can be read and names this exchange */
	struct str last_route; /* that value, when is_strict_ruri */
	struct str next;       /* first Route URI that remains, or empty */
	bool is_next_strict;   /* it lacks ;lr */
	bool has_token;        /* one of our Routes carries a valid token */
	bool has_path; /* one of our Routes is a Path of ours: `token.caller` is the phone's flow */
	struct rt_token token;
};
/* Only over TLS, on every hop [RFC5630 5.3]. */
static inline bool rt_is_sips(struct str uri)
{
	return str_istarts(uri, STR("sips:"));
}
/* ERR_SYNTAX: a Route value cannot be read. */
enum err rt_plan_make(const struct rt_self *self, const struct sip_msg *m, struct rt_plan *out);
/* The side that this in-dialog request goes to; NULL when the token does not know. */
const struct rt_side *rt_plan_side(const struct rt_self *self, const struct sip_msg *m,
				   const struct rt_plan *p);
