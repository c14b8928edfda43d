/*
 * What C programs over AF_XDP share here, on the bare system calls: rings, and the program that gives a socket its frames. The memory is the
 * program's own.
 */
#ifndef XSK_H
#define XSK_H

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FRAME_SIZE 2048
/* Entries of each ring. */
#define RING 2048

struct ring {
	uint32_t *producer, *consumer, *flags;
	void *desc;
};

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

/* Frames of the interface's queue 0 come to the socket. */
static void attach_socket(int ifindex, int socket)
{
	union bpf_attr make = {.map_type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4, .max_entries = 4};
	int map = must(bpf(BPF_MAP_CREATE, &make), "map");
	uint32_t key = 0;
	union bpf_attr set = {.map_fd = map, .key = (uintptr_t)&key, .value = (uintptr_t)&socket};
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
}

static struct xdp_mmap_offsets ring_offsets(int fd)
{
	struct xdp_mmap_offsets o;
	socklen_t length = sizeof o;
	must(getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &o, &length), "offsets");
	return o;
}

static void map_ring(int fd, struct ring *r, const struct xdp_ring_offset *o, size_t entry, off_t at)
{
	char *m = mmap(0, o->desc + RING * entry, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, at);
	must(m == MAP_FAILED ? -1 : 0, "map a ring");
	*r = (struct ring){(void *)(m + o->producer), (void *)(m + o->consumer), (void *)(m + o->flags), m + o->desc};
}

/* Memory for so many frames. */
static char *map_umem(uint64_t frames)
{
	return mmap(0, frames * FRAME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

/* The socket may receive into it and send from it. */
static void register_umem(int fd, const char *umem, uint64_t frames)
{
	struct xdp_umem_reg reg = {.addr = (uintptr_t)umem, .len = frames * FRAME_SIZE, .chunk_size = FRAME_SIZE};
	must(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg), "umem");
}

#endif
