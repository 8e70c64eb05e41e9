/* A library loaded late: one that is there does its work; one that is not ends the process, which
 * says why. */
#include "base/late.h"

#include "base/str.h"
#include "test.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

double no_library(double x);
double no_function(double x);
/* clang-format off */
LATE("libm.so.6",       double, cbrt,        (double x), (x))
LATE("libm.so.6",       double, no_function, (double x), (x))
LATE("libnone.so.1",    double, no_library,  (double x), (x))
/* clang-format on */

/* What a process that calls fn says and how it ends. */
static int ends(double (*fn)(double), char *said, size_t size)
{
	int status = 0, fd[2];
	if (pipe(fd) != 0)
		return -1;
	pid_t child = fork();
	if (child == 0) {
		dup2(fd[1], STDERR_FILENO);
		(void)fn(27);
		_exit(0);
	}
	close(fd[1]);
	ssize_t n = read(fd[0], said, size - 1);
	said[n > 0 ? n : 0] = '\0';
	close(fd[0]);
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(late_library_is_there)
{
	double (*volatile fn)(double) = cbrt;
	CHECK(fabs(fn(27) - 3) < 1e-9);
	CHECK(fabs(fn(64) - 4) < 1e-9);
}

TEST(late_library_is_not_there)
{
	char said[256];
	CHECK_EQ(ends(no_library, said, sizeof(said)), 127);
	CHECK_STR(str_c(said), "rung: libnone.so.1: cannot open shared object file: "
			       "No such file or directory\n");
}

TEST(late_function_is_not_there)
{
	char said[256];
	CHECK_EQ(ends(no_function, said, sizeof(said)), 127);
	CHECK(str_find(str_c(said), STR("undefined symbol: no_function")) != SIZE_MAX);
}
