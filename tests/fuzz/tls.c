/* TLS with a fixed key log, so that what is behind the encryption is reached. The input is a list
 * of steps: a byte (bit 0: the direction; bits 1 to 3: what; bits 4 to 7: how its bytes are cut
 * into segments), a length, that many bytes. A step sends them raw, or protected with a key that
 * the log knows, with the right sequence number; or a hello that fits the log; or loses them. */
#include "capture/cap_tcp.h"
#include "capture/cap_tls.h"

#define ERR_STATE OPENSSL_ERR_STATE /* base/err.h has one, too */
#include <openssl/evp.h>
#undef ERR_STATE
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum step {
	RAW,
	CLIENT_HELLO,
	SERVER_HELLO_13,
	SERVER_HELLO_12,
	HANDSHAKE,
	APPLICATION,
	TLS_12,
	LOST
};

#define X32(d) d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d
static const char key_log[] = "CLIENT_HANDSHAKE_TRAFFIC_SECRET " X32("11") " " X32(
	"01") "\n"
	      "SERVER_HANDSHAKE_TRAFFIC_SECRET " X32("11") " " X32(
		      "02") "\n"
			    "CLIENT_TRAFFIC_SECRET_0 " X32("11") " " X32(
				    "03") "\n"
					  "SERVER_TRAFFIC_SECRET_0 " X32("11") " " X32(
						  "04") "\n"
							"CLIENT_EARLY_TRAFFIC_SECRET " X32("11") " " X32(
								"05") "\n"
								      "CLIENT_RANDOM " X32("11") " " X32(
									      "07") "07070707070707"
										    "070707"
										    "070707070707"
										    "\n";

/* AES-128-GCM keys and IVs that follow from it, worked out elsewhere: handshake, application, TLS
 * 1.2 (its IVs are four bytes), each of client and server. */
static const struct {
	const char *key, *iv;
} keys[3][2] = {
	{{"\xe6\x77\x3b\x2c\x89\xde\xe2\xb4\x3a\xd3\xf9\x68\x6f\xcb\x01\x33",
	  "\x5f\xae\x67\x8e\xd5\x29\x82\x23\xde\x91\x54\x47"},
	 {"\x85\x7a\x5d\x7e\xae\xe8\xb1\x6b\x29\x0d\x13\x26\xa0\x7d\x1e\x45",
	  "\x71\xf3\x48\x2c\xe4\x45\x29\xa2\x6f\xfa\x79\x8d"}},
	{{"\x6e\x1d\xee\x01\x68\xd5\x29\x67\x39\x46\x34\xaf\x10\xfd\x1c\x55",
	  "\x60\x94\x3f\xa8\x99\x76\xd1\x6e\xf7\xad\x71\x20"},
	 {"\x62\x50\x83\xce\x6f\x63\xbe\xd0\x0f\xc1\x23\xb9\x01\xe1\x26\x33",
	  "\x02\xc8\x5a\x53\xed\x42\x65\x57\x71\x67\xb9\xeb"}},
	{{"\xc2\x41\xe2\xe1\x96\xa9\xe9\xe9\xb4\xcc\xee\x21\x7d\x6c\x8f\x61",
	  "\xb3\xd5\x29\x51\0\0\0\0\0\0\0\0"},
	 {"\x5a\x4f\xa5\xb8\x92\x4c\xa8\x38\xf8\xe3\xc6\xe5\x81\x2a\x6c\xc8",
	  "\xc3\x98\x15\x42\0\0\0\0\0\0\0\0"}                },
};

struct talk {
	struct cap_tcp *tcp;
	struct addr ends[2];
	uint32_t seq[2];
	uint64_t numbers[3][2]; /* records sent, by key */
	uint32_t frame_no;
};

static void on_message(void *arg, struct str bytes, const struct addr *from, const struct addr *to,
		       enum trk_transport transport, const struct cap_seg *seg)
{
	unsigned *sum = arg; /* every byte is there */
	for (size_t i = 0; i < bytes.n; i++)
		*sum += (uint8_t)bytes.p[i];
}

static void send_bytes(struct talk *t, int way, unsigned cut, const uint8_t *p, size_t n)
{
	size_t piece = cut ? cut * cut : n;
	while (n) {
		size_t use = piece < n ? piece : n;
		uint8_t *copy = malloc(use); /* an overrun is seen */
		if (!copy)
			abort();
		memcpy(copy, p, use);
		struct cap_pkt k = {.proto = CAP_TCP,
				    .src = t->ends[way],
				    .dst = t->ends[!way],
				    .tcp_flags = CAP_TCP_ACK,
				    .tcp_seq = t->seq[way],
				    .tcp_ack = t->seq[!way],
				    .p = copy,
				    .n = (uint32_t)use};
		t->frame_no++;
		cap_tcp_add(t->tcp, &k,
			    &(struct cap_seg){t->frame_no, (int64_t)t->frame_no * 50'000'000});
		t->seq[way] += (uint32_t)use;
		free(copy);
		p += use;
		n -= use;
	}
}

/* A record with its content behind the head; room for a tag behind it. */
static void seal(struct talk *t, int way, unsigned which, unsigned cut, const uint8_t *p, size_t n)
{
	static EVP_CIPHER_CTX *c;
	uint8_t out[5 + 8 + 256 + 16], nonce[12], aad[13];
	bool is_12 = which == 2;
	uint64_t number = t->numbers[which][way]++;
	size_t lead = 5 + (is_12 ? 8 : 0), sealed = n + 16 + (is_12 ? 8 : 0);
	int len;
	if (!c && !(c = EVP_CIPHER_CTX_new()))
		abort();
	/* the first byte is the type: before the content in 1.2, behind it in 1.3 */
	unsigned type = n ? p[0] : 23;
	size_t content = is_12 && n ? n - 1 : n;
	sealed -= n - content;
	uint8_t head[5] = {is_12 ? (uint8_t)type : 23, 3, 3, (uint8_t)(sealed >> 8),
			   (uint8_t)sealed};
	memcpy(out, head, 5);
	memcpy(nonce, keys[which][way].iv, 12);
	for (int i = 0; i < 8; i++) {
		uint8_t b = (uint8_t)(number >> (56 - 8 * i));
		nonce[4 + i] ^= b;
		aad[i] = b;
		if (is_12)
			out[5 + i] = b;
	}
	memcpy(aad + 8, head, 3);
	aad[11] = (uint8_t)(content >> 8);
	aad[12] = (uint8_t)content;
	const uint8_t *from = is_12 && n ? p + 1 : p;
	if (EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, (const uint8_t *)keys[which][way].key,
			       nonce) != 1 ||
	    EVP_EncryptUpdate(c, NULL, &len, is_12 ? aad : head, is_12 ? 13 : 5) != 1 ||
	    EVP_EncryptUpdate(c, out + lead, &len, from, (int)content) != 1 ||
	    EVP_EncryptFinal_ex(c, out + lead + content, &len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, out + lead + content) != 1)
		abort();
	send_bytes(t, way, cut, out, lead + content + 16);
}

/* Head of a record and of a message, version, random; then what the suite and extensions say. */
static void hello(struct talk *t, int way, unsigned cut, unsigned type, uint8_t random,
		  const uint8_t *rest, size_t n)
{
	uint8_t out[5 + 4 + 2 + 32 + 256] = {22, 3, 3};
	size_t body = 34 + n;
	out[3] = (uint8_t)((body + 4) >> 8);
	out[4] = (uint8_t)(body + 4);
	out[5] = (uint8_t)type;
	out[7] = (uint8_t)(body >> 8);
	out[8] = (uint8_t)body;
	out[9] = out[10] = 3;
	memset(out + 11, random, 32);
	memcpy(out + 43, rest, n);
	send_bytes(t, way, cut, out, 9 + body);
}

static void do_step(struct talk *t, unsigned op, const uint8_t *p, size_t n)
{
	static const uint8_t client[] = {0, 0, 2, 0x13, 1, 1, 0, 0, 4, 0, 42, 0, 0};
	static const uint8_t server_13[] = {0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4};
	static const uint8_t server_12[] = {0, 0xc0, 0x2f, 0, 20, 3, 3, 0, 1, 1};
	int way = op & 1;
	unsigned cut = op >> 4;
	switch ((enum step)(op >> 1 & 7)) {
	case RAW:
		send_bytes(t, way, cut, p, n);
		break;
	case CLIENT_HELLO:
		memset(t->numbers, 0, sizeof t->numbers);
		hello(t, way, cut, 1, 0x11, client, sizeof client - (n ? 6 : 0));
		break;
	case SERVER_HELLO_13:
		hello(t, way, cut, 2, 0x22, server_13, sizeof server_13);
		break;
	case SERVER_HELLO_12: /* and the ChangeCipherSpec of both */
		hello(t, way, cut, 2, 0x22, server_12, 4);
		send_bytes(t, way, cut, server_12 + 4, 6);
		send_bytes(t, !way, cut, server_12 + 4, 6);
		break;
	case HANDSHAKE:
		seal(t, way, 0, cut, p, n);
		break;
	case APPLICATION:
		seal(t, way, 1, cut, p, n);
		break;
	case TLS_12:
		seal(t, way, 2, cut, p, n);
		break;
	case LOST:
		t->seq[way] += (uint32_t)n;
		t->numbers[op >> 4 & 1][way] += n / 32;
		break;
	}
}

/* Nothing adds to it, so that one does for all inputs. */
static struct cap_tls_log *the_log(void)
{
	static struct cap_tls_log *log;
	if (!log && !(log = cap_tls_log_new()))
		abort();
	if (!cap_tls_log_version(log))
		cap_tls_log_add(log, str_of(key_log, sizeof key_log - 1));
	return log;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	unsigned sum = 0;
	struct talk t = {
		.tcp = cap_tcp_new(on_message, &sum), .seq = {1'000, 5'000}
        };
	if (!t.tcp)
		abort();
	cap_tcp_share_log(t.tcp, the_log());
	for (int i = 0; i < 2; i++)
		t.ends[i] = (struct addr){
			.family = ADDR_V4, .port = (uint16_t)(4'000 + i), .ip = {192, 0, 2, 1}
                };
	while (n >= 2) {
		size_t use = p[1] < n - 2 ? p[1] : n - 2;
		do_step(&t, p[0], p + 2, use);
		p += 2 + use;
		n -= 2 + use;
	}
	while (cap_tcp_flush(t.tcp))
		continue;
	cap_tcp_free(t.tcp);
	return 0;
}
