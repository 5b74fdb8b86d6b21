#include "memory.h"

#include <sys/mman.h>

void linux_memory_prefer_huge(void *start, size_t count) { madvise(start, count, MADV_HUGEPAGE); }

bool linux_memory_drop(void *start, size_t count) {
  return madvise(start, count, MADV_DONTNEED) == 0;
}
