/* The functions that stand between the library and the system (--wrap of the linker: a call of `open` comes to __wrap_open, and __real_open is the
 * system's). A close that fails has closed, as on Linux. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "faults.h"

static struct { bool on; faults_kind kind; long n, calls; const char *name; } now;

void faults_begin(faults_kind kind, long n) {
    now.kind = kind, now.n = n, now.calls = 0, now.name = "";
    now.on = true;
}
long faults_end(void) {
    now.on = false;
    return now.calls;
}
const char *faults_name(void) { return now.name; }

/* Compilers' threads do not touch files, so plain counting will do. */
static bool refuse(const char *name, int error) {
    if (!now.on || ++now.calls != now.n || now.kind != FAULTS_FAIL) return false;
    now.name = name;
    errno = error;
    return true;
}
/* Asked after refuse, which counts. */
static bool interrupt(void) {
    if (!now.on || now.kind != FAULTS_INTERRUPT || now.calls != now.n) return false;
    errno = EINTR;
    return true;
}
static size_t shorter(size_t n) { return now.on && now.kind == FAULTS_SHORT && n > 7 ? 7 : n; }

#define WRAPPED(type, name, parameters, arguments, error) \
    type __real_##name parameters;                        \
    type __wrap_##name parameters;                        \
    type __wrap_##name parameters { return refuse(#name, error) ? -1 : __real_##name arguments; }

WRAPPED(int, stat, (const char *path, struct stat *out), (path, out), EACCES)
WRAPPED(int, fstat, (int fd, struct stat *out), (fd, out), EIO)
WRAPPED(int, fstatat, (int fd, const char *path, struct stat *out, int flags), (fd, path, out, flags), EIO)
WRAPPED(int, fsync, (int fd), (fd), EIO)
WRAPPED(int, link, (const char *from, const char *to), (from, to), EIO)
WRAPPED(int, mkdir, (const char *path, mode_t mode), (path, mode), EROFS)
WRAPPED(int, rename, (const char *from, const char *to), (from, to), EACCES)
WRAPPED(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), EACCES)

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    return refuse("open", EMFILE) ? -1 : __real_open(path, flags, mode);
}
int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    return refuse("openat", EMFILE) ? -1 : __real_openat(folder, path, flags, mode);
}
void *__real_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset) {
    return refuse("mmap", ENOMEM) ? MAP_FAILED : __real_mmap(at, n, protection, flags, fd, offset);
}
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) {
    const bool refused = refuse("close", EIO);
    const int status = __real_close(fd);
    if (refused) errno = EIO;
    return refused ? -1 : status;
}
ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n) { return refuse("read", EIO) || interrupt() ? -1 : __real_read(fd, to, shorter(n)); }
ssize_t __real_write(int fd, const void *from, size_t n);
ssize_t __wrap_write(int fd, const void *from, size_t n);
/* A disk that is full takes a part before it says so. */
ssize_t __wrap_write(int fd, const void *from, size_t n) {
    const bool refused = refuse("write", ENOSPC);
    if (interrupt()) return -1;
    if (!refused) return __real_write(fd, from, shorter(n));
    if (__real_write(fd, from, n / 2) < 0) return -1;
    errno = ENOSPC;
    return -1;
}
