#pragma once
/* TLS secrets by the client's random, as browsers, phones and libraries write them into the file
 * that SSLKEYLOGFILE names (draft-ietf-tls-keylogfile). */

#include "base/buf.h"

struct cap_tls_log;

enum cap_tls_label {
	CAP_TLS_MASTER,     /* CLIENT_RANDOM: up to TLS 1.2, 48 bytes */
	CAP_TLS_EARLY,      /* CLIENT_EARLY_TRAFFIC_SECRET: TLS 1.3 */
	CAP_TLS_HANDSHAKE,  /* {CLIENT,SERVER}_HANDSHAKE_TRAFFIC_SECRET */
	CAP_TLS_APPLICATION /* {CLIENT,SERVER}_TRAFFIC_SECRET_0; later ones follow from it */
};
#define CAP_TLS_RANDOM 32

struct cap_tls_log *cap_tls_log_new(void); /* NULL without memory */
void cap_tls_log_free(struct cap_tls_log *l);
/* Adds whole lines; what is no secret of TLS is passed over. Without memory the line is lost. */
void cap_tls_log_add(struct cap_tls_log *l, struct str text);
/* A file that may still be written: read now, and again by cap_tls_log_look. ERR_NOTFOUND, ERR_IO.
 */
enum err cap_tls_log_follow(struct cap_tls_log *l, const char *path);
/* Reads what the followed file has got since; does nothing without one. */
void cap_tls_log_look(struct cap_tls_log *l);
/* Rises with every secret: nothing new is to be found while it stays. */
uint32_t cap_tls_log_version(const struct cap_tls_log *l);
/* STR_NONE when it is not there (yet). is_server tells the two sides' secrets apart where there are
 * two. Borrowed from the log, for its life. */
struct str cap_tls_log_find(const struct cap_tls_log *l, enum cap_tls_label label, bool is_server,
			    const uint8_t random[CAP_TLS_RANDOM]);
/* Appends the lines of a key log that name the random; nothing where there are none. */
void cap_tls_log_put(const struct cap_tls_log *l, const uint8_t random[CAP_TLS_RANDOM],
		     struct buf *b);
