/* A ban made by hand: POST /v1/bans, as `rung ban add`. */
#include "web/web_priv.h"

#include <jansson.h>
#include <string.h>

struct wish { /* what a body asks for; strings are the JSON's */
	const char *address, *reason;
	json_int_t seconds;
};

/* False: that is not one of ours, or of another type. */
static bool take(struct wish *w, const char *key, const json_t *v)
{
	if (strcmp(key, "address") == 0 && json_is_string(v))
		w->address = json_string_value(v);
	else if (strcmp(key, "reason") == 0 && json_is_string(v))
		w->reason = json_string_value(v);
	else if (strcmp(key, "seconds") == 0 && json_is_integer(v))
		w->seconds = json_integer_value(v);
	else
		return false;
	return true;
}

static void ban(struct web_req *r, const struct wish *w)
{
	struct addr_net net;
	struct str who = str_c(w->address ? w->address : "");
	if (!addr_net_parse(who, &net))
		web_problem(r, 400,
			    "address wants one such as 192.0.2.7, or a network such as "
			    "192.0.2.0/24");
	else if (w->seconds < 0 || w->seconds > UINT32_MAX)
		web_problem(r, 400, "seconds wants a number from 0, for ever, to %u", UINT32_MAX);
	else
		api_ban(r, who, (uint64_t)w->seconds, str_c(w->reason ? w->reason : ""));
}

void here_ban_add(struct web_req *r)
{
	struct wish w = {0};
	const char *key;
	json_t *v, *json = web_body_object(r);
	if (!json)
		return;
	json_object_foreach(json, key, v)
	{
		if (take(&w, key, v))
			continue;
		web_problem(r, 400,
			    "`%.64s` is not expected there: address, reason (texts), seconds (a "
			    "number)",
			    key);
		json_decref(json);
		return;
	}
	ban(r, &w);
	json_decref(json);
}
