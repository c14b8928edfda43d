/* Peer of bench/udp_rx.ts: the shortest receiver of datagrams in C, 64 a call; it looks at nothing but their count.
 *     recvmmsg PORT BUFFER        stderr: "listening" once it is        SIGUSR2: stdout gets {"received": N} */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BATCH = 64, SIZE = 2048 };

static volatile sig_atomic_t asked;
static void ask(int signal) { (void)signal; asked = 1; }

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  int size = atoi(argv[2]);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) perror("SO_RCVBUFFORCE");
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  if (bind(fd, (struct sockaddr *)&to, sizeof to) < 0) { perror("bind"); return 1; }
  struct sigaction action = {.sa_handler = ask};
  sigaction(SIGUSR2, &action, NULL);
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
    if (n > 0) received += n;
    else if (errno != EINTR) { perror("recvmmsg"); return 1; }
    if (asked) {
      asked = 0;
      printf("{\"received\":%lu}\n", received);
      fflush(stdout);
    }
  }
}
