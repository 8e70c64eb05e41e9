#pragma once
/* Outgoing registration: keeps one Contact bound to an AOR until stopped. Refreshes in time, takes
 * Min-Expires of a 423, retries after failures with growing pauses (RFC 5626 4.5), registers again
 * at once when its connection went down or the local address changed. Sends keep-alives where a NAT
 * is in between or the registrar keeps flows. [RFC3261 10.2] [RFC5626 4] */

#include "dialog/uac.h"

struct rgc;

enum rgc_event_kind {
	RGC_EV_REGISTERED, /* 200 to the first one, or again after a failure */
	RGC_EV_REFRESHED,  /* 200 to a refresh */
	RGC_EV_FAILED, /* an attempt failed; retry_us tells when the next one is made, 0: never */
	RGC_EV_UNREGISTERED, /* the last one after rgc_stop, whatever came of it (result) */
};
struct rgc_event {
	enum rgc_event_kind kind;
	uint32_t expires_s; /* granted */
	uint64_t retry_us;
	uint64_t asked_us; /* FAILED: not to be asked again before, by its Retry-After; 0: not said
			    */
	const struct uac_result *result;
};
struct rgc_user {
	void (*on_event)(void *ctx, struct rgc *r, const struct rgc_event *ev);
};

struct rgc_config {
	struct uac_account account; /* contact_user must be set; `from` is the AOR */
	struct str registrar;       /* request URI; empty: sip:<host of the AOR> */
	uint32_t expires_s;         /* asked for; 0: 3600 */
	bool is_once;               /* one registration, one verdict: no refresh, no retry */
	/* 16 bytes that outlive the process: the instance is the same again after a restart; NULL:
	 * each is another one [RFC5626 4.1] */
	const uint8_t *instance_key;
	/* Of several registrations of one instance each is a flow with a number of its own; 0: 1.
	 * Then instance_key is theirs in common [RFC5626 4.2.1] */
	uint32_t reg_id;
	const struct tp_dst *dst;
};
enum err rgc_new(struct dlg_mgr *m, const struct rgc_config *cfg, const struct rgc_user *user,
		 void *ctx, struct rgc **out);
/* Unregisters our Contact (Expires 0); UNREGISTERED follows, then the object is freed. */
void rgc_stop(struct rgc *r);
/* Forgets it at once, without a message. NULL is harmless. */
void rgc_free(struct rgc *r);
/* The way is another one now, or dead: registers again at once, unless it is about to. */
void rgc_again(struct rgc *r);
bool rgc_is_registered(const struct rgc *r);
/* The values of Service-Route in the last 200, by commas: for uac_account [RFC3608 6.1]. */
struct str rgc_service_route(const struct rgc *r);
/* Where the registration went (for calls over the same connection). */
bool rgc_dst(const struct rgc *r, struct tp_dst *out);
