/* The floor under every figure of versus.sh: CPU of a process that only receives a datagram and
 * sends it back, woken for each of them as a server is at a moderate rate. Prints µs per datagram.
 * Not part of rung; versus.sh compiles it with cc. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N    10000
#define SIZE 600

static void ask(int s)
{
	char b[SIZE] = {0};
	struct timespec pause = {.tv_nsec = 500000}; /* about 2,000 datagrams a second */
	for (int i = 0; i < N; i++) {
		if (send(s, b, sizeof(b), 0) < 0 || recv(s, b, sizeof(b), 0) < 0)
			_exit(1);
		nanosleep(&pause, NULL);
	}
	_exit(0);
}

int main(void)
{
	int server = socket(AF_INET, SOCK_DGRAM, 0), client = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	if (bind(server, (void *)&a, n) < 0 || getsockname(server, (void *)&a, &n) < 0 ||
	    connect(client, (void *)&a, n) < 0) {
		perror("udp_floor");
		return 1;
	}
	if (fork() == 0)
		ask(client);
	for (int i = 0; i < N; i++) {
		char b[2048];
		struct sockaddr_in from;
		socklen_t from_n = sizeof(from);
		ssize_t got = recvfrom(server, b, sizeof(b), 0, (void *)&from, &from_n);
		if (got < 0 || sendto(server, b, (size_t)got, 0, (void *)&from, from_n) < 0)
			return 1;
	}
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	wait(NULL);
	printf("%.2f\n", ((double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 +
			  (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec)) /
				 N);
	return 0;
}
