// Asks for paths of a list at a fixed rate, and prints as JSON how long each answer took.
//
//   latency PORT LIST COUNT RATE SECONDS CONNECTIONS SEED
//
// A latency counts from the moment at which the request was due, so that a server that stalls is
// charged for all requests that it made wait, and not for one alone. Every answer must be a 200.
// Paths are asked for at random, or with SEED 0 once each in their order.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 64, ROOM = 64 << 10 };

struct connection {
  int64_t due;  // of the request under way; 0 where there is none
  int64_t left; // bytes of the body; -1 until the head is whole
  size_t held;
  char head[ROOM];
};

static struct pollfd polls[MOST];
static struct connection connections[MOST];

static void fail(const char *what) {
  fprintf(stderr, "latency: %s\n", what);
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static char **read_list(const char *path, long count) {
  FILE *file = fopen(path, "r");
  char **lines = calloc((size_t)count, sizeof *lines);
  if (!file || !lines) fail("the list cannot be read");
  for (long i = 0; i < count; i++) {
    size_t size = 0;
    ssize_t length = getline(&lines[i], &size, file);
    if (length < 2) fail("the list is too short");
    lines[i][length - 1] = 0;
  }
  fclose(file);
  return lines;
}

static int open_connection(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int one = 1;
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("no connection");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

static void ask(int i, const char *path, int64_t due) {
  char text[1024];
  int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
  if (send(polls[i].fd, text, (size_t)length, 0) != length) fail("a request cannot be sent");
  connections[i].due = due;
  connections[i].left = -1;
  connections[i].held = 0;
}

// Takes what has come; true when the answer is whole.
static int receive(int i) {
  struct connection *one = &connections[i];
  if (one->left < 0) {
    ssize_t got = recv(polls[i].fd, one->head + one->held, ROOM - 1 - one->held, 0);
    if (got <= 0) fail("closed early");
    one->held += (size_t)got;
    one->head[one->held] = 0;
    char *end = strstr(one->head, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(one->head, "\r\ncontent-length:");
    if (strncmp(one->head, "HTTP/1.1 200", 12) || !length || length > end) fail("a wrong answer");
    one->left = atoll(length + 17) - (int64_t)(one->held - (size_t)(end + 4 - one->head));
  } else {
    ssize_t got = recv(polls[i].fd, one->head, ROOM, 0);
    if (got <= 0) fail("closed early");
    one->left -= got;
  }
  if (one->left < 0) fail("too many bytes");
  return one->left == 0;
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  if (argc != 8) fail("PORT LIST COUNT RATE SECONDS CONNECTIONS SEED");
  long count = atol(argv[3]), rate = atol(argv[4]), total = rate * atol(argv[5]);
  int width = atoi(argv[6]);
  uint64_t random = (uint64_t)atoll(argv[7]) * 2654435761u + 88172645463325252u;
  int in_order = atoll(argv[7]) == 0;
  if (count < 1 || rate < 1 || total < 1 || width < 1 || width > MOST) fail("numbers out of range");
  if (in_order && total > count) fail("the list is too short");
  char **paths = read_list(argv[2], count);
  int64_t *latencies = calloc((size_t)total, sizeof *latencies);
  if (!latencies) fail("no memory");
  for (int i = 0; i < width; i++) {
    polls[i] = (struct pollfd){.fd = open_connection(atoi(argv[1])), .events = POLLIN};
  }
  int64_t began = now();
  long sent = 0, done = 0;
  while (done < total) {
    int64_t due = began + sent * 1000000000 / rate;
    int busy = 0;
    for (int n = 0; n < width; n++) {
      // In turns: a connection that asks for nothing is closed.
      int i = (int)((sent + n) % width);
      if (!connections[i].due && sent < total && due <= now()) {
        ask(i, paths[in_order ? (uint64_t)sent : next_random(&random) % (uint64_t)count], due);
        due = began + ++sent * 1000000000 / rate;
      }
      busy += connections[i].due != 0;
    }
    int64_t wait = sent == total || busy == width ? 10000000000 : due - now();
    if (wait < 0) wait = 0;
    struct timespec timeout = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
    int ready = ppoll(polls, (nfds_t)width, &timeout, NULL);
    if (ready < 0 && errno != EINTR) fail("poll");
    if (ready == 0 && busy == width) fail("no answer for ten seconds");
    for (int i = 0; i < width && ready > 0; i++) {
      if (!polls[i].revents) continue;
      if (!connections[i].due) fail("closed, or an answer too many");
      if (!receive(i)) continue;
      latencies[done++] = now() - connections[i].due;
      connections[i].due = 0;
    }
  }
  qsort(latencies, (size_t)total, sizeof *latencies, ascending);
  printf("{\"requests\": %ld, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, "
         "\"most\": %.1f}\n",
         total, latencies[total / 2] / 1e3, latencies[total * 90 / 100] / 1e3,
         latencies[total * 99 / 100] / 1e3, latencies[total * 999 / 1000] / 1e3,
         latencies[total - 1] / 1e3);
  return 0;
}
