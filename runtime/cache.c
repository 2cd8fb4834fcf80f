/* Machine code that was compiled before: a folder with one file per kernel, found by a digest of what it was made from.
 *
 * Nothing in the folder is believed. An entry counts if its head, its lengths, its key and a digest of its contents agree; anything else is a miss, and the
 * next store of that key replaces it. Entries appear complete, under a temporary name first, so that readers and any number of writers need no
 * lock. Whatever fails (no room, no right to write, a folder that has gone) makes the next compile slower and nothing else.
 *
 * Who may write to the folder decides what this process will run. So it must be a folder of this user's, not a link to one, that nobody else can write to.
 * All names are looked up in the open folder, so that what was checked is what is used.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "rt.h"

typedef struct {                 /* of an entry, as this machine stores numbers; then kernel, target, symbol, each ended by a zero, then the image */
    char magic[8];
    uint32_t version, n_kernel, n_target, n_symbol;          /* lengths with their zeros */
    uint64_t entry, n;           /* of the image */
    rt_digest key, contents;   /* contents: of the whole file with this field zero */
} head;
static const char magic[8] = "attncode";
enum { VERSION = 1, MOST = 1 << 28, STALE = 3600 };          /* bytes of an entry; seconds after which a temporary file has no owner any more */
#define SUFFIX ".kernel"
#define TEMPORARY ".tmp-"

/* ---- the folder */

/* Like mkdir -p. What is wrong with it shows when it is opened. */
static void make_folders(const char *path, base_arena *arena) {
    char *at = base_strdup(arena, path);
    for (char *slash = strchr(at + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(at, 0700);
        *slash = '/';
    }
    mkdir(at, 0700);
}

/* NULL: this folder may hold code that is run. */
static const char *refused(int folder) {
    struct stat st;
    if (fstat(folder, &st)) return "it cannot be looked at";
    if (st.st_uid != geteuid()) return "it belongs to another user";
    if (st.st_mode & (S_IWGRP | S_IWOTH)) return "others may write to it";
    return NULL;
}

bool rt_cache_open(rt_cache *cache, const char *path, bool create, base_arena *arena, const char **why) {
    *cache = (rt_cache){.folder = -1};
    *why = NULL;
    char *text = base_alloc(arena, 128);                     /* before there is a descriptor to lose */
    if (create) make_folders(path, arena);
    cache->folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const int error = errno;
    /* A link to a folder is no folder to O_NOFOLLOW. */
    if (cache->folder < 0 && (error == ELOOP || error == ENOTDIR)) *why = "it is a link, or no folder";
    else if (cache->folder < 0) rt_error_text(error, text, 128), *why = text;
    else *why = refused(cache->folder);
    cache->missing = cache->folder < 0 && error == ENOENT;
    if (!*why) return true;
    rt_cache_close(cache);
    return false;
}

void rt_cache_close(rt_cache *cache) {
    if (cache->folder >= 0) close(cache->folder);
    cache->folder = -1;
}

/* 128 of the 256 bits name the file; all of them are compared. */
static void name_of(const rt_digest *key, char name[RT_CACHE_NAME]) {
    for (int k = 0; k < 16; k++) snprintf(name + 2 * k, 3, "%02x", key->bytes[k]);
    memcpy(name + 32, SUFFIX, sizeof SUFFIX);
}

/* ---- reading */

/* A whole file of the folder; NULL: there is none, or none that could be an entry. Memory is taken before it is opened, so that no descriptor is lost. */
static unsigned char *read_file(const rt_cache *cache, const char *name, base_arena *arena, size_t *n, bool touch) {
    struct stat st;
    if (fstatat(cache->folder, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(head) || st.st_size > MOST) return NULL;
    *n = (size_t)st.st_size;
    unsigned char *bytes = base_alloc(arena, *n);
    const int fd = openat(cache->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return NULL;
    size_t done = 0;
    for (ssize_t got = 1; done < *n && (got > 0 || (got < 0 && errno == EINTR));) {
        got = read(fd, bytes + done, *n - done);
        if (got > 0) done += (size_t)got;
    }
    /* When it was used last, to the hour: the oldest go first when the folder is full. */
    if (touch && time(NULL) - st.st_mtime > STALE) futimens(fd, NULL);
    close(fd);
    return done == *n ? bytes : NULL;
}

/* Of the file with the digest's own place empty. */
static rt_digest contents_of(unsigned char *bytes, size_t n) {
    rt_digest kept, found;
    memcpy(&kept, bytes + offsetof(head, contents), sizeof kept);
    memset(bytes + offsetof(head, contents), 0, sizeof kept);
    found = rt_digest_of(bytes, n);
    memcpy(bytes + offsetof(head, contents), &kept, sizeof kept);
    return found;
}

static bool is_text(const unsigned char *at, uint32_t n) { return n > 0 && at[n - 1] == 0 && memchr(at, 0, n) == at + n - 1; }

/* NULL: sound; else what is wrong. Lengths before anything that they lead to. */
static const char *take_apart(unsigned char *bytes, size_t n, head *h, rt_cached *out) {
    if (n < sizeof *h) return "it is cut off";
    memcpy(h, bytes, sizeof *h);
    if (memcmp(h->magic, magic, sizeof magic) != 0) return "it is no entry of this cache";
    if (h->version != VERSION) return "it is of another version";
    const uint64_t texts = (uint64_t)h->n_kernel + h->n_target + h->n_symbol;
    if (h->n > MOST || sizeof *h + texts + h->n != n) return "its length is wrong";
    const rt_digest found = contents_of(bytes, n);
    if (memcmp(&found, &h->contents, sizeof found) != 0) return "its contents are damaged";
    unsigned char *kernel = bytes + sizeof *h, *target = kernel + h->n_kernel, *symbol = target + h->n_target;
    if (!is_text(kernel, h->n_kernel) || !is_text(target, h->n_target) || !is_text(symbol, h->n_symbol) || h->entry >= h->n) return "its parts are wrong";
    *out = (rt_cached){(const char *)kernel, (const char *)target, {symbol + h->n_symbol, h->n, h->entry, (const char *)symbol}};
    return NULL;
}

bool rt_cache_find(const rt_cache *cache, const rt_digest *key, base_arena *arena, rt_cached *out) {
    char name[RT_CACHE_NAME];
    size_t n;
    head h;
    name_of(key, name);
    unsigned char *bytes = read_file(cache, name, arena, &n, true);
    return bytes && !take_apart(bytes, n, &h, out) && memcmp(&h.key, key, sizeof *key) == 0;
}

/* ---- writing */

static unsigned char *put_text(unsigned char *at, const char *text, uint32_t n) { return (unsigned char *)memcpy(at, text, n) + n; }

/* The file of an entry, whole. NULL: too large to be one. */
static unsigned char *compose(const rt_digest *key, const rt_cached *from, base_arena *arena, size_t *n) {
    const size_t kernel = strlen(from->kernel) + 1, target = strlen(from->target) + 1, symbol = strlen(from->image.symbol) + 1;
    if (from->image.n > MOST / 2 || kernel + target + symbol > MOST / 4) return NULL;
    head h = {.version = VERSION, .n_kernel = (uint32_t)kernel, .n_target = (uint32_t)target, .n_symbol = (uint32_t)symbol, .entry = from->image.entry,
              .n = from->image.n, .key = *key};
    memcpy(h.magic, magic, sizeof magic);
    *n = sizeof h + kernel + target + symbol + from->image.n;
    unsigned char *bytes = base_alloc(arena, *n), *at = bytes + sizeof h;
    memcpy(bytes, &h, sizeof h);
    at = put_text(at, from->kernel, h.n_kernel);
    at = put_text(at, from->target, h.n_target);
    at = put_text(at, from->image.symbol, h.n_symbol);
    memcpy(at, from->image.bytes, from->image.n);
    h.contents = contents_of(bytes, *n);
    memcpy(bytes, &h, sizeof h);
    return bytes;
}

static bool write_all(int fd, const unsigned char *bytes, size_t n) {
    while (n) {
        const ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

/* A name that nobody else uses now: process and clock make clashes rare, O_EXCL makes them harmless. */
static int open_temporary(const rt_cache *cache, char *name, size_t n) {
    for (int attempt = 0; attempt < 8; attempt++) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        snprintf(name, n, TEMPORARY "%ld-%lld-%ld-%d", (long)getpid(), (long long)t.tv_sec, t.tv_nsec, attempt);
        const int fd = openat(cache->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* Not synced to the disk: an entry that a crash has torn is damaged, and so a miss. */
bool rt_cache_store(const rt_cache *cache, const rt_digest *key, const rt_cached *from, base_arena *arena) {
    char name[RT_CACHE_NAME], temporary[96];
    size_t n;
    const unsigned char *bytes = compose(key, from, arena, &n);
    name_of(key, name);
    const int fd = bytes ? open_temporary(cache, temporary, sizeof temporary) : -1;
    if (fd < 0) return false;
    bool fine = write_all(fd, bytes, n);
    fine = close(fd) == 0 && fine && renameat(cache->folder, temporary, cache->folder, name) == 0;
    if (!fine) unlinkat(cache->folder, temporary, 0);
    return fine;
}

/* ---- all entries */

typedef struct { char name[96]; int64_t bytes, used; bool temporary; } found;

static bool is_ours(const char *name, bool *temporary) {
    const size_t n = strlen(name);
    *temporary = strncmp(name, TEMPORARY, sizeof TEMPORARY - 1) == 0 && n < sizeof(((found *)0)->name);
    return *temporary || (n == RT_CACHE_NAME - 1 && strcmp(name + 32, SUFFIX) == 0);
}

/* Up to `room` files of the cache, other people's are passed over; returns how many there are. Takes no arena memory: the folder is open meanwhile. */
static size_t read_folder(const rt_cache *cache, found *at, size_t room) {
    size_t n = 0;
    const int fd = openat(cache->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder && fd >= 0) close(fd);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        struct stat st;
        bool temporary;
        if (!is_ours(e->d_name, &temporary) || fstatat(cache->folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        if (n < room) {
            at[n] = (found){.bytes = st.st_size, .used = st.st_mtime, .temporary = temporary};
            memcpy(at[n].name, e->d_name, strlen(e->d_name) + 1);
        }
        n++;
    }
    if (folder) closedir(folder);
    return n;
}

/* Counted first, then read: what comes in between is left out. */
static found *list(const rt_cache *cache, base_arena *arena, size_t *n) {
    const size_t room = read_folder(cache, NULL, 0);
    found *at = BASE_ARRAY(arena, room, found);
    *n = read_folder(cache, at, room);
    if (*n > room) *n = room;
    return at;
}

/* By age, then by name, so that the order is the same each time. */
static int older(const void *a, const void *b) {
    const found *x = a, *y = b;
    return x->used != y->used ? (x->used < y->used ? -1 : 1) : strcmp(x->name, y->name);
}

rt_cache_entry *rt_cache_list(const rt_cache *cache, base_arena *arena, size_t *n) {
    size_t n_found;
    found *at = list(cache, arena, &n_found);
    rt_cache_entry *out = BASE_ARRAY(arena, n_found, rt_cache_entry);
    if (n_found > 1) qsort(at, n_found, sizeof *at, older);
    *n = 0;
    for (size_t k = 0; k < n_found; k++) {
        size_t bytes_n;
        head h;
        if (at[k].temporary) continue;
        rt_cache_entry *e = &out[(*n)++];
        *e = (rt_cache_entry){.name = at[k].name, .bytes = at[k].bytes, .used = at[k].used};
        unsigned char *bytes = read_file(cache, at[k].name, arena, &bytes_n, false);
        e->damage = bytes ? take_apart(bytes, bytes_n, &h, &e->code) : "it cannot be read, or its length is wrong";
        char right[RT_CACHE_NAME];
        if (!e->damage) name_of(&h.key, right);
        if (!e->damage && strcmp(right, e->name) != 0) e->damage = "it has the name of another";
    }
    return out;
}

int64_t rt_cache_clear(const rt_cache *cache, base_arena *arena, int64_t *bytes) {
    size_t n;
    int64_t removed = 0;
    const found *at = list(cache, arena, &n);
    *bytes = 0;
    for (size_t k = 0; k < n; k++) {
        if (unlinkat(cache->folder, at[k].name, 0)) continue;
        removed += !at[k].temporary;
        *bytes += at[k].bytes;
    }
    return removed;
}

/* Down to three quarters, so that not every store that follows has to look again at all there is. */
void rt_cache_trim(const rt_cache *cache, int64_t most, base_arena *arena) {
    size_t n;
    int64_t total = 0;
    found *at = list(cache, arena, &n);
    const int64_t now = time(NULL);
    for (size_t k = 0; k < n; k++) {
        total += at[k].bytes;
        if (at[k].temporary && now - at[k].used > STALE && !unlinkat(cache->folder, at[k].name, 0)) total -= at[k].bytes;
    }
    if (total <= most) return;
    if (n > 1) qsort(at, n, sizeof *at, older);
    for (size_t k = 0; k < n && total > most / 4 * 3; k++)
        if (!at[k].temporary && !unlinkat(cache->folder, at[k].name, 0)) total -= at[k].bytes;
}
