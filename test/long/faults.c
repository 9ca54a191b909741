/*
 * System calls that fail, or kill, when told to: built by faults.ts, loaded through LD_PRELOAD.
 *
 * TORCHBED_FAULT_ROOT is the folder whose files are meant; TORCHBED_FAULT_FILE a file that holds struct order. It is
 * mapped, so that the program under test, or another process, gives a new order by writing to it. Where there is a
 * TORCHBED_FAULT_LOG, it gets a line for each call that succeeded and that a crash of the machine might undo.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, RENAME = 8, READ = 16, UNLINK = 32, TOUCH = 64 };
enum { FAIL = 0, SHORT = 1, KILL = 2, WAIT = 3 };

#define WAIT_MICROSECONDS 700000

struct order {
  _Atomic int32_t from; /* the number of the first call that is hit, counted from 1; 0: none */
  _Atomic int32_t calls; /* how many are hit from there on */
  int32_t operations; /* which are counted */
  int32_t action;
  int32_t error; /* errno of FAIL */
  _Atomic int32_t counted; /* answer: how many were made */
  _Atomic int32_t hit; /* answer: how many of them were hit */
};

static struct order *order;
static char root[4096];
static size_t root_length;
static int log_file = -1;
static _Atomic char watched[65536]; /* by descriptor: whether its file is below the root */

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void start(void) {
  const char *folder = getenv("TORCHBED_FAULT_ROOT");
  const char *file = getenv("TORCHBED_FAULT_FILE");
  if (folder == NULL || file == NULL || strlen(folder) >= sizeof root) return;
  int descriptor = REAL(open64)(file, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) abort();
  void *map = mmap(NULL, sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (map == MAP_FAILED) abort();
  REAL(close)(descriptor);
  strcpy(root, folder);
  root_length = strlen(root);
  const char *log = getenv("TORCHBED_FAULT_LOG");
  if (log != NULL) log_file = REAL(open64)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  order = map;
}

/* One line in one call, as threads write at the same time. */
static void note(const char *what, const char *path, const char *to) {
  char line[3 * sizeof root];
  int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", what, path, to);
  if (REAL(write)(log_file, line, (size_t)length) != length) abort();
}

static void note_file(const char *what, int descriptor) {
  char link[64], path[sizeof root] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  if (readlink(link, path, sizeof path - 1) < 0) abort();
  note(what, path, "");
}

static int below(const char *path) {
  return order != NULL && strncmp(path, root, root_length) == 0 && path[root_length] == '/';
}

static int watches(int descriptor) {
  return order != NULL && descriptor >= 0 && descriptor < (int)sizeof watched && watched[descriptor];
}

/* Whether this call is hit. One that is to kill does not return. */
static int hits(int operation) {
  int32_t from = order->from;
  if (from == 0 || (order->operations & operation) == 0) return 0;
  int32_t number = ++order->counted;
  if (number < from || number - from >= order->calls) return 0;
  order->hit++;
  if (order->action == KILL) kill(getpid(), SIGKILL);
  if (order->action == WAIT) usleep(WAIT_MICROSECONDS);
  return 1;
}

static int fails(int operation) {
  if (!hits(operation) || order->action != FAIL) return 0;
  errno = order->error;
  return 1;
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  int is_below = below(path);
  if (is_below && fails(OPEN)) return -1;
  int descriptor = REAL(open64)(path, flags, mode);
  if (descriptor >= 0 && descriptor < (int)sizeof watched) watched[descriptor] = (char)is_below;
  return descriptor;
}

int close(int descriptor) {
  if (watches(descriptor)) watched[descriptor] = 0;
  return REAL(close)(descriptor);
}

/* A transfer of bytes: fails, or moves the smaller half of them, at least one. */
#define TRANSFER(operation, name, parameters, arguments)                     \
  ssize_t name parameters {                                                  \
    if (watches(descriptor) && hits(operation)) {                            \
      if (order->action == FAIL) return errno = order->error, -1;            \
      if (order->action == SHORT && length > 1) length /= 2;                             \
    }                                                                        \
    ssize_t moved = REAL(name) arguments;                                    \
    if (log_file >= 0 && operation == WRITE && watches(descriptor) && moved > 0) \
      note_file("write", descriptor);                                        \
    return moved;                                                            \
  }

TRANSFER(WRITE, write, (int descriptor, const void *bytes, size_t length), (descriptor, bytes, length))
TRANSFER(WRITE, pwrite64, (int descriptor, const void *bytes, size_t length, off64_t at),
         (descriptor, bytes, length, at))
TRANSFER(READ, read, (int descriptor, void *bytes, size_t length), (descriptor, bytes, length))
TRANSFER(READ, pread64, (int descriptor, void *bytes, size_t length, off64_t at),
         (descriptor, bytes, length, at))

int fsync(int descriptor) {
  if (watches(descriptor) && fails(SYNC)) return -1;
  int result = REAL(fsync)(descriptor);
  if (log_file >= 0 && result == 0 && watches(descriptor)) note_file("sync", descriptor);
  return result;
}

int rename(const char *from, const char *to) {
  if (below(to) && fails(RENAME)) return -1;
  int result = REAL(rename)(from, to);
  if (log_file >= 0 && result == 0 && below(to)) note("rename", from, to);
  return result;
}

int unlink(const char *path) { return below(path) && fails(UNLINK) ? -1 : REAL(unlink)(path); }

int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
  return below(path) && fails(TOUCH) ? -1 : REAL(utimensat)(folder, path, times, flags);
}
