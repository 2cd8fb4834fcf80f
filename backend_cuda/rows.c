/* The template for kernels with sweeps: a warp computes one row (of all item and row axes) at a time.
 *
 * Columns go to lanes, a block of 32 at once; each lane computes the lines of its column and adds them to its own part of a fold, and the
 * parts meet at the end of the sweep. Folds that a reference stands on are the exception: they meet in every block, so that the
 * reference is one number in the whole warp and what is kept relative to it can be scaled when it moves (online softmax). Value accumulators have
 * their values in lanes instead: the weights of the block are handed round, one column after the other. A lane keeps SLOTS values in registers; a row
 * with more values than 32 * SLOTS is computed again for each part.
 *
 * Columns past the end are computed as the last one and not added, so that no lane leaves the others at a shuffle.
 */
#include "writer.h"

typedef struct {                 /* one sweep being printed */
    uint32_t number;
    cuda_axes over;              /* its column axes; from `suffix` on they are in the lanes, before it they are loops */
    uint32_t suffix;
    bool *running;               /* per line: has a value in every block that later lines of the block read */
} sweep;

static const uint8_t row_roles[] = {IR_ITEM, IR_ROW}, col_role[] = {IR_COL}, val_role[] = {IR_VAL};

static const ir_let *let_at(const cuda_writer *w, uint32_t i) { return &w->k->lets[i]; }
static bool is_fold(const ir_let *l) { return l->kind == IR_LET_FOLD || l->kind == IR_LET_ACC; }
static bool in_sweep(const cuda_writer *w, const sweep *s, uint32_t i) { return is_fold(let_at(w, i)) && let_at(w, i)->sweep == s->number; }

/* ---- load_row: lines of rank row that can be had before the sweep */

/* cuda_can: nothing that varies over columns or values, which are not bound yet. Folds of sweeps before `number` have their values. */
static void load_row(cuda_writer *w, uint32_t number) {
    for (uint32_t i = 0; i < w->k->n_lets; i++)
        if (!is_fold(let_at(w, i)) && let_at(w, i)->sweep <= number && cuda_can(w, i)) cuda_want_let(w, i);
}

/* ---- what a sweep consists of */

/* Does the line read a fold of this sweep? Then its value changes while the sweep runs. */
static bool stands_on(const cuda_writer *w, const sweep *s, uint32_t let) {
    bool found = false;
    for (uint32_t i = 0; i < let; i++) found |= in_sweep(w, s, i) && cuda_reads(w, let, i);
    return found;
}

/* Is its running value read within the sweep, by a later fold or a reference? */
static bool wanted_in(const cuda_writer *w, const sweep *s, uint32_t let) {
    bool found = false;
    for (uint32_t i = let + 1; i < w->k->n_lets; i++) found |= in_sweep(w, s, i) && cuda_reads(w, i, let);
    return found;
}

/* From the last line up: a line that stands on folds and is wanted later in the sweep is running, and makes those folds running too, as far up
 * as they go. All other folds are each lane's own until the end. */
static sweep sweep_of(const cuda_writer *w, uint32_t number) {
    sweep s = {.number = number, .running = BASE_ARRAY(w->arena, w->k->n_lets, bool)};
    for (uint32_t i = w->k->n_lets; i-- > 0;) {
        if (in_sweep(w, &s, i)) s.over = cuda_axes_of_vars(w, let_at(w, i)->n_over, let_at(w, i)->over);
        if (!is_fold(let_at(w, i))) s.running[i] = cuda_can(w, i) && stands_on(w, &s, i) && wanted_in(w, &s, i);
        for (uint32_t j = i + 1; in_sweep(w, &s, i) && j < w->k->n_lets; j++) s.running[i] |= s.running[j] && cuda_reads(w, j, i);
    }
    /* All folds of a sweep run over the same columns, so whichever gave `over` last gave it for all. */
    s.suffix = cuda_axes_free_suffix(w, s.over);
    return s;
}

/* Running lines are variables, computed once at the identities: so a reference has a value before the first block. */
static void declare(cuda_writer *w, const sweep *s) {
    for (uint32_t i = 0; i < w->k->n_lets; i++) {
        const ir_let *l = let_at(w, i);
        if (in_sweep(w, s, i) && l->kind == IR_LET_ACC) cuda_line(w, "%s let%u[SLOTS] = {};", w->real, i);
        else if (in_sweep(w, s, i)) cuda_line(w, "%s let%u = %s;", cuda_type(w, l->sort), i, cuda_identity(w, l->red, l->sort));
        else if (s->running[i]) cuda_line(w, "%s let%u;", cuda_type(w, l->sort), i);
        else continue;
        w->visible[i] = true;
        if (s->running[i] && !is_fold(l)) cuda_assign_let(w, i);
    }
}

/* ---- a block of columns */

/* `in`: the lane has a column. Lanes without one go along, computing the last column again. */
static const char *condition(cuda_writer *w, const ir_let *l) {
    cuda_want(w, l->where);
    return ir_is_bool(w->u, l->where, true) ? "in" : base_printf(w->arena, "in && %s", cuda_expr(w, l->where));
}

/* scores, modify, mask: the lines of the column, then its share of a fold */
static void scores(cuda_writer *w, const sweep *s, uint32_t i) {
    const ir_let *l = let_at(w, i);
    const char *red = ir_reds[l->red].text;
    cuda_want(w, l->e);
    const char *in = condition(w, l), *e = cuda_expr(w, l->e);
    /* Each lane adds its own column to its own part; the branch holds no shuffle. A running fold meets here, so all lanes bring something: at
       least the identity. */
    if (!s->running[i]) {
        cuda_line(w, "if (%s) let%u = red_%s(let%u, %s);", in, i, red, i, e);
    } else {
        cuda_line(w, "const %s part%u = %s ? %s : %s;", cuda_type(w, l->sort), i, in, e, cuda_identity(w, l->red, l->sort));
        cuda_line(w, "let%u = red_%s(let%u, warp_%s(part%u));", i, red, i, red, i);
    }
}

/* Other running lines have nothing kept relative to them. */
/* Is anything of this sweep kept relative to the line? */
static bool is_reference(const cuda_writer *w, const sweep *s, uint32_t let) {
    bool found = false;
    for (uint32_t i = 0; i < w->k->n_lets; i++) found |= in_sweep(w, s, i) && let_at(w, i)->ref == (int32_t)let;
    return found;
}

/* normalise: a line over running folds is computed again; what is kept relative to it moves with it */
static void normalise(cuda_writer *w, const sweep *s, uint32_t ref) {
    bool moves = is_reference(w, s, ref);
    if (moves) cuda_line(w, "const %s old%u = let%u;", w->real, ref, ref);
    cuda_assign_let(w, ref);
    if (!moves) return;
    cuda_line(w, "const %s move%u = rescale(old%u, let%u);", w->real, ref, ref, ref);
    for (uint32_t i = 0; i < w->k->n_lets; i++) {
        if (!in_sweep(w, s, i) || let_at(w, i)->ref != (int32_t)ref) continue;
        if (let_at(w, i)->kind == IR_LET_ACC) cuda_line(w, "for (int slot = 0; slot < SLOTS; slot++) let%u[slot] *= move%u;", i, ref);
        else cuda_line(w, "let%u *= move%u;", i, ref);
    }
}

/* 32 neighbouring values per slot, one per lane, so that a warp reads them as one piece. Unrolled: slots are registers only if their number is a constant. */
static void open_slots(cuda_writer *w) {
    cuda_axes val = cuda_axes_of_role(w, 1, val_role);
    cuda_line(w, "#pragma unroll");
    cuda_open(w, "for (int slot = 0; slot < SLOTS; slot++)");
    cuda_line(w, "const i64 value = value_0 + slot * WARP + lane;");
    /* No shuffle stands inside the loop over slots, so lanes may leave it apart. */
    cuda_line(w, "if (value >= n_value) continue;");
    cuda_digits(w, "value", "value", val.at, val.n);
    cuda_bind(w, cuda_axes_set(w, val));
}

/* load_val and accumulate: a column at a time, its weight from the lane that has it, values in lanes */
static void accumulate(cuda_writer *w, const sweep *s, uint32_t i) {
    const ir_let *l = let_at(w, i);
    cuda_want(w, l->e);
    const char *in = condition(w, l), *e = cuda_expr(w, l->e);
    cuda_line(w, "const unsigned on%u = warp_ballot(%s);", i, in);
    cuda_line(w, "const %s weight%u = %s;", w->real, i, e);
    cuda_scope before = cuda_scope_begin(w);
    cuda_open(w, "for (int c = 0; c < WARP; c++)");
    /* The ballot is the same in all lanes, so they pass the column over together; and what `where` hides is not multiplied, NaN or not. */
    cuda_line(w, "if ((on%u >> c & 1) == 0) continue;", i);
    cuda_line(w, "const %s weight = warp_get(weight%u, c);", w->real, i);
    cuda_digits(w, "col", "col_0 + c", s->over.at + s->suffix, s->over.n - s->suffix);
    cuda_bind(w, cuda_axes_set(w, s->over));
    /* What of the factor varies over the column alone is computed once per column, not once per slot. */
    cuda_want_outside(w, l->b, cuda_axes_set(w, cuda_axes_of_role(w, 1, val_role)));
    open_slots(w);
    cuda_want(w, l->b);
    const char *b = cuda_expr(w, l->b);
    cuda_line(w, "let%u[slot] += weight * %s;", i, b);
    cuda_close(w);
    cuda_close(w);
    cuda_scope_end(w, before);
}

/* Lines in order, as the kernel has them: that is what makes a running value mean the same here and in the interpreter. */
static void block(cuda_writer *w, const sweep *s) {
    for (uint32_t i = 0; i < w->k->n_lets && !w->failed; i++) {
        if (in_sweep(w, s, i) && let_at(w, i)->kind == IR_LET_ACC) accumulate(w, s, i);
        else if (in_sweep(w, s, i)) scores(w, s, i);
        else if (s->running[i]) normalise(w, s, i);
    }
}

/* load_col: the columns of a sweep, one per lane */
static void columns(cuda_writer *w, const sweep *s) {
    const uint32_t *lanes = s->over.at + s->suffix, n = s->over.n - s->suffix;
    cuda_scope before = cuda_scope_begin(w);
    /* Axes on whose index another's extent depends cannot be taken apart from one number; they are loops of the whole warp. */
    cuda_loops(w, s->over.at, s->suffix);
    cuda_count(w, "col", lanes, n);
    /* what the loops before have bound is bound in here */
    cuda_scope outside = cuda_scope_begin(w);
    cuda_bind(w, cuda_axes_set(w, (cuda_axes){s->over.at, s->suffix}));
    const bool walks = cuda_runs(w, lanes, n);
    cuda_scope_end(w, outside);
    cuda_open(w, "for (i64 col_0 = col_begin; col_0 < col_end; col_0 += WARP)");
    cuda_line(w, "const bool in = col_0 + lane < col_end;");
    cuda_line(w, "const i64 col = in ? col_0 + lane : col_end - 1;");
    cuda_digits(w, "col", "col", lanes, n);
    cuda_bind(w, cuda_axes_set(w, s->over));
    block(w, s);
    for (uint32_t i = 0; i < s->suffix + 1 + walks; i++) cuda_close(w);
    cuda_scope_end(w, before);
}

/* merge: the parts of the lanes; those of running folds have met already */
static void merge(cuda_writer *w, const sweep *s) {
    for (uint32_t i = 0; i < w->k->n_lets; i++)
        if (in_sweep(w, s, i) && let_at(w, i)->kind == IR_LET_FOLD && !s->running[i]) cuda_line(w, "let%u = warp_%s(let%u);", i, ir_reds[let_at(w, i)->red].text, i);
}

/* Braces around the columns: what was declared for them is gone when the parts meet. */
static void one_sweep(cuda_writer *w, uint32_t number) {
    sweep s = sweep_of(w, number);
    cuda_line(w, "// sweep %u", number);
    declare(w, &s);
    cuda_open(w, "%s", "");
    columns(w, &s);
    cuda_close(w);
    merge(w, &s);
}

/* ---- epilogue: the stores of a row */

/* Rows that a split does not have: computed like the others, not stored. */
static bool open_inside(cuda_writer *w) {
    bool guarded = !ir_is_bool(w->u, w->k->inside, true);
    if (!guarded) return false;
    cuda_want(w, w->k->inside);
    cuda_open(w, "if (%s)", cuda_expr(w, w->k->inside));
    return true;
}

static void store_inside(cuda_writer *w, const ir_kernel_store *s) {
    bool guarded = open_inside(w);
    cuda_store(w, s);
    if (guarded) cuda_close(w);
}

static bool in_order(const ir_kernel_store *s) { return s->at.mode != IR_STORE_ONE; }

/* Lanes whose values may meet in one place take turns. */
static void store_values(cuda_writer *w, const ir_kernel_store *s) {
    cuda_axes col = cuda_store_axes(w, s, 1, col_role);
    if (s->at.mode == IR_STORE_LAST) cuda_fail(w, "it keeps the last of several values of a row");
    if (in_order(s)) cuda_open(w, "for (int turn = 0; turn < WARP; turn++, warp_sync())");
    if (in_order(s)) cuda_open(w, "if (lane == turn)");
    open_slots(w);
    cuda_loops(w, col.at, col.n);
    cuda_bind(w, cuda_axes_set(w, col));
    store_inside(w, s);
    for (uint32_t i = 0; i < col.n + 1 + (in_order(s) ? 2 : 0); i++) cuda_close(w);
}

/* Lanes side by side along the columns; in order, lane 0 alone. */
static void store_columns(cuda_writer *w, const ir_kernel_store *s, cuda_axes col) {
    uint32_t first = cuda_axes_free_suffix(w, col);
    cuda_loops(w, col.at, first);
    cuda_count(w, "col", col.at + first, col.n - first);
    cuda_open(w, in_order(s) ? "for (i64 col = lane == 0 ? 0 : n_col; col < n_col; col++)" : "for (i64 col = lane; col < n_col; col += WARP)");
    cuda_digits(w, "col", "col", col.at + first, col.n - first);
    cuda_bind(w, cuda_axes_set(w, col));
    store_inside(w, s);
    for (uint32_t i = 0; i < first + 1; i++) cuda_close(w);
}

/* A row that is computed for each part of its values stores what has no values once, with the first part. */
static void epilogue(cuda_writer *w, const ir_kernel_store *s, bool values) {
    cuda_axes val = cuda_store_axes(w, s, 1, val_role), col = cuda_store_axes(w, s, 1, col_role);
    cuda_scope before = cuda_scope_begin(w);
    if (val.n) cuda_open(w, "%s", "");
    else cuda_open(w, "if (%s%s)", values ? "value_0 == 0" : "true", col.n ? "" : " && lane == 0");
    if (val.n) store_values(w, s);
    else if (col.n) store_columns(w, s, col);
    else store_inside(w, s);
    cuda_close(w);
    cuda_scope_end(w, before);
}

/* ---- a row */

static void row(cuda_writer *w) {
    bool values = cuda_axes_of_role(w, 1, val_role).n > 0;
    load_row(w, 0);
    /* One round even without values: stores that have none still want the row. */
    if (values) cuda_open(w, "for (i64 value_0 = 0; value_0 == 0 || value_0 < n_value; value_0 += SLOTS * WARP)");
    for (uint32_t i = 0; i < w->k->n_sweeps && !w->failed; i++) {
        one_sweep(w, i);
        load_row(w, i + 1);
    }
    for (uint32_t i = 0; i < w->k->n_stores && !w->failed; i++) epilogue(w, &w->k->stores[i], values);
    if (values) cuda_close(w);
}

static bool any_in_order(const ir_kernel *k) {
    bool found = false;
    for (uint32_t i = 0; i < k->n_stores; i++) found |= in_order(&k->stores[i]);
    return found;
}

/* A warp takes rows with the stride of all warps. Stores whose places may meet need one warp, or their order would be that of the scheduler. The test of
 * `inside` stands outside of all shuffles where it can. */
void cuda_rows(cuda_writer *w) {
    cuda_axes rows = cuda_axes_of_role(w, 2, row_roles), val = cuda_axes_of_role(w, 1, val_role);
    cuda_line(w, "const int lane = thread_lane();");
    cuda_count(w, "row", rows.at, rows.n);
    if (val.n) cuda_count(w, "value", val.at, val.n);
    if (any_in_order(w->k)) cuda_line(w, "if (thread_index() >= WARP) return;  // one warp: rows in order");
    cuda_open(w, any_in_order(w->k) ? "for (i64 row = 0; row < n_row; row++)" : "for (i64 row = thread_index() / WARP; row < n_row; row += thread_count() / WARP)");
    cuda_digits(w, "row", "row", rows.at, rows.n);
    cuda_bind(w, cuda_axes_set(w, rows));
    /* A row that is not inside is then not even computed. Where the test cannot stand here, that of each store (store_inside) is the only one. */
    bool inside = !ir_is_bool(w->u, w->k->inside, true) && ir_set_size(w->u, ir_set_minus(w->u, ir_free(w->u, w->k->inside), w->bound)) == 0;
    if (inside) inside = open_inside(w);
    row(w);
    if (inside) cuda_close(w);
    cuda_close(w);
}
