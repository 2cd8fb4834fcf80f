/* Sentences to embeddings: tokenises, makes batches of sentences of like length, runs the model. */
#ifndef EMBEDDER_H
#define EMBEDDER_H
#include <attn/attn.h>

#include "sentences.h"
#include "wordpiece.h"

enum {
    EMBEDDER_WIDTH = 384,           /* values of an embedding */
    EMBEDDER_TOKENS = 256,          /* the model's limit, [CLS] and [SEP] among them */
    EMBEDDER_BATCH = 32             /* sentences that run together */
};

typedef struct embedder embedder;
typedef struct {
    const char *graph, *weights, *vocabulary, *target;   /* paths; target NULL: "cpu" */
    int threads;                                         /* 0: all */
} embedder_options;
typedef void embedder_progress(void *env, size_t done, size_t all);

/* Compiles the graph and loads the weights. Errors go to `diagnostics`, or into `error` where they are not the library's. NULL then. */
embedder *embedder_create(const embedder_options *options, attn_diagnostics *diagnostics, char *error, size_t n_error);
void embedder_free(embedder *e);
double embedder_compile_seconds(const embedder *e);

/* Embeddings of n texts, row by row into out[n][EMBEDDER_WIDTH]; false if that fails. progress may be NULL. */
bool embedder_run(embedder *e, size_t n, const sentence *texts, float *out, embedder_progress *progress, void *env,
                  attn_diagnostics *diagnostics, char *error, size_t n_error);
#endif
