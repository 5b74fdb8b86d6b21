// Marks on the disk of deaths by signals that a fault of the process brings. No logic: 0, or -errno.
#pragma once
#include <stdint.h>

// For so many nanoseconds from now on, SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT and SIGFPE append a byte
// to the file (which is made where it is missing) before they do what they did until now; those that
// another process has sent then end this one.
int64_t linux_mark_crashes(const char *path, int64_t nanos);
