/* Whole files. Small ones are read, large ones are mapped, so that what nobody looks at is not read at all. A mapped file that somebody cuts short
 * ends the process when its missing part is read, which is why small ones, where mapping gains nothing, are never mapped. Only regular ones are
 * read: a pipe or a device could keep a reader waiting. A file that is written appears under its name when it, and all that are written with it,
 * are complete: it is written beside it and renamed, with the mode of the one that was there, and beside what a link leads to. What is no regular
 * file (/dev/null, /dev/stdout) is written directly.
 * errno becomes a text and a diagnostic here and nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rt.h"

static const base_span nowhere = {0, 0, 0};

/* strerror_r, since threads of a host may fail at the same time. `error` is given, not read from errno: what lies
 * between may change that. */
void rt_error_text(int error, char *text, size_t n) {
    if (strerror_r(error, text, n)) snprintf(text, n, "error %d", error);
}

static bool cannot(base_diags *diags, base_message message, const char *path, int error) {
    char text[128];
    rt_error_text(error, text, sizeof text);
    base_report(diags, message, nowhere, path, text);
    return false;
}

/* The size is asked first and the memory taken before the file is opened, so that no descriptor is lost if there is none. */
static bool file_size(const char *path, base_diags *diags, size_t *out) {
    struct stat st;
    if (stat(path, &st)) return cannot(diags, BASE_MSG_FILE_READ, path, errno);
    if (!S_ISREG(st.st_mode)) return cannot(diags, BASE_MSG_FILE_READ, path, S_ISDIR(st.st_mode) ? EISDIR : EINVAL);
    *out = (size_t)st.st_size;
    return true;
}

/* A file may become shorter while it is read: what is there counts. A signal that interrupts is no error. */
static bool read_all(int fd, unsigned char *to, size_t n, size_t *out) {
    size_t done = 0;
    while (done < n) {
        ssize_t got = read(fd, to + done, n - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        if (got == 0) break;
        done += (size_t)got;
    }
    *out = done;
    return true;
}

/* One byte more than the file has: what is read ends with a zero, so that texts need no copy. */
bool rt_file_read(const char *path, base_arena *arena, base_diags *diags, const unsigned char **bytes, size_t *n) {
    size_t size;
    if (!file_size(path, diags, &size)) return false;
    unsigned char *to = base_alloc(arena, size + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);    /* it may have become a pipe meanwhile, which would wait */
    if (fd < 0) return cannot(diags, BASE_MSG_FILE_READ, path, errno);
    bool fine = read_all(fd, to, size, n);
    /* close may set its own. */
    int error = errno;
    close(fd);
    to[fine ? *n : 0] = 0;
    *bytes = to;
    return fine || cannot(diags, BASE_MSG_FILE_READ, path, error);
}

/* False: it cannot be mapped, or has become shorter than a mapping is worth. A private mapping that may be written: what a host changes stays
 * in this process, and takes memory only then. */
static bool map(const char *path, rt_file *out) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    void *at = MAP_FAILED;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= RT_MAPPED_FROM)
        at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    close(fd);                                   /* the mapping stays */
    if (at != MAP_FAILED) *out = (rt_file){.at = at, .n = (size_t)st.st_size, .mapped = true};
    return at != MAP_FAILED;
}

/* Not every file system maps its files: reading serves all of them, and says what is wrong with a path. */
bool rt_file_open(const char *path, base_arena *arena, base_diags *diags, rt_file *out) {
    const unsigned char *bytes;
    size_t n;
    if (!file_size(path, diags, &n)) return false;
    if (n >= RT_MAPPED_FROM && map(path, out)) return true;
    if (!rt_file_read(path, arena, diags, &bytes, &n)) return false;
    *out = (rt_file){.at = (unsigned char *)(uintptr_t)bytes, .n = n};       /* the arena's: the const is for others */
    return true;
}

void rt_file_close(rt_file *f) {
    if (f->mapped) munmap(f->at, f->n);
    *f = (rt_file){0};
}

/* All parts, one after the other. False: errno says why. A write may take less than it was given. */
static bool write_all(int fd, const rt_bytes *parts, size_t n_parts) {
    for (size_t k = 0; k < n_parts; k++) {
        const char *at = parts[k].at;
        for (size_t left = parts[k].n; left;) {
            ssize_t put = write(fd, at, left);
            if (put < 0 && errno == EINTR) continue;
            if (put == 0) errno = EIO;           /* nothing was written, and nobody said why */
            if (put <= 0) return false;
            at += put;
            left -= (size_t)put;
        }
    }
    return true;
}

/* ---- writing: all files are complete under other names before the first one is renamed */

typedef struct {
    const rt_output *out;
    const char *path;                /* of the file itself, where out->path is a link to it */
    mode_t mode;                     /* of the file that has the name, which the new one keeps; 0: there is none */
    char *staged, *before;           /* "", or names beside the path: of the file to be renamed, and of the one that had the name */
    size_t room;                     /* of both */
    bool special, appeared;
} staging;

enum { SUFFIX = 48 };                /* room for ".PID.ATTEMPT.part", or .old */

/* A path that does not exist is nothing special: it becomes a regular file. So does a link to nothing, which is replaced. */
static staging staging_of(const rt_output *out, base_arena *arena) {
    staging s = {.out = out, .path = out->path};
    struct stat st;
    char *real = base_alloc(arena, PATH_MAX);
    if (stat(out->path, &st) == 0) {
        s.special = !S_ISREG(st.st_mode);
        s.mode = st.st_mode & 0777;
        if (!s.special && realpath(out->path, real)) s.path = real;
    }
    s.room = strlen(s.path) + SUFFIX;
    s.staged = base_alloc(arena, s.room);
    s.before = base_alloc(arena, s.room);
    return s;
}

/* A name beside `path` that did not exist. */
static int open_beside(const char *path, char *name, size_t n) {
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        snprintf(name, n, "%s.%ld.%u.part", path, (long)getpid(), attempt);
        /* Beside it and not in a folder for temporary files: rename works within one file system only. */
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* Closes fd in any case. close may be the first to say that the disk is full; the first error is the one that counts. keep: the bytes must have
 * reached the disk before the name does, or a crash of the machine could leave an empty file under it. */
static bool fill(int fd, const rt_output *out, bool keep) {
    bool fine = write_all(fd, out->parts, out->n_parts);
    if (fine && keep) fine = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;    /* some file systems have no such thing */
    int error = errno;
    if (close(fd) && fine) fine = false, error = errno;
    errno = error;
    return fine;
}

/* A name that was made stays in `staged` also if writing fails, so that the caller removes it. */
static bool stage(staging *s) {
    int fd = open_beside(s->path, s->staged, s->room);
    if (fd < 0) s->staged[0] = 0;
    /* Where a file system knows no modes, what the file says matters more than who may read it. */
    if (fd >= 0 && s->mode && fchmod(fd, s->mode) && errno != EPERM && errno != ENOTSUP) return close(fd), false;
    return fd >= 0 && fill(fd, s->out, true);
}

static bool write_special(const staging *s) {
    int fd = open(s->out->path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && fill(fd, s->out, false);
}

/* A second name for the file that is there, so that it can come back. Where a file system has no second names it is done without. */
static bool keep_before(staging *s) {
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        snprintf(s->before, s->room, "%s.%ld.%u.old", s->path, (long)getpid(), attempt);
        if (link(s->path, s->before) == 0) return true;
        if (errno != EEXIST) break;
    }
    s->before[0] = 0;
    return errno == ENOENT || errno == EPERM || errno == ENOTSUP || errno == ENOSYS || errno == EMLINK;
}

static bool appear(staging *s) {
    if (rename(s->staged, s->path)) return false;
    s->staged[0] = 0;
    s->appeared = true;
    return true;
}

/* Another file could not appear: what had the name gets it back, and what had no name loses it. */
static void disappear(staging *s) {
    if (!s->before[0]) unlink(s->path);
    else if (rename(s->before, s->path) == 0) s->before[0] = 0;
}

/* The files one after the other, through what can fail most first. The number of the one that failed, or n. */
static size_t write_staged(staging *list, size_t n) {
    size_t k;
    for (k = 0; k < n; k++)
        if (!list[k].special && !stage(&list[k])) return k;
    for (k = 0; k < n; k++)
        if (!list[k].special && n > 1 && !keep_before(&list[k])) return k;
    for (k = 0; k < n; k++)
        if (list[k].special && !write_special(&list[k])) return k;
    for (k = 0; k < n; k++)
        if (!list[k].special && !appear(&list[k])) return k;
    return n;
}

/* Memory is taken before the first file exists and again when no unfinished one is left, so that none stays behind if there is none. */
bool rt_files_write(const rt_output *files, size_t n, base_arena *arena, base_diags *diags) {
    staging *list = base_alloc_array(arena, n, sizeof *list);
    for (size_t k = 0; k < n; k++) list[k] = staging_of(&files[k], arena);
    size_t failed = write_staged(list, n);
    int error = errno;
    for (size_t k = 0; k < n; k++) {
        if (failed < n && list[k].appeared) disappear(&list[k]);
        /* What did not get its name goes away, also after a failure of another file; so does what was kept aside. */
        if (list[k].staged[0]) unlink(list[k].staged);
        if (list[k].before[0]) unlink(list[k].before);
    }
    return failed == n || cannot(diags, BASE_MSG_FILE_WRITE, files[failed].path, error);
}
