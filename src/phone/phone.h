#pragma once
/* A user agent for a person or a script: one account on one loop, registration, calls that follow a
 * plan, one-shot requests. What happens is told as events that print as a line of text or of JSON.
 */

#include "dialog/register.h"
#include "dialog/session.h"
#include "dialog/subscription.h"
#include "media/leg.h"

struct ph;
struct net_tls;

/* How something came out; the commands make their exit codes of it. */
enum ph_outcome {
	PH_DONE,
	PH_FAILED,
	PH_REJECTED,    /* a final 4xx-6xx */
	PH_AUTH,        /* authentication refused */
	PH_NO_ANSWER,   /* no answer, or time-out */
	PH_BUSY,        /* 486, 600 */
	PH_UNREACHABLE, /* name, connection, transport */
	PH_MEDIA,       /* an expectation about audio was not met, a file failed, no common codec */
};

struct ph_event {
	const char *name; /* "registered", "progress", "answered", "ended" ... */
	struct str text;  /* for people: one line */
	struct str json;  /* for programs: members without braces, "\"status\":180"; may be empty */
	uint64_t at_us;   /* since ph_new */
	bool is_end;      /* with `outcome`: the call, registration, or request is over */
	enum ph_outcome outcome;
};

#define PH_FLOWS 4 /* [RFC5626 4.2.1] */
struct ph_config {
	struct str from;      /* "sip:1001@example.com", or name-addr; empty: anonymous */
	struct str auth_user; /* empty: the user part of from */
	struct str password;
	struct str proxy; /* URI or address of the outbound proxy; empty: the host of the URI asked
			     for */
	struct str
		more[PH_FLOWS - 1]; /* further outbound proxies: it registers by each [RFC5626] */
	size_t n_more;
	struct str codecs;   /* "PCMU,PCMA"; empty: both */
	enum tp_proto proto; /* towards the proxy or the host asked for, unless a URI says */
	struct net_tls *tls; /* borrowed; NULL: no TLS */
	struct addr bind;    /* SIP and RTP; ADDR_NONE: the address that the system uses towards the
				proxy */
	const char *dns;     /* name servers, as tp_set_dns_servers has them; NULL: the system's */
	uint16_t rtp_min, rtp_max;
	void (*on_event)(void *ctx, struct ph *ph, const struct ph_event *ev);
	void *ctx;
};

/* Texts are copied. ERR_SYNTAX with *why when a URI cannot be read. Everything else is told by
 * events. */
enum err ph_new(struct ev_loop *loop, const struct ph_config *cfg, struct ph **out,
		const char **why);
void ph_free(struct ph *ph); /* at once, without messages */
void ph_set_tap(struct ph *ph, const struct tp_tap *tap);
/* Resolves the next hop (of the proxy, else of `uri`), opens sockets; then an event "ready", or
 * "ended" with PH_UNREACHABLE. */
void ph_start(struct ph *ph, struct str uri);

/* How a call goes by itself. Negative seconds: never. */
struct ph_plan {
	const char *play, *record; /* files, or NULL */
	double tone_hz;            /* 0: silence (unless play, is_echo) */
	bool is_echo;
	const char *dtmf; /* digits to send once answered, or NULL */
	double ring_s;   /* callee: until it answers; negative: never, and 480 after four minutes */
	unsigned reject; /* callee: status to refuse with (after ring_s when that is set); 0: answer
			  */
	double cancel_s; /* caller: gives up that long after the first 1xx over 100 */
	double hangup_s; /* after the answer */
	double hold_s, resume_s; /* after the answer */
	double expect_tone_hz;   /* must be heard, within 3 %; 0: none */
	bool expect_audio;       /* packets must arrive */
	bool is_late_offer;
	bool tells_way; /* caller: History-Info, and asks where the call went */
};
void ph_plan_init(struct ph_plan *plan);

void ph_register(struct ph *ph, uint32_t expires_s, bool is_once);
/* Ends the registration; "unregistered" follows, or nothing when there is none (false). */
bool ph_unregister(struct ph *ph);
/* An error return means that no event comes. */
enum err ph_call(struct ph *ph, struct str uri, const struct ph_plan *plan);
/* What to do with calls that come: all of them follow the plan (strings borrowed); NULL: 486. */
void ph_accept(struct ph *ph, const struct ph_plan *plan);
/* Hangs up, cancels or rejects whatever is going on; false when there is nothing. */
bool ph_hangup_all(struct ph *ph);
size_t ph_live_calls(const struct ph *ph);
/* MESSAGE, OPTIONS, PUBLISH. Headers: whole lines; empty body: none. */
enum err ph_request(struct ph *ph, struct str method, struct str uri, struct str headers,
		    struct str content_type, struct str body);
/* Until ph_unsubscribe; expires 0 asks once. */
enum err ph_subscribe(struct ph *ph, struct str uri, struct str event, struct str accept,
		      uint32_t expires_s);
bool ph_unsubscribe(struct ph *ph);
