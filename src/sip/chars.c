/* The one table of character classes. Each class is written as the ABNF of RFC 3261 25.1 lists it,
 * and the compiler makes 256 bytes of that: no initialization at start, no locale. */

#include "sip/chars.h"

#define ALPHA(c)           (((c) >= 'a' && (c) <= 'z') || ((c) >= 'A' && (c) <= 'Z'))
#define DIGIT(c)           ((c) >= '0' && (c) <= '9')
#define ALNUM(c)           (ALPHA(c) || DIGIT(c))
#define IN4(c, a, b, d, e) ((c) == (a) || (c) == (b) || (c) == (d) || (c) == (e))
#define MARK(c)            (IN4(c, '-', '_', '.', '!') || IN4(c, '~', '*', '\'', '(') || (c) == ')')
#define UNRESERVED(c)      (ALNUM(c) || MARK(c))
#define TOKEN(c)                                                                                   \
	(ALNUM(c) || IN4(c, '-', '.', '!', '%') || IN4(c, '*', '_', '+', '`') || (c) == '\'' ||    \
	 (c) == '~')
#define PLAIN(c) (!WS(c) && (c) != ';' && (c) != ',' && (c) != '"')
#define USER(c)  (UNRESERVED(c) || IN4(c, '&', '=', '+', '$') || IN4(c, ',', ';', '?', '/'))
#define HOST(c)  (ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_')
#define WS(c)    IN4(c, ' ', '\t', '\r', '\n')
#define URI(c)   ((c) > ' ' && (c) != 0x7f && (c) != '<' && (c) != '>' && (c) != '"')

#define CLASSES(c)                                                                                 \
	(uint8_t)((ALPHA(c) ? CC_ALPHA : 0) | (DIGIT(c) ? CC_DIGIT : 0) |                          \
		  (TOKEN(c) ? CC_TOKEN : 0) | (PLAIN(c) ? CC_PLAIN : 0) | (WS(c) ? CC_WS : 0) |    \
		  (USER(c) ? CC_USER : 0) | (HOST(c) ? CC_HOST : 0) | (URI(c) ? CC_URI : 0))
#define C4(c)  CLASSES(c), CLASSES((c) + 1), CLASSES((c) + 2), CLASSES((c) + 3)
#define C16(c) C4(c), C4((c) + 4), C4((c) + 8), C4((c) + 12)
#define C64(c) C16(c), C16((c) + 16), C16((c) + 32), C16((c) + 48)

const uint8_t sip_cc[256] = {C64(0), C64(64), C64(128), C64(192)};

void cc_fill(void *p, int byte, size_t n)
{
	memset(p, byte, n);
}
