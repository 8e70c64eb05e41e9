#pragma once
/* One TCP connection followed by its sequence numbers, as Wireshark does it: relative numbers,
 * scaled windows, what is lost, sent again, out of order, acknowledged when. */

#include "base/str.h"

enum cap_seq_flag { /* names as of tcp.analysis.* */
		    CAP_SEQ_RETRANSMISSION = 1 << 0,
		    CAP_SEQ_FAST_RETRANSMISSION = 1 << 1,
		    CAP_SEQ_SPURIOUS_RETRANSMISSION = 1 << 2,
		    CAP_SEQ_OUT_OF_ORDER = 1 << 3,
		    CAP_SEQ_LOST_SEGMENT = 1 << 4,
		    CAP_SEQ_ACK_LOST_SEGMENT = 1 << 5,
		    CAP_SEQ_KEEP_ALIVE = 1 << 6,
		    CAP_SEQ_KEEP_ALIVE_ACK = 1 << 7,
		    CAP_SEQ_DUPLICATE_ACK = 1 << 8,
		    CAP_SEQ_ZERO_WINDOW = 1 << 9,
		    CAP_SEQ_ZERO_WINDOW_PROBE = 1 << 10,
		    CAP_SEQ_ZERO_WINDOW_PROBE_ACK = 1 << 11,
		    CAP_SEQ_WINDOW_UPDATE = 1 << 12,
		    CAP_SEQ_WINDOW_FULL = 1 << 13,
		    CAP_SEQ_REUSED_PORTS = 1 << 14,
};

struct cap_seq_in { /* a segment */
	uint32_t frame_no;
	int64_t at_ns;
	uint32_t seq, ack, n; /* n: bytes of payload */
	uint16_t window;
	uint8_t flags;
	uint8_t n_options;
	const uint8_t *options; /* of the header */
};

struct cap_seq_seen {        /* what is known of it; all zero where nothing is */
	bool is_there;       /* numbers are known; raw ones of what an ICMP error quotes */
	bool is_whole;       /* its length is known: it is not quoted */
	bool has_news;       /* there is something to say of it: tcp.analysis */
	bool has_irtt;       /* the handshake was seen */
	int8_t scale;        /* shift of the window, CAP_SEQ_UNKNOWN, CAP_SEQ_UNSCALED */
	uint32_t seq, ack;   /* relative; ack only with the flag */
	uint32_t next;       /* sequence number behind it, relative */
	uint32_t window;     /* scaled */
	uint32_t flags;      /* enum cap_seq_flag, or-ed */
	uint32_t acks_frame; /* 0: it acknowledges no segment that was seen */
	int64_t rtt_ns;      /* ... after so long */
	int64_t irtt_ns;
	uint32_t dup_no, dup_frame; /* which duplicate of the acknowledgement in which frame */
	uint32_t rto_frame;         /* sent again: what it is counted from */
	int64_t rto_ns;
	uint32_t in_flight, pushed; /* bytes; 0: unknown */
};
enum { CAP_SEQ_UNKNOWN = -1, CAP_SEQ_UNSCALED = -2 };

struct cap_seq;
struct cap_seq *cap_seq_new(void); /* NULL without memory */
void cap_seq_free(struct cap_seq *s);
/* Whether a SYN begins another connection on the same ports. */
bool cap_seq_is_new(const struct cap_seq *s, int way, const struct cap_seq_in *in);
/* The next segment of a direction (0 or 1). is_again: it is the first of a connection on ports that
 * had one before. */
void cap_seq_add(struct cap_seq *s, int way, const struct cap_seq_in *in, bool is_again,
		 struct cap_seq_seen *out);
/* A segment that an ICMP error quotes: it changes nothing. */
void cap_seq_quote(const struct cap_seq *s, int way, const struct cap_seq_in *in,
		   struct cap_seq_seen *out);
/* Bytes of memory that it holds. */
size_t cap_seq_n_bytes(const struct cap_seq *s);
