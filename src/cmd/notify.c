/* One datagram per state, by hand: the protocol is ten lines, a library would be a dependency of
 * every installation. A name that begins with "@" is an abstract socket. */
#include "cmd/notify.h"

#include "base/str.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify(const char *state)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	if (!name || !str_copy(un.sun_path, sizeof(un.sun_path), str_c(name)))
		return;
	size_t n = strlen(name);
	if (un.sun_path[0] == '@')
		un.sun_path[0] = 0;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&un,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	(void)sent; /* who does not listen does not hear */
	close(fd);
}

uint64_t notify_watchdog_us(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t n, who;
	if (!us || !str_u64(str_c(us), &n))
		return 0;
	if (pid && (!str_u64(str_c(pid), &who) || who != (uint64_t)getpid()))
		return 0;
	return n / 2;
}
