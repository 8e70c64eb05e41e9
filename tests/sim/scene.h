#pragma once
/* The usual scene of the proxy tests: an exchange, a caller 1001 and two phones of 1002, all of
 * text. */

#include "raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scene {
	struct stage *s;
	struct raw *a;       /* 1001 at 10.0.0.21 */
	struct raw *b, *c;   /* 1002 at 10.0.0.22 and .23 */
	struct raw *x;       /* nobody, at 10.0.0.99: a stranger, or a proxy of another domain */
	struct raw_req call; /* of a */
};

#define B_CONTACT "<sip:1002@10.0.0.22:5060>"
#define C_CONTACT "<sip:1002@10.0.0.23:5060>"
#define TO_B      "sip:1002@" STAGE_SERVER

struct scene *scene_new(void);
struct scene *scene_new_with(const struct exc_cfg *cfg);
/* Nothing may be left in the exchange once all timers have run out. */
void scene_free(struct scene *t);
void scene_register(struct raw *r, const char *contact);
/* INVITE from a to 1002, through its challenge. */
void scene_invite(struct scene *t);

struct scene_dialog { /* a call that stands: a to `callee` */
	struct raw *callee;
	int a_sock, b_sock;
	struct raw_req a, b; /* requests of either side are copied from these */
	char a_to[128], a_uri[128], a_routes[1024];
	char b_to[128], b_uri[128], b_routes[1024], b_from[128];
	struct raw_msg *invite, *answer; /* as the callee and as the caller got them */
};
/* From the INVITE that has been sent: rings, answers, ACK. */
void scene_answer(struct scene *t, struct raw *callee, struct scene_dialog *d);
/* Fields of a further request of the caller or the callee. */
struct raw_req scene_in_dialog(const struct scene_dialog *d, bool is_caller, const char *method);
/* A routing policy comes into force. */
void scene_policy(struct scene *t, const char *text);
