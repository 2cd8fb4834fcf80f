/* Which sentences say the same? Embeds every line of a text with all-MiniLM-L6-v2, compiled from minilm.attn, and prints the most similar
 * pairs; with --query the lines nearest to a question, with their answers.
 *
 * Embeddings have length 1, so the similarity of two (cosine) is their dot product.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "embedder.h"

/* top 0: not given. embeddings NULL: not written. */
typedef struct {
    embedder_options model;
    const char *query, *embeddings, *text;
    int top;
} options;
/* Two lines by number; with --query both are the line that was found. */
typedef struct { float score; size_t a, b; } match;

/* ---- command line */

/* Shown by --help on stdout, and on stderr where no text or more than one is named. */
static const char usage[] =
    "usage: minilm [options] TEXT\n"
    "\n"
    "Prints the most similar pairs of lines of TEXT, by the embeddings of all-MiniLM-L6-v2. What follows a tab in a line is its answer.\n"
    "\n"
    "  --query QUESTION     print the lines nearest to QUESTION instead, with their answers\n"
    "  --top N              how many (10; 3 with --query)\n"
    "  --embeddings FILE    also write all embeddings, f32[lines,384], to FILE.npy\n"
    "  --graph FILE         the program (minilm.attn)\n"
    "  --weights FILE       its weights (model.safetensors)\n"
    "  --vocab FILE         its vocabulary (vocab.txt)\n"
    "  --target NAME        cpu, eval or cuda (cpu)\n"
    "  --threads N          threads that compute (all)\n"
    "  --help\n"
    "\n"
    "example: minilm --weights model.safetensors --vocab vocab.txt --query \"how do I undo a commit?\" faq.txt\n";

/* A count from 1 to a million, with nothing behind it; 0 stays free to mean that none was given. */
static bool read_count(const char *text, int *out)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < 1 || value > 1000000) {
        fprintf(stderr, "minilm: '%s' is no count\n", text);
        return false;
    }
    *out = (int)value;
    return true;
}

/* false: getopt has said what is wrong, or read_count has. */
static bool read_option(int option, options *o)
{
    switch (option) {
    case 'q': o->query = optarg; return true;
    case 'n': return read_count(optarg, &o->top);
    case 'e': o->embeddings = optarg; return true;
    case 'g': o->model.graph = optarg; return true;
    case 'w': o->model.weights = optarg; return true;
    case 'v': o->model.vocabulary = optarg; return true;
    case 't': o->model.target = optarg; return true;
    case 'j': return read_count(optarg, &o->model.threads);
    default: return false;
    }
}

/* Paths point into argv and live as long as the process. */
static bool read_options(int argc, char **argv, options *o)
{
    static const struct option known[] = {
        {"query", required_argument, NULL, 'q'},   {"top", required_argument, NULL, 'n'},    {"embeddings", required_argument, NULL, 'e'},
        {"graph", required_argument, NULL, 'g'},   {"weights", required_argument, NULL, 'w'}, {"vocab", required_argument, NULL, 'v'},
        {"target", required_argument, NULL, 't'},  {"threads", required_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *o = (options){.model = {"minilm.attn", "model.safetensors", "vocab.txt", NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        /* Help is a result: on stdout, with 0, before anything has been opened. */
        if (option == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (!read_option(option, o)) return false;
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "minilm: expected one TEXT, found %d\n%s", argc - optind, usage);
        return false;
    }
    o->text = argv[optind];
    /* A question wants few answers; a list of pairs is looked through. */
    if (!o->top) o->top = o->query ? 3 : 10;
    return true;
}

/* ---- progress and messages */

/* Written over itself until all is done; called only where stderr is a terminal. */
static void show_progress(void *env, size_t done, size_t all)
{
    enum { WIDTH = 40 };
    const char *what = env;
    /* all is not 0: progress is told after a batch, and a batch holds a text at least. */
    int filled = (int)(done * WIDTH / all);
    fprintf(stderr, "\r%s [%.*s%*s] %zu/%zu%s", what, filled, "########################################", WIDTH - filled, "", done, all,
            done == all ? "\n" : "");
}

/* Of a clock that never goes back, for durations. */
static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Messages of the library first, then what is not the library's; 1, the exit status. */
static int report(const attn_diagnostics *diagnostics, const char *error)
{
    for (size_t k = 0; k < attn_diagnostics_count(diagnostics); k++)
        fputs(attn_diagnostics_render(diagnostics, k, isatty(STDERR_FILENO)), stderr);
    if (*error) fprintf(stderr, "minilm: %s\n", error);
    return 1;
}

/* ---- similarity */

static float dot(const float *a, const float *b)
{
    float sum = 0;
    for (int k = 0; k < EMBEDDER_WIDTH; k++) sum += a[k] * b[k];
    return sum;
}

/* Keeps the best `top` matches seen, best first. */
static void keep(match *best, int *n, int top, match found)
{
    if (*n == top && best[top - 1].score >= found.score) return;
    /* Insertion from the end. Equal scores keep the order in which they were found. */
    int k = *n < top ? (*n)++ : top - 1;
    for (; k > 0 && best[k - 1].score < found.score; k--) best[k] = best[k - 1];
    best[k] = found;
}

/* Every pair: n * n / 2 products of 384 numbers, which for some thousand lines is still quick beside the embedding. */
static void print_pairs(const sentences *all, const float *rows, match *best, int top)
{
    int n = 0;
    for (size_t a = 0; a < all->n; a++)
        for (size_t b = a + 1; b < all->n; b++)
            keep(best, &n, top, (match){dot(rows + a * EMBEDDER_WIDTH, rows + b * EMBEDDER_WIDTH), a, b});
    for (int k = 0; k < n; k++) printf("%.4f  %s\n        %s\n", (double)best[k].score, all->at[best[k].a].text, all->at[best[k].b].text);
}

/* The query's embedding is of length 1 too, so scores of different questions can be compared. */
static void print_nearest(const sentences *all, const float *rows, const float *query, match *best, int top)
{
    int n = 0;
    for (size_t a = 0; a < all->n; a++) keep(best, &n, top, (match){dot(rows + a * EMBEDDER_WIDTH, query), a, a});
    for (int k = 0; k < n; k++) {
        const sentence *hit = &all->at[best[k].a];
        printf("%.4f  %s\n", (double)best[k].score, hit->text);
        if (*hit->answer) printf("        %s\n", hit->answer);
    }
}

/* ---- the whole */

/* A context of its own for the file, so that the embedder need not show its own to anybody. */
static bool write_embeddings(const char *path, size_t n, float *rows, attn_diagnostics *diagnostics)
{
    attn_context *context = NULL;
    attn_tensor *tensor = NULL;
    int64_t dims[2] = {(int64_t)n, EMBEDDER_WIDTH};
    bool done = !attn_context_create(NULL, diagnostics, &context) &&
                !attn_tensor_wrap(context, ATTN_F32, 2, dims, NULL, rows, diagnostics, &tensor) &&
                !attn_tensor_write_npy(context, tensor, path, diagnostics);
    /* The tensor was wrapped around rows, which stay the caller's. */
    attn_tensor_destroy(tensor);
    attn_context_destroy(context);
    return done;
}

/* Embeds the lines and, behind them, the query. */
static bool embed_all(embedder *e, const options *o, const sentences *all, float *rows, attn_diagnostics *diagnostics, char *error, size_t n_error)
{
    const sentence query = {o->query, ""};
    double start = seconds();
    /* Lines that are written over make no sense in a file. */
    bool bar = isatty(STDERR_FILENO);
    if (!embedder_run(e, all->n, all->at, rows, bar ? show_progress : NULL, "embedding", diagnostics, error, n_error)) return false;
    fprintf(stderr, "%zu sentences embedded in %.2f s (compiled in %.2f s)\n", all->n, seconds() - start, embedder_compile_seconds(e));
    return !o->query || embedder_run(e, 1, &query, rows + all->n * EMBEDDER_WIDTH, NULL, NULL, diagnostics, error, n_error);
}

/* Allocates for the lines and the best matches, embeds, prints. A result is printed only when everything else has worked. */
static bool run(const options *o, const sentences *all, embedder *e, attn_diagnostics *diagnostics, char *error, size_t n_error)
{
    /* One row more, for the query. */
    float *rows = calloc(all->n + 1, EMBEDDER_WIDTH * sizeof *rows);
    match *best = calloc((size_t)o->top, sizeof *best);
    bool done = rows && best;
    if (!done) snprintf(error, n_error, "out of memory for the embeddings of %zu sentences", all->n);
    done = done && embed_all(e, o, all, rows, diagnostics, error, n_error) &&
           (!o->embeddings || write_embeddings(o->embeddings, all->n, rows, diagnostics));
    if (done && o->query) print_nearest(all, rows, rows + all->n * EMBEDDER_WIDTH, best, o->top);
    else if (done) print_pairs(all, rows, best, o->top);
    free(rows);
    free(best);
    return done;
}

int main(int argc, char **argv)
{
    options o;
    sentences all;
    char error[512] = "";
    attn_diagnostics *diagnostics = NULL;
    /* 2: usage; 1: files, data or the machine; as attnc does it. */
    if (!read_options(argc, argv, &o)) return 2;
    if (attn_diagnostics_create(NULL, &diagnostics)) return fputs("minilm: out of memory\n", stderr), 1;
    /* The text before the model: a file that is missing should not cost seconds of compiling. */
    if (!sentences_read(o.text, &all, error, sizeof error)) return report(diagnostics, error);
    /* Whatever failed has left its text in `diagnostics` or in `error`. */
    embedder *e = embedder_create(&o.model, diagnostics, error, sizeof error);
    int status = e && run(&o, &all, e, diagnostics, error, sizeof error) ? 0 : report(diagnostics, error);
    embedder_free(e);
    sentences_free(&all);
    attn_diagnostics_destroy(diagnostics);
    return status;
}
