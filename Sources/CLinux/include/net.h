// Sockets, epoll and eventfd for Swift: plain functions that return a count or -errno.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// An address as the kernel takes it: sockaddr_in or sockaddr_in6.
struct linux_address {
  uint8_t bytes[28];
  uint32_t length;
};

// Numeric host only; returns 0 or -EINVAL.
int linux_address_parse(const char *host, uint16_t port, struct linux_address *out);
// Writes "1.2.3.4:80" or "[::1]:80"; returns the length. `room` at least 64.
int linux_address_text(const struct linux_address *address, bool with_port, char *out, size_t room);
// Resolves a name (blocking); fills at most `room` addresses, returns how many or a negative EAI code.
int linux_resolve(const char *host, uint16_t port, struct linux_address *out, int room);
const char *linux_resolve_error(int code);
// The system's words for an error number; cut where there is no room.
void linux_error_text(int number, char *out, size_t room);

int linux_listen(const struct linux_address *address, bool reuse_port, int backlog);
int linux_local_address(int fd, struct linux_address *out);
// Bytes sent that the peer has not acknowledged, or -errno.
int linux_unacknowledged(int fd);
// A non-blocking connection, or -errno (-EAGAIN: none waiting).
int linux_accept(int fd, struct linux_address *peer);
// Begins a non-blocking connect; the descriptor, or -errno.
int linux_connect(const struct linux_address *address);
// The outcome of a connect: 0 or the errno, positive.
int linux_socket_error(int fd);

long linux_receive(int fd, void *into, size_t room);
// The same, and leaves the bytes where they are.
long linux_peek(int fd, void *into, size_t room);
long linux_send(int fd, const void *from, size_t count, bool more);
long linux_send_two(int fd, const void *first, size_t first_count, const void *second,
                     size_t second_count, bool more);
long linux_sendfile(int fd, int file, int64_t offset, size_t count);
// Says that nothing more will be sent.
void linux_shutdown_write(int fd);
void linux_reset_on_close(int fd);
int linux_socket_close(int fd);

int linux_epoll_create(void);
// Edge-triggered for reading, writing and hang-up, once for the life of the descriptor.
int linux_epoll_add(int epoll, int fd, uint64_t data);
// Level-triggered for reading: listeners and the wake-up.
int linux_epoll_add_level(int epoll, int fd, uint64_t data);
int linux_epoll_remove(int epoll, int fd);
int linux_epoll_pause(int epoll, int fd, uint64_t data, bool pause);

struct linux_event {
  uint64_t data;
  uint32_t readiness;
};
enum { LINUX_READABLE = 1, LINUX_WRITABLE = 2, LINUX_HUNG_UP = 4, LINUX_ENDED = 8 };
// At most 256 events; the count or -errno. timeout in milliseconds, -1 for ever.
int linux_epoll_wait(int epoll, struct linux_event *out, int room, int timeout_ms);

int linux_eventfd(void);
void linux_eventfd_raise(int fd);
void linux_eventfd_clear(int fd);

void linux_ignore_sigpipe(void);
// Blocks the signals of orderly stop in this thread and those started later; a descriptor to read them.
int linux_signal_descriptor(void);
// Waits for a signal and takes it; 0 where `until` (a descriptor, or -1) became readable first.
int linux_signal_next(int fd, int until);
// linux_cores: the cores that this process may run on; linux_memory_bytes: what the machine has. Then: raises the soft limit on descriptors to the hard one; the limit in force.
int linux_cores(void);
int64_t linux_memory_bytes(void);
long linux_raise_descriptor_limit(void);
