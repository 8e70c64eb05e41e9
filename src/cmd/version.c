/* rung version: what this is and what it runs with. */
#include "cmd/cmd.h"
#include "cmd/opt.h"

#include <ares.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>

int cmd_version(int argc, char **argv)
{
	struct opt_spec spec = {
		.command = "version",
		.words = "",
		.about = "Prints the version of rung and of the libraries that it runs with.",
	};
	int code = opt_parse(&spec, argc, argv, NULL, NULL);
	if (code >= 0)
		return code;
	printf("rung %s\n", RUNG_VERSION);
	printf("%s, SQLite %s, c-ares %s\n", OpenSSL_version(OPENSSL_VERSION), sqlite3_libversion(),
	       ares_version(NULL));
	return EXIT_DONE;
}
