/* Peer of bench/livelock_host.ts: recvmmsg() of 64 datagrams a call, and for each as much work as livelock/work.ts does.
 * PORT 0: it receives nothing, and works all the time; "received" counts what it would have done so much work for.
 *     receive PORT BUFFER WORK_US      stderr: "listening" once it is      SIGUSR2: stdout gets {"received", "atMs"} */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, SIZE = 2048, TRIAL = 20000 };

static volatile sig_atomic_t asked;
static void ask(int signal) { (void)signal; asked = 1; }

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static volatile uint32_t result;
static void work(long n, uint32_t seed) {
  uint32_t x = seed | 1;
  for (long i = 0; i < n; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
  }
  result = x;
}

static void tell(unsigned long received) {
  if (!asked) return;
  asked = 0;
  printf("{\"received\":%lu,\"atMs\":%f}\n", received, now_us() / 1e3);
  fflush(stdout);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  double best = 1e9;
  for (int i = 0; i < 200; i++) {
    double began = now_us();
    work(TRIAL, i);
    double took = now_us() - began;
    if (took < best) best = took;
  }
  long rounds = TRIAL / best * atof(argv[3]);
  struct sigaction action = {.sa_handler = ask};
  sigaction(SIGUSR2, &action, NULL);
  if (atoi(argv[1]) == 0) {
    fprintf(stderr, "listening\n");
    for (unsigned long done = 0;; done++) {
      work(rounds, done);
      tell(done);
    }
  }
  int fd = socket(AF_INET, SOCK_DGRAM, 0), size = atoi(argv[2]);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) perror("SO_RCVBUFFORCE");
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  if (bind(fd, (struct sockaddr *)&to, sizeof to) < 0) { perror("bind"); return 1; }
  static struct mmsghdr messages[BATCH];
  static struct iovec vectors[BATCH];
  static struct sockaddr_in names[BATCH];
  static char memory[BATCH][SIZE];
  for (int i = 0; i < BATCH; i++) {
    vectors[i] = (struct iovec){memory[i], SIZE};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1, .msg_name = &names[i]};
  }
  fprintf(stderr, "listening\n");
  for (unsigned long received = 0;;) {
    for (int i = 0; i < BATCH; i++) messages[i].msg_hdr.msg_namelen = sizeof names[i];
    int n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    if (n < 0 && errno != EINTR) { perror("recvmmsg"); return 1; }
    for (int i = 0; i < n; i++) work(rounds, memory[i][0]);
    if (n > 0) received += n;
    tell(received);
  }
}
