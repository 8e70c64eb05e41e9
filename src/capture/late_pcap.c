/* libpcap, for who listens on an interface (cap_live.c). */
#include "base/late.h"

#include <pcap/pcap.h>

/* clang-format off */
LATE(PCAP_SO, pcap_t *,     pcap_create,               (const char *iface, char *why), (iface, why))
LATE(PCAP_SO, int,          pcap_set_snaplen,          (pcap_t *p, int n), (p, n))
LATE(PCAP_SO, int,          pcap_set_promisc,          (pcap_t *p, int on), (p, on))
LATE(PCAP_SO, int,          pcap_set_timeout,          (pcap_t *p, int ms), (p, ms))
LATE(PCAP_SO, int,          pcap_set_buffer_size,      (pcap_t *p, int n), (p, n))
LATE(PCAP_SO, int,          pcap_set_tstamp_precision, (pcap_t *p, int unit), (p, unit))
LATE(PCAP_SO, int,          pcap_get_tstamp_precision, (pcap_t *p), (p))
LATE(PCAP_SO, int,          pcap_activate,             (pcap_t *p), (p))
LATE(PCAP_SO, int,          pcap_set_datalink,         (pcap_t *p, int link), (p, link))
LATE(PCAP_SO, int,          pcap_datalink,             (pcap_t *p), (p))
LATE(PCAP_SO, int,          pcap_snapshot,             (pcap_t *p), (p))
LATE(PCAP_SO, int,          pcap_setnonblock,          (pcap_t *p, int on, char *why), (p, on, why))
LATE(PCAP_SO, int,          pcap_get_selectable_fd,    (pcap_t *p), (p))
LATE(PCAP_SO, int,          pcap_compile,              (pcap_t *p, struct bpf_program *to, const char *filter, int quick, bpf_u_int32 net), (p, to, filter, quick, net))
LATE(PCAP_SO, int,          pcap_setfilter,            (pcap_t *p, struct bpf_program *filter), (p, filter))
LATE(PCAP_SO, void,         pcap_freecode,             (struct bpf_program *filter), (filter))
LATE(PCAP_SO, int,          pcap_next_ex,              (pcap_t *p, struct pcap_pkthdr **h, const u_char **bytes), (p, h, bytes))
LATE(PCAP_SO, int,          pcap_stats,                (pcap_t *p, struct pcap_stat *to), (p, to))
LATE(PCAP_SO, char *,       pcap_geterr,               (pcap_t *p), (p))
LATE(PCAP_SO, const char *, pcap_statustostr,          (int status), (status))
LATE(PCAP_SO, void,         pcap_close,                (pcap_t *p), (p))
LATE(PCAP_SO, int,          pcap_findalldevs,          (pcap_if_t **all, char *why), (all, why))
LATE(PCAP_SO, void,         pcap_freealldevs,          (pcap_if_t *all), (all))
