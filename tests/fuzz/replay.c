/* Replays a corpus through a fuzz target without libFuzzer, so that every ./test runs each input
 * that was ever interesting, plainly and under the sanitizers. Arguments are files or folders. Each
 * input lives in a heap block of exactly its size (an overrun by one byte is seen) and has ten
 * seconds. Prints TAP: one test per folder or file named. A crash ends the program; the input's
 * name is then the last line on standard error. */

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECONDS_PER_INPUT 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
[[gnu::weak]] int LLVMFuzzerInitialize(int *argc, char ***argv);
[[gnu::weak]] void __sanitizer_set_death_callback(void (*fn)(void));

static char name[4096]; /* the input under test */

static void say_name(void)
{
	static const char lead[] = "\nthe input was ";
	if (write(2, lead, sizeof(lead) - 1) < 0 || write(2, name, strlen(name)) < 0 ||
	    write(2, "\n", 1) < 0)
		_exit(1);
}

static void on_signal(int sig)
{
	say_name();
	signal(sig, SIG_DFL);
	raise(sig == SIGALRM ? SIGABRT : sig);
}

/* Returns how many inputs ran, -1 when the file cannot be read. */
static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	if (!f || fstat(fileno(f), &st) < 0) {
		if (f)
			fclose(f);
		printf("# cannot read %s\n", path);
		return -1;
	}
	size_t n = (size_t)st.st_size;
	uint8_t *data = malloc(n ? n : 1);
	int ran = -1;
	if (data && fread(data, 1, n, f) == n) {
		snprintf(name, sizeof(name), "%s", path);
		alarm(SECONDS_PER_INPUT);
		LLVMFuzzerTestOneInput(data, n);
		alarm(0);
		ran = 1;
	}
	free(data);
	fclose(f);
	return ran;
}

static int replay_path(const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return replay_file(path);
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort), ran = n < 0 ? -1 : 0;
	for (int i = 0; i < n; i++) {
		char sub[4096];
		snprintf(sub, sizeof(sub), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && ran >= 0) {
			int r = replay_path(sub);
			ran = r < 0 ? -1 : ran + r;
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return ran;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGALRM, on_signal);
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(say_name);
	} else {
		signal(SIGSEGV, on_signal);
		signal(SIGABRT, on_signal);
		signal(SIGFPE, on_signal);
		signal(SIGBUS, on_signal);
	}
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	int bad = 0;
	for (int i = 1; i < argc; i++) {
		int ran = replay_path(argv[i]);
		const char *leaf = strrchr(argv[i], '/');
		bool is_ok = ran > 0;
		bad += !is_ok;
		printf("%s %d - %s: %d inputs\n", is_ok ? "ok" : "not ok", i,
		       leaf ? leaf + 1 : argv[i], ran);
	}
	printf("1..%d\n", argc - 1);
	return bad ? 1 : 0;
}
