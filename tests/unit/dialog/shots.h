#pragma once
/* Everything that two parties say to each other, kept as text: for what must hold of each message
 * on the wire, whatever the layers above make of it. */

#include "pair.h"

#define SHOTS 96

extern struct shot {
	char from; /* 'a', 'b', ... */
	char text[3000];
} shots[SHOTS];
extern unsigned n_shots;

struct pair watched(void); /* as pair_new, and all that is sent is kept */
/* The n-th message (0: the first) of that party that begins so; NULL when there is none. */
const char *maybe_shot(char from, const char *start, unsigned n);
const char *shot(char from, const char *start, unsigned n); /* fails the test without one */
bool shot_is_request(const char *text);
/* The n-th header line of that name, without its name. */
struct str shot_line(const char *text, const char *name, unsigned n);
unsigned shot_count(const char *text, const char *name);
uint32_t shot_cseq(const char *text);
struct str shot_uri(const char *text);    /* of the request line */
struct str in_brackets(struct str value); /* what stands between < and > */
bool has(struct str s, const char *part);
