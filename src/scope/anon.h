#pragma once
/* Captures without secrets: addresses, numbers, names, hosts, digests, keys and bodies replaced,
 * the same thing always by the same other thing, so that the ladder and the verdicts stay. What is
 * not known to be harmless is replaced: only words of the protocols themselves are kept. */

#include "capture/cap_walk.h"

struct anon;

/* The key decides what becomes what: random for a capture that is given away, the same for two that
 * shall fit together. NULL without memory. */
struct anon *anon_new(const uint8_t key[16]);
void anon_free(struct anon *a);

/* A word (a run of letters and digits) becomes one of the same length and kind: digits stay digits,
 * letters letters of their case. No two words become the same one, but where words of that shape
 * run out. Case does not tell words apart. Appended to out. */
void anon_word(struct anon *a, struct buf *out, struct str word);
/* An address of the same class: loopback, private, link-local, public; port kept. Unspecified,
 * multicast, broadcast, 127.0.0.1 and ::1 stay. Not two become one. */
struct addr anon_addr(struct anon *a, const struct addr *from);
/* The message rewritten, with a true Content-Length where it had one. */
void anon_message(struct anon *a, struct buf *out, const struct sip_msg *m);

/* --- frames: anon_frame.c ------------------------------------------------------------------- */

/* Makes frames that hold nothing but what is understood: each message of fr in a packet of its own
 * (UDP, or TCP with sequence numbers made anew; TLS becomes TCP), RTP with silence in it, RTCP
 * without names, ICMP errors with the headers that they quote. Calls fn for each with an Ethernet
 * record; its bytes are borrowed. Anything else (DNS, HTTP, ARP ...) is left out and counted. */
void anon_frame(struct anon *a, const struct cap_frame *fr,
		void (*fn)(void *arg, const struct cap_rec *r), void *arg);
uint64_t anon_n_left_out(const struct anon *a);
/* The first failure, if any: ERR_NOMEM. Then the output is not complete. */
enum err anon_err(const struct anon *a);
