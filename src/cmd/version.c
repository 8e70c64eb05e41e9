/* rung version: what this is and what it runs with. */
#include "cmd/cmd.h"

#include <ares.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>

int cmd_version(int argc, char **argv)
{
	printf("rung %s\n", RUNG_VERSION);
	printf("%s, SQLite %s, c-ares %s\n", OpenSSL_version(OPENSSL_VERSION), sqlite3_libversion(),
	       ares_version(NULL));
	return EXIT_DONE;
}
