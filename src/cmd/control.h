#pragma once
/* The control socket of a running exchange: DIR/rung.sock, one command line per connection,
 * answered by text, at once or piece by piece (or, for "live", by a pcapng stream). */

#include "base/buf.h"
#include "event/env.h"

struct control;
struct control_conn;
struct control_user {
	void *ctx;
	/* A command has come: it is answered by control_say and ended by control_end, now or later.
	 */
	void (*on_command)(void *ctx, struct control_conn *c, struct str command);
	/* All that was said has left: there is room for more. */
	void (*on_sent)(void *ctx, struct control_conn *c);
	/* The connection is gone before control_end: nothing may be said any more. */
	void (*on_gone)(void *ctx, struct control_conn *c);
	/* The connection wants the live stream: takes over fd. */
	void (*on_live)(void *ctx, int fd);
};
/* ERR_IO with *why. A socket file that nobody listens on is replaced. */
enum err control_new(struct env *env, const char *dir, const struct control_user *user,
		     struct control **out, const char **why);
void control_free(struct control *c); /* removes the socket file */

/* Copies; sends as far as the socket takes it, the rest when it can. Once per on_command or
 * on_sent; the answer is on_sent, in a later turn, or on_gone. */
void control_say(struct control_conn *c, struct str text);
/* Closes it when all has left. No callback comes any more. */
void control_end(struct control_conn *c);
void control_set_tag(struct control_conn *c, void *tag);
void *control_tag(const struct control_conn *c); /* NULL at first */

/* For clients: connects to the exchange of a data folder (or to a socket file), sends the command,
 * returns the descriptor to read from; negative with *why. */
int control_ask(const char *server, const char *command, const char **why);
/* Where the data of an exchange is when --data is not given: $RUNG_DATA, else $XDG_DATA_HOME/rung,
 * else ~/.local/share/rung. */
const char *control_default_dir(char mem[512]);
