// Door to POSIX threads and clocks. No logic: 0 or a result, or -errno.
#pragma once
#include <stdint.h>

struct linux_thread;
struct linux_monitor;

// Starts a thread of this name (15 bytes of it), on one core or, below 0, on any.
int64_t linux_thread_start(struct linux_thread **thread, const char *name, int32_t core,
                           void (*body)(void *), void *context);
// Waits for the thread's end and frees it.
int64_t linux_thread_join(struct linux_thread *thread);
// Lets another thread that wants this core have it (sched_yield).
void linux_offer_core(void);

// A mutex with a condition variable on the monotonic clock; NULL without memory.
struct linux_monitor *linux_monitor_new(void);
void linux_monitor_free(struct linux_monitor *monitor);
void linux_monitor_lock(struct linux_monitor *monitor);
void linux_monitor_unlock(struct linux_monitor *monitor);
void linux_monitor_wait(struct linux_monitor *monitor);
// Gives 0 when woken, -ETIMEDOUT once the monotonic clock has passed `deadline` (nanoseconds).
int64_t linux_monitor_wait_until(struct linux_monitor *monitor, int64_t deadline);
void linux_monitor_signal(struct linux_monitor *monitor);
void linux_monitor_broadcast(struct linux_monitor *monitor);

int64_t linux_monotonic_nanos(void);
int64_t linux_monotonic_coarse_nanos(void);
int64_t linux_wall_seconds(void);
