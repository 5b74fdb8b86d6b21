// Memory in blocks that the thread which frees them keeps for its next use.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Like malloc, realloc and free, with the arguments that OpenSSL's CRYPTO_set_mem_functions wants; place and
// line are not looked at. A block may be freed by any thread. Nothing is given for 0 bytes.
void *block_new(size_t bytes, const char *place, int line);
void *block_resize(void *block, size_t bytes, const char *place, int line);
void block_free(void *block, const char *place, int line);
// Bytes of free blocks that this thread keeps; for tests.
uint64_t blocks_kept(void);
