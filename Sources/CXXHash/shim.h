// Door to libxxhash. No logic: the names below are XXH3 by the widest vectors that the processor has.
#pragma once
#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // names of xxhash.h as macros, which Swift does not see
#endif

static inline uint64_t sluice_xxh3(const void *bytes, size_t count) {
  return XXH3_64bits(bytes, count);
}

static inline void sluice_xxh3_update(XXH3_state_t *state, const void *bytes, size_t count) {
  (void)XXH3_64bits_update(state, bytes, count);
}
