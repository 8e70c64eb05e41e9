#pragma once
/* Results of operations that can fail. A peer's fault is data, our own bug is an ASSERT, the
 * environment's failure is an `enum err`; the three are never mixed. Values are never OR-ed. */

enum [[nodiscard]] err{
	OK = 0,
	ERR_MORE,     /* not an error of the peer: the operation needs more bytes, or would block */
	ERR_SYNTAX,   /* the input does not follow its grammar */
	ERR_LIMIT,    /* a bound of ours is reached: buffer full, table full, message too large */
	ERR_NOMEM,    /* the allocator refused */
	ERR_STATE,    /* not possible in this state */
	ERR_TIMEOUT,  /* nothing came in time */
	ERR_NET,      /* unreachable, refused, reset, closed by the peer */
	ERR_AUTH,     /* credentials missing or wrong */
	ERR_NOTFOUND, /* no such thing */
	ERR_UNSUPPORTED, /* understood, but not something we do */
	ERR_IO,          /* file or disk */
};

/* A short lower-case phrase for people ("would block", "not found"); never NULL. */
const char *err_text(enum err e);
