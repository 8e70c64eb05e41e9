/* The torture messages of RFC 4475 and RFC 5118 against a running exchange, over real sockets.
 *
 *   torture TABLE FOLDER SERVER LOCAL udp|tcp      addresses without port; the server's is 5060
 *
 * Each message of the table (tests/msg/torture.tbl) goes out byte for byte from a socket of its
 * own; what comes back must be what the table says, and an OPTIONS must be answered afterwards.
 * Plain POSIX, no code of rung: tests/sim/torture.c does the same in virtual time, where silence
 * can be waited for; here it is believed when the OPTIONS that went out behind the message was
 * answered and GRACE_MS later still nothing came. The exit status tells whether all went well. */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 5000
#define GRACE_MS  100
#define LINGER_MS 10000

struct entry {
	char name[64], udp[64], tcp[16];
};

static struct sockaddr_in server, local;
static bool is_tcp;

static long now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void die(const char *what)
{
	printf("# %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_socket(bool stream)
{
	int fd = socket(AF_INET, stream ? SOCK_STREAM : SOCK_DGRAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local)) ||
	    connect(fd, (struct sockaddr *)&server, sizeof(server)))
		die("socket");
	return fd;
}

/* What came within that time; 0: nothing; -1: the connection has ended. */
static ssize_t receive(int fd, char *to, size_t cap, long until_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	long left = until_ms - now_ms();
	if (poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
		return 0;
	ssize_t n = recv(fd, to, cap, 0);
	return n > 0 ? n : -1;
}

/* Some answers repeat NULs of the question. */
static const char *find(const char *from, const char *end, const char *text)
{
	return memmem(from, (size_t)(end - from), text, strlen(text));
}

/* Status of the first whole final answer in that text, 0: none. */
static int find_answer(const char *bytes, const char *end, const char *marker)
{
	for (const char *at = bytes; (at = find(at, end, "SIP/2.0 ")); at += 8) {
		const char *stop = find(at, end, "\r\n\r\n");
		bool is_start = (at == bytes || at[-1] == '\n') && stop;
		if (is_start && at[8] >= '2' && at[8] <= '6' && (!marker || find(at, stop, marker)))
			return atoi(at + 8);
	}
	return 0;
}

/* Status of the first final answer, 0: none came, -1: the connection ended without. `marker`: only
 * an answer with that text counts; NULL: any. */
static int wait_answer(int fd, const char *marker, long ms)
{
	static char bytes[65536];
	size_t have = 0;
	long until = now_ms() + ms;
	for (;;) {
		ssize_t n = receive(fd, bytes + have, sizeof(bytes) - have, until);
		if (n <= 0)
			return (int)n;
		have = is_tcp ? have + (size_t)n : (size_t)n;
		int status = find_answer(bytes, bytes + have, marker);
		if (status)
			return status;
		if (!is_tcp)
			have = 0;
	}
}

static bool is_alive(int fd)
{
	static unsigned n;
	char text[700], marker[64];
	struct sockaddr_in own = {0};
	socklen_t len = sizeof(own);
	char ip[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];
	getsockname(fd, (struct sockaddr *)&own, &len);
	inet_ntop(AF_INET, &own.sin_addr, ip, sizeof(ip));
	inet_ntop(AF_INET, &server.sin_addr, to, sizeof(to));
	snprintf(marker, sizeof(marker), "alive-%ld-%u-%d", (long)getpid(), ++n, is_tcp);
	int size = snprintf(text, sizeof(text),
			    "OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/%s %s:%u;branch=z9hG4bK%s\r\n"
			    "Max-Forwards: 70\r\nFrom: <sip:torture@%s>;tag=%u\r\nTo: <sip:%s>\r\n"
			    "Call-ID: %s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
			    to, is_tcp ? "TCP" : "UDP", ip, (unsigned)ntohs(own.sin_port), marker,
			    ip, n, to, marker);
	if (send(fd, text, (size_t)size, MSG_NOSIGNAL) != size)
		return false;
	return wait_answer(fd, marker, ANSWER_MS) == 200;
}

/* The same from a new socket. */
static bool is_alive_anew(void)
{
	int fd = open_socket(is_tcp);
	bool is_ok = is_alive(fd);
	close(fd);
	return is_ok;
}

static bool is_in(const char *set, int status)
{
	char word[8];
	snprintf(word, sizeof(word), "%d", status);
	const char *at = strstr(set, word);
	return status >= 200 && at && (at == set || at[-1] == ' ') && (at[3] == 0 || at[3] == ' ');
}

static bool is_ended(int fd)
{
	char rest[4096];
	long until = now_ms() + LINGER_MS;
	ssize_t n;
	while ((n = receive(fd, rest, sizeof(rest), until)) > 0)
		;
	return n < 0;
}

static bool try_one(const struct entry *e, const char *bytes, size_t n)
{
	const char *want = !is_tcp || strcmp(e->tcp, "=") == 0 ? e->udp : e->tcp;
	bool is_silent = strcmp(want, "discard") == 0 || strcmp(want, "wait") == 0, is_ok;
	int fd = open_socket(is_tcp), status;
	if (send(fd, bytes, n, MSG_NOSIGNAL) != (ssize_t)n)
		die("send");
	if (is_silent) {
		is_ok = is_alive_anew();
		status = wait_answer(fd, NULL, GRACE_MS);
		is_ok = is_ok && status == 0;
	} else {
		status = wait_answer(fd, NULL, ANSWER_MS);
		is_ok = is_in(want, status);
		if (strcmp(want, "400 close") == 0)
			is_ok = is_ok && is_ended(fd);
	}
	close(fd);
	if (!is_ok)
		printf("# %s: %d instead of %s\n", e->name, status, want);
	if (!is_alive_anew()) {
		printf("# %s: no answer to an OPTIONS afterwards\n", e->name);
		return false;
	}
	return is_ok;
}

static char *column(char **line)
{
	char *text = *line + strspn(*line, " "), *bar = strchr(text, '|');
	*line = bar ? bar + 1 : text + strlen(text);
	char *end = bar ? bar : text + strcspn(text, "\n");
	while (end > text && end[-1] == ' ')
		end--;
	*end = 0;
	return text;
}

static bool read_entry(FILE *table, struct entry *e)
{
	char text[512], *line;
	while (fgets(text, sizeof(text), table)) {
		if (text[0] == '#' || text[0] == '\n')
			continue;
		line = text;
		snprintf(e->name, sizeof(e->name), "%s", column(&line));
		column(&line); /* section, parser, layer */
		column(&line);
		column(&line);
		snprintf(e->udp, sizeof(e->udp), "%s", column(&line));
		snprintf(e->tcp, sizeof(e->tcp), "%s", column(&line));
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	static char bytes[65536];
	struct entry e;
	unsigned n = 0, n_good = 0;
	if (argc != 6)
		return 2;
	is_tcp = strcmp(argv[5], "tcp") == 0;
	server.sin_family = local.sin_family = AF_INET;
	server.sin_port = htons(5060);
	FILE *table = fopen(argv[1], "r");
	if (!table || inet_pton(AF_INET, argv[3], &server.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[4], &local.sin_addr) != 1)
		die(argv[1]);
	for (; read_entry(table, &e); n++) {
		char path[1024];
		snprintf(path, sizeof(path), "%s/%s.dat", argv[2], e.name);
		FILE *f = fopen(path, "rb");
		if (!f)
			die(path);
		size_t size = fread(bytes, 1, sizeof(bytes), f);
		fclose(f);
		n_good += try_one(&e, bytes, size);
	}
	fclose(table);
	printf("# %u of %u over %s\n", n_good, n, argv[5]);
	return n == 61 && n_good == n ? 0 : 1;
}
