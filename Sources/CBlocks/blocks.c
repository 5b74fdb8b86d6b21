#include "blocks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// What its owner sees of a block lies behind this, aligned as malloc's memory is.
struct head {
  struct head *next; // While it is free.
  uint32_t size;     // With this head; 0 for one that belongs to no list.
  uint16_t list;
  uint16_t mark; // What it is, so that what is freed twice or written over ends the process, as malloc's does.
};
enum { in_use = 0x5eed, is_free = 0xdead };
_Static_assert(sizeof(struct head) == 16, "the head keeps malloc's alignment");

// Sizes grow by quarters of a power of two, so that of a large block a fifth is unused at most.
enum { smallest = 64, largest = 32 * 1024, lists = 37 };
// In all, and of one size: a burst of one leaves room for the others.
static const uint64_t most_kept = 2 * 1024 * 1024;
static const uint32_t most_listed = 256 * 1024;

struct kept {
  struct head *first[lists];
  uint32_t listed[lists];
  uint64_t bytes;
  int is_known;  // Its end has been arranged for.
  int has_ended; // The thread is at its end: nothing is kept any more.
};
static __thread struct kept kept;
static pthread_key_t ending;
static int has_ending;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static unsigned list_of(size_t bytes) {
  if (bytes <= smallest) return 0;
  unsigned top = 63 - (unsigned)__builtin_clzl(bytes - 1);
  return (top - 6) * 4 + (unsigned)((bytes - 1) >> (top - 2)) - 3;
}

static size_t size_of(unsigned list) {
  if (list == 0) return smallest;
  unsigned top = 6 + (list - 1) / 4;
  return (size_t)(5 + (list - 1) % 4) << (top - 2);
}

// The thread's end.
static void end(void *given) {
  struct kept *kept = given;
  kept->has_ended = 1;
  for (unsigned list = 0; list < lists; list++) {
    while (kept->first[list]) {
      struct head *head = kept->first[list];
      kept->first[list] = head->next;
      free(head);
    }
    kept->listed[list] = 0;
  }
  kept->bytes = 0;
}

static void make_ending(void) { has_ending = pthread_key_create(&ending, end) == 0; }

// Whether the thread's end will find what is kept.
static int is_known(void) {
  if (kept.is_known) return 1;
  pthread_once(&once, make_ending);
  kept.is_known = has_ending && pthread_setspecific(ending, &kept) == 0;
  return kept.is_known;
}

void *block_new(size_t bytes, const char *place, int line) {
  if (bytes == 0 || bytes > PTRDIFF_MAX) return NULL;
  bytes += sizeof(struct head);
  if (bytes > largest) {
    struct head *head = malloc(bytes);
    if (!head) return NULL;
    head->size = 0;
    head->list = 0;
    head->mark = in_use;
    return head + 1;
  }
  unsigned list = list_of(bytes);
  struct head *head = kept.first[list];
  if (head) {
    if (head->mark != is_free) abort();
    kept.first[list] = head->next;
    kept.listed[list] -= head->size;
    kept.bytes -= head->size;
  } else {
    size_t size = size_of(list);
    head = malloc(size);
    if (!head) return NULL;
    head->size = (uint32_t)size;
    head->list = (uint16_t)list;
  }
  head->mark = in_use;
  return head + 1;
}

void block_free(void *block, const char *place, int line) {
  if (!block) return;
  struct head *head = (struct head *)block - 1;
  if (head->mark != in_use) abort();
  head->mark = is_free;
  unsigned list = head->list;
  if (head->size == 0 || kept.has_ended || kept.bytes + head->size > most_kept ||
      kept.listed[list] + head->size > most_listed || !is_known()) {
    free(head);
    return;
  }
  head->next = kept.first[list];
  kept.first[list] = head;
  kept.listed[list] += head->size;
  kept.bytes += head->size;
}

void *block_resize(void *block, size_t bytes, const char *place, int line) {
  if (!block) return block_new(bytes, place, line);
  if (bytes == 0) {
    block_free(block, place, line);
    return NULL;
  }
  if (bytes > PTRDIFF_MAX) return NULL;
  struct head *head = (struct head *)block - 1;
  if (head->mark != in_use) abort();
  if (head->size == 0) {
    head = realloc(head, bytes + sizeof *head);
    return head ? head + 1 : NULL;
  }
  size_t room = head->size - sizeof *head;
  if (bytes <= room) return block;
  void *larger = block_new(bytes, place, line);
  if (!larger) return NULL;
  memcpy(larger, block, room);
  block_free(block, place, line);
  return larger;
}

uint64_t blocks_kept(void) { return kept.bytes; }
