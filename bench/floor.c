// The floor: what a cached object costs when the kernel and one LMDB look-up are all that is in
// the way.
//
//   floor load STORE < LIST     LIST has lines "/url<TAB>file"; STORE becomes segments and an index
//   floor serve STORE PORT      HTTP/1.1 on 127.0.0.1: one thread, GET and HEAD, one Range
//
// It does for each request what no cache on disk can leave out, and as Sluice does it: a minimal
// parse, one look-up under a read transaction renewed once a turn, then one send with the body
// behind the head below 16 KiB, or the head with MSG_MORE and sendfile from there on. It has no
// timeouts, no log, no eviction and trusts its store: a measure, not a server to run.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
  COPY_LIMIT = 16 * 1024,  // bodies below go by copy, the others by sendfile
  HEAD_ROOM = 512,         // more than the longest answer head
  INPUT_ROOM = 8 * 1024,   // the longest request head
  PAGE = 4096,
  EVENTS = 256,
  SEGMENTS = 1024,
};
static const uint64_t SEGMENT_SIZE = 256ull << 20;

// What the index holds for a URL.
struct record {
  uint32_t segment;
  uint32_t reserved;
  uint64_t offset;
  uint64_t length;
};

static struct {
  MDB_env *environment;
  MDB_txn *reader;
  MDB_dbi index;
  bool renewed;  // the reader holds a snapshot; it is given back when the turn ends
  int segments[SEGMENTS];
} store;

static void check(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void check_index(int code, const char *what) {
  if (code == MDB_SUCCESS) return;
  fprintf(stderr, "floor: %s: %s\n", what, mdb_strerror(code));
  exit(1);
}

// A hash in 128 bits, eight bytes a step: the store is trusted, so the key needs no secret.
static void key_of(const char *url, size_t length, uint8_t key[16]) {
  const unsigned __int128 prime =
      ((unsigned __int128)0x9e3779b97f4a7c15 << 64) + 0xf39cc0605cedc835;
  unsigned __int128 hash = (length + 1) * prime;
  for (size_t at = 0; at < length; at += 8) {
    uint64_t word = 0;
    if (length - at >= 8) {
      memcpy(&word, url + at, 8);
    } else {
      memcpy(&word, url + at, length - at);
    }
    hash = (hash ^ word) * prime;
    hash ^= hash >> 67;
  }
  memcpy(key, &hash, 16);
}

static void path_of(char path[PAGE], const char *folder, const char *name) {
  check(snprintf(path, PAGE, "%s/%s", folder, name) < PAGE, "path too long");
}

static int open_segment(const char *folder, uint32_t number, int flags) {
  char name[32], path[PAGE];
  snprintf(name, sizeof name, "%08u.seg", number);
  path_of(path, folder, name);
  return open(path, flags | O_CLOEXEC, 0644);
}

static void open_index(const char *folder, unsigned flags) {
  char path[PAGE];
  path_of(path, folder, "index");
  check_index(mdb_env_create(&store.environment), "index");
  check_index(mdb_env_set_mapsize(store.environment, 1ull << 30), "index");
  check_index(
      mdb_env_open(store.environment, path, flags | MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD, 0644),
      path);
}

// -------------------------------------------------------------------------------------------- load

static void append(int segment, uint64_t offset, const char *file, uint64_t length) {
  static char buffer[1 << 20];
  int from = open(file, O_RDONLY | O_CLOEXEC);
  check(from >= 0, file);
  for (uint64_t done = 0; done < length;) {
    ssize_t got = read(from, buffer, sizeof buffer);
    check(got > 0, file);
    for (ssize_t at = 0; at < got;) {
      ssize_t put = pwrite(segment, buffer + at, (size_t)(got - at), (off_t)(offset + done + at));
      check(put > 0, "segment");
      at += put;
    }
    done += (uint64_t)got;
  }
  close(from);
}

static int load(const char *folder) {
  MDB_txn *writer;
  check(mkdir(folder, 0755) == 0, folder);
  open_index(folder, 0);
  check_index(mdb_txn_begin(store.environment, NULL, 0, &writer), "index");
  check_index(mdb_dbi_open(writer, NULL, 0, &store.index), "index");

  struct record place = {0};
  int segment = open_segment(folder, 0, O_RDWR | O_CREAT | O_EXCL);
  check(segment >= 0, "segment");
  char *line = NULL;
  size_t room = 0, count = 0;
  for (ssize_t length; (length = getline(&line, &room, stdin)) > 0; count++) {
    if (line[length - 1] == '\n') line[length - 1] = 0;
    char *file = strchr(line, '\t');
    struct stat about;
    check(file != NULL, "a line without a tab");
    *file++ = 0;
    check(stat(file, &about) == 0, file);
    place.length = (uint64_t)about.st_size;
    check(place.length <= SEGMENT_SIZE, "larger than a segment");
    // What sendfile sends starts on its own page; the rest is packed.
    if (place.length >= COPY_LIMIT) {
      place.offset = (place.offset + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    }
    if (place.offset + place.length > SEGMENT_SIZE) {
      close(segment);
      check(++place.segment < SEGMENTS, "too many segments");
      segment = open_segment(folder, place.segment, O_RDWR | O_CREAT | O_EXCL);
      check(segment >= 0, "segment");
      place.offset = 0;
    }
    append(segment, place.offset, file, place.length);
    uint8_t key[16];
    key_of(line, strlen(line), key);
    MDB_val name = {sizeof key, key}, value = {sizeof place, &place};
    check_index(mdb_put(writer, store.index, &name, &value, MDB_NOOVERWRITE), line);
    place.offset += place.length;
  }
  free(line);
  close(segment);
  check_index(mdb_txn_commit(writer), "index");
  mdb_env_close(store.environment);
  printf("floor: %zu objects\n", count);
  return 0;
}

// ------------------------------------------------------------------------------------------- serve

struct connection {
  int socket;
  bool readable;  // epoll said so and the socket has not been drained since
  bool last;      // close when the answer is out
  size_t input_end;
  size_t output_at, output_end;  // what a send left over
  int file;                      // the answer's rest: file_left bytes of it from file_at on
  off_t file_at;
  size_t file_left;
  char input[INPUT_ROOM];
  char output[HEAD_ROOM + COPY_LIMIT];
};

struct request {
  const char *url;
  size_t url_length;
  bool head_only;
  bool last;
  const char *range;  // behind "bytes=", or NULL
};

enum progress { DONE, BLOCKED, BROKEN };

static bool find(const char *url, size_t length, struct record *found) {
  uint8_t key[16];
  key_of(url, length, key);
  if (!store.renewed) {
    check_index(mdb_txn_renew(store.reader), "index");
    store.renewed = true;
  }
  MDB_val name = {sizeof key, key}, value;
  if (mdb_get(store.reader, store.index, &name, &value) != MDB_SUCCESS) return false;
  memcpy(found, value.mv_data, sizeof *found);
  return true;
}

// Reads the request line; leaves the URL NULL if it is none that can be answered.
static void parse_line(const char *line, const char *end, struct request *request) {
  const char *url = NULL;
  if (end - line > 4 && memcmp(line, "GET ", 4) == 0) url = line + 4;
  if (end - line > 5 && memcmp(line, "HEAD ", 5) == 0) url = line + 5;
  const char *space = url == NULL ? NULL : memchr(url, ' ', (size_t)(end - url));
  if (space == NULL || end - space != 11 || memcmp(space, " HTTP/1.1\r", 10) != 0) return;
  request->url = url;
  request->url_length = (size_t)(space - url);
  request->head_only = *line == 'H';
}

// Reads a request's head; gives the place behind its empty line, or NULL if that has not come yet.
static const char *parse(const char *head, const char *limit, struct request *request) {
  const char *line = head;
  for (const char *end; (end = memchr(line, '\n', (size_t)(limit - line))) != NULL; line = end) {
    end++;
    if (line == head) {
      parse_line(line, end, request);
    } else if (end - line == 2 && *line == '\r') {
      return end;
    } else if (end - line > 13 && strncasecmp(line, "range: bytes=", 13) == 0) {
      request->range = line + 13;
    } else if (end - line > 17 && strncasecmp(line, "connection: close", 17) == 0) {
      request->last = true;
    }
  }
  return NULL;
}

// Narrows 0..<length to what the field asks for: 206, 416, or 200 if it is not a single range.
static int narrow(const char *field, uint64_t total, uint64_t *from, uint64_t *length) {
  char *rest;
  uint64_t first, last = total - 1;
  const char *digits = field + (*field == '-');
  if (*digits < '0' || *digits > '9') return 200;
  if (*field == '-') {
    uint64_t suffix = strtoull(field + 1, &rest, 10);
    if (*rest != '\r') return 200;
    if (suffix == 0 || total == 0) return 416;
    first = suffix < total ? total - suffix : 0;
  } else {
    first = strtoull(field, &rest, 10);
    if (*rest++ != '-') return 200;
    if (*rest >= '0' && *rest <= '9') last = strtoull(rest, &rest, 10);
    if (*rest != '\r' || last < first) return 200;
    if (first >= total) return 416;
    if (last >= total) last = total - 1;
  }
  *from = first;
  *length = last - first + 1;
  return 206;
}

static char *put(char *at, const char *text, size_t length) {
  memcpy(at, text, length);
  return at + length;
}
#define PUT(at, text) put(at, text, sizeof(text) - 1)

static char *put_number(char *at, uint64_t number) {
  char digits[20];
  size_t first = sizeof digits;
  do digits[--first] = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  return put(at, digits + first, sizeof digits - first);
}

#define FIELDS                                                      \
  "Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n" \
  "Cache-Control: public, max-age=29030400, immutable\r\nContent-Length: "

static size_t write_head(char *buffer, int status, uint64_t total, uint64_t from, uint64_t length) {
  char *at = buffer;
  switch (status) {
    case 200: at = PUT(at, "HTTP/1.1 200 OK\r\n" FIELDS); break;
    case 206: at = PUT(at, "HTTP/1.1 206 Partial Content\r\n" FIELDS); break;
    case 404: at = PUT(at, "HTTP/1.1 404 Not Found\r\nContent-Length: "); break;
    case 416: at = PUT(at, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: "); break;
    default: at = PUT(at, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: ");
  }
  at = put_number(at, length);
  if (status == 206) {
    at = PUT(at, "\r\nContent-Range: bytes ");
    at = put_number(at, from);
    at = PUT(at, "-");
    at = put_number(at, from + length - 1);
    at = PUT(at, "/");
    at = put_number(at, total);
  } else if (status == 416) {
    at = PUT(at, "\r\nContent-Range: bytes */");
    at = put_number(at, total);
  }
  at = PUT(at, "\r\n\r\n");
  return (size_t)(at - buffer);
}

static bool read_body(int file, char *buffer, size_t length, off_t offset) {
  struct iovec target = {buffer, length};
  ssize_t got = preadv2(file, &target, 1, offset, RWF_NOWAIT);
  size_t done = got > 0 ? (size_t)got : 0;
  while (done < length) {  // not in memory: a server would hand this to another thread
    got = pread(file, buffer + done, length - done, offset + (off_t)done);
    if (got <= 0) return false;
    done += (size_t)got;
  }
  return true;
}

// Sends what is left of the answer.
static enum progress flush(struct connection *c) {
  while (c->output_at < c->output_end) {
    ssize_t sent = send(c->socket, c->output + c->output_at, c->output_end - c->output_at,
                        c->file_left > 0 ? MSG_MORE : 0);
    if (sent < 0) return errno == EAGAIN ? BLOCKED : BROKEN;
    c->output_at += (size_t)sent;
  }
  while (c->file_left > 0) {
    ssize_t sent = sendfile(c->socket, c->file, &c->file_at, c->file_left);
    if (sent < 0 && errno == EAGAIN) return BLOCKED;
    if (sent <= 0) return BROKEN;
    c->file_left -= (size_t)sent;
  }
  return c->last ? BROKEN : DONE;
}

static enum progress answer(struct connection *c, const struct request *request) {
  static char buffer[HEAD_ROOM + COPY_LIMIT];
  struct record found = {0};
  uint64_t from = 0, length = 0;
  int status = request->url == NULL ? 400 : 404;
  if (status == 404 && find(request->url, request->url_length, &found)) {
    length = found.length;
    status = request->range == NULL ? 200 : narrow(request->range, found.length, &from, &length);
    if (status == 416) length = 0;
  }
  size_t end = write_head(buffer, status, found.length, from, length);
  if (request->head_only) length = 0;
  c->last = request->last || status == 400;
  c->file = store.segments[found.segment];
  c->file_at = (off_t)(found.offset + from);
  if (length < COPY_LIMIT) {
    if (!read_body(c->file, buffer + end, length, c->file_at)) return BROKEN;
    end += length;
  } else {
    c->file_left = length;
  }
  ssize_t sent = send(c->socket, buffer, end, c->file_left > 0 ? MSG_MORE : 0);
  if (sent < 0 && errno != EAGAIN) return BROKEN;
  size_t done = sent > 0 ? (size_t)sent : 0;
  c->output_at = 0;
  c->output_end = end - done;
  if (done < end) memcpy(c->output, buffer + done, end - done);
  return flush(c);
}

// Answers every request that is complete in the input.
static enum progress answer_input(struct connection *c) {
  size_t at = 0;
  enum progress progress = DONE;
  while (progress == DONE && at < c->input_end) {
    const char *head = c->input + at;
    struct request request = {0};
    const char *end = parse(head, c->input + c->input_end, &request);
    if (end == NULL) {
      if (c->input_end - at < INPUT_ROOM) break;
      return BROKEN;
    }
    at += (size_t)(end - head);
    progress = answer(c, &request);
  }
  if (at > 0 && at < c->input_end) memmove(c->input, c->input + at, c->input_end - at);
  c->input_end -= at;
  return progress;
}

// One turn of one connection. Events are edge-triggered, so it goes on until the socket blocks.
static enum progress serve_connection(struct connection *c, uint32_t events) {
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c->readable = true;
  enum progress progress = flush(c);
  if (progress == DONE) progress = answer_input(c);
  while (progress == DONE && c->readable) {
    size_t room = INPUT_ROOM - c->input_end;
    ssize_t got = recv(c->socket, c->input + c->input_end, room, 0);
    if (got < 0 && errno == EAGAIN) c->readable = false;
    if (got < 0) return c->readable ? BROKEN : DONE;
    if (got == 0) return BROKEN;
    // A short read has drained the socket, unless the peer's end waits behind it.
    if ((size_t)got < room && !(events & EPOLLRDHUP)) c->readable = false;
    c->input_end += (size_t)got;
    progress = answer_input(c);
  }
  return progress;
}

static void accept_all(int listener, int epoll) {
  for (;;) {
    int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    int one = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct connection *c = calloc(1, sizeof *c);
    check(c != NULL, "memory");
    c->socket = socket;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    check(epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) == 0, "epoll_ctl");
  }
}

static int listen_on(uint16_t port) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  check(listener >= 0, "socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  check(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
  check(listen(listener, 1024) == 0, "listen");
  return listener;
}

static void open_store(const char *folder) {
  open_index(folder, MDB_RDONLY);
  check_index(mdb_txn_begin(store.environment, NULL, MDB_RDONLY, &store.reader), "index");
  check_index(mdb_dbi_open(store.reader, NULL, 0, &store.index), "index");
  mdb_txn_reset(store.reader);
  for (uint32_t i = 0; i < SEGMENTS; i++) {
    store.segments[i] = open_segment(folder, i, O_RDONLY);
    if (store.segments[i] < 0) break;
  }
}

static _Noreturn void serve(const char *folder, uint16_t port) {
  open_store(folder);
  signal(SIGPIPE, SIG_IGN);
  int listener = listen_on(port), epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event events[EVENTS], accepting = {.events = EPOLLIN, .data.ptr = NULL};
  check(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepting) == 0, "epoll_ctl");
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      struct connection *c = events[i].data.ptr;
      if (c == NULL) {
        accept_all(listener, epoll);
      } else if (serve_connection(c, events[i].events) == BROKEN) {
        close(c->socket);
        free(c);
      }
    }
    if (store.renewed) mdb_txn_reset(store.reader);
    store.renewed = false;
  }
}

int main(int count, char **arguments) {
  if (count == 3 && strcmp(arguments[1], "load") == 0) return load(arguments[2]);
  if (count == 4 && strcmp(arguments[1], "serve") == 0) {
    serve(arguments[2], (uint16_t)atoi(arguments[3]));
  }
  fprintf(stderr, "usage: floor load STORE < LIST | floor serve STORE PORT\n");
  return 2;
}
