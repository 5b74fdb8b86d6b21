#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
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
  if (how & LINUX_DIRECT) flags |= O_DIRECT;
  // A pipe would wait for its other end.
  if (how & LINUX_PLAIN) flags |= O_NOFOLLOW | O_NONBLOCK;
  int descriptor;
  do descriptor = open(path, flags, 0640);
  while (descriptor < 0 && errno == EINTR);
  struct stat found;
  if (descriptor >= 0 && how & LINUX_PLAIN && (fstat(descriptor, &found) < 0 || !S_ISREG(found.st_mode))) {
    close(descriptor);
    return -EINVAL;
  }
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

static int64_t allocate(int32_t descriptor, int mode, uint64_t offset, uint64_t bytes) {
  int result;
  do result = fallocate(descriptor, mode, (off_t)offset, (off_t)bytes);
  while (result < 0 && errno == EINTR);
  return checked(result);
}

int64_t linux_fallocate(int32_t descriptor, uint64_t bytes) {
  return allocate(descriptor, 0, 0, bytes);
}

int64_t linux_reserve(int32_t descriptor, uint64_t bytes) {
  return allocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, bytes);
}

int64_t linux_punch(int32_t descriptor, uint64_t offset, uint64_t bytes) {
  return allocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
}

int64_t linux_truncate(int32_t descriptor, uint64_t bytes) {
  return checked(ftruncate(descriptor, (off_t)bytes));
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

// Work on many pages is done in stretches of some 40 us, and between two of them a worker that wants this core
// may have it: kernels that preempt lazily let a thread finish its call, and by their reckoning of fairness
// even a woken worker waits for as long as the other is at it.
static const uint64_t stretch = 64 * 1024;

static uint64_t up_to(uint64_t count) { return count < stretch ? count : stretch; }

int64_t linux_bring_in(int32_t descriptor, uint64_t offset, uint64_t count) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  uint64_t first = offset & ~(page - 1);
  uint64_t length = offset + count - first;
  for (uint64_t at = 0; at < length; at += stretch) {
    posix_fadvise(descriptor, (off_t)(first + at), (off_t)up_to(length - at), POSIX_FADV_WILLNEED);
    sched_yield();
  }
  void *map = mmap(NULL, length, PROT_READ, MAP_SHARED, descriptor, (off_t)first);
  if (map == MAP_FAILED) return -errno;
  // Pages that are only looked at through such a map do not count as used.
  madvise(map, length, MADV_RANDOM);
  // MADV_POPULATE_READ, Linux 5.14, not in all headers that are built with.
  int64_t result = 0;
  for (uint64_t at = 0; at < length && result == 0; at += stretch) {
    result = checked(madvise((char *)map + at, up_to(length - at), 22));
    sched_yield();
  }
  munmap(map, length);
  return result;
}

int64_t linux_read_at_random(int32_t descriptor) {
  return -posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM);
}

int64_t linux_will_need(int32_t descriptor, uint64_t offset, uint64_t count) {
  return -posix_fadvise(descriptor, (off_t)offset, (off_t)count, POSIX_FADV_WILLNEED);
}

int64_t linux_let_go(int32_t descriptor, uint64_t offset, uint64_t count) {
  // At once: for each call in which a page cannot go the kernel asks all cores for theirs.
  return -posix_fadvise(descriptor, (off_t)offset, (off_t)count, POSIX_FADV_DONTNEED);
}

int64_t linux_keep_mapped(uint64_t inode) {
  FILE *maps = fopen("/proc/self/maps", "re");
  if (!maps) return -errno;
  int64_t found = 0;
  char line[512];
  while (fgets(line, sizeof line, maps)) {
    unsigned long start, end, number;
    if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &start, &end, &number) != 3) continue;
    if (number != inode || end <= start) continue;
    if (madvise((void *)start, end - start, MADV_NORMAL) == 0) found++;
  }
  fclose(maps);
  return found;
}

int64_t linux_mode(int32_t descriptor) {
  struct stat found;
  if (fstat(descriptor, &found) < 0) return -errno;
  return found.st_mode & 07777;
}

int64_t linux_inode(int32_t descriptor) {
  struct stat found;
  return fstat(descriptor, &found) < 0 ? -errno : (int64_t)found.st_ino;
}

int64_t linux_links(int32_t descriptor) {
  struct stat found;
  return fstat(descriptor, &found) < 0 ? -errno : (int64_t)found.st_nlink;
}

int64_t linux_clock_ticks(void) { return sysconf(_SC_CLK_TCK); }

int64_t linux_modified(int32_t descriptor) {
  struct stat found;
  if (fstat(descriptor, &found) < 0) return -errno;
  return (int64_t)found.st_mtim.tv_sec * 1000000000 + found.st_mtim.tv_nsec;
}

int64_t linux_page_size(void) { return sysconf(_SC_PAGESIZE); }

int64_t linux_unlink(const char *path) { return checked(unlink(path)); }

int64_t linux_is_at(int32_t descriptor, const char *path) {
  struct stat ours, found;
  if (fstat(descriptor, &ours) < 0) return -errno;
  if (stat(path, &found) < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
  return ours.st_dev == found.st_dev && ours.st_ino == found.st_ino;
}

int64_t linux_symlink(const char *target, const char *path) {
  if (unlink(path) < 0 && errno != ENOENT) return -errno;
  return checked(symlink(target, path));
}

int64_t linux_memory_file(const char *label) { return checked(memfd_create(label, MFD_CLOEXEC)); }

int64_t linux_rename(const char *from, const char *to) { return checked(rename(from, to)); }

int64_t linux_mkdir(const char *path) { return checked(mkdir(path, 0750)); }

int64_t linux_remove_folder(const char *path) { return checked(rmdir(path)); }

int64_t linux_used_bytes(const char *path) {
  struct stat found;
  return stat(path, &found) < 0 ? -errno : (int64_t)found.st_blocks * 512;
}

int64_t linux_writable(const char *path, bool *is_folder) {
  struct stat found;
  if (stat(path, &found) < 0) return -errno;
  *is_folder = S_ISDIR(found.st_mode);
  return checked(faccessat(AT_FDCWD, path, *is_folder ? W_OK | X_OK : W_OK, AT_EACCESS));
}

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

const char *linux_folder_next(struct linux_folder *folder, int64_t *error) {
  struct dirent *entry;
  // What readdir cannot read ends it as the last name does, but for this.
  while (errno = 0, (entry = readdir((DIR *)folder))) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) break;
  }
  *error = entry ? 0 : -errno;
  return entry ? entry->d_name : NULL;
}

void linux_folder_close(struct linux_folder *folder) { closedir((DIR *)folder); }

int64_t linux_getrandom(void *into, size_t count) {
  ssize_t got;
  do got = getrandom(into, count, 0);
  while (got < 0 && errno == EINTR);
  return checked(got);
}
