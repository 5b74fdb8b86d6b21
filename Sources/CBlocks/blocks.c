#include "blocks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// What its owner sees of a block lies behind this, aligned as malloc's memory is.
struct head {
  union {
    struct head *next; // While it is free.
    uint64_t list;     // While it is in use.
  };
  uint64_t size; // With this head; 0 for one that belongs to no list.
};
_Static_assert(sizeof(struct head) == 16, "the head keeps malloc's alignment");

// Sizes grow by quarters of a power of two, so that at most a fifth of a block is unused.
enum { smallest = 64, largest = 32 * 1024, lists = 37 };
// Enough for the ends of some thirty TLS connections.
static const uint64_t most_kept = 2 * 1024 * 1024;

struct kept {
  struct head *first[lists];
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
    return head + 1;
  }
  unsigned list = list_of(bytes);
  struct head *head = kept.first[list];
  if (head) {
    kept.first[list] = head->next;
    kept.bytes -= head->size;
  } else {
    size_t size = size_of(list);
    head = malloc(size);
    if (!head) return NULL;
    head->size = size;
  }
  head->list = list;
  return head + 1;
}

void block_free(void *block, const char *place, int line) {
  if (!block) return;
  struct head *head = (struct head *)block - 1;
  if (head->size == 0 || kept.has_ended || kept.bytes + head->size > most_kept || !is_known()) {
    free(head);
    return;
  }
  uint64_t list = head->list;
  head->next = kept.first[list];
  kept.first[list] = head;
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
