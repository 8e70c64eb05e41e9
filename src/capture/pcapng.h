#pragma once
/* The numbers of a pcapng, for who reads it (capng.c) and who writes it (cap_block.c).
 * draft-ietf-opsawg-pcapng. */

enum {
	BLOCK_SHB = 0x0a0d0d0a,
	BLOCK_IDB = 1,
	BLOCK_PB = 2,
	BLOCK_SPB = 3,
	BLOCK_ISB = 5,
	BLOCK_EPB = 6,
	BLOCK_DSB = 10,
};
enum {
	OPT_END = 0,
	OPT_COMMENT = 1,
	OPT_USERAPPL = 4, /* of a section */
	OPT_IF_NAME = 2,
	OPT_IF_DESCRIPTION = 3,
	OPT_IF_TSRESOL = 9,
	OPT_IF_TSOFFSET = 14,
	OPT_EPB_FLAGS = 2,
	OPT_EPB_PACKETID = 5,
	OPT_EPB_QUEUE = 6,
	OPT_ISB_RECV = 4,
	OPT_ISB_IFDROP = 5,
	OPT_ISB_OSDROP = 7,
};
