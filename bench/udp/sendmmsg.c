/* Peer of bench/udp_tx.ts: the shortest sender of datagrams in C, 64 a call, all alike.
 *     sendmmsg PORT BYTES COUNT [segment]      to 127.0.0.1; "segment": the 64 as one message that the kernel cuts
 *     stdout: {"sent", "seconds", "cpuNs"}     processor time of the sending alone, user and system */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, SIZE = 2048 };

static double ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  int size = atoi(argv[2]);
  long count = atol(argv[3]);
  int segment = argc > 4 && strcmp(argv[4], "segment") == 0;
  if (segment && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size) < 0) { perror("UDP_SEGMENT"); return 1; }
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  static struct mmsghdr messages[BATCH];
  static struct iovec vectors[BATCH];
  static char memory[BATCH][SIZE];
  for (int i = 0; i < BATCH; i++) {
    memset(memory[i], 'x', SIZE);
    vectors[i] = (struct iovec){memory[i], size};
    messages[i].msg_hdr = (struct msghdr){
        .msg_iov = &vectors[i], .msg_iovlen = segment ? BATCH : 1, .msg_name = &to, .msg_namelen = sizeof to};
  }
  double began = ns(CLOCK_MONOTONIC), cpu = ns(CLOCK_PROCESS_CPUTIME_ID);
  long sent = 0;
  while (sent < count) {
    int n = sendmmsg(fd, messages, segment ? 1 : BATCH, 0);
    if (n < 0) { perror("sendmmsg"); return 1; }
    sent += segment ? BATCH : n;
  }
  printf("{\"sent\":%ld,\"seconds\":%f,\"cpuNs\":%.0f}\n", sent, (ns(CLOCK_MONOTONIC) - began) / 1e9,
         ns(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}
