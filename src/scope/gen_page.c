/* Build-time generator: files as one C array, for the page that `rung scope -o x.html` writes.
 *
 *   gen_page NAME FILE...   prints `static const char NAME[] = {...};` with the files' bytes one
 *                           behind the other
 *
 * It is a program of its own: it runs on the machine that builds and uses nothing of rung. */

#include <stdio.h>

static int put_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	unsigned n = 0;
	int c;
	if (!f) {
		perror(path);
		return 1;
	}
	while ((c = getc(f)) != EOF)
		printf("%d,%s", c > 127 ? c - 256 : c, ++n % 24 ? "" : "\n");
	printf("\n");
	return fclose(f);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "gen_page NAME FILE...\n");
		return 2;
	}
	printf("static const char %s[] = {\n", argv[1]);
	for (int i = 2; i < argc; i++)
		if (put_file(argv[i]))
			return 1;
	printf("};\n");
	return 0;
}
