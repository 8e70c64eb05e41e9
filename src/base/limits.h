#pragma once
/* The one header of bounds: nothing in rung grows without one, and each says why it is what it is.
 * A bound that is reached is an answer (503, 413, ERR_LIMIT), never an abort. */

/* --- memory --------------------------------------------------------------------------------- */

/* Objects in one pool: an obj_id has 24 bits for the slot. */
#define LIMIT_POOL_OBJECTS (1u << 24)

/* Bytes of one piece of an arena: no message, body or description comes near; more is a length that
 * went wrong. */
#define LIMIT_ARENA_PIECE (16u << 20)

/* --- network -------------------------------------------------------------------------------- */

/* Payload of a UDP datagram over IPv4: 65,535 - 20 (IP) - 8 (UDP). IPv6 would allow 20 more; one
 * number for both keeps peers on either side equal. */
#define LIMIT_DATAGRAM_BYTES 65'507u
/* Asked from the kernel per UDP socket and direction: the default of 208 kB holds about 150
 * messages and loses bursts at 4,000 messages/s; 4 MB hold a second of them. */
#define LIMIT_UDP_SOCKET_BYTES (4u << 20)
/* Connections that one listener lets wait: the kernel cuts it to net.core.somaxconn. */
#define LIMIT_LISTEN_BACKLOG 1'024
/* Events taken from the kernel in one poll: bounds the time until timers run again. */
#define LIMIT_POLL_EVENTS 64
/* Calls of one handler for one readiness are its own matter, but a loop must come back to its
 * timers: who reads a socket until empty stops after this many datagrams per turn. */
#define LIMIT_DATAGRAMS_PER_TURN 256
/* Cached answers to "which local address towards this peer?", per env. */
#define LIMIT_SOURCE_CACHE 256

/* --- shards --------------------------------------------------------------------------------- */

/* An obj_id and a Via branch have 8 bits for the shard. */
#define LIMIT_SHARDS 256
/* Worker threads for blocking jobs: they wait for disks and hash passwords; more than this only
 * fight for the same cores. */
#define LIMIT_WORKERS 64
/* Inbox messages handled in one turn before timers and sockets get their turn again. */
#define LIMIT_INBOX_PER_TURN 1'024
