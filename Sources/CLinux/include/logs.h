// Door to files that are only appended to. No logic: every function gives a result, or -errno.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Opens for appending, making the file where it is missing; always with O_CLOEXEC.
int64_t linux_open_append(const char *path);
// A second descriptor of the same open file, with O_CLOEXEC.
int64_t linux_duplicate(int32_t descriptor);
// Writes all bytes or fails; gives how many went out, and sets *error to errno where not all did, else to 0.
// Repeats on EINTR, and waits where a pipe is full.
int64_t linux_write_all(int32_t descriptor, const void *from, size_t count, int32_t *error);
