/* A model held ready, and batches run through it. Sentences are taken in order of length, so that a batch has little padding. */
#include "embedder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that batches need and that does not change from one to the next. */
struct embedder {
    wordpiece *vocabulary;
    attn_context *context;
    attn_program *program;
    attn_module *module;
    attn_model *model;
};

typedef struct {                    /* one text, tokenised */
    const int32_t *ids;
    int32_t length;
    size_t row;                     /* of the result */
} tokens;
typedef struct { tokens *at; int32_t *ids; } token_list;   /* ids: those of all texts */

/* The chain of the library: context, program, module, model. It stops at the first that fails; embedder_free takes what there is. */
static bool load(embedder *e, const embedder_options *o, attn_diagnostics *diagnostics)
{
    attn_context_options context = ATTN_CONTEXT_OPTIONS_INIT;
    attn_module_options module = ATTN_MODULE_OPTIONS_INIT;
    attn_model_options model = ATTN_MODEL_OPTIONS_INIT;
    /* 0 and NULL mean the library's own defaults, as in embedder_options. */
    context.threads = o->threads;
    module.target = o->target;
    /* By name: the last graph of the file would do, until somebody adds one. */
    module.graph = "embed";
    /* What is usual: sentences are short. Any other size gives the same, less fast. */
    const attn_dim usual[] = {{"B", EMBEDDER_BATCH}, {"S", 16}};
    module.dims = usual;
    module.n_dims = sizeof usual / sizeof *usual;
    model.weights = o->weights;
    return !attn_context_create(&context, diagnostics, &e->context) &&
           !attn_program_from_file(e->context, o->graph, diagnostics, &e->program) &&
           !attn_module_create(e->context, e->program, &module, diagnostics, &e->module) &&
           !attn_model_create(e->context, e->module, &model, diagnostics, &e->model);
}

embedder *embedder_create(const embedder_options *o, attn_diagnostics *diagnostics, char *error, size_t n_error)
{
    /* Zeroed: what is not there yet is NULL, which every destroy function takes. */
    embedder *e = calloc(1, sizeof *e);
    if (!e) {
        snprintf(error, n_error, "out of memory");
        return NULL;
    }
    /* Read first: it is the cheapest to find missing. */
    e->vocabulary = wordpiece_load(o->vocabulary, error, n_error);
    if (e->vocabulary && load(e, o, diagnostics)) return e;
    embedder_free(e);
    return NULL;
}

void embedder_free(embedder *e)
{
    if (!e) return;
    attn_model_destroy(e->model);
    attn_module_destroy(e->module);
    attn_program_destroy(e->program);
    attn_context_destroy(e->context);
    wordpiece_free(e->vocabulary);
    free(e);
}

double embedder_compile_seconds(const embedder *e) { return attn_module_compile_seconds(e->module); }

/* ---- batches */

/* Rows are different, so no two compare equal and the order is always the same. */
static int by_length(const void *a, const void *b)
{
    const tokens *x = a, *y = b;
    return x->length != y->length ? (x->length > y->length) - (x->length < y->length) : (x->row > y->row) - (x->row < y->row);
}

/* Both may be NULL, after an allocation that failed. */
static void token_list_free(token_list *list)
{
    free(list->at);
    free(list->ids);
}

/* All texts at once, since batches are made of texts of like length. EMBEDDER_TOKENS places for each: longer ones are cut. */
static bool tokenise(const embedder *e, size_t n, const sentence *texts, token_list *out)
{
    *out = (token_list){calloc(n + 1, sizeof *out->at), calloc(n + 1, EMBEDDER_TOKENS * sizeof *out->ids)};
    if (!out->at || !out->ids) {
        token_list_free(out);
        return false;
    }
    for (size_t k = 0; k < n; k++) {
        int32_t *ids = out->ids + k * EMBEDDER_TOKENS;
        out->at[k] = (tokens){ids, wordpiece_encode(e->vocabulary, texts[k].text, ids, EMBEDDER_TOKENS), k};
    }
    qsort(out->at, n, sizeof *out->at, by_length);
    return true;
}

/* One batch: ids padded to its longest text, lengths beside them. */
static bool run_batch(embedder *e, size_t n, const tokens *batch, float *out, attn_diagnostics *diagnostics)
{
    static const int32_t padding = WORDPIECE_PAD;
    /* Sorted by length, so the last is the longest. Arrays on the stack: 32 * 256 ids and 32 rows, 80 KiB. */
    int64_t dims[2] = {(int64_t)n, batch[n - 1].length}, shape[2] = {(int64_t)n, EMBEDDER_WIDTH};
    int32_t ids[EMBEDDER_BATCH * EMBEDDER_TOKENS], lengths[EMBEDDER_BATCH];
    float rows[EMBEDDER_BATCH][EMBEDDER_WIDTH];
    for (size_t b = 0; b < n; b++) {
        lengths[b] = batch[b].length;
        for (int64_t i = 0; i < dims[1]; i++) ids[(int64_t)b * dims[1] + i] = i < batch[b].length ? batch[b].ids[i] : padding;
    }
    /* Names of the graph's tensors. Lengths make the padding invisible, so what it holds changes no embedding. */
    attn_argument inputs[2] = {{"ids", NULL}, {"len", NULL}}, output = {"emb", NULL};
    attn_run_options run = ATTN_RUN_OPTIONS_INIT;
    run.graph = "embed";
    run.inputs = inputs, run.n_inputs = 2;
    run.outputs = &output, run.n_outputs = 1;
    /* The library reads and writes these arrays where they lie; it must be done with them before this function ends. */
    bool done = !attn_tensor_wrap(e->context, ATTN_I32, 2, dims, NULL, ids, diagnostics, &inputs[0].tensor) &&
                !attn_tensor_wrap(e->context, ATTN_I32, 1, dims, NULL, lengths, diagnostics, &inputs[1].tensor) &&
                !attn_tensor_wrap(e->context, ATTN_F32, 2, shape, NULL, rows, diagnostics, &output.tensor) &&
                !attn_model_run(e->model, &run, diagnostics);
    /* Back to the order in which the texts came. */
    for (size_t b = 0; done && b < n; b++) memcpy(out + batch[b].row * EMBEDDER_WIDTH, rows[b], sizeof rows[b]);
    attn_tensor_destroy(inputs[0].tensor);
    attn_tensor_destroy(inputs[1].tensor);
    attn_tensor_destroy(output.tensor);
    return done;
}

bool embedder_run(embedder *e, size_t n, const sentence *texts, float *out, embedder_progress *progress, void *env,
                  attn_diagnostics *diagnostics, char *error, size_t n_error)
{
    /* Texts that are cut into tokens; the sentences themselves stay the caller's. */
    token_list all;
    if (!tokenise(e, n, texts, &all)) {
        snprintf(error, n_error, "out of memory for the tokens of %zu sentences", n);
        return false;
    }
    /* Only a failure that is not the library's has a text in `error`. */
    bool done = true;
    for (size_t first = 0; done && first < n; first += EMBEDDER_BATCH) {
        /* The last batch may be smaller; the graph is compiled once for batches of any size. */
        size_t size = n - first < EMBEDDER_BATCH ? n - first : EMBEDDER_BATCH;
        done = run_batch(e, size, all.at + first, out, diagnostics);
        if (done && progress) progress(env, first + size, n);
    }
    token_list_free(&all);
    return done;
}
