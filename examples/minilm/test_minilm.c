/* The tokeniser by itself, and the whole example against embeddings that sentence-transformers made (reference/, by prove.sh --write).
 *
 * usage: test_minilm SOURCE_FOLDER [MODEL_FOLDER]    without the weights only the reading of texts is tested */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "embedder.h"

static const char *source, *weights;        /* folders */

/* Four buffers in turn, so that one call may take up to four paths. */
static const char *path(const char *folder, const char *name)
{
    static char text[4][1024];
    static int next;
    char *out = text[next++ % 4];
    snprintf(out, sizeof text[0], "%s/%s", folder, name);
    return out;
}

/* Exactly these n ids, [CLS] and [SEP] among them. */
static void assert_ids(const wordpiece *v, const char *text, int n, const int32_t *expected)
{
    int32_t ids[EMBEDDER_TOKENS];
    assert_int_equal(wordpiece_encode(v, text, ids, EMBEDDER_TOKENS), n);
    assert_memory_equal(ids, expected, (size_t)n * sizeof *ids);
}

/* Ids are those of the tokeniser that the model was trained with: no text; punctuation and case; an accent as one code point and as two, which
 * must be the same; bytes that are no UTF-8; a special token written out. */
static void test_tokens(void **state)
{
    (void)state;
    char error[256];
    /* The vocabulary lies beside the weights, which are not part of the project. */
    if (!weights) skip();
    wordpiece *v = wordpiece_load(path(weights, "vocab.txt"), error, sizeof error);
    assert_non_null(v);
    assert_ids(v, "", 2, (int32_t[]){101, 102});
    assert_ids(v, "Hello, World!", 6, (int32_t[]){101, 7592, 1010, 2088, 999, 102});
    assert_ids(v, "na\xc3\xafve", 3, (int32_t[]){101, 15743, 102});
    assert_ids(v, "nai\xcc\x88ve", 3, (int32_t[]){101, 15743, 102});
    assert_ids(v, "\xff\xfe" "hello", 3, (int32_t[]){101, 7592, 102});       /* no UTF-8 */
    assert_ids(v, "[MASK]", 3, (int32_t[]){101, 103, 102});

    /* A text beyond the limit is cut, and still ends with [SEP]. */
    char *longest = malloc(6 * 1000 + 1);
    for (int k = 0; k < 1000; k++) memcpy(longest + 6 * k, "hello ", 7);
    int32_t ids[EMBEDDER_TOKENS];
    assert_int_equal(wordpiece_encode(v, longest, ids, EMBEDDER_TOKENS), EMBEDDER_TOKENS);
    assert_int_equal(ids[EMBEDDER_TOKENS - 2], 7592);
    assert_int_equal(ids[EMBEDDER_TOKENS - 1], WORDPIECE_SEP);
    free(longest);
    wordpiece_free(v);
}

/* Line 8 of the reference is empty, since an empty sentence has an embedding too; every question of the FAQ must have its answer. */
static void test_sentences(void **state)
{
    (void)state;
    char error[256];
    sentences all;
    assert_false(sentences_read("/nowhere/at/all", &all, error, sizeof error));
    assert_non_null(strstr(error, "/nowhere/at/all"));
    assert_true(sentences_read(path(source, "reference/sentences.txt"), &all, error, sizeof error));
    assert_int_equal(all.n, 27);
    assert_string_equal(all.at[8].text, "");
    sentences_free(&all);
    /* The text that the README's demonstration searches. */
    assert_true(sentences_read(path(source, "faq.txt"), &all, error, sizeof error));
    assert_true(all.n >= 200);
    for (size_t k = 0; k < all.n; k++) assert_true(*all.at[k].text && *all.at[k].answer);
    sentences_free(&all);
}

/* Every element of every embedding, through the compiled graph, against what sentence-transformers computes from the same weights. */
static void test_embeddings(void **state)
{
    (void)state;
    char error[256] = "";
    sentences all;
    attn_diagnostics *diagnostics;
    attn_context *context;
    attn_tensor *reference;
    if (!weights) skip();
    assert_int_equal(attn_diagnostics_create(NULL, &diagnostics), ATTN_OK);
    assert_int_equal(attn_context_create(NULL, diagnostics, &context), ATTN_OK);
    assert_true(sentences_read(path(source, "reference/sentences.txt"), &all, error, sizeof error));
    assert_int_equal(attn_tensor_read_npy(context, path(source, "reference/embeddings.npy"), diagnostics, &reference), ATTN_OK);
    /* Both files must belong to each other before their numbers are compared. */
    assert_int_equal(attn_tensor_dim(reference, 0), all.n);
    assert_int_equal(attn_tensor_dim(reference, 1), EMBEDDER_WIDTH);

    /* target NULL: "cpu"; 0 threads: all. */
    embedder_options options = {path(source, "minilm.attn"), path(weights, "model.safetensors"), path(weights, "vocab.txt"), NULL, 0};
    embedder *e = embedder_create(&options, diagnostics, error, sizeof error);
    /* Without these messages a failure to compile would only be a NULL. */
    for (size_t k = 0; !e && k < attn_diagnostics_count(diagnostics); k++) print_error("%s\n", attn_diagnostics_render(diagnostics, k, false));
    assert_non_null(e);
    float *rows = calloc(all.n, EMBEDDER_WIDTH * sizeof *rows);
    assert_true(embedder_run(e, all.n, all.at, rows, NULL, NULL, diagnostics, error, sizeof error));

    const float *want = attn_tensor_data(reference);
    /* NaN would be lost in fmax, so it becomes the largest difference there is. 1e-5 is a few roundings of f32: embeddings have length 1. */
    double worst = 0;
    for (size_t k = 0; k < all.n * EMBEDDER_WIDTH; k++) worst = fmax(worst, isnan(rows[k]) ? HUGE_VAL : fabs((double)rows[k] - (double)want[k]));
    print_message("largest difference to sentence-transformers: %.2e\n", worst);
    assert_true(worst <= 1e-5);

    free(rows);
    embedder_free(e);
    sentences_free(&all);
    attn_tensor_destroy(reference);
    attn_context_destroy(context);
    attn_diagnostics_destroy(diagnostics);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sentences), cmocka_unit_test(test_tokens), cmocka_unit_test(test_embeddings)};
    /* cmocka's tests take no arguments, so the folders are globals, set once. An empty MODEL_FOLDER is none. */
    if (argc < 2) return 2;
    source = argv[1];
    weights = argc > 2 && *argv[2] ? argv[2] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
