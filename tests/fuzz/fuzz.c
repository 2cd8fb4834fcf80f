/* fuzz TARGET [--rounds N | --seconds S] [--seed K] [--case FILE]
 *
 * Runs rounds of one target (without a target: lists them). The input of a round is made of the seed and the round's number, and what else
 * a target decides by chance depends on the input alone. The input of a round that fails is written to the file fuzz-TARGET.case, whether
 * it crashed, took too long or said what is wrong; --case runs such a file alone and fails in the same way.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "fuzz.h"

enum { LIMIT_S = 20, LIMIT_BYTES = 1 << 29 };    /* processor time and memory of one round */

static const fuzz_target *const targets[] = {&fuzz_graph, &fuzz_kernel, &fuzz_npy, &fuzz_safetensors, &fuzz_call, &fuzz_language};
enum { N_TARGETS = sizeof targets / sizeof *targets };

/* ---- corpus */

void fuzz_add(fuzz_corpus *c, const char *name, const char *at, size_t n) {
    BASE_PUSH(c->arena, &c->all, ((fuzz_input){base_strdup(c->arena, name), base_strndup(c->arena, at, n), n}));
}

void fuzz_add_file(fuzz_corpus *c, const char *path, const char *end) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(2);
    }
    base_text text;
    base_text_init(&text, c->arena);
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) base_text_put(&text, part, n);
    fclose(f);
    const char *stop = end ? strstr(text.at, end) : NULL;
    fuzz_add(c, path, text.at, stop ? (size_t)(stop - text.at) : text.n);
}

static int is_entry(const struct dirent *d) { return d->d_name[0] != '.'; }

void fuzz_add_folder(fuzz_corpus *c, const char *folder, const char *ending, const char *end) {
    struct dirent **entries;
    int found = scandir(folder, &entries, is_entry, alphasort);
    for (int k = 0; k < found; k++) {
        const char *path = base_printf(c->arena, "%s/%s", folder, entries[k]->d_name), *dot = strrchr(path, '.');
        struct stat st;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) fuzz_add_folder(c, path, ending, end);
        else if (dot && strcmp(dot, ending) == 0) fuzz_add_file(c, path, end);
        free(entries[k]);
    }
    if (found >= 0) free(entries);
}

/* ---- reports */

const char *fuzz_reports(base_arena *arena, const base_diags *diags) {
    base_text out;
    base_text_init(&out, arena);
    for (const base_diag *d = diags->first; d; d = d->next) base_diag_print(diags, d, true, &out);
    return out.at;
}

bool fuzz_has_internal(const base_diags *diags) {
    for (const base_diag *d = diags->first; d; d = d->next)
        if (base_messages[d->message].class_ == BASE_CLASS_INTERNAL) return true;
    return false;
}

/* ---- memory with a limit */

typedef struct { size_t used; } limited;

static void *limited_alloc(void *self, size_t bytes) {
    limited *l = self;
    if (bytes > LIMIT_BYTES || l->used > LIMIT_BYTES - bytes) return NULL;
    l->used += bytes;
    return malloc(bytes);
}

static void limited_free(void *self, void *at, size_t bytes) {
    ((limited *)self)->used -= bytes;
    free(at);
}

/* ---- rounds */

/* What a signal handler must know of the round that runs. */
static struct { const fuzz_target *target; const char *at; size_t n; uint64_t seed, number; char path[64]; } now_running;

static void keep_case(void) {
    int fd = open(now_running.path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0) return;
    if (write(fd, now_running.at, now_running.n) < 0) perror(now_running.path);
    close(fd);
}

static void say_failure(const char *what) {
    fprintf(stderr, "fuzz %s: seed %llu, round %llu: %s; the input is in %s\n", now_running.target->name, (unsigned long long)now_running.seed,
            (unsigned long long)now_running.number, what, now_running.path);
}

/* The process ends anyway, so what is not safe in a handler may be tried. */
static void on_signal(int signal) {
    keep_case();
    say_failure(signal == SIGPROF ? "it does not end" : "it crashed");
    _exit(1);
}

static void catch_signals(void (*handler)(int)) {
    static char stack[1 << 16];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&other, NULL);
#if defined(__SANITIZE_ADDRESS__)
    const int caught[] = {SIGABRT, SIGPROF};     /* the sanitizer says where it crashed, and aborts */
#else
    const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF};
#endif
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    for (size_t k = 0; k < sizeof caught / sizeof *caught; k++) sigaction(caught[k], &action, NULL);
}

/* The sanitizers end with SIGABRT, so that the input is kept then too. They do not follow thread-local memory of libraries that open late: some
 * versions misread what LLVM has there, and crash when they look for leaks. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1:handle_abort=0:intercept_tls_get_addr=0"; }

static void limit_time(int seconds) {
    struct itimerval limit = {.it_value.tv_sec = seconds};
    setitimer(ITIMER_PROF, &limit, NULL);
}

/* What went wrong, or NULL; the text is printed at once, since it ends with the round's arena. */
static bool round_is_fine(const fuzz_target *t, fuzz_round *f) {
    now_running.at = f->at, now_running.n = f->n;
    limit_time(LIMIT_S);
    const char *fault = t->run(f);
    limit_time(0);
    if (!fault) return true;
    keep_case();
    fprintf(stderr, "%s\n", fault);
    say_failure("it failed");
    return false;
}

static uint64_t hash_of(const char *at, size_t n) {       /* FNV-1a */
    uint64_t hash = 14695981039346656037u;
    for (size_t k = 0; k < n; k++) hash = (hash ^ (unsigned char)at[k]) * 1099511628211u;
    return hash;
}

static bool run_round(const fuzz_target *t, const fuzz_corpus *c, const fuzz_input *only, uint64_t seed, uint64_t number) {
    limited memory = {0};
    jmp_buf no_memory;
    base_allocator allocator = {limited_alloc, limited_free, &memory};
    fuzz_random random = {seed * 0x9e3779b97f4a7c15u ^ number * 0xd1b54a32d192ed03u};
    base_arena *arena = base_arena_create(&allocator, &no_memory);
    if (!arena) abort();
    now_running.seed = seed, now_running.number = number;
    static fuzz_round f;                         /* static: read behind the jump */
    f = (fuzz_round){.arena = arena, .random = &random};
    volatile bool fine = false;
    if (!setjmp(no_memory)) {
        fuzz_input in = only ? *only : fuzz_mutate(t, c, &random, arena);
        f.at = in.at, f.n = in.n;
        random.state = hash_of(in.at, in.n);
        fine = round_is_fine(t, &f);
    } else {
        limit_time(0);
        fine = f.large;
        if (!fine) {
            keep_case();
            say_failure("it takes too much memory");
        }
    }
    base_arena_destroy(arena);
    return fine;
}

/* ---- the command */

typedef struct { uint64_t rounds, seed; double seconds; const char *only; } options;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int run_target(const fuzz_target *t, const options *o) {
    base_arena *arena = base_arena_create(NULL, NULL);
    fuzz_corpus c = {.arena = arena}, alone = {.arena = arena};
    now_running.target = t;
    snprintf(now_running.path, sizeof now_running.path, "fuzz-%s.case", t->name);
    t->corpus(&c);
    if (o->only) fuzz_add_file(&alone, o->only, NULL);
    catch_signals(on_signal);
    double start = now();
    uint64_t k = 0;
    bool fine = c.all.n > 0;
    if (o->only) fine = run_round(t, &c, &alone.all.at[0], o->seed, 0);
    for (uint32_t i = 0; !o->only && i < c.all.n && fine; i++) fine = run_round(t, &c, &c.all.at[i], o->seed, i);        /* as they are */
    for (; !o->only && fine && (o->seconds > 0 ? now() - start < o->seconds : k < o->rounds); k++) fine = run_round(t, &c, NULL, o->seed, k);
    catch_signals(SIG_DFL);                      /* what happens from here on is no input's fault */
    printf("fuzz %s: %u inputs, %llu rounds, seed %llu, %.1f s: %s\n", t->name, c.all.n, (unsigned long long)k, (unsigned long long)o->seed, now() - start,
           fine ? "fine" : "FAILED");
    base_arena_destroy(arena);
    return !fine;
}

static int usage(void) {
    fprintf(stderr, "usage: fuzz TARGET [--rounds N | --seconds S] [--seed K] [--case FILE]\n");
    for (uint32_t k = 0; k < N_TARGETS; k++) fprintf(stderr, "  %-12s %s\n", targets[k]->name, targets[k]->does);
    return 2;
}

int main(int argc, char **argv) {
    options o = {.rounds = 1000, .seed = 1};
    const fuzz_target *t = NULL;
    for (uint32_t k = 0; argc > 1 && k < N_TARGETS; k++)
        if (strcmp(targets[k]->name, argv[1]) == 0) t = targets[k];
    if (!t || argc % 2) return usage();
    for (int k = 2; k < argc; k += 2) {
        if (strcmp(argv[k], "--rounds") == 0) o.rounds = strtoull(argv[k + 1], NULL, 10);
        else if (strcmp(argv[k], "--seconds") == 0) o.seconds = strtod(argv[k + 1], NULL);
        else if (strcmp(argv[k], "--seed") == 0) o.seed = strtoull(argv[k + 1], NULL, 10);
        else if (strcmp(argv[k], "--case") == 0) o.only = argv[k + 1];
        else return usage();
    }
    return run_target(t, &o);
}
