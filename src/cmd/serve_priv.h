#pragma once
/* Seen only by serve.c (flags, making, freeing), serve_command.c (commands and
 * questions to the shards), serve_config.c (the configuration file), serve_admin.c (call records,
 * HEP), serve_tell.c (what the operator reads) and serve_run.c (ticking, signals, ending). */

#include "admin/ledger.h"
#include "admin/legs.h"
#include "admin/record.h"
#include "admin/trail.h"
#include "capture/cap_hep.h"
#include "cmd/certs.h"
#include "cmd/control.h"
#include "cmd/live.h"
#include "cmd/opt.h"
#include "policy/config.h"
#include "web/web.h"

#define FIRST_ACCOUNTS 2
#define API_DEFAULT    "127.0.0.1:5080"

struct first_account {
	char user[64], password[64];
};

struct serve {
	/* flags */
	struct opt_list listen, domains, trust, never_ban, advertise;
	struct certs certs;
	const char *data, *realm, *echo, *dns, *hep, *api, *config;
	uint32_t cdr_days;
	uint32_t n_shards;
	bool is_b2bua, has_farewell, is_quiet, has_no_qr;
	/* the machine */
	struct env *env; /* of the scope's thread */
	struct ev_shards *scope;
	struct ev_loop *loop; /* its only one */
	struct env *shard_envs[256];
	struct ev_shards *shards;
	struct st *st;
	struct exc *exc;
	struct net_tls *tls;
	struct live *live;
	struct adm *adm;
	struct adm_ledger *ledger;
	struct adm_trail *trail;
	struct adm_legs *legs;
	struct cap_hep_out *hep_out;
	struct web *web;
	struct control *control;
	/* per shard 1 + what is pending, when asked; then: accounts loaded */
	struct ev_words *words;
	struct env_sock *signals;
	int signal_fd;
	struct tmr tick, drain, beat;
	bool is_reloading;
	struct buf host; /* "192.0.2.1" or "192.0.2.1:5070": what phones must be told */
	struct addr host_addr;
	char dir_mem[512];
	struct first_account first[FIRST_ACCOUNTS];
	size_t n_first;
	bool is_announced;
	/* the configuration file (serve_config.c) */
	struct pol_config *policy; /* read, not yet the exchange's */
	struct arena texts;        /* of what it says in place of flags */
	struct buf good, tried;
	uint64_t start_only;
	struct tmr unconfirmed;
	bool is_unconfirmed;
	uint64_t end_by_us;        /* 0: not ending */
	bool is_end_told, is_last; /* that something is waited for; it is hung up, whatever it is */
	uint64_t quiet_at_us;      /* when memory is tidied up; 0: it is tidy */
};

/* serve_command.c */
enum command_kind { CMD_ACCOUNTS, CMD_RELOAD, CMD_COUNT, CMD_POLICY, CMD_HANGUP, CMD_HANGUP_ALL };
void serve_command(struct serve *s, size_t shard, enum command_kind kind);
/* For struct control_user; ctx is a struct serve. */
void serve_on_control(void *ctx, struct control_conn *c, struct str cmd);
void serve_on_control_sent(void *ctx, struct control_conn *c);
void serve_on_control_gone(void *ctx, struct control_conn *c);
void serve_on_live(void *ctx, int fd);

/* To shard 0, which takes it over; false: there was no memory, it is freed. */
bool serve_send_policy(struct serve *s, struct pol_config *policy);

/* serve_config.c */
/* Reads --config and fills what no flag has set; false after complaining. */
bool serve_config_open(struct serve *s);
void serve_config_close(struct serve *s);
uint64_t serve_config_start_only(const struct pol_config *c);
/* Accounts, certificates and file again; what came of it into `out`, "ok" first if it is in force.
 */
void serve_config_reload(struct serve *s, uint32_t confirm_s, struct buf *out);
void serve_config_confirm(struct serve *s, struct buf *out);

/* serve_admin.c: call records, what operators may ask, HEP. They return -1 or an exit code. */
int serve_admin_start(struct serve *s); /* when the exchange is made, before the threads */
void serve_admin_stop(struct serve *s); /* before the shards are stopped */
void serve_admin_end(struct serve *s);  /* when no thread runs any more */

/* serve.c: "rung serve: text" on stderr; EXIT_FAILED. */
[[gnu::format(printf, 1, 2)]] int serve_fail(const char *fmt, ...);

/* serve_tell.c */
void serve_line(void *ctx, uint64_t wall_us, struct str line); /* ctx is a struct serve */
/* Once all is up: the first accounts, how to go on, and the line that starts with "ready". */
void serve_announce(struct serve *s);
/* "udp:192.0.2.1:5060 tcp:..." */
void serve_put_listeners(const struct serve *s, struct buf *out);

/* serve_run.c */
void serve_reload(struct serve *s); /* accounts and certificates */
void serve_set_malloc(void);        /* before the first thread */
/* Runs until the exchange has ended; it has been started. */
void serve_run(struct serve *s);
/* Of the signalfd; arg is a struct serve. */
void serve_on_signal(void *arg, unsigned events);
