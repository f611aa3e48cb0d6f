/* A wall clock that can be set for one process, the host's being left alone.
 *
 *   cc -shared -fPIC -O2 -o clock.so processor/tests/tools/clock.c -ldl
 *   TEST_CLOCK_OFFSET_FILE=offset LD_PRELOAD=./clock.so tocsin run ...
 *
 * The file holds, as eight bytes in the machine's order, by how many milliseconds the clock is ahead. It is mapped, so that
 * a change counts at once. Waits until an instant of the wall clock are turned back into the host's time; libfaketime leaves
 * out C11's, which are librdkafka's. Clocks that only run on do not jump.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_ms;
static int (*host_clock)(clockid_t, struct timespec *);
static int (*host_cnd)(cnd_t *, mtx_t *, const struct timespec *);
static int (*host_cond)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void) {
  host_clock = dlsym(RTLD_NEXT, "clock_gettime");
  host_cnd = dlsym(RTLD_NEXT, "cnd_timedwait");
  host_cond = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2"); /* the newer of two on x86-64 */
  if (!host_cond) host_cond = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  const char *path = getenv("TEST_CLOCK_OFFSET_FILE");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *mapped = file < 0 ? MAP_FAILED : mmap(0, sizeof *offset_ms, PROT_READ, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) abort(); /* a clock that silently runs right would prove nothing */
  offset_ms = mapped;
  close(file);
}

static struct timespec moved(struct timespec at, int64_t ms) {
  int64_t ns = at.tv_nsec + ms % 1000 * 1000000;
  at.tv_sec += ms / 1000 + (ns < 0 ? -1 : ns / 1000000000);
  at.tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
  return at;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  if (!host_clock) host_clock = dlsym(RTLD_NEXT, "clock_gettime"); /* asked before we begin */
  int failed = host_clock(clock, now);
  if (!failed && offset_ms && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) *now = moved(*now, *offset_ms);
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec at;
  int failed = clock_gettime(CLOCK_REALTIME, &at);
  if (!failed) *now = (struct timeval){at.tv_sec, at.tv_nsec / 1000};
  return failed;
}

time_t time(time_t *now) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  if (now) *now = at.tv_sec;
  return at.tv_sec;
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
  struct timespec host = moved(*until, -*offset_ms);
  return host_cnd(condition, mutex, &host);
}

/* Of conditions that go by the wall clock, as all do that are not told otherwise. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
  struct timespec host = moved(*until, -*offset_ms);
  return host_cond(condition, mutex, &host);
}
