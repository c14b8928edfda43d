/* Peers of bench/tap_tx.ts and bench/tap_rx.ts: what one writes in C over a TAP device, a call for each frame.
 *     peer tx NAME LEN COUNT     write()s COUNT frames; stdout: {"sent", "cpuNs"}, processor time of the writing alone
 *     peer rx NAME [vnet]        read()s, with virtio-net headers or without, and poll()s when there is none; stderr: "listening"; SIGUSR2: stdout gets {"received"}
 *     peer fill NAME LEN COUNT   has the kernel send COUNT frames by NAME; stdout: {"sent"} */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 2048 };

/* To nobody, from nobody, of an EtherType for experiments: the kernel drops it where it looks at it first. */
static unsigned char frame[SIZE] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 7, 0x88, 0xb5};
static volatile sig_atomic_t asked;
static void ask(int signal) { (void)signal; asked = 1; }

static double cpuNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

static int attach(const char *name, int flags) {
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | flags};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, TUNSETIFF, &request) < 0) { perror("TUNSETIFF"); exit(1); }
  return fd;
}

static void receive(int fd) {
  struct sigaction action = {.sa_handler = ask};
  sigaction(SIGUSR2, &action, NULL);
  fprintf(stderr, "listening\n");
  for (unsigned long received = 0;;) {
    if (read(fd, frame, sizeof frame) > 0) received++;
    else {
      struct pollfd wait = {.fd = fd, .events = POLLIN};
      poll(&wait, 1, -1);
    }
    if (!asked) continue;
    asked = 0;
    printf("{\"received\":%lu}\n", received);
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  if (strcmp(argv[1], "rx") == 0) receive(attach(argv[2], argc > 3 ? IFF_VNET_HDR : 0));
  if (argc < 5) return 2;
  int len = atoi(argv[3]);
  long count = atol(argv[4]), sent = 0;
  if (strcmp(argv[1], "fill") == 0) {
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(argv[2]), .sll_halen = 6};
    for (long i = 0; i < count; i++) sent += sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof to) == len;
    printf("{\"sent\":%ld}\n", sent);
    return 0;
  }
  int fd = attach(argv[2], 0);
  double began = cpuNs();
  for (long i = 0; i < count; i++) sent += write(fd, frame, len) == len;
  printf("{\"sent\":%ld,\"cpuNs\":%.0f}\n", sent, cpuNs() - began);
}
