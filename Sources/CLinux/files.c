#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int64_t checked(int64_t result) { return result < 0 ? -errno : result; }

int64_t linux_open(const char *path, int32_t how) {
  int flags = O_CLOEXEC | (how & LINUX_WRITE ? O_RDWR : O_RDONLY);
  if (how & LINUX_CREATE) flags |= O_CREAT;
  if (how & LINUX_EXCLUSIVE) flags |= O_EXCL;
  if (how & LINUX_FOLDER) flags |= O_DIRECTORY;
  int descriptor;
  do descriptor = open(path, flags, 0640);
  while (descriptor < 0 && errno == EINTR);
  return checked(descriptor);
}

int64_t linux_close(int32_t descriptor) { return checked(close(descriptor)); }

int64_t linux_pread(int32_t descriptor, void *into, size_t count, uint64_t offset) {
  ssize_t got;
  do got = pread(descriptor, into, count, (off_t)offset);
  while (got < 0 && errno == EINTR);
  return checked(got);
}

int64_t linux_pread_nowait(int32_t descriptor, void *into, size_t count, uint64_t offset) {
  struct iovec part = {.iov_base = into, .iov_len = count};
  // A bare call: the C library's is a cancellation point, which costs a process with threads.
  return checked(syscall(SYS_preadv2, descriptor, &part, 1, offset, 0, RWF_NOWAIT));
}

int64_t linux_pwrite(int32_t descriptor, const void *from, size_t count, uint64_t offset) {
  const char *next = from;
  while (count > 0) {
    ssize_t put = pwrite(descriptor, next, count, (off_t)offset);
    if (put < 0) {
      if (errno == EINTR) continue;
      return -errno;
    }
    if (put == 0) return -EIO;
    next += put;
    count -= (size_t)put;
    offset += (uint64_t)put;
  }
  return 0;
}

int64_t linux_fallocate(int32_t descriptor, uint64_t bytes) {
  int result;
  do result = fallocate(descriptor, 0, 0, (off_t)bytes);
  while (result < 0 && errno == EINTR);
  return checked(result);
}

int64_t linux_lock(int32_t descriptor) { return checked(flock(descriptor, LOCK_EX | LOCK_NB)); }

int64_t linux_fdatasync(int32_t descriptor) { return checked(fdatasync(descriptor)); }

int64_t linux_fsync(int32_t descriptor) { return checked(fsync(descriptor)); }

int64_t linux_file_size(int32_t descriptor) {
  struct stat found;
  return fstat(descriptor, &found) < 0 ? -errno : (int64_t)found.st_size;
}

int64_t linux_resident_pages(int32_t descriptor, uint64_t offset, uint64_t count) {
  // Not in the headers that are built with; include/uapi/linux/mman.h of Linux 6.5.
  struct { uint64_t offset, count; } range = {offset, count};
  struct { uint64_t cached, dirty, writeback, evicted, recently_evicted; } found;
  long result = syscall(451, (unsigned)descriptor, &range, &found, 0u);
  // A container's filter may answer EPERM where it does not know the call.
  if (result < 0) return errno == EPERM ? -ENOSYS : -errno;
  return (int64_t)found.cached;
}

int64_t linux_page_size(void) { return sysconf(_SC_PAGESIZE); }

int64_t linux_unlink(const char *path) { return checked(unlink(path)); }

int64_t linux_rename(const char *from, const char *to) { return checked(rename(from, to)); }

int64_t linux_mkdir(const char *path) { return checked(mkdir(path, 0750)); }

int64_t linux_free_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes) {
  struct statvfs found;
  if (statvfs(path, &found) < 0) return -errno;
  *free_bytes = (uint64_t)found.f_bavail * found.f_frsize;
  *total_bytes = (uint64_t)found.f_blocks * found.f_frsize;
  return 0;
}

struct linux_folder *linux_folder_open(const char *path, int64_t *error) {
  DIR *folder = opendir(path);
  *error = folder ? 0 : -errno;
  return (struct linux_folder *)folder;
}

const char *linux_folder_next(struct linux_folder *folder) {
  struct dirent *entry;
  while ((entry = readdir((DIR *)folder))) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) return entry->d_name;
  }
  return NULL;
}

void linux_folder_close(struct linux_folder *folder) { closedir((DIR *)folder); }

int64_t linux_getrandom(void *into, size_t count) {
  ssize_t got;
  do got = getrandom(into, count, 0);
  while (got < 0 && errno == EINTR);
  return checked(got);
}
