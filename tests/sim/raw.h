#pragma once
/* Peers made of text, in virtual time: hosts with bare sockets that send the bytes they are given
 * and match what comes. Nothing of our SIP code is in them, so that they can neither share its
 * mistakes nor be kept by it from sending nonsense. In all texts "\n" stands for CRLF. */

#include "stage.h"

#define RAW_SOCKS 24
#define RAW_MSGS  4096

struct raw;
struct raw_msg {
	struct raw *raw;
	int sock;
	uint64_t at_us;
	struct addr from;
	bool is_taken;
	struct str text;
	char bytes[];
};

struct raw_sock {
	struct raw *raw;
	struct env_sock *env_sock;
	bool is_udp, is_listener, is_up, has_ended; /* has_ended: closed by the other side */
	struct addr local;
	struct buf in; /* of a stream, not yet a message */
};

struct raw {
	struct stage *stage;
	char ip[48], user[32];
	struct sim_host *host;
	struct env *env;
	struct ev_loop loop;
	struct raw_sock socks[RAW_SOCKS];
	int n_socks;
	struct raw_msg *msgs[RAW_MSGS];
	size_t n_msgs;
	unsigned n_icmp;
	bool tells_source; /* its answers say where the request came from [RFC3581 4] */
};

/* A host with a UDP socket (number 0) at that port. `user` is who it is in From and Contact. */
struct raw *raw_new(struct stage *s, const char *ip, uint16_t port, const char *user);
void raw_free(struct raw *r);
int raw_udp(struct raw *r, uint16_t port); /* a further one */
int raw_connect(struct raw *r);            /* TCP to the exchange's 5060; stands on return */
int raw_connect_to(struct raw *r, uint16_t port);
int raw_listen(struct raw *r, uint16_t port);
void raw_close(struct raw *r, int sock);

void raw_bytes(struct raw *r, int sock, struct str bytes); /* as they are, to the exchange */
void raw_bytes_to(struct raw *r, int sock, const struct addr *to, struct str bytes);
void raw_say(struct raw *r, int sock, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The next message whose start line begins so, within that time; fails the test without one. It is
 * taken: not found again. Lives as long as r. */
struct raw_msg *raw_get(struct raw *r, const char *start, double seconds);
struct raw_msg *raw_poll(struct raw *r, const char *start); /* what is there, or NULL */
void raw_none(struct raw *r, const char *start, double seconds);
void raw_flush(struct raw *r); /* takes all */

/* The n-th header line of that name (0: the first), without its name; empty when there is none. */
struct str raw_header(const struct raw_msg *m, const char *name, unsigned nth);
bool raw_has(const struct raw_msg *m, const char *text); /* anywhere */
unsigned raw_count(const struct raw_msg *m, const char *name);
struct str raw_body(const struct raw_msg *m);
struct str raw_uri(const struct raw_msg *m); /* of the request line */

/* A request; zeroed members take the usual. */
struct raw_req {
	const char *method, *uri;
	const char *from_user, *from;     /* whole value of From without tag */
	const char *to;                   /* whole value of To, with its tag if there is one */
	const char *extra, *route, *body; /* header lines, each with "\n" */
	const char *via_params, *contact; /* contact "" : none */
	bool no_max_forwards, no_length;
	int max_forwards; /* 0: 70; -1: 0 */
	/* filled in when empty, and kept, so that ACK, CANCEL and a repetition are the same call */
	char call_id[64], tag[32], branch[48], auth[600];
	unsigned cseq;
};
void raw_request(struct raw *r, int sock, struct raw_req *q);
void raw_ack(struct raw *r, int sock, const struct raw_req *q, const struct raw_msg *final);
void raw_cancel(struct raw *r, int sock, const struct raw_req *q, const char *extra);
/* Puts credentials for the challenge into q, with a new branch and CSeq. */
void raw_answer_challenge(struct raw *r, struct raw_req *q, const struct raw_msg *challenge);
/* Sends q, answers its challenge as r->user; the final answer is left to be taken. */
void raw_ask(struct raw *r, int sock, struct raw_req *q);
/* REGISTERs a Contact (whole value) and takes the 200. */
void raw_register(struct raw *r, int sock, const char *contact, const char *extra);
void raw_reply(struct raw *r, const struct raw_msg *req, const char *status, const char *tag,
	       const char *extra, const char *body);
/* Route lines of a dialog, from the Record-Routes of a request (as they stand) or of a response
 * (turned round). */
const char *raw_routes(const struct raw_msg *m, char *out, size_t cap);
const char *raw_cstr(struct str s, char *out, size_t cap);

/* The exchange's table of names. */
void raw_dns(struct stage *s, const char *name, const char *ip);
void raw_srv(struct stage *s, const char *name, uint16_t priority, uint16_t port,
	     const char *target);
void raw_naptr(struct stage *s, const char *name, const char *service, const char *target);
