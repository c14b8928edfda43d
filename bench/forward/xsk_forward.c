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
#include <net/if.h>
#include <poll.h>
#include "../xdp_speed/xsk.h"

#define FRAMES 8192
#define BURST 64

struct port {
	int fd;
	struct ring rx, tx, fill, completion;
	uint32_t received, sent, filled, completed;
};

static char *umem;
static uint64_t free_frames[FRAMES];
static int free_count;

static void open_port(struct port *p, int ifindex, const struct port *first)
{
	int fd = p->fd = must(socket(AF_XDP, SOCK_RAW, 0), "socket"), size = RING;
	if (first == 0)
		register_umem(fd, umem, FRAMES);
	for (int option = XDP_RX_RING; option <= XDP_UMEM_COMPLETION_RING; option++)
		if (option != XDP_UMEM_REG)
			must(setsockopt(fd, SOL_XDP, option, &size, sizeof size), "ring");
	struct xdp_mmap_offsets o = ring_offsets(fd);
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
	attach_socket(ifindex, fd);
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
	umem = map_umem(FRAMES);
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
