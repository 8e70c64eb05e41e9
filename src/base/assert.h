#pragma once
/* ASSERT: our own bug. It stays on in release builds and must therefore be cheap; it prints the
 * place and aborts. ASSERT_SLOW: only in builds with RUNG_DEBUG (the sanitizer builds set it). */

#include <stddef.h>

_Noreturn void assert_failed(const char *expr, const char *file, int line);

#define ASSERT(e) (__builtin_expect(!!(e), 1) ? (void)0 : assert_failed(#e, __FILE__, __LINE__))
#ifdef RUNG_DEBUG
#define ASSERT_SLOW(e) ASSERT(e)
#else
#define ASSERT_SLOW(e) ((void)sizeof(e))
#endif

#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
