// Door to the system calls on files. No logic: every function gives a result, or -errno.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How a file is opened; always with O_CLOEXEC.
enum {
  LINUX_READ = 0,
  LINUX_WRITE = 1,
  LINUX_CREATE = 2,
  LINUX_EXCLUSIVE = 4,
  LINUX_FOLDER = 8,
  // Past the page cache: what is written must be whole blocks, in memory too.
  LINUX_DIRECT = 16,
  // A plain file by its own name: no symbolic link, no pipe, no device.
  LINUX_PLAIN = 32
};

int64_t linux_open(const char *path, int32_t how);
int64_t linux_close(int32_t descriptor);
// A read that may wait for the disk. Repeats on EINTR; may give fewer bytes than asked.
int64_t linux_pread(int32_t descriptor, void *into, size_t count, uint64_t offset);
// preadv2 with RWF_NOWAIT: -EAGAIN where the bytes are not in memory.
int64_t linux_pread_nowait(int32_t descriptor, void *into, size_t count, uint64_t offset);
// Writes all bytes or fails; gives 0.
int64_t linux_pwrite(int32_t descriptor, const void *from, size_t count, uint64_t offset);
int64_t linux_fallocate(int32_t descriptor, uint64_t bytes);
// Space for a file of so many bytes, whose size stays as it is.
int64_t linux_reserve(int32_t descriptor, uint64_t bytes);
// Gives the whole pages of a range back to the file system; they read as zeros.
int64_t linux_punch(int32_t descriptor, uint64_t offset, uint64_t bytes);
int64_t linux_truncate(int32_t descriptor, uint64_t bytes);
int64_t linux_fdatasync(int32_t descriptor);
int64_t linux_lock(int32_t descriptor);
int64_t linux_fsync(int32_t descriptor);
int64_t linux_file_size(int32_t descriptor);
// Pages of a range that are in memory: cachestat, or -ENOSYS before kernel 6.5.
int64_t linux_resident_pages(int32_t descriptor, uint64_t offset, uint64_t count);
// Waits until a range is in memory, without a word to the kernel that it was used (-EINVAL before
// Linux 5.14).
int64_t linux_bring_in(int32_t descriptor, uint64_t offset, uint64_t count);
// Has the kernel read what is asked for and nothing ahead of it.
int64_t linux_read_at_random(int32_t descriptor);
// Has a range read into memory, and does not wait for it.
int64_t linux_will_need(int32_t descriptor, uint64_t offset, uint64_t count);
// Drops the whole pages of a range from memory; those in use elsewhere are the next to go.
int64_t linux_let_go(int32_t descriptor, uint64_t offset, uint64_t count);
// Takes back for this process's maps of a file that their order of use is random; how many there are.
int64_t linux_keep_mapped(uint64_t inode);
int64_t linux_inode(int32_t descriptor);
// How many names a file has.
int64_t linux_links(int32_t descriptor);
// In how many ticks of a second /proc tells times.
int64_t linux_clock_ticks(void);
// Who may do what with the file: the low 12 bits of its mode.
int64_t linux_mode(int32_t descriptor);
// When the bytes last changed, in nanoseconds since 1970.
int64_t linux_modified(int32_t descriptor);
int64_t linux_page_size(void);

int64_t linux_unlink(const char *path);
// 1 where a path leads to the file of a descriptor, else 0.
int64_t linux_is_at(int32_t descriptor, const char *path);
// Makes `path` lead to `target`; whatever had the name goes.
int64_t linux_symlink(const char *target, const char *path);
// A file in memory, without a name.
int64_t linux_memory_file(const char *label);
int64_t linux_rename(const char *from, const char *to);
int64_t linux_mkdir(const char *path);
int64_t linux_remove_folder(const char *path);
// Bytes that a file takes on its disk.
int64_t linux_used_bytes(const char *path);
// 0 where the process may write to a file, or make files in a folder.
int64_t linux_writable(const char *path, bool *is_folder);
// Free bytes for us (without root's reserve), and the whole size, of the file system of a path.
int64_t linux_free_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes);

// A folder's names; open gives NULL and sets *error, next gives NULL at the end, with 0 in *error if all were told.
struct linux_folder;
struct linux_folder *linux_folder_open(const char *path, int64_t *error);
const char *linux_folder_next(struct linux_folder *folder, int64_t *error);
void linux_folder_close(struct linux_folder *folder);

int64_t linux_getrandom(void *into, size_t count);
