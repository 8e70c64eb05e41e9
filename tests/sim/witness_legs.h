#pragma once
/* For witness.c: the calls of the back-to-back user agent, as far as the wire shows them and the
 * exchange has told which leg it has made for which (EXC_NOTE_LEG). */

#include "witness.h"

struct wit_legs;
struct wit_legs *wit_legs_new(void);
void wit_legs_note(struct wit_legs *l, struct str of, struct str call_id);
void wit_legs_message(struct wit_legs *l, uint64_t at_us, bool is_sent, bool is_stream,
		      struct str m);
void wit_legs_recorded(struct wit_legs *l, struct str call_id, unsigned status);
void wit_legs_lasting(struct wit_legs *l, struct str call_id); /* long after all are over */
void wit_legs_forget(struct wit_legs *l);                      /* the exchange has crashed */
/* All calls are over. */
void wit_legs_check(const struct wit_legs *l);
unsigned wit_legs_compared(const struct wit_legs *l);
void wit_legs_free(struct wit_legs *l);

/* witness_records.c */
struct wit_records;
struct wit_records *wit_records_new(struct wit_legs *calls);
void wit_records_message(struct wit_records *r, uint64_t at_us, const struct addr *from,
			 const struct addr *to, struct str m);
void wit_records_note(struct wit_records *r, struct str of, struct str call_id);
void wit_records_cut(struct wit_records *r, uint64_t at_us); /* the exchange begins again */
void wit_records_end(struct wit_records *r);                 /* no message comes any more */
void wit_records_free(struct wit_records *r);

/* witness.c: messages by lines. */
struct str wit_value(struct str m, const char *name); /* of the first line of that name */
unsigned wit_count(struct str m, const char *name);
struct str wit_body(struct str m);
unsigned wit_status(struct str m); /* 0: a request */
bool wit_next_line(struct str *rest, struct str *line);
uint64_t wit_hash(const struct str *v, size_t n, uint64_t more);
