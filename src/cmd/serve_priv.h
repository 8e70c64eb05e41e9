#pragma once
/* Seen only by serve.c (flags, making, freeing), serve_command.c (commands to the shards),
 * serve_tell.c (what the operator reads) and serve_run.c (ticking, signals, ending). */

#include "cmd/control.h"
#include "cmd/live.h"
#include "cmd/opt.h"

#define FIRST_ACCOUNTS 2

struct first_account {
	char user[64], password[64];
};

struct serve {
	/* flags */
	struct opt_list listen, domains, trust, advertise;
	const char *data, *realm, *echo, *dns;
	uint32_t n_shards;
	bool is_quiet, has_no_qr;
	/* the machine */
	struct env *env;
	struct ev_loop loop;
	struct env *shard_envs[256];
	struct ev_shards *shards;
	struct st *st;
	struct exc *exc;
	struct live *live;
	struct control *control;
	/* per shard 1 + what is pending, when asked; then: accounts loaded */
	struct ev_words *words;
	struct env_sock *signals;
	int signal_fd;
	struct tmr tick, drain;
	struct buf host; /* "192.0.2.1" or "192.0.2.1:5070": what phones must be told */
	char dir_mem[512];
	struct first_account first[FIRST_ACCOUNTS];
	size_t n_first;
	bool is_announced;
	uint64_t end_by_us;   /* 0: not ending */
	uint64_t quiet_at_us; /* when memory is tidied up; 0: it is tidy */
};

/* serve_command.c */
enum command_kind { CMD_RELOAD, CMD_COUNT };
void serve_command(struct serve *s, size_t shard, enum command_kind kind);
/* For ev_inbox_handle; ctx is a struct serve. */
void serve_on_command(void *ctx, struct ev_loop *l, struct inbox_msg *m);
/* For struct control_user; ctx is a struct serve. */
void serve_on_control(void *ctx, struct str cmd, struct buf *out);
void serve_on_live(void *ctx, int fd);

/* serve_tell.c */
void serve_line(void *ctx, uint64_t wall_us, struct str line); /* ctx is a struct serve */
/* Once all is up: the first accounts, how to go on, and the line that starts with "ready". */
void serve_announce(struct serve *s);

/* serve_run.c */
void serve_set_malloc(void); /* before the first thread */
/* Runs until the exchange has ended; it has been started. */
void serve_run(struct serve *s);
/* Of the signalfd; arg is a struct serve. */
void serve_on_signal(void *arg, unsigned events);
