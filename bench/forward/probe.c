/*
 * Generator and sink of bench/forward.ts in one thread: sends frames into one interface, takes them in at another, and says how many
 * came and how long each was on its way.
 *
 *     TX --> veth --> who forwards --> veth --> RX: TPACKET_V3 ring, walked between two bursts
 *
 * Time on the way: from the clock's reading before the system call that sends, to the kernel's stamp when the frame reaches the ring of
 * RX. That the ring is walked later costs nothing. Frames are sent one a call if there is time, else as many as are due, 32 at most.
 *
 *   probe TX RX RATE SECONDS FILE    RATE in frames/s, 0: as many as go. stdout: one line of JSON. FILE, unless "-": nanoseconds of each
 *                                    frame, 32 bits each
 *
 * gcc -O2 -o probe probe.c
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#define LEN 60
#define BATCH 32
#define BLOCK (1 << 18)
#define BLOCKS 64
#define DRAIN_NS 60000000ull
#define AT_SEQUENCE 42
#define AT_TIME 46
#define SAMPLES_MAX (8 << 20)

static char *ring;
static unsigned block;
static uint64_t received, reordered, started;
static uint32_t next_sequence;
static uint32_t *samples;

static int must(int result, const char *what)
{
	if (result >= 0)
		return result;
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* A UDP frame to a station that nobody is. */
static void make_frame(unsigned char *f)
{
	static const unsigned char bytes[LEN] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17,
		0x66, 0xbd, 10, 0, 0, 2, 10, 0, 0, 1, 0x4e, 0x20, 0x1a, 0x0a, 0, 26};
	memcpy(f, bytes, LEN);
}

static int open_sender(const char *name)
{
	int fd = must(socket(AF_PACKET, SOCK_RAW, 0), "socket"), on = 1;
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(name)};
	must(bind(fd, (void *)&to, sizeof to), name);
	return fd;
}

static void open_sink(const char *name)
{
	int fd = must(socket(AF_PACKET, SOCK_RAW, 0), "socket"), version = TPACKET_V3, on = 1;
	must(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version), "version");
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
	struct tpacket_req3 ask = {.tp_block_size = BLOCK, .tp_block_nr = BLOCKS, .tp_frame_size = 2048,
		.tp_frame_nr = BLOCK / 2048 * BLOCKS, .tp_retire_blk_tov = 4};
	must(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ask, sizeof ask), "ring");
	ring = mmap(0, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	must(ring == MAP_FAILED ? -1 : 0, "map the ring");
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htobe16(ETH_P_ALL), .sll_ifindex = if_nametoindex(name)};
	must(bind(fd, (void *)&at, sizeof at), name);
}

/* Takes what has come; 1 if anything has. */
static int walk(void)
{
	struct tpacket_block_desc *b = (void *)(ring + (size_t)block * BLOCK);
	if (!(__atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return 0;
	struct tpacket3_hdr *h = (void *)((char *)b + b->hdr.bh1.offset_to_first_pkt);
	for (uint32_t i = 0; i < b->hdr.bh1.num_pkts; i++, h = (void *)((char *)h + h->tp_next_offset)) {
		unsigned char *f = (unsigned char *)h + h->tp_mac;
		uint32_t sequence;
		uint64_t sent;
		if (h->tp_snaplen < LEN || f[36] != 0x1a || f[37] != 0x0a)
			continue;
		memcpy(&sequence, f + AT_SEQUENCE, sizeof sequence);
		memcpy(&sent, f + AT_TIME, sizeof sent);
		/* Of a run before this one, from whoever held it so long. */
		if (sent < started)
			continue;
		if ((int32_t)(sequence - next_sequence) < 0)
			reordered++;
		next_sequence = sequence + 1;
		uint64_t took = h->tp_sec * 1000000000ull + h->tp_nsec - sent;
		if (received < SAMPLES_MAX)
			samples[received] = took > UINT32_MAX ? UINT32_MAX : took;
		received++;
	}
	__atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	block = (block + 1) % BLOCKS;
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return 2;
	double rate = atof(argv[3]);
	uint64_t length = atof(argv[4]) * 1e9;
	samples = malloc(SAMPLES_MAX * sizeof *samples);
	open_sink(argv[2]);
	int fd = open_sender(argv[1]);
	static unsigned char frames[BATCH][64];
	struct iovec pieces[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	for (int i = 0; i < BATCH; i++) {
		make_frame(frames[i]);
		pieces[i] = (struct iovec){frames[i], LEN};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
	}
	uint64_t sent = 0, t, end;
	started = now();
	end = started + length;
	while ((t = now()) < end) {
		uint64_t due = rate == 0 ? sent + BATCH : (uint64_t)((t - started) * 1e-9 * rate) + 1;
		if (due <= sent) {
			walk();
			continue;
		}
		int n = due - sent > BATCH ? BATCH : due - sent;
		for (int i = 0; i < n; i++) {
			uint32_t sequence = sent + i;
			memcpy(frames[i] + AT_SEQUENCE, &sequence, sizeof sequence);
			memcpy(frames[i] + AT_TIME, &t, sizeof t);
		}
		int done = sendmmsg(fd, messages, n, 0);
		if (done > 0)
			sent += done;
		else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			must(-1, "sendmmsg");
		walk();
	}
	double seconds = (t - started) * 1e-9;
	for (uint64_t quiet = now(); now() - quiet < DRAIN_NS;)
		if (walk())
			quiet = now();
	if (strcmp(argv[5], "-") != 0) {
		FILE *file = fopen(argv[5], "w");
		must(file == 0 ? -1 : 0, argv[5]);
		fwrite(samples, sizeof *samples, received < SAMPLES_MAX ? received : SAMPLES_MAX, file);
		fclose(file);
	}
	/* A queue that grows shows at the end. */
	uint64_t last = received < SAMPLES_MAX ? received : SAMPLES_MAX, tenth = last / 10, sum = 0;
	for (uint64_t i = last - tenth; i < last; i++)
		sum += samples[i];
	printf("{\"sent\":%lu,\"received\":%lu,\"reordered\":%lu,\"seconds\":%.6f,\"endUs\":%.1f}\n", sent, received, reordered, seconds,
		tenth > 0 ? sum / 1e3 / tenth : 0);
	return 0;
}
