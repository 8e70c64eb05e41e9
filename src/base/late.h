#pragma once
/* Libraries that few commands need: loaded when one of their functions is first called. The folder
 * that calls a library has a late_NAME.c with a row for each of its functions, which becomes a
 * function of the same name and type; who calls it does not know. (docs/adr/012-late-libraries.md)
 *
 *   LATE(SONAME, what it returns, name, (parameters), (their names))
 *
 * The library's header must be included: the compiler then compares the row with it. With
 * LATE_LINKED rows become references instead, so that the linker finds them (meson.build). */

/* The address of a function, for ever; any thread. Ends the process with 127, as the dynamic linker
 * would, when the library or the function is not there. */
void *late_find(const char *soname, const char *name);

#ifdef LATE_LINKED
#define LATE(soname, returns, name, parameters, names)                                             \
	extern typeof(name) *const late_##name;                                                    \
	typeof(name) *const late_##name = name;
#else
#define LATE(soname, returns, name, parameters, names)                                             \
	__extension__ returns name parameters                                                      \
	{                                                                                          \
		static typeof(name) *known;                                                        \
		typeof(name) *found = __atomic_load_n(&known, __ATOMIC_ACQUIRE);                   \
		if (!found) {                                                                      \
			found = (typeof(found))late_find(soname, #name);                           \
			__atomic_store_n(&known, found, __ATOMIC_RELEASE);                         \
		}                                                                                  \
		return found names;                                                                \
	}
#endif
