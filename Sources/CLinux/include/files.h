// Door to the system calls on files. No logic: every function gives a result, or -errno.
#pragma once
#include <stddef.h>
#include <stdint.h>

// How a file is opened; always with O_CLOEXEC.
enum { LINUX_READ = 0, LINUX_WRITE = 1, LINUX_CREATE = 2, LINUX_EXCLUSIVE = 4, LINUX_FOLDER = 8 };

int64_t linux_open(const char *path, int32_t how);
int64_t linux_close(int32_t descriptor);
// A read that may wait for the disk. Repeats on EINTR; may give fewer bytes than asked.
int64_t linux_pread(int32_t descriptor, void *into, size_t count, uint64_t offset);
// preadv2 with RWF_NOWAIT: -EAGAIN where the bytes are not in memory.
int64_t linux_pread_nowait(int32_t descriptor, void *into, size_t count, uint64_t offset);
// Writes all bytes or fails; gives 0.
int64_t linux_pwrite(int32_t descriptor, const void *from, size_t count, uint64_t offset);
int64_t linux_fallocate(int32_t descriptor, uint64_t bytes);
int64_t linux_fdatasync(int32_t descriptor);
int64_t linux_lock(int32_t descriptor);
int64_t linux_fsync(int32_t descriptor);
int64_t linux_file_size(int32_t descriptor);
// Pages of a range that are in memory: cachestat, or -ENOSYS before kernel 6.5.
int64_t linux_resident_pages(int32_t descriptor, uint64_t offset, uint64_t count);
int64_t linux_page_size(void);

int64_t linux_unlink(const char *path);
int64_t linux_rename(const char *from, const char *to);
int64_t linux_mkdir(const char *path);
// Free bytes for us (without root's reserve), and the whole size, of the file system of a path.
int64_t linux_free_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes);

// A folder's names; open gives NULL and sets *error, next gives NULL at the end.
struct linux_folder;
struct linux_folder *linux_folder_open(const char *path, int64_t *error);
const char *linux_folder_next(struct linux_folder *folder);
void linux_folder_close(struct linux_folder *folder);

int64_t linux_getrandom(void *into, size_t count);
