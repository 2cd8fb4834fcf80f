/* The cache of compiled code as a host meets it: the same results with it, without it and with it broken; and no LLVM where all is there. */
#define _GNU_SOURCE              /* memmem */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "world.h"

static const char source[] = "graph g(x: f32[N,M]) -> (y: f32[N,M], s: f32[N]) {\n"
                             "    y[i,j] = exp(x[i,j]) * 2.0 + x[i,j]\n"
                             "    s[i] = sum(j: y[i,j] * tanh(x[i,j]))\n"
                             "}\n";
enum { N = 5, M = 7 };
typedef struct { float y[N * M], s[N]; } result;

static char folder[64];

/* ---- a run with a cache in `path`, from the text to the numbers */

static attn_status compile_and_run(const char *path, int64_t most, result *out) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_module_options m = ATTN_MODULE_OPTIONS_INIT;
    world w = {0};
    o.cache_path = path;
    o.cache_bytes = most;
    o.threads = 2;
    m.target = "cpu";
    float x[N * M];
    const int64_t dims[] = {N, M};
    for (int k = 0; k < N * M; k++) x[k] = 0.05f * (float)(k - 12);
    assert_int_equal(attn_diagnostics_create(NULL, &w.said), ATTN_OK);
    assert_int_equal(attn_context_create(&o, w.said, &w.context), ATTN_OK);
    assert_int_equal(attn_program_from_text(w.context, "t.attn", source, sizeof source - 1, w.said, &w.program), ATTN_OK);
    attn_status status = attn_module_create(w.context, w.program, &m, w.said, &w.module);
    if (status == ATTN_OK) {
        assert_int_equal(attn_model_create(w.context, w.module, NULL, w.said, &w.model), ATTN_OK);
        const int64_t rows[] = {N};
        attn_argument in[] = {{"x", world_wrap(&w, ATTN_F32, 2, dims, x)}};
        attn_argument outs[] = {{"y", world_wrap(&w, ATTN_F32, 2, dims, out->y)}, {"s", world_wrap(&w, ATTN_F32, 1, rows, out->s)}};
        attn_run_options r = ATTN_RUN_OPTIONS_INIT;
        r.inputs = in, r.n_inputs = 1, r.outputs = outs, r.n_outputs = 2;
        status = attn_model_run(w.model, &r, w.said);
        attn_tensor_destroy(in[0].tensor), attn_tensor_destroy(outs[0].tensor), attn_tensor_destroy(outs[1].tensor);
    }
    world_close(&w);
    return status;
}

typedef struct { int n, damaged; int64_t bytes; char file[64]; } counted;
static void count(void *self, const attn_cache_entry *e) {
    counted *c = self;
    c->n++;
    c->damaged += e->damage != NULL;
    c->bytes += e->bytes;
    assert_true(e->damage || (e->kernel && e->target && strstr(e->target, "LLVM")));
    snprintf(c->file, sizeof c->file, "%s", e->file);
}
static attn_status list(const char *path, counted *c, const char *code) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    world w = {0};
    o.cache_path = path;
    *c = (counted){0};
    assert_int_equal(attn_diagnostics_create(NULL, &w.said), ATTN_OK);
    assert_int_equal(attn_context_create(&o, w.said, &w.context), ATTN_OK);
    const attn_status status = attn_cache_list(w.context, count, c, w.said);
    if (code) assert_string_equal(world_code(&w, 0), code);
    world_close(&w);
    return status;
}
static int64_t clear_all(const char *path) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *context;
    int64_t n = -1, bytes = -1;
    o.cache_path = path;
    assert_int_equal(attn_context_create(&o, NULL, &context), ATTN_OK);
    assert_int_equal(attn_cache_clear(context, &n, &bytes, NULL), ATTN_OK);
    assert_true((bytes > 0) == (n > 0));
    attn_context_destroy(context);
    return n;
}
static void clear(const char *path, int64_t wanted) { assert_int_equal(clear_all(path), wanted); }

/* ---- processes of their own: this one must never have compiled when it looks for LLVM in its memory */

static int in_child(int (*body)(void *env), void *env) {
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(body(env));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool has_llvm(void) {
    static char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    bool found = false;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) found |= strstr(line, "LLVM") || strstr(line, "attn_llvm");
    fclose(maps);
    return found;
}

typedef struct { const char *path; uid_t uid; rlim_t most_file; int64_t cache_bytes; } task;   /* 0: as usual */

/* 0: computed, without LLVM; 10: computed, with it. What comes out is compared with what compiling gave. */
static result expected;
static int work(void *env) {
    task *t = env;
    result out;
    if (t->most_file) {
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){t->most_file, t->most_file});
    }
    if (t->uid && (setgid(t->uid) || setuid(t->uid) || access(ATTN_BINARY_DIR "/libattn_llvm.so", R_OK))) return 77;     /* a build below /root, say */
    memset(&out, 0, sizeof out);
    if (compile_and_run(t->path, t->cache_bytes, &out) != ATTN_OK) return 1;
    if (memcmp(&out, &expected, sizeof out) != 0) return 2;
    return has_llvm() ? 10 : 0;
}
enum { FOUND = 0, COMPILED = 10 };
static int run(const char *path) { return in_child(work, &(task){.path = path}); }

static int write_expected(void *env) {
    int *pipe_end = env;
    result out;
    memset(&out, 0, sizeof out);
    return compile_and_run(NULL, 0, &out) == ATTN_OK && write(*pipe_end, &out, sizeof out) == sizeof out ? 0 : 1;
}

static int open_folder(void **state) {
    (void)state;
    int ends[2];
    snprintf(folder, sizeof folder, "/tmp/attn-cache-test-XXXXXX");
    if (!mkdtemp(folder) || chmod(folder, 0755) || pipe(ends)) return -1;
    assert_int_equal(in_child(write_expected, &ends[1]), 0);
    const bool fine = read(ends[0], &expected, sizeof expected) == sizeof expected;
    close(ends[0]), close(ends[1]);
    return fine ? 0 : -1;
}
static int close_folder(void **state) {
    (void)state;
    char line[256];
    /* a test that failed has left its file system mounted */
    snprintf(line, sizeof line, "umount '%s/disk' 2>/dev/null; rm -rf '%s'", folder, folder);
    return system(line);
}

static const char *below(const char *name) {
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- */

static void test_warm(void **state) {
    (void)state;
    counted c;
    char path[160];
    struct stat st;
    snprintf(path, sizeof path, "%s", below("deep/er/code"));
    assert_int_equal(list(path, &c, NULL), ATTN_OK);              /* not there yet: empty */
    assert_int_equal(c.n, 0);
    clear(path, 0);
    assert_int_equal(run(path), COMPILED);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(list(path, &c, NULL), ATTN_OK);
    assert_true(c.n >= 1 && c.damaged == 0 && c.bytes > 0);
    assert_int_equal(run(path), FOUND);
    result out = {{0}, {0}};
    assert_int_equal(compile_and_run(path, 0, &out), ATTN_OK);    /* this very process has not compiled */
    assert_memory_equal(&out, &expected, sizeof out);
    assert_false(has_llvm());
    clear(path, c.n);
    assert_int_equal(run(path), COMPILED);
}

/* ---- the bytes: what an entry holds is what runs, compiled just now or read from the entry */

enum { HEAD = 8 + 4 + 3 * 4 + 2 * 8 + 2 * 32 };                  /* bytes of an entry before its texts */

/* Is it in memory that this process may run, outside of files? */
static bool is_mapped(const unsigned char *bytes, size_t n) {
    static char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    bool found = false;
    assert_non_null(maps);
    while (!found && fgets(line, sizeof line, maps)) {
        unsigned long from, to, inode;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s %*s %*s %lu", &from, &to, rights, &inode) != 4 || inode || strcmp(rights, "r-xp") != 0 || strstr(line, "[v")) continue;
        for (const unsigned char *at = (const unsigned char *)from; !found && at + n <= (const unsigned char *)to; at += 64) found = !memcmp(at, bytes, n);
    }
    fclose(maps);
    return found;
}

static size_t read_whole(const char *name, unsigned char *bytes, size_t room) {
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    const size_t n = fread(bytes, 1, room, f);
    fclose(f);
    assert_true(n < room);
    return n;
}

/* The image of an entry is the end of its file. */
static const unsigned char *image_of(const char *path, const attn_cache_entry *e, size_t *n) {
    static unsigned char bytes[1 << 20];
    char name[256];
    uint64_t length;
    snprintf(name, sizeof name, "%s/%s", path, e->file);
    const size_t all = read_whole(name, bytes, sizeof bytes);
    memcpy(&length, bytes + 32, sizeof length);
    assert_true(all > HEAD + length && length > 64);
    *n = length;
    return bytes + all - length;
}
static void find_mapped(void *self, const attn_cache_entry *e) {
    size_t n;
    const unsigned char *image = image_of(self, e, &n);
    if (!is_mapped(image, n)) _exit(3);
}
typedef struct { const char *path; bool cached; } looking;
static int look(void *env) {
    const looking *l = env;
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_module_options m = ATTN_MODULE_OPTIONS_INIT;
    world w = {0};
    attn_context *lister = NULL;
    o.cache_path = l->path;
    if (attn_context_create(&o, NULL, &lister)) return 1;
    if (!l->cached) o.cache_path = NULL;
    m.target = "cpu";
    if (attn_context_create(&o, NULL, &w.context) || attn_program_from_text(w.context, "t.attn", source, sizeof source - 1, NULL, &w.program)) return 1;
    if (attn_module_create(w.context, w.program, &m, NULL, &w.module)) return 1;
    if (attn_cache_list(lister, find_mapped, (void *)(uintptr_t)l->path, NULL)) return 1;
    return has_llvm() ? COMPILED : FOUND;
}
static void test_same_bytes(void **state) {
    (void)state;
    char path[160];
    snprintf(path, sizeof path, "%s", below("bytes"));
    assert_int_equal(run(path), COMPILED);
    assert_int_equal(in_child(look, &(looking){path, true}), FOUND);
    assert_int_equal(in_child(look, &(looking){path, false}), COMPILED);
}

/* And so does a shared object of the same level, built by a process that knows nothing of the cache. */
typedef struct { const char *path; unsigned char bytes[1 << 22]; size_t n; char level[32]; int found; } object;
static object built;
static void take_level(void *self, const attn_cache_entry *e) {
    object *o = self;
    assert_int_equal(sscanf(e->target, "cpu %31[^,]", o->level), 1);
}
static void find_built(void *self, const attn_cache_entry *e) {
    object *o = self;
    size_t n;
    const unsigned char *image = image_of(o->path, e, &n);
    assert_non_null(memmem(o->bytes, o->n, image, n));
    o->found++;
}
static int build(void *env) {
    const char *path = env, *levels[] = {built.level};
    world w = {0};
    attn_build_options o = ATTN_BUILD_OPTIONS_INIT;
    o.levels = levels, o.n_levels = 1;
    if (attn_context_create(NULL, NULL, &w.context) || attn_program_from_text(w.context, "t.attn", source, sizeof source - 1, NULL, &w.program)) return 1;
    attn_diagnostics_create(NULL, &w.said);
    if (attn_program_build(w.context, w.program, &o, path, w.said) == ATTN_OK) return 0;
    fputs(attn_diagnostics_render(w.said, 0, false), stderr);
    return 2;
}
static void test_shared_object(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("skipped: sanitizers would have to be linked into the shared object too\n");
    skip();
#endif
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *context;
    char path[160], file[160];
    snprintf(path, sizeof path, "%s", below("object"));
    snprintf(file, sizeof file, "%s", below("t.so"));
    assert_int_equal(run(path), COMPILED);
    o.cache_path = path;
    assert_int_equal(attn_context_create(&o, NULL, &context), ATTN_OK);
    assert_int_equal(attn_cache_list(context, take_level, &built, NULL), ATTN_OK);
    assert_int_equal(in_child(build, file), 0);
    built.path = path;
    built.n = read_whole(file, built.bytes, sizeof built.bytes);
    assert_int_equal(attn_cache_list(context, find_built, &built, NULL), ATTN_OK);
    assert_true(built.found > 0);
    attn_context_destroy(context);
}

/* Damage of any kind is a miss, and mended by the way. */
static void change(const char *path, off_t at, bool cut) {
    unsigned char byte;
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (cut) assert_int_equal(ftruncate(fd, at), 0);
    else {
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}
static void test_damaged(void **state) {
    (void)state;
    counted c;
    char path[160], file[256];
    snprintf(path, sizeof path, "%s", below("damaged"));
    assert_int_equal(run(path), COMPILED);
    assert_int_equal(list(path, &c, NULL), ATTN_OK);
    const int n = c.n;
    snprintf(file, sizeof file, "%s/%s", path, c.file);
    static const struct { off_t at; bool cut; } damages[] = {{0, true}, {40, true}, {400, true}, {0, false}, {9, false}, {16, false}, {60, false}, {100, false}, {600, false}};
    for (size_t k = 0; k < COUNT(damages); k++) {
        change(file, damages[k].at, damages[k].cut);
        assert_int_equal(list(path, &c, NULL), ATTN_OK);
        assert_int_equal(c.n, n);
        assert_int_equal(c.damaged, 1);
        assert_int_equal(run(path), COMPILED);
        assert_int_equal(list(path, &c, NULL), ATTN_OK);
        assert_int_equal(c.damaged, 0);
        assert_int_equal(run(path), FOUND);
    }
    /* somebody else's file under the name of an entry, and one that is none of ours */
    assert_int_equal(unlink(file), 0);
    assert_int_equal(symlink("/etc/passwd", file), 0);
    assert_int_equal(run(path), COMPILED);
    assert_int_equal(run(path), FOUND);
    snprintf(file, sizeof file, "%s/README", path);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    clear(path, n);
    assert_int_equal(access(file, F_OK), 0);
}

/* A folder that others could fill with code is not used, and said why when it is asked about. */
static void test_refused(void **state) {
    (void)state;
    counted c;
    char own[160], link[160];
    snprintf(own, sizeof own, "%s", below("own"));
    snprintf(link, sizeof link, "%s", below("link"));
    assert_int_equal(run(own), COMPILED);
    assert_int_equal(symlink(own, link), 0);
    assert_int_equal(run(link), COMPILED);
    assert_int_equal(run(link), COMPILED);
    assert_int_equal(list(link, &c, "E0806"), ATTN_ERROR_ENVIRONMENT);
    assert_int_equal(chmod(own, 0770), 0);
    assert_int_equal(run(own), COMPILED);
    assert_int_equal(list(own, &c, "E0806"), ATTN_ERROR_ENVIRONMENT);
    assert_int_equal(chmod(own, 0755), 0);
    assert_int_equal(run(own), FOUND);
    assert_int_equal(run("/proc/nowhere/code"), COMPILED);
    if (geteuid() != 0) {
        print_message("skipped: a folder of another user (this is not root)\n");
        return;
    }
    assert_int_equal(chown(own, 65534, 65534), 0);
    assert_int_equal(run(own), COMPILED);
    assert_int_equal(list(own, &c, "E0806"), ATTN_ERROR_ENVIRONMENT);
}

/* No right to write, no room on the disk: right results, and nothing is left behind. */
static void test_read_only_and_full(void **state) {
    (void)state;
    counted c;
    char path[160];
    snprintf(path, sizeof path, "%s", below("full"));
    assert_int_equal(in_child(work, &(task){.path = path, .most_file = 100}), COMPILED);
    assert_int_equal(list(path, &c, NULL), ATTN_OK);
    assert_int_equal(c.n, 0);
    assert_int_equal(rmdir(path), 0);                             /* no half file either */
    assert_int_equal(mkdir(path, 0500), 0);
    if (geteuid() == 0) assert_int_equal(chown(path, 65534, 65534), 0);
    const int status = in_child(work, &(task){.path = path, .uid = geteuid() == 0 ? 65534 : 0});
    if (status == 77) print_message("skipped: a read-only folder (root cannot become another user here, or that user cannot read the build)\n");
    else assert_int_equal(status, COMPILED);
    assert_int_equal(rmdir(path), 0);
}

/* A file system that is really full, where root may make one. */
static void test_full_disk(void **state) {
    (void)state;
    char line[512], path[160];
    snprintf(path, sizeof path, "%s", below("disk"));
    snprintf(line, sizeof line, "mkdir '%s' && mount -t tmpfs -o size=8k,mode=0700 attn '%s' 2>/dev/null", path, path);
    if (geteuid() != 0 || system(line) != 0) {
        print_message("skipped: a full disk (no file system can be mounted here)\n");
        return;
    }
    snprintf(line, sizeof line, "%s/filler", path);
    const int fd = open(line, O_CREAT | O_WRONLY, 0600);
    static const char block[4096];
    while (write(fd, block, sizeof block) > 0) continue;
    close(fd);
    assert_int_equal(run(path), COMPILED);
    counted c;
    assert_int_equal(list(path, &c, NULL), ATTN_OK);
    assert_int_equal(c.n, 0);
    snprintf(line, sizeof line, "umount '%s'", path);
    assert_int_equal(system(line), 0);
}

/* Several processes at once, on an empty folder that is cleared meanwhile. */
static void test_at_once(void **state) {
    (void)state;
    char path[160];
    counted c;
    pid_t children[4];
    snprintf(path, sizeof path, "%s", below("shared"));
    for (size_t k = 0; k < COUNT(children); k++) {
        children[k] = fork();
        assert_true(children[k] >= 0);
        if (children[k] == 0) {
            int wrong = 0;
            for (int round = 0; round < 3; round++) {
                wrong |= work(&(task){.path = path}) % COMPILED;
                if (k == 0) clear_all(path);
            }
            _exit(wrong);
        }
    }
    for (size_t k = 0; k < COUNT(children); k++) {
        int status = 0;
        assert_int_equal(waitpid(children[k], &status, 0), children[k]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    run(path);
    assert_int_equal(run(path), FOUND);
    assert_int_equal(list(path, &c, NULL), ATTN_OK);
    assert_int_equal(c.damaged, 0);
}

/* What does not fit goes; results stay. */
static void test_size(void **state) {
    (void)state;
    char path[160];
    counted c;
    snprintf(path, sizeof path, "%s", below("small"));
    assert_int_equal(in_child(work, &(task){.path = path, .cache_bytes = 1}), COMPILED);
    assert_int_equal(list(path, &c, NULL), ATTN_OK);
    assert_int_equal(c.n, 0);
    assert_int_equal(in_child(work, &(task){.path = path, .cache_bytes = 1 << 20}), COMPILED);
    assert_int_equal(list(path, &c, NULL), ATTN_OK);
    assert_true(c.n > 0);
}

static void test_arguments(void **state) {
    (void)state;
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *context = NULL;
    counted c;
    o.cache_bytes = -1;
    assert_int_equal(attn_context_create(&o, NULL, &context), ATTN_ERROR_ARGUMENT);
    assert_int_equal(list(NULL, &c, NULL), ATTN_ERROR_ARGUMENT);
    assert_int_equal(list("", &c, NULL), ATTN_ERROR_ARGUMENT);
    assert_int_equal(attn_cache_list(NULL, count, &c, NULL), ATTN_ERROR_ARGUMENT);
    assert_int_equal(attn_cache_clear(NULL, NULL, NULL, NULL), ATTN_ERROR_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_warm), cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_shared_object), cmocka_unit_test(test_damaged),  cmocka_unit_test(test_refused), cmocka_unit_test(test_read_only_and_full),
                                       cmocka_unit_test(test_full_disk), cmocka_unit_test(test_at_once), cmocka_unit_test(test_size),    cmocka_unit_test(test_arguments)};
    return cmocka_run_group_tests_name("cache", tests, open_folder, close_folder);
}
