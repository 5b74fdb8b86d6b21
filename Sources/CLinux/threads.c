#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct linux_thread {
  pthread_t handle;
  char name[16];
  void (*body)(void *);
  void *context;
};

static void *run(void *given) {
  struct linux_thread *thread = given;
  pthread_setname_np(pthread_self(), thread->name);
  thread->body(thread->context);
  return NULL;
}

int64_t linux_thread_start(struct linux_thread **result, const char *name, int32_t core,
                           void (*body)(void *), void *context) {
  struct linux_thread *thread = calloc(1, sizeof *thread);
  if (!thread) return -ENOMEM;
  snprintf(thread->name, sizeof thread->name, "%s", name);
  thread->body = body;
  thread->context = context;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (core >= 0) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    if (core < CPU_SETSIZE) CPU_SET((unsigned)core, &cores);
    pthread_attr_setaffinity_np(&attributes, sizeof cores, &cores);
  }
  int error = pthread_create(&thread->handle, &attributes, run, thread);
  pthread_attr_destroy(&attributes);
  if (error) {
    free(thread);
    return -error;
  }
  *result = thread;
  return 0;
}

int64_t linux_thread_join(struct linux_thread *thread) {
  int error = pthread_join(thread->handle, NULL);
  free(thread);
  return -error;
}

void linux_offer_core(void) { sched_yield(); }

struct linux_monitor {
  pthread_mutex_t mutex;
  pthread_cond_t condition;
};

struct linux_monitor *linux_monitor_new(void) {
  struct linux_monitor *monitor = malloc(sizeof *monitor);
  if (!monitor) return NULL;
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&monitor->mutex, NULL);
  pthread_cond_init(&monitor->condition, &attributes);
  pthread_condattr_destroy(&attributes);
  return monitor;
}

void linux_monitor_free(struct linux_monitor *monitor) {
  pthread_cond_destroy(&monitor->condition);
  pthread_mutex_destroy(&monitor->mutex);
  free(monitor);
}

void linux_monitor_lock(struct linux_monitor *monitor) { pthread_mutex_lock(&monitor->mutex); }

void linux_monitor_unlock(struct linux_monitor *monitor) { pthread_mutex_unlock(&monitor->mutex); }

void linux_monitor_wait(struct linux_monitor *monitor) {
  pthread_cond_wait(&monitor->condition, &monitor->mutex);
}

int64_t linux_monitor_wait_until(struct linux_monitor *monitor, int64_t deadline) {
  if (deadline < 0) deadline = 0;
  struct timespec until = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
  return -pthread_cond_timedwait(&monitor->condition, &monitor->mutex, &until);
}

void linux_monitor_signal(struct linux_monitor *monitor) {
  pthread_cond_signal(&monitor->condition);
}

void linux_monitor_broadcast(struct linux_monitor *monitor) {
  pthread_cond_broadcast(&monitor->condition);
}

static int64_t nanos(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t linux_monotonic_nanos(void) { return nanos(CLOCK_MONOTONIC); }

int64_t linux_monotonic_coarse_nanos(void) { return nanos(CLOCK_MONOTONIC_COARSE); }

int64_t linux_wall_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec;
}
