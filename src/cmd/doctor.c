/* rung doctor: is this exchange well, and can phones reach it? Each check is a row of a table; it
 * says in a sentence what it found, and where something is wrong what helps. The exchange is looked
 * at from outside in: by SIP, as a phone does, by its control socket, by its data folder, and by
 * what the system gives it. Nothing is changed, and no check waits longer than WAIT_US. */
#include "admin/line.h"
#include "base/assert.h"
#include "cmd/admin.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "net/dns.h"
#include "service/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define WAIT_US       2'000'000u
#define LEAST_FREE_MB 200u
#define LEAST_FILES   4096u
#define LEAST_RMEM    1'000'000u
#define SIP_PORT      5060

enum grade { WELL, NOTE, ILL };

struct doctor {
	struct admin_flags flags;
	const char *dir, *domain;
	char dir_mem[512];
	struct env *env;
	struct addr target; /* where phones reach the exchange */
	bool is_running;
	char listeners[1024];    /* of the running exchange: "udp:0.0.0.0:5060 tcp:..." */
	struct buf text, remedy; /* of the present check */
};

static enum grade say(struct doctor *d, enum grade g, const char *remedy)
{
	buf_str(&d->remedy, str_c(remedy));
	return g;
}

/* ---- the data folder ------------------------------------------------------------------------- */

static enum grade check_folder(struct doctor *d)
{
	struct stat st;
	struct statvfs fs;
	if (stat(d->dir, &st)) {
		buf_fmt(&d->text, "there is no data folder %s", d->dir);
		return say(d, ILL, "start `rung serve` once, or name the folder by --data");
	}
	uint64_t free_mb = statvfs(d->dir, &fs) ? 0 : fs.f_bavail * fs.f_frsize >> 20;
	if (free_mb < LEAST_FREE_MB) {
		buf_fmt(&d->text, "the disk of %s has %llu MB left", d->dir,
			(unsigned long long)free_mb);
		return say(
			d, ILL,
			"make room: registrations that cannot be stored are refused (code 3008)");
	}
	if (st.st_mode & 077) {
		buf_fmt(&d->text, "%s can be read by other users", d->dir);
		return say(d, NOTE, "chmod 700 it: it holds what passwords are checked against");
	}
	buf_fmt(&d->text, "%s is there, %llu MB free", d->dir, (unsigned long long)free_mb);
	return WELL;
}

static enum grade check_accounts(struct doctor *d)
{
	struct st *st = NULL;
	size_t n = 0;
	enum err e = st_open(d->dir, 0, &st, &d->text);
	if (e == OK)
		e = st_accounts_count(st, &n);
	st_close(st);
	if (e)
		return say(d, ILL, "see the sentence above");
	buf_fmt(&d->text, "%zu accounts", n);
	return n ? WELL : say(d, NOTE, "nobody can register yet: rung user add NAME");
}

/* ---- the running exchange -------------------------------------------------------------------- */

/* The answer without the ends of its last line. False: no exchange runs there. */
static bool ask(const struct doctor *d, const char *question, char *answer, size_t max)
{
	const char *why = "";
	int fd = control_ask(d->dir, question, &why);
	size_t n = 0;
	ssize_t got;
	while (fd >= 0 && n < max - 1 && (got = read(fd, answer + n, max - 1 - n)) > 0)
		n += (size_t)got;
	while (n && answer[n - 1] == '\n')
		n--;
	answer[n] = 0;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* "udp:192.0.2.1:5060"; UDP and TCP alone. */
static bool read_listener(struct str word, bool *is_tcp, struct addr *a)
{
	struct str rest, proto = str_cut(word, ':', &rest);
	*is_tcp = str_eq(proto, STR("tcp"));
	return (*is_tcp || str_eq(proto, STR("udp"))) && addr_parse(rest, SIP_PORT, a);
}

/* The exchange listens at the address that is tried, but by the other protocol only. */
static bool is_elsewhere(struct doctor *d, bool is_tcp)
{
	bool has_this = false, has_other = false, is;
	struct addr a;
	for (struct str rest = str_c(d->listeners), word; rest.n;) {
		word = str_cut(rest, ' ', &rest);
		if (read_listener(word, &is, &a) && a.port == d->target.port &&
		    (addr_is_any(&a) || addr_ip_eq(&a, &d->target))) {
			has_this |= is == is_tcp;
			has_other |= is != is_tcp;
		}
	}
	if (has_this || !has_other)
		return false;
	buf_fmt(&d->text, "not configured: the exchange does not listen by %s at that port",
		is_tcp ? "TCP" : "UDP");
	return true;
}

/* Unless it was named: the first that the exchange listens at. */
static void find_target(struct doctor *d)
{
	struct addr host = env_host_addr(d->env), a;
	bool is_tcp;
	for (struct str rest = str_c(d->listeners), word;
	     rest.n && d->target.family == ADDR_NONE;) {
		word = str_cut(rest, ' ', &rest);
		if (!read_listener(word, &is_tcp, &a) || a.family != host.family)
			continue;
		d->target = addr_is_any(&a) ? host : a;
		d->target.port = a.port;
	}
	if (d->target.family != ADDR_NONE)
		return;
	d->target = host;
	d->target.port = SIP_PORT;
}

static enum grade check_control(struct doctor *d)
{
	char answer[512];
	d->is_running =
		ask(d, "ask\tlist\tstatistics\tjson\t0\t0\t\tuptime", answer, sizeof(answer));
	struct str rest = str_c(answer);
	size_t at = str_find(rest, STR("\"value\":"));
	if (!d->is_running) {
		buf_fmt(&d->text, "no exchange runs with that data folder");
		return say(d, ILL, "start it: rung serve, or systemctl start rung");
	}
	if (at == SIZE_MAX) {
		buf_str(&d->text,
			STR("the exchange does not answer its control socket as expected"));
		return say(d, ILL, "it may be of another version: restart it");
	}
	struct str more, seconds = str_cut(str_skip(rest, at + 8), ',', &more);
	buf_fmt(&d->text, "it runs, for " STR_FMT " s", STR_ARG(seconds));
	return WELL;
}

struct probe {
	char answer[256];
	size_t n;
	bool is_connected, is_refused;
};

static void on_probe_udp(void *arg, unsigned events)
{
	struct probe *p = ((void **)arg)[0];
	struct env_sock *s = ((void **)arg)[1];
	struct env_rx rx;
	struct env_icmp icmp;
	if (env_recv(s, p->answer, sizeof(p->answer), &rx) == OK)
		p->n = rx.n;
	while (env_icmp_next(s, &icmp) == OK)
		p->is_refused = true;
}

static void on_probe_tcp(void *arg, unsigned events)
{
	struct probe *p = ((void **)arg)[0];
	p->is_refused = events & ENV_HUP;
	p->is_connected = !p->is_refused;
}

static void poll_until(struct doctor *d, const bool *a, const bool *b, const size_t *n)
{
	uint64_t until = env_now_us(d->env) + WAIT_US, now;
	while (!*a && !*b && !*n && (now = env_now_us(d->env)) < until)
		env_poll(d->env, until - now);
}

static enum grade no_answer(struct doctor *d, const char *how, bool is_refused)
{
	char at[ADDR_TEXT_MAX];
	buf_fmt(&d->text, "%s %s: %s", how, addr_text(&d->target, at),
		is_refused ? "nobody listens there" : "no answer within two seconds");
	if (!d->is_running)
		return say(d, ILL, "start the exchange");
	return say(
		d, ILL,
		is_refused
			? "see --listen of rung serve; name the address here: rung doctor ADDR:PORT"
			: "look for a firewall: ufw status, nft list ruleset, the cloud's rules");
}

static enum grade check_udp(struct doctor *d)
{
	char at[ADDR_TEXT_MAX], text[512];
	struct addr any = {.family = d->target.family};
	struct env_sock *s = NULL;
	struct probe p = {0};
	void *arg[2] = {&p, NULL};
	const char *why = "";
	if (is_elsewhere(d, false))
		return WELL;
	if (env_udp_open(d->env, &any, 0, on_probe_udp, arg, &s, &why)) {
		buf_fmt(&d->text, "no UDP socket can be had: %s", why);
		return say(d, ILL, "the system is out of ports or descriptors");
	}
	arg[1] = s;
	struct addr local = env_local(s);
	addr_text(&d->target, at);
	int n = snprintf(
		text, sizeof(text),
		"OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%u;rport;branch="
		"z9hG4bKdoctor%llx\r\nMax-Forwards: 70\r\nFrom: <sip:doctor@invalid>;tag=1\r\n"
		"To: <sip:%s>\r\nCall-ID: doctor-%llx\r\nCSeq: 1 OPTIONS\r\nContent-Length: "
		"0\r\n\r\n",
		at, local.port, (unsigned long long)env_random_u64(d->env), at,
		(unsigned long long)env_random_u64(d->env));
	enum err e = env_send(s, text, (size_t)n, &d->target, NULL);
	bool has_failed = e != OK;
	poll_until(d, &p.is_refused, &has_failed, &p.n);
	env_close(s);
	if (!p.n)
		return no_answer(d, "SIP over UDP to", p.is_refused);
	struct str rest, line = str_cut(str_of(p.answer, p.n), '\r', &rest);
	buf_fmt(&d->text, "SIP over UDP to %s: " STR_FMT, at, STR_ARG(line));
	return WELL;
}

static enum grade check_tcp(struct doctor *d)
{
	char at[ADDR_TEXT_MAX];
	struct env_sock *s = NULL;
	struct probe p = {0};
	void *arg[2] = {&p, NULL};
	size_t none = 0;
	if (is_elsewhere(d, true))
		return WELL;
	p.is_refused = env_tcp_connect(d->env, NULL, &d->target, on_probe_tcp, arg, &s) != OK;
	poll_until(d, &p.is_refused, &p.is_connected, &none);
	env_close(s);
	if (!p.is_connected)
		return no_answer(d, "TCP to", p.is_refused);
	buf_fmt(&d->text, "TCP to %s: connected", addr_text(&d->target, at));
	return WELL;
}

/* ---- names ----------------------------------------------------------------------------------- */

struct lookup {
	struct dns_answer answer;
	bool is_done;
};

static void on_lookup(void *ctx, enum err e, const struct dns_answer *a)
{
	struct lookup *l = ctx;
	if (e == OK)
		l->answer = *a;
	l->is_done = true;
}

static enum grade check_domain(struct doctor *d)
{
	struct lookup l = {0};
	struct ev_loop loop;
	struct dns *dns = NULL;
	struct dns_query *q = NULL;
	char text[ADDR_TEXT_MAX];
	if (!d->domain) {
		buf_str(&d->text, STR("no domain was named, phones use the address"));
		return WELL;
	}
	ev_loop_init(&loop, d->env);
	uint64_t until = env_now_us(d->env) + WAIT_US;
	if (dns_new(&loop, NULL, &dns) != OK ||
	    dns_lookup(dns, str_c(d->domain), DNS_A | DNS_AAAA, &l.answer, on_lookup, &l, &q) !=
		    ERR_MORE)
		l.is_done = true;
	while (!l.is_done && env_now_us(d->env) < until) {
		uint64_t next = ev_turn(&loop), now = env_now_us(d->env);
		next = next < until ? next : until;
		env_poll(d->env, next > now ? next - now : 0);
	}
	dns_free(dns);
	ev_loop_fini(&loop);
	if (!l.answer.n) {
		buf_fmt(&d->text, "%s has no address in DNS", d->domain);
		return say(d, ILL, "add an A or AAAA record, or let phones use the address");
	}
	for (size_t i = 0; i < l.answer.n; i++)
		if (addr_ip_eq(&l.answer.addr[i], &d->target)) {
			buf_fmt(&d->text, "%s leads to this exchange", d->domain);
			return WELL;
		}
	buf_fmt(&d->text, "%s leads to %s, not to the address that was tried", d->domain,
		addr_text(&l.answer.addr[0], text));
	return say(d, NOTE, "right behind a NAT that forwards; else correct the record");
}

/* ---- the system ------------------------------------------------------------------------------ */

static enum grade check_clock(struct doctor *d)
{
	struct timex t = {0};
	if (adjtimex(&t) == TIME_ERROR || t.status & STA_UNSYNC) {
		buf_str(&d->text, STR("the clock is not synchronized"));
		return say(d, NOTE,
			   "let systemd-timesyncd or chrony run: certificates, records and "
			   "captures are "
			   "compared by time");
	}
	buf_str(&d->text, STR("the clock is synchronized"));
	return WELL;
}

static enum grade check_files(struct doctor *d)
{
	struct rlimit r = {0};
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < LEAST_FILES) {
		buf_fmt(&d->text, "a program may have %llu files and connections open",
			(unsigned long long)r.rlim_cur);
		return say(d, NOTE,
			   "enough for phones over UDP; for many over TCP: ulimit -n 65536 before "
			   "rung serve "
			   "(the systemd unit sets it)");
	}
	buf_fmt(&d->text, "%llu files and connections may be open", (unsigned long long)r.rlim_cur);
	return WELL;
}

static enum grade check_sockets(struct doctor *d)
{
	char line[32] = "";
	uint64_t bytes = 0;
	FILE *f = fopen("/proc/sys/net/core/rmem_max", "re");
	if (f && fgets(line, sizeof(line), f))
		(void)str_u64(str_trim(str_c(line)), &bytes);
	if (f)
		fclose(f);
	buf_fmt(&d->text, "socket buffers may take %llu bytes", (unsigned long long)bytes);
	if (bytes >= LEAST_RMEM)
		return WELL;
	return say(d, NOTE,
		   "bursts of some thousand messages a second would be lost: sysctl -w "
		   "net.core.rmem_max=8388608");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static const struct check {
	const char *name;
	enum grade (*fn)(struct doctor *d);
} checks[] = {
	{"data folder", check_folder  },
	{"accounts",    check_accounts},
	{"exchange",    check_control },
	{"UDP",         check_udp     },
	{"TCP",         check_tcp     },
	{"domain",      check_domain  },
	{"clock",       check_clock   },
	{"descriptors", check_files   },
	{"buffers",     check_sockets },
};

static void put(struct doctor *d, const struct check *c, enum grade g)
{
	static const char *const names[] = {[WELL] = "ok", [NOTE] = "note", [ILL] = "fault"};
	struct buf b;
	buf_init(&b);
	if (d->flags.is_json) {
		buf_fmt(&b, "{\"check\":\"%s\",\"grade\":\"%s\",\"text\":", c->name, names[g]);
		buf_json(&b, buf_view(&d->text));
		if (d->remedy.n) {
			buf_str(&b, STR(",\"remedy\":"));
			buf_json(&b, buf_view(&d->remedy));
		}
		buf_str(&b, STR("}\n"));
	} else {
		buf_fmt(&b, "%-6s %-12s ", names[g], c->name);
		buf_plain(&b, buf_view(&d->text));
		buf_str(&b, STR("\n"));
		if (d->remedy.n)
			buf_fmt(&b, "%-20s→ " STR_FMT "\n", "", STR_ARG(buf_view(&d->remedy)));
	}
	if (!b.err)
		fwrite(b.p, 1, b.n, stdout);
	fflush(stdout);
	buf_fini(&b);
}

static int run(struct doctor *d)
{
	unsigned n_ill = 0;
	if (env_os_new(&d->env))
		return admin_fail("doctor", "the system refuses to open an event loop");
	(void)ask(d, "listeners", d->listeners, sizeof(d->listeners));
	find_target(d);
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		buf_init(&d->text);
		buf_init(&d->remedy);
		enum grade g = checks[i].fn(d);
		n_ill += g == ILL;
		put(d, &checks[i], g);
		buf_fini(&d->text);
		buf_fini(&d->remedy);
	}
	env_free(d->env);
	return n_ill ? EXIT_FAILED : EXIT_DONE;
}

int cmd_doctor(int argc, char **argv)
{
	static struct doctor d;
	const char *words[1];
	size_t n = 0;
	struct opt opts[] = {
		{0, "data",   OPT_STR,  &d.flags.data,    "DIR",
		 "the exchange's data folder (~/.local/share/rung)"                          },
		{0, "domain", OPT_STR,  &d.domain,        "NAME",
		 "the domain that phones use: does it lead here?"                            },
		{0, "json",   OPT_FLAG, &d.flags.is_json, NULL,   "one JSON object per check"},
	};
	struct opt_spec spec = {
		.command = "doctor",
		.words = "[ADDR[:PORT]]",
		.about = "Looks at an exchange from outside in, as a phone would, and at what the "
			 "machine "
			 "gives it; says what is wrong\n"
			 "and what helps. ADDR is where phones reach it (where the running "
			 "exchange listens, else this machine's address and port 5060). "
			 "Exit code 1: something is wrong.",
		.examples = "  rung doctor\n  rung doctor 192.0.2.1:5070 --domain example.com\n",
		.opts = opts,
		.n_opts = ARRAY_LEN(opts),
		.max_words = 1,
	};
	int code = opt_parse(&spec, argc, argv, words, &n);
	if (code >= 0)
		return code;
	if (n && !addr_parse(str_c(words[0]), SIP_PORT, &d.target))
		return opt_usage(&spec, "expected an address such as 192.0.2.1:5060, not `%s`",
				 words[0]);
	d.dir = admin_dir(&d.flags, d.dir_mem);
	return run(&d);
}
