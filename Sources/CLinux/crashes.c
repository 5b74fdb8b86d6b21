#include "crashes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "threads.h"

static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE};
enum { COUNT = sizeof fatal / sizeof *fatal };

static struct sigaction earlier[COUNT];
static char mark[PATH_MAX];
static int64_t until;
// A death is marked once, by the first thread that meets it.
static _Atomic int state;
enum { ALIVE, MARKING, MARKED };

// Nothing here but calls that a signal handler may make (signal-safety(7)).
static void die(int number, siginfo_t *info, void *context) {
  (void)context;
  int expected = ALIVE;
  if (atomic_compare_exchange_strong(&state, &expected, MARKING)) {
    if (linux_monotonic_nanos() < until) {
      int file = open(mark, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
      if (file >= 0) {
        ssize_t ignored = write(file, "x", 1);
        (void)ignored;
        close(file);
      }
    }
    atomic_store(&state, MARKED);
  }
  // Whoever comes second would else end the process before the mark is there.
  struct timespec pause = {.tv_nsec = 1000000};
  for (int round = 0; round < 200 && atomic_load(&state) == MARKING; round++) {
    nanosleep(&pause, NULL);
  }
  // What was there before may look at the fault, and trust that it comes again; one that somebody has
  // sent does not.
  struct sigaction next = {.sa_handler = SIG_DFL};
  for (int place = 0; place < COUNT; place++) {
    if (fatal[place] == number && info->si_code != SI_USER) next = earlier[place];
  }
  sigaction(number, &next, NULL);
  // Blocked while this runs: it comes at the return, where the fault was.
  raise(number);
}

int64_t linux_mark_crashes(const char *path, int64_t nanos) {
  size_t length = strlen(path);
  if (length >= sizeof mark) return -ENAMETOOLONG;
  memcpy(mark, path, length + 1);
  until = linux_monotonic_nanos() + nanos;
  struct sigaction action = {.sa_sigaction = die, .sa_flags = SA_ONSTACK | SA_SIGINFO};
  sigemptyset(&action.sa_mask);
  for (int place = 0; place < COUNT; place++) {
    struct sigaction found;
    if (sigaction(fatal[place], &action, &found) < 0) return -errno;
    if (found.sa_sigaction != die) earlier[place] = found;
  }
  return 0;
}
