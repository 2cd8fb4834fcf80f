/* Tiles of several axes: boxes of rows (y, x) and of columns (v, u), each with two corners per axis. What may and must, and the ranges of keys along
 * each column axis, say of a box is compared with its pairs, which functions in C give. */
#include "masks.h"
#include "points.h"

enum { H = 5, W = 6, AXES = 4 };
typedef struct { const char *text; bool (*visible)(int y, int x, int v, int u); bool exact; } box_mask;

static bool near(int y, int x, int v, int u) { return abs(y - v) <= 1 && abs(x - u) <= 2; }
static bool diamond(int y, int x, int v, int u) { return abs(y - v) + abs(x - u) <= 3; }
static bool above(int y, int x, int v, int u) { return v < y || (v == y && u <= x); }
static bool raster(int y, int x, int v, int u) { return v * W + u <= y * W + x; }
static bool corner(int y, int x, int v, int u) { return v <= y && u <= x; }
static bool cross(int y, int x, int v, int u) { return v == y || u == x; }
static bool blocks(int y, int x, int v, int u) { return y / 2 == v / 2 && x / 3 == u / 3; }
static bool clamped(int y, int x, int v, int u) {
    const int from = x - 1 < 0 ? 0 : x - 1 > W - 3 ? W - 3 : x - 1;
    return u >= from && u < from + 3 && abs(y - v) <= 1;
}
static bool not_near(int y, int x, int v, int u) { return !near(y, x, v, u); }
static const box_mask masks[] = {
    { "abs(y - v) <= 1 and abs(x - u) <= 2", near, true },
    { "abs(y - v) + abs(x - u) <= 3", diamond, true },
    { "v < y or (v == y and u <= x)", above, false },
    { "v*W + u <= y*W + x", raster, false },
    { "v <= y and u <= x", corner, true },
    { "v == y or u == x", cross, false },
    { "y//2 == v//2 and x//3 == u//3", blocks, true },
    { "u >= max(0, min(x - 1, W - 3)) and u < max(0, min(x - 1, W - 3)) + 3 and abs(y - v) <= 1", clamped, true },
    { "not (abs(y - v) <= 1 and abs(x - u) <= 2)", not_near, false },
};

typedef struct {
    const box_mask *want;
    ir_kernel k;
    const ir_mask *m;
    ir_points *p;
    int lo[AXES], hi[AXES];
} trial;

/* Rows y, x and columns v, u; a fold over both columns under the guard. */
static void make(trial *t, base_arena *arena) {
    static const char *const names[AXES] = { "y", "x", "v", "u" };
    ir_unit *u = ir_unit_create(arena, base_diags_create(arena));
    ir_var vars[AXES];
    const char *scope[AXES + 2] = { "H", "W" };
    ir_expr values[AXES + 2] = { ir_dim_expr(u, ir_dim_new(u, "H")), ir_dim_expr(u, ir_dim_new(u, "W")) };
    t->k = (ir_kernel){ .unit = u, .name = "o", .axes = BASE_ARRAY(arena, AXES, ir_axis), .n_axes = AXES, .lets = BASE_ARRAY(arena, 1, ir_let), .n_lets = 1, .n_sweeps = 1 };
    for (uint32_t a = 0; a < AXES; a++) {
        vars[a] = ir_var_new(u, names[a], values[a % 2]);
        scope[a + 2] = names[a], values[a + 2] = ir_var_expr(u, vars[a]);
        t->k.axes[a] = (ir_axis){ vars[a], values[a % 2], a < 2 ? IR_ROW : IR_COL };
    }
    t->k.lets[0] = (ir_let){ .kind = IR_LET_FOLD, .sort = IR_SORT_REAL, .rank = IR_ROW, .red = IR_RED_SUM, .ref = -1, .over = base_copy(arena, &vars[2], 2 * sizeof *vars), .n_over = 2,
                             .where = ir_expr_parse(u, t->want->text, AXES + 2, scope, values), .e = ir_real(u, 1) };
    mask_values used = { 0 };
    t->m = mask_of_kernel(&t->k, NULL, &used);
    assert_non_null(t->m);
    ir_frame frame = ir_frame_create(u, arena);
    frame.dim[1] = H, frame.dim[2] = W;
    t->p = ir_points_create(u, base_copy(arena, &frame, sizeof frame), arena);
}

static int64_t value(const trial *t, ir_expr e) {
    int64_t v = 0;
    if (!ir_points_eval(t->p, e, &v)) fail_msg("'%s' has no value", t->want->text);
    return v;
}

static kind truth(const trial *t) {
    int seen = 0, all = 0;
    for (int y = t->lo[0]; y <= t->hi[0]; y++)
        for (int x = t->lo[1]; x <= t->hi[1]; x++)
            for (int v = t->lo[2]; v <= t->hi[2]; v++)
                for (int u = t->lo[3]; u <= t->hi[3]; u++) seen += t->want->visible(y, x, v, u), all++;
    return seen == 0 ? EMPTY : seen == all ? FULL : PARTIAL;
}

static void check_box(const trial *t) {
    for (uint32_t a = 0; a < AXES; a++) ir_points_set(t->p, t->m->lo[a], t->lo[a]), ir_points_set(t->p, t->m->hi[a], t->hi[a]);
    const kind want = truth(t), got = value(t, t->m->tile.must) ? FULL : value(t, t->m->tile.may) ? PARTIAL : EMPTY;
    const char *text = t->want->text;
    if (got != PARTIAL && got != want) fail_msg("'%s': judged %d, is %d", text, got, want);
    for (uint32_t i = 0; i < 2; i++) {
        const ir_keys *q = &t->m->keys[i];
        const key_range range = { value(t, q->first), value(t, q->last), value(t, q->full_first), value(t, q->full_last) };
        const kind along = judge_by_keys(range, t->lo[q->axis], t->hi[q->axis]);
        if (along != PARTIAL && along != want) fail_msg("'%s' along axis %u: judged %d, is %d", text, q->axis, along, want);
        if (q->exact && along == PARTIAL && got != PARTIAL) fail_msg("'%s': exact along axis %u, and looser", text, q->axis);
        if (t->want->exact && along != want) fail_msg("'%s' along axis %u is not exact: %d, is %d", text, q->axis, along, want);
    }
}

/* Every box of rows and columns that is at most 3 wide along each axis, and whole axes. */
static void each_box(trial *t, uint32_t a) {
    const int n = a % 2 ? W : H;
    if (a == AXES) {
        check_box(t);
        return;
    }
    for (t->lo[a] = 0; t->lo[a] < n; t->lo[a]++)
        for (t->hi[a] = t->lo[a]; t->hi[a] < n; t->hi[a]++)
            if (t->hi[a] - t->lo[a] < 3 || t->hi[a] - t->lo[a] == n - 1) each_box(t, a + 1);
}

static void test_boxes(void **state) {
    jmp_buf no_memory;
    (void)state;
    if (setjmp(no_memory)) abort();
    for (size_t k = 0; k < sizeof masks / sizeof *masks; k++) {
        base_arena *arena = base_arena_create(NULL, &no_memory);
        trial t = { .want = &masks[k] };
        make(&t, arena);
        for (uint32_t i = 0; i < 2; i++)
            if (t.m->keys[i].exact != masks[k].exact) fail_msg("'%s': exact along axis %u is %d", masks[k].text, t.m->keys[i].axis, t.m->keys[i].exact);
        each_box(&t, 0);
        base_arena_destroy(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_boxes) };
    return cmocka_run_group_tests_name("boxes", tests, NULL, NULL);
}
