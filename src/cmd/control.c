/* The control socket. A connection sends one line and reads the answer until the end; nothing is
 * kept between connections. Access is by the file's mode (0600) in the data folder.
 *
 * A connection is in one of three states: it waits for its line, its command is being answered, or
 * the end of the answer is on its way out. Who comes when all places are taken gets that of the one
 * that has said nothing for longest; when all are being answered he is turned away. What is said
 * and does not fit the socket waits in `out`, and the speaker with it: an answer is bounded by one
 * piece. */
#include "cmd/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CONNS      32
#define LINE_MAX_BYTES 1024

enum state { FREE, WAITING, ANSWERING, ENDING };

struct control_conn {
	struct control *control;
	int fd;
	enum state state;
	struct env_sock *watch;
	char line[LINE_MAX_BYTES];
	size_t n;
	struct buf out;
	void *tag;
	uint64_t no; /* rises with each connection */
};

struct control {
	struct env *env;
	struct control_user user;
	int fd;
	struct env_sock *watch;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct control_conn conns[MAX_CONNS];
	uint64_t n_conns;
};

static void close_conn(struct control_conn *c)
{
	bool is_gone = c->state == ANSWERING;
	if (c->state == FREE)
		return;
	c->state = FREE;
	env_close(c->watch);
	close(c->fd);
	buf_fini(&c->out);
	if (is_gone)
		c->control->user.on_gone(c->control->user.ctx, c);
}

static void flush(struct control_conn *c)
{
	ssize_t n = c->out.n ? send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		close_conn(c);
		return;
	}
	if (n > 0)
		buf_drop(&c->out, (size_t)n);
	if (!c->out.n && c->state == ENDING)
		close_conn(c);
	else
		env_want(c->watch, ENV_READ | ENV_WRITE);
}

void control_say(struct control_conn *c, struct str text)
{
	buf_str(&c->out, text);
	if (c->out.err) {
		close_conn(c);
		return;
	}
	env_want(c->watch, ENV_READ | ENV_WRITE);
}

void control_end(struct control_conn *c)
{
	c->state = ENDING;
	flush(c);
}

void control_set_tag(struct control_conn *c, void *tag)
{
	c->tag = tag;
}

void *control_tag(const struct control_conn *c)
{
	return c->tag;
}

static void take_command(struct control_conn *c, struct str command)
{
	struct control *ctl = c->control;
	if (str_eq(command, STR("live"))) {
		int fd = c->fd;
		env_close(c->watch);
		c->state = FREE;
		ctl->user.on_live(ctl->user.ctx, fd);
		return;
	}
	c->state = ANSWERING;
	buf_init(&c->out);
	ctl->user.on_command(ctl->user.ctx, c, command);
}

static void read_line(struct control_conn *c)
{
	ssize_t n = recv(c->fd, c->line + c->n, sizeof(c->line) - c->n, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_conn(c);
		return;
	}
	c->n += (size_t)n;
	struct str all = str_of(c->line, c->n);
	size_t end = str_chr(all, '\n');
	if (end != SIZE_MAX) {
		struct str line = str_sub(all, 0, end);
		if (str_ends(line, STR("\r")))
			line.n--;
		take_command(c, line);
	} else if (c->n == sizeof(c->line)) {
		close_conn(c);
	}
}

/* Whoever waits for an answer says nothing more: what comes is his end. */
static bool has_left(struct control_conn *c)
{
	char rest[64];
	ssize_t n = recv(c->fd, rest, sizeof(rest), MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void on_conn(void *arg, unsigned events)
{
	struct control_conn *c = arg;
	struct control_user *user = &c->control->user;
	if (c->state == WAITING) {
		read_line(c);
		return;
	}
	if ((events & (ENV_READ | ENV_HUP)) && has_left(c)) {
		close_conn(c);
		return;
	}
	if (!(events & ENV_WRITE))
		return;
	flush(c);
	if (c->state == ANSWERING && !c->out.n) {
		env_want(c->watch, ENV_READ);
		user->on_sent(user->ctx, c);
	}
}

static struct control_conn *find_place(struct control *ctl)
{
	struct control_conn *best = NULL;
	for (size_t i = 0; i < MAX_CONNS; i++) {
		struct control_conn *c = &ctl->conns[i];
		if (c->state == FREE)
			return c;
		if (c->state == WAITING && (!best || c->no < best->no))
			best = c;
	}
	if (best)
		close_conn(best);
	return best;
}

static void on_accept(void *arg, unsigned events)
{
	struct control *ctl = arg;
	int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct control_conn *c = find_place(ctl);
	if (!c || env_watch_fd(ctl->env, fd, ENV_READ, on_conn, c, &c->watch)) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->n = 0;
	c->tag = NULL;
	c->no = ctl->n_conns++;
	c->state = WAITING;
}

static bool fill_path(struct sockaddr_un *un, const char *server)
{
	struct stat st;
	*un = (struct sockaddr_un){.sun_family = AF_UNIX};
	bool is_socket = stat(server, &st) == 0 && S_ISSOCK(st.st_mode);
	int n = snprintf(un->sun_path, sizeof(un->sun_path), "%s%s", server,
			 is_socket ? "" : "/rung.sock");
	return n > 0 && (size_t)n < sizeof(un->sun_path);
}

static enum err listen_at(struct control *c, const char *dir, const char **why)
{
	struct sockaddr_un un;
	if (!fill_path(&un, dir)) {
		*why = "the path of the data folder is too long for a socket (108 characters)";
		return ERR_LIMIT;
	}
	unlink(un.sun_path); /* the data folder's lock says that no other exchange uses it */
	*why = "the control socket cannot be made";
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before = umask(0177);
	int r = c->fd < 0 ? -1 : bind(c->fd, (struct sockaddr *)&un, sizeof(un));
	umask(before);
	if (r || listen(c->fd, MAX_CONNS))
		return ERR_IO;
	memcpy(c->path, un.sun_path, sizeof(c->path));
	return env_watch_fd(c->env, c->fd, ENV_READ, on_accept, c, &c->watch);
}

enum err control_new(struct env *env, const char *dir, const struct control_user *user,
		     struct control **out, const char **why)
{
	struct control *c = calloc(1, sizeof(*c));
	if (!c) {
		*why = "not enough memory";
		return ERR_NOMEM;
	}
	c->env = env;
	c->user = *user;
	c->fd = -1;
	for (size_t i = 0; i < MAX_CONNS; i++)
		c->conns[i] = (struct control_conn){.control = c};
	enum err e = listen_at(c, dir, why);
	if (e) {
		control_free(c);
		return e;
	}
	*out = c;
	return OK;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < MAX_CONNS; i++)
		close_conn(&c->conns[i]);
	env_close(c->watch);
	if (c->fd >= 0)
		close(c->fd);
	if (c->path[0])
		unlink(c->path);
	free(c);
}

int control_ask(const char *server, const char *command, const char **why)
{
	struct sockaddr_un un;
	if (!fill_path(&un, server)) {
		*why = "that path is too long for a socket";
		return -1;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un))) {
		*why = "no exchange is running there (is the data folder right? see --data of "
		       "`rung serve`)";
		if (fd >= 0)
			close(fd);
		return -1;
	}
	size_t n = strlen(command);
	if (send(fd, command, n, MSG_NOSIGNAL) != (ssize_t)n ||
	    send(fd, "\n", 1, MSG_NOSIGNAL) != 1) {
		*why = "the exchange closed the connection";
		close(fd);
		return -1;
	}
	return fd;
}

const char *control_default_dir(char mem[512])
{
	const char *v = getenv("RUNG_DATA");
	if (v && *v)
		return v;
	v = getenv("XDG_DATA_HOME");
	if (v && *v) {
		snprintf(mem, 512, "%s/rung", v);
		return mem;
	}
	v = getenv("HOME");
	snprintf(mem, 512, "%s/.local/share/rung", v && *v ? v : "");
	return mem;
}
