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
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FRAMES 4096
#define FRAME_SIZE 2048
#define RING 2048
#define LEN 60
#define FLOOD_BATCH 32

struct ring {
	uint32_t *producer, *consumer, *flags;
	void *desc;
};

static char *umem;
static volatile sig_atomic_t asked;

static void on_ask(int signal)
{
	(void)signal;
	asked = 1;
}

static int must(int result, const char *what)
{
	if (result >= 0)
		return result;
	perror(what);
	exit(1);
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

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(__NR_bpf, command, attr, sizeof *attr);
}

/* Loads an XDP program and attaches it to the driver for as long as this process lives. */
static void attach(int ifindex, const struct bpf_insn *program, int count)
{
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP, .insn_cnt = count, .insns = (uintptr_t)program, .license = (uintptr_t)"GPL"};
	int fd = must(bpf(BPF_PROG_LOAD, &load), "load");
	union bpf_attr link = {0};
	link.link_create.prog_fd = fd;
	link.link_create.target_ifindex = ifindex;
	link.link_create.attach_type = BPF_XDP;
	link.link_create.flags = XDP_FLAGS_DRV_MODE;
	must(bpf(BPF_LINK_CREATE, &link), "attach");
}

static void map_ring(int fd, struct ring *r, const struct xdp_ring_offset *o, size_t entry, off_t at)
{
	char *m = mmap(0, o->desc + RING * entry, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, at);
	must(m == MAP_FAILED ? -1 : 0, "map a ring");
	*r = (struct ring){(void *)(m + o->producer), (void *)(m + o->consumer), (void *)(m + o->flags), m + o->desc};
}

static int open_xsk(int ifindex, int is_rx, struct ring *queue, struct ring *fill, struct ring *completion)
{
	int fd = must(socket(AF_XDP, SOCK_RAW, 0), "socket"), size = RING;
	umem = mmap(0, FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct xdp_umem_reg reg = {.addr = (uintptr_t)umem, .len = FRAMES * FRAME_SIZE, .chunk_size = FRAME_SIZE};
	must(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg), "umem");
	setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &size, sizeof size);
	setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &size, sizeof size);
	setsockopt(fd, SOL_XDP, is_rx ? XDP_RX_RING : XDP_TX_RING, &size, sizeof size);
	struct xdp_mmap_offsets o;
	socklen_t length = sizeof o;
	must(getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &o, &length), "offsets");
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
	union bpf_attr make = {.map_type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4, .max_entries = 4};
	int map = must(bpf(BPF_MAP_CREATE, &make), "map");
	uint32_t key = 0;
	union bpf_attr set = {.map_fd = map, .key = (uintptr_t)&key, .value = (uintptr_t)&fd};
	must(bpf(BPF_MAP_UPDATE_ELEM, &set), "map update");
	struct bpf_insn program[] = {
		{.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = 2, .src_reg = 1, .off = 16},
		{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
		{.code = BPF_JMP | BPF_EXIT},
	};
	attach(ifindex, program, 6);
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
