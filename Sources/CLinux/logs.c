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

int64_t linux_write_all(int32_t descriptor, const void *from, size_t count, int32_t *error) {
  const char *bytes = from;
  size_t done = 0;
  *error = 0;
  while (done < count && *error == 0) {
    ssize_t written = write(descriptor, bytes + done, count - done);
    if (written >= 0) {
      done += (size_t)written;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      struct pollfd room = {.fd = descriptor, .events = POLLOUT};
      if (poll(&room, 1, -1) < 0 && errno != EINTR) *error = errno;
    } else if (errno != EINTR) {
      *error = errno;
    }
  }
  return (int64_t)done;
}
