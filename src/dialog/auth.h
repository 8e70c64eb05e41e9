#pragma once
/* Challenges learned and credentials given, seen only in dialog/. [RFC3261 22] [RFC7616] */

#include "dialog/uac.h"
#include "sip/auth.h"

#define AUTH_REALMS 4
struct auth_entry {
	char *mem; /* the strings of ch; NULL: free, as those behind it */
	struct sip_challenge ch;
	bool is_proxy; /* 407: Proxy-Authorization */
	uint32_t nc;
};
struct auth {
	struct auth_entry *e; /* AUTH_REALMS of them; NULL before the first challenge */
};
void auth_fini(struct auth *a);
struct auth_try {          /* what one request has answered so far; zeroed at its start */
	unsigned answered; /* bit i: the realm of e[i] */
	unsigned rounds;
};
/* Takes the challenges that acc is for; true: again, with auth_put. is_inside: of known realms. */
bool auth_learn(struct auth *a, struct auth_try *t, const struct uac_account *acc, bool is_inside,
		const struct sip_msg *resp);
enum err auth_copy(struct auth *to, const struct auth *from);
/* Appends whole header lines for all realms known. */
void auth_put(struct auth *a, struct env *env, struct buf *b, const struct uac_account *acc,
	      struct str method, struct str uri);
