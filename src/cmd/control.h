#pragma once
/* The control socket of a running exchange: DIR/rung.sock, one command line per connection,
 * answered by text (or, for "live", by a pcapng stream). */

#include "base/buf.h"
#include "event/env.h"

struct control;
struct control_user {
	void *ctx;
	/* Answers a command into `out`. */
	void (*on_command)(void *ctx, struct str command, struct buf *out);
	/* The connection wants the live stream: takes over fd. */
	void (*on_live)(void *ctx, int fd);
};
/* ERR_IO with *why. A socket file that nobody listens on is replaced. */
enum err control_new(struct env *env, const char *dir, const struct control_user *user,
		     struct control **out, const char **why);
void control_free(struct control *c); /* removes the socket file */

/* For clients: connects to the exchange of a data folder (or to a socket file), sends the command,
 * returns the descriptor to read from; negative with *why. */
int control_ask(const char *server, const char *command, const char **why);
/* Where the data of an exchange is when --data is not given: $RUNG_DATA, else $XDG_DATA_HOME/rung,
 * else ~/.local/share/rung. */
const char *control_default_dir(char mem[512]);
