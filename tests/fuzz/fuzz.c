/* fuzz TARGET [--rounds N | --seconds S] [--seed K] [--case FILE] [--seeds FOLDER]
 *
 * Runs rounds of one target (without a target: lists them). The input of a round is made of the seed and the round's number, and what else
 * a target decides by chance depends on the input alone. The input of a round that fails is written to the file fuzz-TARGET.case, whether
 * it crashed, took too long or said what is wrong; --case runs such a file alone and fails in the same way. --seeds writes the inputs that all
 * others are made of to files of that folder, and the words beside it to FOLDER.dict: what libFuzzer begins with.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "fuzz.h"

enum { LIMIT_S = 20 };                           /* processor time of one round */

static const fuzz_target *const targets[] = {&fuzz_graph, &fuzz_kernel, &fuzz_npy, &fuzz_npz, &fuzz_safetensors, &fuzz_cache, &fuzz_module, &fuzz_call, &fuzz_language};
enum { N_TARGETS = sizeof targets / sizeof *targets };

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

static void limit_time(int seconds) {
    struct itimerval limit = {.it_value.tv_sec = seconds};
    setitimer(ITIMER_PROF, &limit, NULL);
}

/* An input as it is, or one made of the seed and the round's number. */
static bool run_round(const fuzz_target *t, const fuzz_corpus *c, const fuzz_input *only, uint64_t seed, uint64_t number) {
    fuzz_random random = {seed * 0x9e3779b97f4a7c15u ^ number * 0xd1b54a32d192ed03u};
    base_arena *arena = base_arena_create(NULL, NULL);
    fuzz_input in = only ? *only : fuzz_mutate(t, c, &random, arena);
    now_running.seed = seed, now_running.number = number;
    now_running.at = in.at, now_running.n = in.n;
    limit_time(LIMIT_S);
    bool fine = fuzz_run_input(t, in.at, in.n);
    limit_time(0);
    if (!fine) {
        keep_case();
        say_failure("it failed");
    }
    base_arena_destroy(arena);
    return fine;
}

/* ---- the command */

typedef struct { uint64_t rounds, seed; double seconds; const char *only, *seeds; } options;

static bool write_seed(const char *folder, uint32_t k, const fuzz_input *in) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%u", folder, k);
    FILE *out = fopen(path, "wb");
    if (!out) return false;
    size_t n = fwrite(in->at, 1, in->n, out);
    return fclose(out) == 0 && n == in->n;
}

/* libFuzzer's dictionary: a word in quotes a line, all that is no letter or digit by its number. */
static bool write_words(const char *folder, const fuzz_target *t) {
    char path[4096];
    snprintf(path, sizeof path, "%s.dict", folder);
    FILE *out = fopen(path, "w");
    if (!out) return false;
    for (uint32_t k = 0; k < t->n_words; k++) {
        fputc('"', out);
        for (const unsigned char *at = (const unsigned char *)t->words[k]; *at; at++) fprintf(out, "\\x%02x", *at);
        fputs("\"\n", out);
    }
    return fclose(out) == 0;
}

static int write_seeds(const fuzz_target *t, const fuzz_corpus *c, const char *folder) {
    bool fine = (mkdir(folder, 0777) == 0 || errno == EEXIST) && write_words(folder, t);
    for (uint32_t k = 0; k < c->all.n && fine; k++) fine = write_seed(folder, k, &c->all.at[k]);
    if (!fine) perror(folder);
    return !fine;
}

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
    if (o->seeds) {
        int status = write_seeds(t, &c, o->seeds);
        base_arena_destroy(arena);
        return status;
    }
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
    fprintf(stderr, "usage: fuzz TARGET [--rounds N | --seconds S] [--seed K] [--case FILE] [--seeds FOLDER]\n");
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
        else if (strcmp(argv[k], "--seeds") == 0) o.seeds = argv[k + 1];
        else return usage();
    }
    return run_target(t, &o);
}
