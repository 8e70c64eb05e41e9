/* One phone on one loop for the one-shot commands. Every outcome is an exit code; every event is a
 * line, flushed at once, so that a program can follow it through a pipe. An interrupt ends politely
 * (hang up, unregister) and a second one at once. */
#include "cmd/agent.h"

#include "codec/codec.h"
#include "rtp/rtp.h"
#include "sip/chars.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define POLITE_US 4000000ull /* for the goodbyes after an interrupt or a time-out */

int agent_exit_code(enum ph_outcome outcome)
{
	static const int codes[] = {
		[PH_DONE] = EXIT_DONE,
		[PH_FAILED] = EXIT_FAILED,
		[PH_REJECTED] = EXIT_REJECTED,
		[PH_AUTH] = EXIT_AUTH,
		[PH_NO_ANSWER] = EXIT_NO_ANSWER,
		[PH_BUSY] = EXIT_BUSY,
		[PH_UNREACHABLE] = EXIT_UNREACHABLE,
		[PH_MEDIA] = EXIT_MEDIA,
	};
	return codes[outcome];
}

void agent_finish(struct agent *a, int code)
{
	if (!a->is_stopping)
		a->code = code;
	ev_stop(&a->loop);
}

/* NULL, or keys of a telephone and commas. */
static bool is_digits(const char *text)
{
	for (; text && *text; text++)
		if (*text != ',' && rtp_event_of_digit(*text) < 0)
			return false;
	return true;
}

/* 0 (none), or within what G.711 carries. */
static bool is_tone(uint32_t hz)
{
	return hz == 0 || (hz >= 20 && hz <= 3900);
}

int agent_plan_sound(const struct opt_spec *spec, struct ph_plan *p, uint32_t tone_hz,
		     uint32_t expect_hz)
{
	if (!is_tone(tone_hz) || !is_tone(expect_hz))
		return opt_usage(spec, "a tone has 20 to 3900 Hz");
	if (!is_digits(p->dtmf))
		return opt_usage(spec, "--dtmf wants digits, *, #, A to D and commas, not `%s`",
				 p->dtmf);
	p->tone_hz = tone_hz;
	p->expect_tone_hz = expect_hz;
	return -1;
}

bool agent_is_token(struct str s)
{
	return s.n && cc_span(s.p, s.p + s.n, CC_TOKEN) == s.p + s.n;
}

int agent_target(const struct agent *a, const struct opt_spec *spec, const char *word,
		 char uri[512])
{
	struct str w = str_c(word);
	struct sip_addr from;
	struct buf b;
	struct sip_uri u;
	buf_init_fixed(&b, uri, 511);
	bool has_scheme = str_istarts(w, STR("sip:")) || str_istarts(w, STR("sips:")) ||
			  str_istarts(w, STR("tel:"));
	bool is_bare = str_chr(w, '@') == SIZE_MAX && str_chr(w, '.') == SIZE_MAX &&
		       str_chr(w, '[') == SIZE_MAX;
	if (!has_scheme)
		buf_str(&b, STR("sip:"));
	buf_str(&b, w);
	if (!has_scheme && is_bare && a->from && sip_addr_parse(str_c(a->from), &from) == OK &&
	    !from.uri_err) {
		buf_chr(&b, '@');
		const char *host = from.uri.host.p;
		struct str all = from.uri.all;
		bool has_brackets = host > all.p && host[-1] == '[';
		buf_fmt(&b, "%s" STR_FMT "%s", has_brackets ? "[" : "", STR_ARG(from.uri.host),
			has_brackets ? "]" : "");
		if (from.uri.port)
			buf_fmt(&b, ":%u", from.uri.port);
		struct str transport;
		if (sip_param(from.params, STR("transport"), &transport) ||
		    sip_param(from.uri.params, STR("transport"), &transport))
			buf_fmt(&b, ";transport=" STR_FMT, STR_ARG(transport));
	}
	if (b.err)
		return opt_usage(spec, "`%s` is too long", word);
	if (sip_uri_parse(buf_view(&b), &u))
		return opt_usage(spec, "`%s` is no SIP URI such as sip:100@192.0.2.1", word);
	uri[b.n] = 0;
	return -1;
}

/* With its line end; what a peer wrote must not steer the terminal. */
static void put_safe(FILE *f, struct str text)
{
	struct buf b;
	buf_init(&b);
	buf_str(&b, text);
	buf_mask(&b, 0, true);
	fprintf(f, STR_FMT "\n", STR_ARG(buf_view(&b)));
	buf_fini(&b);
}

static void print(const struct agent *a, const struct ph_event *ev)
{
	double t = (double)ev->at_us / 1e6;
	if (a->is_quiet)
		return;
	if (a->is_json) {
		printf("{\"event\":\"%s\",\"t\":%.3f%s" STR_FMT "}\n", ev->name, t,
		       ev->json.n ? "," : "", STR_ARG(ev->json));
	} else {
		printf("%8.3f  %-11s ", t, ev->name);
		put_safe(stdout, ev->text);
	}
	fflush(stdout);
}

static void on_event(void *ctx, struct ph *ph, const struct ph_event *ev)
{
	struct agent *a = ctx;
	print(a, ev);
	if (strcmp(ev->name, "ready") == 0) {
		a->on_ready(a);
		return;
	}
	if (a->on_event)
		a->on_event(a, ev);
	else if (ev->is_end)
		agent_finish(a, agent_exit_code(ev->outcome));
	if (a->is_stopping && ev->is_end && !ph_live_calls(ph))
		ev_stop(&a->loop);
}

static void on_polite_end(struct tmr *t)
{
	struct agent *a = CONTAINER_OF(t, struct agent, timeout);
	ev_stop(&a->loop);
}

static void stop(struct agent *a, int code)
{
	if (a->is_stopping || !a->on_stop || !a->on_stop(a)) {
		a->code = a->is_stopping ? a->code : code;
		a->is_stopping = true;
		ev_stop(&a->loop);
		return;
	}
	a->code = code;
	a->is_stopping = true;
	ev_timer(&a->loop, &a->timeout, POLITE_US, on_polite_end);
}

static void on_timeout(struct tmr *t)
{
	struct agent *a = CONTAINER_OF(t, struct agent, timeout);
	if (!a->is_quiet)
		fprintf(stderr, "rung: the time-out of %g s is over\n", a->timeout_s);
	stop(a, EXIT_NO_ANSWER);
}

static void on_signal(void *arg, unsigned events)
{
	struct agent *a = arg;
	struct signalfd_siginfo info;
	if (read(a->signal_fd, &info, sizeof(info)) == sizeof(info))
		stop(a, EXIT_INTERRUPTED);
}

static enum err watch_signals(struct agent *a)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	a->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (a->signal_fd < 0)
		return ERR_IO;
	return env_watch_fd(a->env, a->signal_fd, ENV_READ, on_signal, a, &a->signals);
}

static void on_tap(void *ctx, uint64_t at_us, bool is_sent, enum tp_proto proto,
		   const struct addr *from, const struct addr *to, struct str bytes)
{
	char f[ADDR_TEXT_MAX], t[ADDR_TEXT_MAX];
	struct str name = tp_proto_name(proto);
	fprintf(stderr, "\n%s " STR_FMT " %s -> %s\n", is_sent ? "sent" : "received", STR_ARG(name),
		addr_text(from, f), addr_text(to, t));
	put_safe(stderr, bytes);
}

static bool is_codecs(struct str list)
{
	while (list.n)
		if (cdc_find(str_trim(str_cut(list, ',', &list)), 8000, 1) == CDC_NONE)
			return false;
	return true;
}

static int read_flags(struct agent *a, const struct opt_spec *spec, struct ph_config *cfg)
{
	if (!a->password)
		a->password = getenv("RUNG_PASSWORD");
	*cfg = (struct ph_config){
		.from = str_c(a->from),
		.auth_user = str_c(a->auth_user),
		.password = str_c(a->password),
		.proxy = a->proxy.n ? str_c(a->proxy.v[0]) : STR_NONE,
		.codecs = str_c(a->codecs),
		.dns = a->dns,
		.on_event = on_event,
		.ctx = a,
	};
	if (a->proxy.n > PH_FLOWS)
		return opt_usage(spec, "--proxy: at most %d", PH_FLOWS);
	for (size_t i = 1; i < a->proxy.n; i++)
		cfg->more[cfg->n_more++] = str_c(a->proxy.v[i]);
	if (a->transport && !tp_proto_find(str_c(a->transport), &cfg->proto))
		return opt_usage(spec, "--transport wants udp, tcp, tls, ws or wss, not `%s`",
				 a->transport);
	if (a->bind && !addr_parse(str_c(a->bind), 0, &cfg->bind))
		return opt_usage(
			spec, "--bind wants an address such as 127.0.0.1 or [::1]:5070, not `%s`",
			a->bind);
	if (!is_codecs(cfg->codecs))
		return opt_usage(spec, "--codecs wants names out of PCMU and PCMA, not `%s`",
				 a->codecs);
	return -1;
}

int agent_run(struct agent *a, const struct opt_spec *spec, const char *uri)
{
	struct ph_config cfg;
	const char *why;
	struct net_tls *tls = NULL;
	int code = read_flags(a, spec, &cfg);
	if (code < 0)
		code = certs_phone(&a->certs, spec->command, &tls);
	cfg.tls = tls;
	if (code >= 0)
		return code;
	if (env_os_new(&a->env) || watch_signals(a)) {
		fprintf(stderr, "rung: cannot open the system's event interface\n");
		return EXIT_FAILED;
	}
	ev_loop_init(&a->loop, a->env);
	a->code = EXIT_FAILED;
	if (ph_new(&a->loop, &cfg, &a->ph, &why)) {
		code = opt_usage(spec, "%s", why);
	} else {
		struct tp_tap tap = {.fn = on_tap};
		if (a->has_trace)
			ph_set_tap(a->ph, &tap);
		if (a->timeout_s > 0)
			ev_timer(&a->loop, &a->timeout, (uint64_t)(a->timeout_s * 1e6), on_timeout);
		ph_start(a->ph, str_c(uri));
		ev_run(&a->loop);
		ph_free(a->ph);
		code = a->code;
	}
	env_close(a->signals);
	close(a->signal_fd);
	ev_loop_fini(&a->loop);
	env_free(a->env);
	net_tls_free(tls);
	return code;
}
