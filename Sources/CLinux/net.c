#ifndef _GNU_SOURCE
#error "_GNU_SOURCE comes from the target's settings"
#endif
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static long result(long value) { return value < 0 ? -errno : value; }

int linux_address_parse(const char *host, uint16_t port, struct linux_address *out) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  memset(out, 0, sizeof *out);
  if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
    memcpy(out->bytes, &v4, sizeof v4);
    out->length = sizeof v4;
    return 0;
  }
  if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
    memcpy(out->bytes, &v6, sizeof v6);
    out->length = sizeof v6;
    return 0;
  }
  return -EINVAL;
}

int linux_address_text(const struct linux_address *address, bool with_port, char *out, size_t room) {
  char host[INET6_ADDRSTRLEN] = "";
  int port;
  if (address->length == sizeof(struct sockaddr_in6)) {
    struct sockaddr_in6 v6;
    memcpy(&v6, address->bytes, sizeof v6);
    inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    port = ntohs(v6.sin6_port);
    return with_port ? snprintf(out, room, "[%s]:%d", host, port) : snprintf(out, room, "%s", host);
  }
  if (address->length == sizeof(struct sockaddr_in)) {
    struct sockaddr_in v4;
    memcpy(&v4, address->bytes, sizeof v4);
    inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
    port = ntohs(v4.sin_port);
    return with_port ? snprintf(out, room, "%s:%d", host, port) : snprintf(out, room, "%s", host);
  }
  return snprintf(out, room, "-");
}

int linux_resolve(const char *host, uint16_t port, struct linux_address *out, int room) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  struct addrinfo *list = NULL;
  char service[8];
  snprintf(service, sizeof service, "%u", port);
  int code = getaddrinfo(host, service, &hints, &list);
  if (code != 0) return code < 0 ? code : -code;
  int count = 0;
  for (struct addrinfo *item = list; item && count < room; item = item->ai_next) {
    if (item->ai_addrlen > sizeof out->bytes) continue;
    memset(&out[count], 0, sizeof *out);
    memcpy(out[count].bytes, item->ai_addr, item->ai_addrlen);
    out[count++].length = item->ai_addrlen;
  }
  freeaddrinfo(list);
  return count;
}

void linux_error_text(int number, char *out, size_t room) {
  char own[128];
  snprintf(out, room, "%s", strerror_r(number, own, sizeof own));
}

const char *linux_resolve_error(int code) { return gai_strerror(code); }

int linux_listen(const struct linux_address *address, bool reuse_port, int backlog) {
  struct sockaddr_storage target = {0};
  memcpy(&target, address->bytes, address->length);
  int fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (target.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if ((reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) ||
      bind(fd, (struct sockaddr *)&target, address->length) < 0 || listen(fd, backlog) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int linux_unacknowledged(int fd) {
  int count = 0;
  return ioctl(fd, SIOCOUTQ, &count) < 0 ? -errno : count;
}

int linux_local_address(int fd, struct linux_address *out) {
  struct sockaddr_storage local;
  socklen_t length = sizeof local;
  memset(out, 0, sizeof *out);
  if (getsockname(fd, (struct sockaddr *)&local, &length) < 0) return -errno;
  if (length > sizeof out->bytes) return -EINVAL;
  memcpy(out->bytes, &local, length);
  out->length = length;
  return 0;
}

int linux_accept(int fd, struct linux_address *peer) {
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  int connection = accept4(fd, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (connection < 0) return -errno;
  int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  memset(peer, 0, sizeof *peer);
  if (length <= sizeof peer->bytes) {
    memcpy(peer->bytes, &from, length);
    peer->length = length;
  }
  return connection;
}

int linux_connect(const struct linux_address *address) {
  struct sockaddr_storage target = {0};
  memcpy(&target, address->bytes, address->length);
  int fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (struct sockaddr *)&target, address->length) < 0 && errno != EINPROGRESS) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int linux_socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return errno;
  return error;
}

// Bare calls: the C library's own are cancellation points, which costs each of them twice in a
// process with threads. Nothing here cancels a thread.
long linux_receive(int fd, void *into, size_t room) {
  return result(syscall(SYS_recvfrom, fd, into, room, 0, NULL, NULL));
}

long linux_peek(int fd, void *into, size_t room) {
  return result(syscall(SYS_recvfrom, fd, into, room, MSG_PEEK, NULL, NULL));
}

long linux_send(int fd, const void *from, size_t count, bool more) {
  return result(
      syscall(SYS_sendto, fd, from, count, MSG_NOSIGNAL | (more ? MSG_MORE : 0), NULL, 0));
}

long linux_send_two(int fd, const void *first, size_t first_count, const void *second,
                     size_t second_count, bool more) {
  struct iovec parts[2] = {{(void *)first, first_count}, {(void *)second, second_count}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  return result(syscall(SYS_sendmsg, fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0)));
}

long linux_sendfile(int fd, int file, int64_t offset, size_t count) {
  off_t position = offset;
  return result(sendfile(fd, file, &position, count));
}

void linux_shutdown_write(int fd) { shutdown(fd, SHUT_WR); }

void linux_reset_on_close(int fd) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

int linux_socket_close(int fd) { return close(fd) < 0 ? -errno : 0; }

int linux_epoll_create(void) { return (int)result(epoll_create1(EPOLL_CLOEXEC)); }

static int add(int epoll, int fd, uint64_t data, uint32_t events) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  return (int)result(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

int linux_epoll_add(int epoll, int fd, uint64_t data) {
  return add(epoll, fd, data, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int linux_epoll_add_level(int epoll, int fd, uint64_t data) { return add(epoll, fd, data, EPOLLIN); }

int linux_epoll_remove(int epoll, int fd) {
  return (int)result(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
}

int linux_epoll_pause(int epoll, int fd, uint64_t data, bool pause) {
  struct epoll_event event = {.events = pause ? 0 : EPOLLIN, .data.u64 = data};
  return (int)result(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
}

int linux_epoll_wait(int epoll, struct linux_event *out, int room, int timeout_ms) {
  struct epoll_event events[256];
  if (room > 256) room = 256;
  int count = epoll_wait(epoll, events, room, timeout_ms);
  if (count < 0) return -errno;
  for (int index = 0; index < count; index++) {
    uint32_t flags = events[index].events;
    out[index].data = events[index].data.u64;
    out[index].readiness = (flags & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? LINUX_READABLE : 0) |
                           (flags & (EPOLLOUT | EPOLLHUP | EPOLLERR) ? LINUX_WRITABLE : 0) |
                           (flags & (EPOLLHUP | EPOLLERR) ? LINUX_HUNG_UP : 0) |
                           (flags & EPOLLRDHUP ? LINUX_ENDED : 0);
  }
  return count;
}

int linux_eventfd(void) { return (int)result(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

void linux_eventfd_raise(int fd) {
  uint64_t one = 1;
  // A full counter is awake already; nothing else can fail on a descriptor of our own.
  (void)!write(fd, &one, sizeof one);
}

void linux_eventfd_clear(int fd) {
  uint64_t count;
  (void)!read(fd, &count, sizeof count);
}

void linux_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

int linux_signal_descriptor(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGUSR1);
  if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0) return -EINVAL;
  return (int)result(signalfd(-1, &set, SFD_CLOEXEC));
}

int linux_signal_next(int fd, int until) {
  struct pollfd waits[2] = {{.fd = fd, .events = POLLIN}, {.fd = until, .events = POLLIN}};
  while (poll(waits, 2, -1) < 0 && errno == EINTR) {
  }
  if (!(waits[0].revents & POLLIN)) return 0;
  struct signalfd_siginfo info;
  ssize_t count = read(fd, &info, sizeof info);
  return count == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

int linux_cores(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int64_t linux_memory_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES);
  long size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (int64_t)pages * size : INT64_MAX;
}

long linux_raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur == RLIM_INFINITY ? 1L << 30 : (long)limit.rlim_cur;
}
