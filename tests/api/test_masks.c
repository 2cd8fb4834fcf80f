/* Pictures of masks through the public header: a causal one tile by tile, in text and as SVG, sizes of tiles, and mistakes. */
#include "world.h"

static const char source[] = "graph causal(q: f32[S,D], k: f32[S,D], v: f32[S,D]) -> (o: f32[S,D]) {\n"
                             "    o[i,e] = attend(j: q[i,d], k[j,d], v[j,e]) { mask = j <= i }\n"
                             "}\n"
                             "graph plain(x: f32[S]) -> (y: f32[S]) { y[i] = 2*x[i] }\n"
                             "graph documents(q: f32[S,D], k: f32[S,D], v: f32[S,D], doc: i32[S]) -> (o: f32[S,D]) {\n"
                             "    o[i,e] = attend(j: q[i,d], k[j,d], v[j,e]) { mask = doc[i] == doc[j] }\n"
                             "}\n"
                             "graph layers(x: f32[S,D]) -> (x: f32[S,D]) {\n"
                             "    for l in 1..4 { x[i,e] = attend(j: x[i,d], x[j,d], x[j,e]) { mask = j <= i + 32*l } }\n"
                             "}\n";
static const attn_dim dims[] = {{"S", 128}, {"D", 8}};

static void drawn(const char *graph, int64_t rows, int64_t columns, bool svg, const char *wanted) {
    world w = world_open(source, "cpu");
    attn_mask_picture how = ATTN_MASK_PICTURE_INIT;
    char *text = NULL;
    how.rows = rows, how.columns = columns, how.svg = svg;
    assert_int_equal(attn_program_masks(w.context, w.program, graph, NULL, 0, dims, strcmp(graph, "plain") ? 2 : 1, &how, w.said, &text), ATTN_OK);
    if (!strstr(text, wanted)) fail_msg("'%s' is not in '%s'", wanted, text);
    attn_text_destroy(w.context, text);
    world_close(&w);
}

static void test_pictures(void **state) {
    (void)state;
    drawn("causal", 0, 0, false, "\n+...\n#+..\n##+.\n###+\n");
    drawn("causal", 64, 32, false, "\n++..\n##++\n");
    drawn("causal", 0, 0, true, "</svg>");
    drawn("causal", INT64_MAX, INT64_MAX, false, "\n+\n");
    drawn("layers", 0, 0, false, "l = 1: 3 empty, 3 partial, 10 full, in closed form\n#+..\n##+.\n###+\n####\n");
    drawn("plain", 0, 0, false, "no kernel of the graph has a mask");
}

static void test_mistakes(void **state) {
    world w = world_open(source, "cpu");
    attn_mask_picture how = ATTN_MASK_PICTURE_INIT;
    char *text = NULL;
    (void)state;
    assert_said(&w, attn_program_masks(w.context, w.program, "none", NULL, 0, dims, 2, &how, w.said, &text), ATTN_ERROR_ARGUMENT, "E0952", "none");
    how.rows = -1;
    assert_int_equal(attn_program_masks(w.context, w.program, "causal", NULL, 0, dims, 2, &how, NULL, &text), ATTN_ERROR_ARGUMENT);
    how.rows = 1, how.columns = 1;
    const attn_dim many[] = {{"S", 600}, {"D", 8}};
    assert_said(&w, attn_program_masks(w.context, w.program, "causal", NULL, 0, many, 2, &how, w.said, &text), ATTN_ERROR_ARGUMENT, "E0951", "512 tiles");
    how.rows = how.columns = 32;
    assert_said(&w, attn_program_masks(w.context, w.program, "documents", NULL, 0, dims, 2, &how, w.said, &text), ATTN_ERROR_ARGUMENT, "E0951", "a mask reads doc");
    how.struct_size = 0;
    assert_int_equal(attn_program_masks(w.context, w.program, "causal", NULL, 0, dims, 2, &how, NULL, &text), ATTN_ERROR_ARGUMENT);
    assert_int_equal(attn_program_masks(w.context, w.program, "causal", NULL, 0, dims, 2, NULL, NULL, NULL), ATTN_ERROR_ARGUMENT);
    assert_int_equal(attn_program_masks(NULL, w.program, "causal", NULL, 0, dims, 2, NULL, NULL, &text), ATTN_ERROR_ARGUMENT);
    assert_null(text);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pictures), cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
