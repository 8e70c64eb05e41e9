#pragma once
/* The one header of bounds: nothing in rung grows without one, and each says why it is what it is.
 * A bound that is reached is an answer (503, 413, ERR_LIMIT), never an abort. */

/* --- memory --------------------------------------------------------------------------------- */

/* Objects in one pool: an obj_id has 24 bits for the slot. */
#define LIMIT_POOL_OBJECTS (1u << 24)

/* Bytes of one piece of an arena: no message, body or description comes near; more is a length that
 * went wrong. */
#define LIMIT_ARENA_PIECE (16u << 20)

/* What a shard's tap keeps of calls while its ring is full, so that they have their records: some
 * 15,000 messages, of which a shard in a storm makes as many a second. */
#define LIMIT_TAP_WAITING_BYTES (16u << 20)

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
/* Who reads a socket until it is empty stops after this many datagrams and is called again in the
 * next turn: timers and other sockets want their turn too. */
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

/* --- names ---------------------------------------------------------------------------------- */

/* Answers that one shard's resolver keeps (each about 1.2 kB). */
#define LIMIT_DNS_CACHE 1'024
/* Questions on their way at once: more than this and the servers are dead anyway. */
#define LIMIT_DNS_ASKING 256

/* --- SIP transport (per shard) -------------------------------------------------------------- */

/* Connections, each about 0.5 kB while idle, 27 kB over TLS; what the descriptors of a process
 * allow as a rule. */
#define LIMIT_CONNECTIONS 65'536u
/* Of these from one address: a trunk or a NAT with thousands of phones fits, one attacker does not
 * take all. */
#define LIMIT_CONNECTIONS_PER_SOURCE 4'096u
/* Memory of what waits to be written to one connection: a hundred messages, or one of the longest;
 * who reads slower than that is closed. */
#define LIMIT_QUEUED_BYTES (256u << 10)
/* A message on a stream. Far above a datagram, for large bodies; one connection can hold this much
 * for LIMIT_STREAM_MESSAGE_US. */
#define LIMIT_STREAM_MESSAGE_BYTES (128u << 10)
/* A message over WebSocket, joined: what one read of a connection holds. No datagram is larger. */
#define LIMIT_WS_MESSAGE_BYTES (64u << 10)
/* Names of TLS peers that one shard remembers between resolving and connecting. */
#define LIMIT_TLS_NAMES 256
/* For the handshakes of TLS and WebSocket together, of a peer that connects to us. */
#define LIMIT_HANDSHAKE_US 10'000'000u
/* From a message's first byte on a stream to its last: who needs longer has other things in mind.
 */
#define LIMIT_STREAM_MESSAGE_US 30'000'000u
/* A connection without traffic. Registrations over it send keep-alives far more often. */
#define LIMIT_IDLE_US 3'600'000'000u
/* To connect: three SYNs of Linux (0, 1, 3 s). */
#define LIMIT_CONNECT_US 5'000'000u
/* A FIFO that does not move at all: 64*T1, when every transaction behind it is over. */
#define LIMIT_STALL_US 32'000'000u
/* A stream that cannot be framed any further stays this long for its 400 to be written and read. */
#define LIMIT_LINGER_US 5'000'000u

/* Next hops of a shard that are known to be dead: trunks and foreign domains are few. */
#define LIMIT_DEAD_HOPS 64

/* --- services ------------------------------------------------------------------------------- */

/* Requests that one shard's proxy forwards at a time: 500 calls/s ringing for 30 s is 15,000. */
#define LIMIT_PROXY_CONTEXTS 65'536
/* Requests of one shard whose credentials are being checked by another. */
#define LIMIT_PENDING_AUTH 16'384
/* Calls that one shard carries as a back-to-back user agent, each with two sessions and up to 4 kB.
 */
#define LIMIT_B2B_CALLS 32'768
/* Trunks of a routing policy, and hosts of one: a plan holds 16 steps. */
#define LIMIT_TRUNKS      256u
#define LIMIT_TRUNK_HOSTS 16u
/* Echo tests of one shard at a time: each holds two ports and 50 packets/s in each direction. */
#define LIMIT_ECHO_CALLS 100
/* Subscriptions of one account on one shard, all together: two phones with a hundred lamps each. */
#define LIMIT_SUBS_PER_USER 256u
/* Of these to the same package of the same address: a few phones with a stale one each. */
#define LIMIT_SUBS_ALIKE 16u
/* Watchers of one address: everybody in a large office has everybody's lamp. */
#define LIMIT_WATCHERS 4'096u
/* Members of the list of all colleagues: its NOTIFY must not become a megabyte. */
#define LIMIT_LIST_MEMBERS 200u
/* Publications of one address: a phone, a desktop, a calendar, a few stale ones. */
#define LIMIT_PUBLICATIONS 8u
/* Bytes of one publication, and of an offline message: they are kept in memory. */
#define LIMIT_PUBLICATION_BYTES 16'384u
#define LIMIT_MESSAGE_BYTES     8'192u
/* Dialogs known of one address: a busy hunt number. The oldest that ended go first. */
#define LIMIT_KNOWN_DIALOGS 64u
/* Calls of one shard whose dialogs are known to the event server, about 0.3 kB each. */
#define LIMIT_WATCHED_CALLS 65'536u
/* Offline messages of one user, and bytes of all of one shard. */
#define LIMIT_MESSAGES_PER_USER 100u
#define LIMIT_MESSAGES_BYTES    (64u << 20)
/* Requests outside dialogs that one user at one address may start: a person's phone needs a few at
 * start-up, a test tool with one account some dozens a second. */
#define LIMIT_STARTS_PER_S 50
#define LIMIT_STARTS_BURST 200

/* Messages outside dialogs that one address may start, all its users together: an office behind one
 * NAT that comes back after a power cut registers a thousand phones in some seconds. A trunk that
 * sends more is one to --trust. */
#define LIMIT_SOURCE_PER_S 500
#define LIMIT_SOURCE_BURST 2'000
/* Addresses that something speaks against, about 500 bytes each; the one that was quiet longest is
 * forgotten first, those that are banned last. */
#define LIMIT_SUSPECTS 16'384u
/* Networks that an operator bans by hand: each message is compared with all of them. */
#define LIMIT_BAN_NETS 32
/* Addresses where users have logged in lately, 16 bytes each. */
#define LIMIT_GOOD_SOURCES 65'536u
/* Bans that are written down: what a setting of 1 MB holds. */
#define LIMIT_BANS_SAVED 4'096u

/* --- transactions and dialogs ----------------------------------------------------------------- */

/* Transactions of one shard, each side: 4,000 calls/s whose INVITEs live 32 s after the answer. The
 * last tenth of the server side is kept for requests inside dialogs. */
#define LIMIT_TRANSACTIONS 131'072u
/* Finished non-INVITE transactions that still absorb retransmissions, each for 32 s: 8,000 requests
 * a second at about 600 bytes each. Beyond it the oldest go early. */
#define LIMIT_TSX_RECORDS 262'144u

/* --- store and location ------------------------------------------------------------------------
 */

/* One record of the bindings' journal: an AOR with all its contacts. What does not fit is refused
 * before it is written. */
#define LIMIT_JOURNAL_RECORD 65'536u
/* A journal is not rewritten before it is this much larger than three times what it says. */
#define LIMIT_JOURNAL_SLACK (4u << 20)
/* Contacts of one AOR: a family of phones, and the stale ones of a softphone that died often. */
#define LIMIT_CONTACTS_PER_AOR 16
/* Bytes of an AOR: a user name of 64 and the canonical domain fit well; its length is one byte. */
#define LIMIT_AOR_BYTES 255
/* Changes of one AOR that wait for the one being written; a phone has one at a time. */
#define LIMIT_WAITING_PER_AOR 64
/* Dialogs of one shard as an endpoint (phone, echo, message-waiting), and each of sessions,
 * subscriptions and running requests: about 1.5 kB each. Proxied calls have none. */
#define LIMIT_DIALOGS 65'536u
/* Of these, dialogs that nobody wanted and that wait for the answer to their BYE: further forks
 * that answered. A peer that answers by a thousand tags does not take the room of calls. */
#define LIMIT_DYING_DIALOGS 512u
