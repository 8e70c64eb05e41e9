/* The program under test as a server of its own command lines: each runs in a child that has its
 * libraries loaded already (fifty of them, and a sanitizer), which costs ten times as much as most
 * of what the scripts ask. The child is the program in all else: its own main, its exit, its leak
 * check. The linker puts __wrap_main in main's place (meson.build).
 *
 * Standard input: a command is where its output goes, where its errors go, and its arguments, each
 * ended by a NUL, and an empty one at the end. Standard output: its exit status (128 + signal), a
 * line each, when it has ended. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 256

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);

/* Words up to the empty one; their number, or -1 at the end of the input or when they are too many.
 */
static int read_command(char **word)
{
	for (int n = 0; n < ARGS_MAX; n++) {
		size_t cap = 0;
		word[n] = NULL;
		if (getdelim(&word[n], &cap, 0, stdin) < 0) {
			free(word[n]);
			return -1;
		}
		if (!word[n][0]) {
			free(word[n]);
			word[n] = NULL;
			return n;
		}
	}
	return -1;
}

static int run(int argc, char **word, char *name)
{
	char *out = word[0], *err = word[1];
	word[1] = name;
	if (!freopen("/dev/null", "r", stdin) || !freopen(err, "w", stderr) ||
	    !freopen(out, "w", stdout))
		return 125;
	return __real_main(argc - 1, word + 1);
}

int __wrap_main(int argc, char **argv)
{
	static char *word[ARGS_MAX];
	for (int n; (n = read_command(word)) >= 2;) {
		int status = 0;
		pid_t child = fork();
		if (child == 0)
			exit(run(n, word, argv[0]));
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 1;
		printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		fflush(stdout);
		while (n > 0)
			free(word[--n]);
	}
	return 0;
}
