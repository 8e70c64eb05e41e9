/* rung route test: where a call would go, and why, step by step; nothing is sent.
 *
 * The same decision as in the exchange (policy/decide), with the file as policy and the accounts of
 * the data folder. A running exchange with that data folder is asked who is registered and which
 * hosts of trunks are down; without one everybody is, and none is. --offline, --online and --down
 * say otherwise. Without a data folder the accounts are the users of the file. Where all this comes
 * from is the first line of the trace. */
#include "base/assert.h"
#include "cmd/admin.h"
#include "cmd/agent.h"
#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/control.h"
#include "cmd/opt.h"
#include "policy/decide.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct route_cmd {
	const struct opt_spec *spec;
	const char *config, *data, *source, *at, *method;
	struct opt_list offline, online, down;
	bool is_json, is_running; /* an exchange with that data folder */
	int failure;              /* of a question to it; EXIT_DONE: none */
	struct pol_config *policy;
	struct st *st; /* NULL: no data folder */
	struct buf text, why, trace, out;
};

static bool is_in(const struct opt_list *l, struct str what)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(str_c(l->v[i]), what))
			return true;
	return false;
}

/* ---- what the decision asks ------------------------------------------------------------------ */

static bool has_account(void *ctx, struct str user)
{
	struct route_cmd *r = ctx;
	struct st_account a;
	if (r->st)
		return st_account_get(r->st, user, &a) == OK && a.is_enabled;
	const struct pol_dest *d = pol_find(r->policy, user);
	return d && d->kind == POL_TO_USER && str_eq(pol_user_at(r->policy, d->i)->name.s, user);
}

struct rows { /* of objects that a running exchange lists, as JSON */
	struct str having, having_too;
	size_t n;
};

static void count_row(void *ctx, struct str row)
{
	struct rows *c = ctx;
	c->n += str_find(row, c->having) != SIZE_MAX && str_find(row, c->having_too) != SIZE_MAX;
}

/* How many objects of that key the exchange has whose rows have both texts. */
static size_t count(struct route_cmd *r, enum adm_kind kind, struct str key, struct str having,
		    struct str having_too)
{
	struct adm_ask q = {.verb = ADM_DO_LIST, .kind = kind, .format = ADM_AS_JSON};
	struct rows c = {having, having_too, 0};
	if (!str_copy(q.key, sizeof(q.key), key))
		return 0;
	int code = admin_each("route", r->data, &q, count_row, &c, NULL);
	if (code != EXIT_DONE)
		r->failure = code;
	return c.n;
}

static bool is_registered(void *ctx, struct str user)
{
	struct route_cmd *r = ctx;
	if (is_in(&r->offline, user) || !has_account(r, user))
		return false;
	return is_in(&r->online, user) || !r->is_running ||
	       count(r, ADM_registration, user, STR("{"), STR("\"down\":false"));
}

static bool is_up(void *ctx, const struct pol_trunk *t, const struct pol_host *h)
{
	struct route_cmd *r = ctx;
	char mem[400];
	struct buf host;
	if (is_in(&r->down, h->host.s))
		return false;
	buf_init_fixed(&host, mem, sizeof(mem));
	buf_str(&host, STR("\"host\":"));
	buf_json(&host, h->host.s);
	return !r->is_running || host.err ||
	       !count(r, ADM_trunk, t->name.s, buf_view(&host), STR("\"state\":\"down\""));
}

static void put_source(struct route_cmd *r)
{
	const char *why;
	int fd = r->st ? control_ask(r->data, "listeners", &why) : -1;
	r->is_running = fd >= 0;
	if (fd >= 0)
		close(fd);
	if (r->is_running)
		buf_fmt(&r->trace,
			"who is registered and which hosts are down says the exchange that runs "
			"with %s\n",
			r->data);
	else if (r->st)
		buf_fmt(&r->trace,
			"no exchange runs with %s: its accounts count as registered, all hosts as "
			"up\n",
			r->data);
	else
		buf_str(&r->trace, STR("there is no data folder: the users of the file count as "
				       "registered, all hosts as up\n"));
}

static bool is_our_host(const struct route_cmd *r, struct str host)
{
	const struct pol_domain *d = r->policy->domains.v;
	for (size_t i = 0; i < r->policy->domains.n; i++)
		if (str_ieq(d[i].name.s, host))
			return true;
	return !host.n || str_ieq(host, STR("localhost"));
}

static bool is_ours(void *ctx, const struct sip_uri *u)
{
	return is_our_host(ctx, u->host);
}

/* ---- words to facts -------------------------------------------------------------------------- */

/* "100", "100@host", "sip:100@host" */
static void split(struct str s, struct str *user, struct str *host)
{
	if (str_starts(s, STR("sip:")))
		s = str_skip(s, 4);
	*user = str_cut(s, '@', host);
	*host = str_sub(*host, 0, str_chr(*host, ';'));
}

static void take_tm(const struct tm *tm, struct pol_clock *c)
{
	c->date = (uint32_t)((tm->tm_year + 1900) * 10000 + (tm->tm_mon + 1) * 100 + tm->tm_mday);
	c->minute = (uint16_t)(tm->tm_hour * 60 + tm->tm_min);
	c->day = (uint8_t)tm->tm_wday;
}

/* "2026-12-24 18:30", either half alone, or a weekday in place of the date: the next one. */
static bool parse_at(const char *text, struct pol_clock *out)
{
	static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
	time_t now = time(NULL);
	struct tm tm;
	localtime_r(&now, &tm);
	for (struct str rest = str_c(text ? text : ""), part; rest.n;) {
		int y, m, d;
		char word[16];
		part = str_cut(rest, ' ', &rest);
		if (!str_copy(word, sizeof(word), part))
			return false;
		int day = 0, end = 0;
		while (day < 7 && !str_ieq(part, str_c(days[day])))
			day++;
		if (day < 7) {
			tm.tm_mday += (day - tm.tm_wday + 7) % 7;
		} else if (sscanf(word, "%4d-%2d-%2d%n", &y, &m, &d, &end) == 3 && !word[end]) {
			tm.tm_year = y - 1900;
			tm.tm_mon = m - 1;
			tm.tm_mday = d;
		} else if (sscanf(word, "%2d:%2d%n", &y, &m, &end) == 2 && !word[end] && y >= 0 &&
			   y < 24 && m >= 0 && m < 60) {
			tm.tm_hour = y;
			tm.tm_min = m;
		} else if (part.n) {
			return false;
		}
		tm.tm_isdst = -1;
		if (mktime(&tm) == (time_t)-1)
			return false;
	}
	take_tm(&tm, out);
	return true;
}

static enum pol_who who(struct route_cmd *r, const struct pol_request *rq)
{
	struct addr_net net;
	if (rq->trunk)
		return POL_FROM_TRUNK;
	for (size_t i = 0; r->source && i < r->policy->trust.n; i++)
		if (addr_net_parse(r->policy->trust.v[i].s, &net) &&
		    addr_net_has(&net, &rq->source))
			return POL_FROM_TRUSTED;
	return is_our_host(r, rq->from_host) && has_account(r, rq->from_user) ? POL_FROM_USER
									      : POL_FROM_NOBODY;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int decide(struct route_cmd *r, const char *from, const char *to)
{
	static struct pol_plan plan;
	struct pol_ask ask = {r, has_account, is_registered, is_up, is_ours};
	const struct pol_domain *d = r->policy->domains.v;
	struct pol_request rq = {.ask = &ask,
				 .method = str_c(r->method ? r->method : "INVITE"),
				 .domain = r->policy->domains.n ? d[0].name.s : STR("localhost"),
				 .trace = &r->trace};
	split(str_c(from), &rq.from_user, &rq.from_host);
	split(str_c(to), &rq.to_user, &rq.to_host);
	rq.is_ours = is_our_host(r, rq.to_host);
	if (!parse_at(r->at, &rq.at))
		return opt_usage(r->spec,
				 "--at wants `2026-12-24 18:30`, `18:30` or `sat 09:00`, not "
				 "`%s`",
				 r->at);
	if (!agent_is_token(rq.method))
		return opt_usage(r->spec, "--method wants a name such as MESSAGE, not `%s`",
				 r->method);
	if (r->source && !addr_parse(str_c(r->source), 5060, &rq.source))
		return opt_usage(r->spec, "--source wants an address, not `%s`", r->source);
	if (r->source)
		rq.trunk = pol_trunk_of(r->policy, &rq.source);
	rq.who = who(r, &rq);
	if (rq.who == POL_FROM_USER)
		rq.user = rq.from_user;
	put_source(r);
	pol_decide(r->policy, &rq, &plan);
	if (r->failure)
		return r->failure;
	if (r->is_json) {
		pol_plan_json(&plan, buf_view(&r->trace), &r->out);
	} else {
		buf_str(&r->out, buf_view(&r->trace));
		buf_chr(&r->out, '\n');
		pol_plan_put(&plan, &r->out);
	}
	if (r->out.err || r->trace.err)
		return EXIT_FAILED;
	fwrite(r->out.p, 1, r->out.n, stdout);
	bool is_sent = plan.act == POL_SEND || plan.act == POL_REDIRECT || plan.act == POL_FOREIGN;
	return is_sent ? EXIT_DONE : EXIT_REJECTED;
}

static int load(struct route_cmd *r)
{
	static char dir[512];
	enum err e = OK;
	if (r->config)
		e = config_read(r->config, &r->text, &r->why);
	if (e == OK)
		e = config_make(r->config ? r->config : "", buf_view(&r->text), &r->policy,
				&r->why);
	if (r->why.n)
		fwrite(r->why.p, 1, r->why.n, stderr);
	if (e)
		return EXIT_FAILED;
	buf_clear(&r->why);
	struct str in_file = r->policy->data.s;
	if (!r->data && in_file.n && str_copy(dir, sizeof(dir), in_file))
		r->data = dir;
	bool is_named = r->data != NULL;
	if (!is_named)
		r->data = control_default_dir(dir);
	e = st_open(r->data, 0, &r->st, &r->why);
	if (e == OK || (e == ERR_NOTFOUND && !is_named))
		return -1;
	fprintf(stderr, "rung route: " STR_FMT "\n", STR_ARG(buf_view(&r->why)));
	return EXIT_FAILED;
}

static const char about_head[] =
	"`test` tells where a call from FROM to TO would go, and each decision on the way there, "
	"without sending\n"
	"anything. A running exchange with that data folder is asked who is registered and which "
	"trunks are down;\n"
	"without one all accounts count as registered, and all hosts as up.\n"
	"`list` (which may be left out) and `show` tell the rules in force in a running "
	"exchange.\n\n";

static bool is_about(const char *word) /* what opt_parse answers by itself */
{
	struct str s = str_c(word);
	return str_eq(s, STR("--help")) || str_eq(s, STR("-h")) || str_eq(s, STR("--roff")) ||
	       str_starts(s, STR("--completion="));
}

int cmd_route(int argc, char **argv)
{
	static struct route_cmd r;
	const char *words[3];
	size_t n;
	struct admin_flags f = {0}; /* of list and show, which read them by themselves */
	struct opt opts[] = {
		{'c', "config",  OPT_STR,  &r.config,  "FILE", "the configuration; without: none"   },
		{0,   "data",    OPT_STR,  &r.data,    "DIR",
		 "whose accounts (what the file says, or ~/.local/share/rung)"                      },
		{0,   "source",  OPT_STR,  &r.source,  "ADDR",
		 "address that the call comes from: a trunk's, a trusted one"                       },
		{0,   "at",      OPT_STR,  &r.at,      "TIME",
		 "`2026-12-24 18:30`, `18:30`, `sat 09:00`; without: now"                           },
		{0,   "offline", OPT_LIST, &r.offline, "USER",
		 "who is not registered, several times"                                             },
		{0,   "online",  OPT_LIST, &r.online,  "USER",
		 "who is, whatever the running exchange says, several times"                        },
		{0,   "down",    OPT_LIST, &r.down,    "HOST",
		 "host of a trunk that is down, several times"                                      },
		{0,   "method",  OPT_STR,  &r.method,  "NAME", "INVITE"                             },
		{0,   "filter",  OPT_STR,  &f.filter,  "TEXT",
		 "list: only those that have it in some field"                                      },
		{0,   "limit",   OPT_U32,  &f.limit,   "N",    "list: at most so many"              },
		{0,   "json",    OPT_FLAG, &r.is_json, NULL,   "one JSON object; list: one per line"},
		{0,   "csv",     OPT_FLAG, &f.is_csv,  NULL,   "list: CSV with a heading"           },
	};
	const char *word = argc > 1 ? argv[1] : "list";
	bool is_test = false; /* flags may stand before it */
	for (int i = 1; i < argc; i++)
		is_test |= strcmp(argv[i], "test") == 0 || is_about(argv[i]);
	if (strcmp(word, "list") == 0 || strcmp(word, "show") == 0 || (*word == '-' && !is_test))
		return admin_routes(argc, argv);
	struct buf about;
	buf_init(&about);
	buf_str(&about, str_c(about_head));
	adm_put_help(&about, ADM_route);
	const char *about_text = buf_cstr(&about);
	struct opt_spec spec = {
		.command = "route",
		.words = "[list | show RULE | test FROM TO]",
		.about = about_text ? about_text : about_head,
		.examples = "  rung route\n  rung route show premium\n"
			    "  rung route test 100 03012345 --config rung.yaml --at 'sat 09:00'\n"
			    "  rung route test 0170555 +4930100 --config rung.yaml --source "
			    "192.0.2.9\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.min_words = 3,
		.max_words = 3,
	};
	int code = opt_parse(&spec, argc, argv, words, &n);
	if (code < 0 && strcmp(words[0], "test") != 0)
		code = opt_usage(&spec, "unknown word `%s`; expected list, show or test", words[0]);
	if (code < 0 && (f.filter || f.limit || f.is_csv))
		code = opt_usage(&spec, "--filter, --limit and --csv are for list");
	if (code >= 0) {
		buf_fini(&about);
		return code;
	}
	r.spec = &spec;
	struct buf *const bufs[] = {&r.text, &r.why, &r.trace, &r.out};
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_init(bufs[i]);
	code = load(&r);
	if (code < 0)
		code = decide(&r, words[1], words[2]);
	st_close(r.st);
	pol_free(r.policy);
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_fini(bufs[i]);
	buf_fini(&about);
	return code;
}
