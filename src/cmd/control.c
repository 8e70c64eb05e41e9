/* The control socket. A connection sends one line and reads the answer until the end; nothing is
 * kept between connections. Access is by the file's mode (0600) in the data folder. A connection
 * that sends nothing is closed when MAX_WAITING others have come. */
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

#define MAX_WAITING    16
#define LINE_MAX_BYTES 256

struct conn {
	struct control *control;
	int fd;
	struct env_sock *watch;
	char line[LINE_MAX_BYTES];
	size_t n;
};

struct control {
	struct env *env;
	struct control_user user;
	int fd;
	struct env_sock *watch;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct conn conns[MAX_WAITING];
	size_t oldest;
};

static void close_conn(struct conn *c)
{
	if (c->fd < 0)
		return;
	env_close(c->watch);
	close(c->fd);
	c->fd = -1;
}

static void answer(struct conn *c, struct str command)
{
	struct control *ctl = c->control;
	if (str_eq(command, STR("live"))) {
		int fd = c->fd;
		env_close(c->watch);
		c->fd = -1;
		ctl->user.on_live(ctl->user.ctx, fd);
		return;
	}
	struct buf out;
	buf_init(&out);
	ctl->user.on_command(ctl->user.ctx, command, &out);
	ssize_t n = send(c->fd, out.p, out.n, MSG_NOSIGNAL);
	(void)n; /* who does not read his answer does not get it */
	buf_fini(&out);
	close_conn(c);
}

static void on_conn(void *arg, unsigned events)
{
	struct conn *c = arg;
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
	if (end != SIZE_MAX)
		answer(c, str_trim(str_sub(all, 0, end)));
	else if (c->n == sizeof(c->line))
		close_conn(c);
}

static void on_accept(void *arg, unsigned events)
{
	struct control *ctl = arg;
	int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct conn *c = &ctl->conns[ctl->oldest++ % MAX_WAITING];
	close_conn(c);
	c->fd = fd;
	c->n = 0;
	if (env_watch_fd(ctl->env, fd, ENV_READ, on_conn, c, &c->watch)) {
		close(fd);
		c->fd = -1;
	}
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
	if (r || listen(c->fd, MAX_WAITING))
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
	for (size_t i = 0; i < MAX_WAITING; i++)
		c->conns[i] = (struct conn){.control = c, .fd = -1};
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
	for (size_t i = 0; i < MAX_WAITING; i++)
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
