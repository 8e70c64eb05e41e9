/* Loading a library. It is asked for by each of its functions once, which costs a microsecond when
 * it is there: so no handle is kept, and nothing is ever unloaded. Its names are for nobody else
 * (RTLD_LOCAL), and what it lacks is known at once (RTLD_NOW). */
#include "base/late.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#define EXIT_NOT_LOADED 127 /* what the dynamic linker ends with */

void *late_find(const char *soname, const char *name)
{
	void *lib = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
	void *found = lib ? dlsym(lib, name) : NULL;
	if (!found) {
		fprintf(stderr, "rung: %s\n", dlerror());
		_exit(EXIT_NOT_LOADED);
	}
	return found;
}
