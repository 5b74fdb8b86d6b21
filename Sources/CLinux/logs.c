#include "logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

int64_t linux_open_append(const char *path) {
  int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  return descriptor < 0 ? -errno : descriptor;
}

int64_t linux_duplicate(int32_t descriptor) {
  int second = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
  return second < 0 ? -errno : second;
}

int64_t linux_write_all(int32_t descriptor, const void *from, size_t count) {
  const char *rest = from;
  while (count > 0) {
    ssize_t written = write(descriptor, rest, count);
    if (written >= 0) {
      rest += written;
      count -= (size_t)written;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      struct pollfd room = {.fd = descriptor, .events = POLLOUT};
      if (poll(&room, 1, -1) < 0 && errno != EINTR) return -errno;
    } else if (errno != EINTR) {
      return -errno;
    }
  }
  return 0;
}
