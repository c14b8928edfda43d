/*
 * A peer of bench/forward.ts: AF_XDP in C between two interfaces, both ways, on the bare system calls (native, copied by the kernel).
 * Frames are not touched: a descriptor goes from one's receive ring to the other's transmit ring, in one shared memory.
 *
 *     a: rx ring --> b: tx ring --sendto()--> completion ring --> free frames --> a's and b's fill rings
 *
 *   xsk_forward A B     "listening" on stderr once it does. Sleeps in poll() where both have nothing.
 *
 * gcc -O2 -o xsk_forward xsk_forward.c
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FRAMES 8192
#define FRAME_SIZE 2048
#define RING 2048
#define BURST 64

struct ring {
	uint32_t *producer, *consumer, *flags;
	void *desc;
};

struct port {
	int fd;
	struct ring rx, tx, fill, completion;
	uint32_t received, sent, filled, completed;
};

static char *umem;
static uint64_t free_frames[FRAMES];
static int free_count;

static int must(int result, const char *what)
{
	if (result >= 0)
		return result;
	perror(what);
	exit(1);
}

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(__NR_bpf, command, attr, sizeof *attr);
}

/* Frames of the interface come to the socket for as long as this process lives. */
static void attach(int ifindex, int fd)
{
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
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP, .insn_cnt = 6, .insns = (uintptr_t)program, .license = (uintptr_t)"GPL"};
	int loaded = must(bpf(BPF_PROG_LOAD, &load), "load");
	union bpf_attr link = {0};
	link.link_create.prog_fd = loaded;
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

static void open_port(struct port *p, int ifindex, const struct port *first)
{
	int fd = p->fd = must(socket(AF_XDP, SOCK_RAW, 0), "socket"), size = RING;
	if (first == 0) {
		struct xdp_umem_reg reg = {.addr = (uintptr_t)umem, .len = FRAMES * FRAME_SIZE, .chunk_size = FRAME_SIZE};
		must(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg), "umem");
	}
	for (int option = XDP_RX_RING; option <= XDP_UMEM_COMPLETION_RING; option++)
		if (option != XDP_UMEM_REG)
			must(setsockopt(fd, SOL_XDP, option, &size, sizeof size), "ring");
	struct xdp_mmap_offsets o;
	socklen_t length = sizeof o;
	must(getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &o, &length), "offsets");
	map_ring(fd, &p->fill, &o.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING);
	map_ring(fd, &p->completion, &o.cr, sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING);
	map_ring(fd, &p->rx, &o.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING);
	map_ring(fd, &p->tx, &o.tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING);
	struct sockaddr_xdp to = {.sxdp_family = AF_XDP, .sxdp_ifindex = ifindex, .sxdp_flags = XDP_COPY | XDP_USE_NEED_WAKEUP};
	if (first != 0) {
		to.sxdp_flags = XDP_SHARED_UMEM;
		to.sxdp_shared_umem_fd = first->fd;
	}
	must(bind(fd, (void *)&to, sizeof to), "bind");
	attach(ifindex, fd);
}

static void refill(struct port *p)
{
	uint32_t at = p->filled;
	while (at - p->received < RING && free_count > 0)
		((uint64_t *)p->fill.desc)[at++ & (RING - 1)] = free_frames[--free_count];
	p->filled = at;
	__atomic_store_n(p->fill.producer, at, __ATOMIC_RELEASE);
}

static void reap(struct port *p)
{
	uint32_t done = __atomic_load_n(p->completion.producer, __ATOMIC_ACQUIRE);
	for (; p->completed != done; p->completed++)
		free_frames[free_count++] = ((uint64_t *)p->completion.desc)[p->completed & (RING - 1)] & ~(uint64_t)(FRAME_SIZE - 1);
	__atomic_store_n(p->completion.consumer, done, __ATOMIC_RELEASE);
}

/* Gives how many went from one to the other. */
static uint32_t move(struct port *from, struct port *to)
{
	reap(to);
	uint32_t n = __atomic_load_n(from->rx.producer, __ATOMIC_ACQUIRE) - from->received;
	uint32_t room = RING - (to->sent - to->completed);
	if (n > BURST)
		n = BURST;
	if (n > room)
		n = room;
	for (uint32_t i = 0; i < n; i++)
		((struct xdp_desc *)to->tx.desc)[(to->sent + i) & (RING - 1)] =
			((struct xdp_desc *)from->rx.desc)[(from->received + i) & (RING - 1)];
	from->received += n;
	to->sent += n;
	__atomic_store_n(from->rx.consumer, from->received, __ATOMIC_RELEASE);
	__atomic_store_n(to->tx.producer, to->sent, __ATOMIC_RELEASE);
	refill(from);
	while (__atomic_load_n(to->tx.consumer, __ATOMIC_ACQUIRE) != to->sent && (*(volatile uint32_t *)to->tx.flags & XDP_RING_NEED_WAKEUP)) {
		uint32_t before = __atomic_load_n(to->tx.consumer, __ATOMIC_ACQUIRE);
		sendto(to->fd, 0, 0, MSG_DONTWAIT, 0, 0);
		if (__atomic_load_n(to->tx.consumer, __ATOMIC_ACQUIRE) == before)
			break;
	}
	return n;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	umem = mmap(0, FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	for (int i = 0; i < FRAMES; i++)
		free_frames[free_count++] = (uint64_t)i * FRAME_SIZE;
	struct port a = {0}, b = {0};
	open_port(&a, if_nametoindex(argv[1]), 0);
	open_port(&b, if_nametoindex(argv[2]), &a);
	refill(&a);
	refill(&b);
	fprintf(stderr, "listening\n");
	for (;;) {
		if (move(&a, &b) + move(&b, &a) > 0)
			continue;
		struct pollfd wait[2] = {{a.fd, POLLIN, 0}, {b.fd, POLLIN, 0}};
		poll(wait, 2, 100);
	}
}
