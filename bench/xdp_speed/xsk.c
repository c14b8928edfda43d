/*
 * The peer of bench/xdp_rx.ts and bench/xdp_tx.ts: AF_XDP in C, on the bare system calls, and what floods and swallows frames.
 *
 *   xsk rx IF poll|spin     receives on queue 0 (native, copied by the kernel), reading two bytes and the length of each frame;
 *                           "listening" on stderr once it does; SIGUSR2: {"received"} on stdout, a line of JSON
 *   xsk tx IF SECONDS BATCH sends 60-byte frames by AF_XDP, as fast as it can; {"sent", "seconds"} on stdout
 *   xsk flood IF SECONDS    the same by sendmmsg() on a packet socket
 *   xsk drop IF             drops what comes in, in the driver, until it is killed; "listening" on stderr
 *
 * gcc -O2 -o xsk xsk.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include "xsk.h"

#define FRAMES 4096
#define LEN 60
#define FLOOD_BATCH 32

static char *umem;
static volatile sig_atomic_t asked;

static void on_ask(int signal)
{
	(void)signal;
	asked = 1;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* A UDP frame to a station that nobody is. */
static void make_frame(unsigned char *f)
{
	static const unsigned char bytes[LEN] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17,
		0x66, 0xbd, 10, 0, 0, 2, 10, 0, 0, 1, 0x4e, 0x20, 0x1a, 0x0a, 0, 26};
	memcpy(f, bytes, LEN);
}

static int open_xsk(int ifindex, int is_rx, struct ring *queue, struct ring *fill, struct ring *completion)
{
	int fd = must(socket(AF_XDP, SOCK_RAW, 0), "socket"), size = RING;
	umem = map_umem(FRAMES);
	register_umem(fd, umem, FRAMES);
	setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &size, sizeof size);
	setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &size, sizeof size);
	setsockopt(fd, SOL_XDP, is_rx ? XDP_RX_RING : XDP_TX_RING, &size, sizeof size);
	struct xdp_mmap_offsets o = ring_offsets(fd);
	map_ring(fd, fill, &o.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING);
	map_ring(fd, completion, &o.cr, sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING);
	map_ring(fd, queue, is_rx ? &o.rx : &o.tx, sizeof(struct xdp_desc), is_rx ? XDP_PGOFF_RX_RING : XDP_PGOFF_TX_RING);
	struct sockaddr_xdp to = {.sxdp_family = AF_XDP, .sxdp_ifindex = ifindex, .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP};
	/* The kernel takes down who had the queue before a moment after he is gone. */
	int bound = -1;
	for (int tries = 0; tries < 500 && (bound = bind(fd, (void *)&to, sizeof to)) < 0 && errno == EBUSY; tries++)
		usleep(1000);
	must(bound, "bind");
	return fd;
}

static void receive(int ifindex, int spin)
{
	struct ring rx, fill, completion;
	int fd = open_xsk(ifindex, 1, &rx, &fill, &completion);
	for (int i = 0; i < RING; i++)
		((uint64_t *)fill.desc)[i] = (uint64_t)i * FRAME_SIZE;
	__atomic_store_n(fill.producer, RING, __ATOMIC_RELEASE);
	attach_socket(ifindex, fd);
	struct sigaction ask = {.sa_handler = on_ask};
	sigaction(SIGUSR2, &ask, 0);
	fprintf(stderr, "listening\n");
	uint64_t received = 0, touched = 0;
	uint32_t consumed = 0, filled = RING;
	for (;;) {
		if (asked) {
			asked = 0;
			printf("{\"received\":%lu,\"touched\":%lu}\n", received, touched);
			fflush(stdout);
		}
		uint32_t n = __atomic_load_n(rx.producer, __ATOMIC_ACQUIRE) - consumed;
		if (n == 0) {
			struct pollfd wait = {fd, POLLIN, 0};
			if (!spin)
				poll(&wait, 1, 100);
			continue;
		}
		if (n > 64)
			n = 64;
		for (uint32_t i = 0; i < n; i++) {
			struct xdp_desc *d = &((struct xdp_desc *)rx.desc)[(consumed + i) & (RING - 1)];
			touched += umem[d->addr + 12] + umem[d->addr + 13] + d->len;
			((uint64_t *)fill.desc)[(filled + i) & (RING - 1)] = d->addr & ~(uint64_t)(FRAME_SIZE - 1);
		}
		consumed += n;
		__atomic_store_n(rx.consumer, consumed, __ATOMIC_RELEASE);
		filled += n;
		__atomic_store_n(fill.producer, filled, __ATOMIC_RELEASE);
		received += n;
	}
}

static void transmit(int ifindex, double seconds, int batch)
{
	struct ring tx, fill, completion;
	int fd = open_xsk(ifindex, 0, &tx, &fill, &completion);
	for (int i = 0; i < FRAMES; i++)
		make_frame((unsigned char *)umem + (size_t)i * FRAME_SIZE);
	uint64_t sent = 0;
	uint32_t produced = 0, completed = 0, frame = 0;
	int in_flight = 0;
	double started = now(), end = started + seconds, t;
	while ((t = now()) < end) {
		uint32_t done = __atomic_load_n(completion.producer, __ATOMIC_ACQUIRE) - completed;
		completed += done;
		__atomic_store_n(completion.consumer, completed, __ATOMIC_RELEASE);
		sent += done;
		in_flight -= done;
		if (in_flight + batch <= RING) {
			for (int i = 0; i < batch; i++) {
				struct xdp_desc *d = &((struct xdp_desc *)tx.desc)[(produced + i) & (RING - 1)];
				*d = (struct xdp_desc){.addr = (uint64_t)(frame++ & (FRAMES - 1)) * FRAME_SIZE, .len = LEN};
				*(uint32_t *)(umem + d->addr + 42) = produced + i;
			}
			produced += batch;
			__atomic_store_n(tx.producer, produced, __ATOMIC_RELEASE);
			in_flight += batch;
		}
		if ((*(volatile uint32_t *)tx.flags & XDP_RING_NEED_WAKEUP) && sendto(fd, 0, 0, MSG_DONTWAIT, 0, 0) < 0 &&
		    errno != EAGAIN && errno != EBUSY && errno != ENOBUFS)
			must(-1, "sendto");
	}
	printf("{\"sent\":%lu,\"seconds\":%.6f}\n", sent, t - started);
}

static void flood(int ifindex, double seconds)
{
	int fd = must(socket(AF_PACKET, SOCK_RAW, 0), "socket"), on = 1;
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = ifindex};
	must(bind(fd, (void *)&to, sizeof to), "bind");
	unsigned char frames[FLOOD_BATCH][64];
	struct iovec pieces[FLOOD_BATCH];
	struct mmsghdr messages[FLOOD_BATCH] = {0};
	for (int i = 0; i < FLOOD_BATCH; i++) {
		make_frame(frames[i]);
		pieces[i] = (struct iovec){frames[i], LEN};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
	}
	uint64_t sent = 0;
	double started = now(), end = started + seconds, t;
	while ((t = now()) < end) {
		int n = sendmmsg(fd, messages, FLOOD_BATCH, 0);
		if (n > 0)
			sent += n;
		else if (errno != ENOBUFS && errno != EAGAIN)
			must(-1, "sendmmsg");
	}
	printf("{\"sent\":%lu,\"seconds\":%.6f}\n", sent, t - started);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int ifindex = if_nametoindex(argv[2]);
	if (ifindex == 0)
		must(-1, argv[2]);
	if (strcmp(argv[1], "rx") == 0 && argc == 4) {
		receive(ifindex, strcmp(argv[3], "spin") == 0);
	} else if (strcmp(argv[1], "tx") == 0 && argc == 5) {
		transmit(ifindex, atof(argv[3]), atoi(argv[4]));
	} else if (strcmp(argv[1], "flood") == 0 && argc == 4) {
		flood(ifindex, atof(argv[3]));
	} else if (strcmp(argv[1], "drop") == 0) {
		struct bpf_insn program[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_DROP}, {.code = BPF_JMP | BPF_EXIT}};
		attach(ifindex, program, 2);
		fprintf(stderr, "listening\n");
		pause();
	} else {
		return 2;
	}
	return 0;
}
