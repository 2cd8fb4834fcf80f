/* Runs a kernel as its lets say, literally: items one after the other, in each the sweeps over the columns, in a sweep blocks of
 * columns, in a block the lets in order. Slow, and therefore the proof of `lower`: what a backend may do with a kernel (take the
 * columns in blocks, move the reference that a sum stands relative to, split the columns and merge the parts) is done here with
 * nothing but what the kernel says, and has to give what the evaluator of graphs gives.
 *
 *   relative   A FOLD or ACC with `ref` holds sum / 2^ref. Before each block the reference is computed again from the folds as they
 *              stand; where it moved, what was summed is multiplied by 2^(old - new).
 *   merging    Absolute parts meet by their monoid. Relative ones are weighed by 2^(ref of the part - ref), where ref is computed
 *              from folds that are merged already, since lets stand in order.
 */
#include <math.h>
#include <string.h>
#include "machine.h"

enum { BLOCK = 3 };              /* columns of a block: small, so that tests with few columns meet tails */

typedef struct {                 /* the points of one role, in row-major order */
    uint32_t n_axes, axes[IR_AXES];
    int64_t n;
    BASE_VEC(int64_t) at;        /* n_axes numbers each */
} points;

/* The first four are a fold's; the rest is the memory of an EXPR or TERM, whose last value serves for as long as nothing it needs moves. */
typedef struct {                 /* what a FOLD or ACC holds, by row and value; what other lets remember */
    ir_scalar *value;
    double *ref;                 /* by row: the reference it stands relative to */
    /* cap, ref_cap: how many value and ref have room for; they grow from item to item and are never given back. */
    int64_t cap, ref_cap;
    bool folds;                  /* depends on a FOLD or ACC */
    uint64_t at;                 /* of `last`: the machine's clock when it was computed */
    ir_scalar last;
} let_state;

typedef struct {
    const ir_kernel *k;
    ir_frame *frame;
    ir_machine *x;
    base_arena *arena, *scratch; /* arena: for results, the caller's; scratch: gone with the run */
    ir_interp_mode mode;
    let_state *let;
    points rows, cols, vals;     /* of the item; cols: of the sweep or store at hand */
    bool cols_by_row;            /* extents of columns depend on the row */
    int64_t row, val;            /* where we are: positions in rows and vals */
    uint64_t folded;             /* when a fold last changed */
    uint8_t sweep;
} running;

/* What is summed over columns, in whichever form. */
static bool is_fold(const ir_let *l) { return l->kind == IR_LET_FOLD || l->kind == IR_LET_ACC; }

/* ---- points */

/* Axes of a role in the order of the kernel: their points are row-major in it. */
static void list_axes(const ir_kernel *k, uint8_t role, points *p) {
    p->n_axes = 0;
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].role == role) p->axes[p->n_axes++] = a;
}

/* The columns of a sweep are what its folds run over.
 * The first fold says them for all: folds of a sweep run over the same columns (kernel_verify.c). */
static void columns_of_sweep(running *r) {
    const ir_kernel *k = r->k;
    r->cols.n_axes = 0;
    for (uint32_t i = 0; i < k->n_lets; i++) {
        const ir_let *l = &k->lets[i];
        if (!is_fold(l) || l->sweep != r->sweep) continue;
        for (uint32_t a = 0; a < k->n_axes; a++)
            for (uint32_t v = 0; v < l->n_over; v++)
                if (k->axes[a].var == l->over[v]) r->cols.axes[r->cols.n_axes++] = a;
        return;
    }
}

/* The columns of a store are those that its places mention. */
static void columns_of_store(running *r, const ir_store *s) {
    const ir_kernel *k = r->k;
    r->cols.n_axes = 0;
    for (uint32_t a = 0; a < k->n_axes; a++) {
        bool mentioned = false;
        for (uint32_t p = 0; p < s->n_places; p++) mentioned |= ir_depends(k->unit, s->places[p], k->axes[a].var);
        if (mentioned && k->axes[a].role == IR_COL) r->cols.axes[r->cols.n_axes++] = a;
    }
}

/* Listed rather than counted, so that ragged extents need no arithmetic and a block is a range of positions.
 * Leaves the variables at the last point; whoever needs a point goes to it first (go_to). */
static void list_from(running *r, points *p, uint32_t depth) {
    if (depth == p->n_axes) {
        for (uint32_t a = 0; a < p->n_axes; a++) BASE_PUSH(r->scratch, &p->at, r->x->var[r->k->axes[p->axes[a]].var]);
        p->n++;
        return;
    }
    const ir_axis *axis = &r->k->axes[p->axes[depth]];
    int64_t n = ir_machine_eval(r->x, axis->extent).i;
    for (int64_t i = 0; i < n; i++) {
        ir_machine_set(r->x, axis->var, i);
        list_from(r, p, depth + 1);
    }
}

static void list_points(running *r, points *p) {
    p->n = 0;
    p->at.n = 0;
    list_from(r, p, 0);
}

/* Sets the variables of a role to its point number `at`. */
static void go_to(running *r, const points *p, int64_t at) {
    for (uint32_t a = 0; a < p->n_axes; a++) ir_machine_set(r->x, r->k->axes[p->axes[a]].var, p->at.at[at * p->n_axes + a]);
}

/* `inside`, as far as it depends on these roles only, and on one of `on`. A split makes rows, columns and values that do not exist:
 * there is nothing to compute. */
static bool is_inside(running *r, ir_expr e, uint8_t roles, uint8_t on) {
    const ir_unit *u = r->k->unit;
    if (!e) return true;
    /* Splits of several axes are joined by `and`: each part is asked where its own axes are known. */
    if (ir_is(u, e, IR_AND)) return is_inside(r, ir_operand(u, e, 0), roles, on) && is_inside(r, ir_operand(u, e, 1), roles, on);
    uint8_t rank = ir_kernel_rank(r->k, e);
    return rank & ~roles || (on && !(rank & on)) || ir_machine_eval(r->x, e).i != 0;
}

/* False for rows that do not exist. */
static bool go_to_row(running *r, int64_t row) {
    r->row = row;
    go_to(r, &r->rows, row);
    if (!is_inside(r, r->k->inside, IR_ROW, 0)) return false;
    if (r->cols_by_row) list_points(r, &r->cols);
    return true;
}

/* False for values that do not exist. Parts of `inside` that mention rows alone have been asked by go_to_row. */
static bool go_to_val(running *r, int64_t val) {
    r->val = val;
    go_to(r, &r->vals, val);
    return is_inside(r, r->k->inside, IR_ROW | IR_VAL, IR_VAL);
}

/* A guard that is missing is true. */
static bool truth(running *r, ir_expr guard) { return !guard || ir_machine_eval(r->x, guard).i != 0; }

/* ---- values of lets */

/* What a fold holds per row. */
static int64_t n_vals(const running *r, const ir_let *l) { return l->rank & IR_VAL ? r->vals.n : 1; }
/* Row-major over rows and values; a fold without values has one per row. */
static ir_scalar *held(running *r, uint32_t let) {
    const ir_let *l = &r->k->lets[let];
    return &r->let[let].value[r->row * n_vals(r, l) + (l->rank & IR_VAL ? r->val : 0)];
}

/* Integers are exact: an overflow is an error, as in the evaluator. */
static ir_scalar product(const ir_let *l, ir_scalar a, ir_scalar b, running *r) {
    if (l->sort == IR_SORT_REAL) return (ir_scalar){.f = a.f * b.f};
    return ir_machine_combine(r->x, IR_RED_PROD, (ir_sort)l->sort, a, b);
}

/* A TERM's loops over its own features; inside, its variables mean its own. */
static void term_axis(running *r, const ir_let *l, uint32_t k, ir_scalar *sum) {
    if (k < l->n_over) {
        int64_t n = 0;
        for (uint32_t a = 0; a < r->k->n_axes; a++)
            if (r->k->axes[a].var == l->over[k]) n = ir_machine_eval(r->x, r->k->axes[a].extent).i;
        int64_t before = r->x->var[l->over[k]];
        for (int64_t i = 0; i < n; i++) {
            ir_machine_set(r->x, l->over[k], i);
            term_axis(r, l, k + 1, sum);
        }
        ir_machine_set(r->x, l->over[k], before);
        return;
    }
    if (!truth(r, l->where)) return;
    ir_scalar y = l->e ? ir_machine_eval(r->x, l->e) : product(l, ir_machine_eval(r->x, l->a), ir_machine_eval(r->x, l->b), r);
    *sum = ir_machine_combine(r->x, (ir_red)l->red, (ir_sort)l->sort, *sum, y);
}

/* A remembered value is right as long as no axis of its rank, no item and no fold that it reads has moved. */
static bool still_right(const running *r, const ir_let *l, const let_state *s) {
    if (s->at < r->x->start || (s->folds && s->at < r->folded)) return false;
    for (uint32_t a = 0; a < r->k->n_axes; a++)
        if ((r->k->axes[a].role & l->rank || r->k->axes[a].role == IR_ITEM) && r->x->stamp[r->k->axes[a].var] > s->at) return false;
    return true;
}

/* Called by the machine where an expression mentions a line. */
static ir_scalar let_value(ir_machine *x, void *env, uint32_t let) {
    running *r = env;
    if (let >= r->k->n_lets) ir_machine_internal(x, "$%u is no line of kernel %s", let, r->k->name);
    const ir_let *l = &r->k->lets[let];
    let_state *s = &r->let[let];
    /* Held, never computed here: the order of lets and sweeps says that it is what it should be by now. */
    if (is_fold(l)) return *held(r, let);
    if (still_right(r, l, s)) return s->last;
    ir_scalar v = ir_machine_identity((ir_red)l->red, (ir_sort)l->sort);
    if (l->kind == IR_LET_TERM) term_axis(r, l, 0, &v);
    else v = ir_machine_eval(x, l->e);
    s->last = v;
    s->at = x->clock;
    return v;
}

/* base + steps is the address that the read itself has.
 * Accesses are what emitters address memory by, and nothing else in an interpreter would notice a wrong one. */
static void check_access(ir_machine *x, void *env, ir_expr read, int64_t address) {
    running *r = env;
    const ir_access *a = ir_kernel_access(r->k, read);
    if (!a) ir_machine_internal(x, "kernel %s has no access for a read of %s", r->k->name, x->unit->value.at[ir_at(x->unit, read)->u.ref].name);
    int64_t at = ir_machine_eval(x, a->base).i;
    for (uint32_t k = 0; k < r->k->n_axes; k++)
        if (a->step[k]) at += ir_machine_eval(x, a->step[k]).i * x->var[r->k->axes[k].var];
    if (at != address)
        ir_machine_internal(x, "kernel %s: the access of %s gives element %lld instead of %lld", r->k->name,
                            x->unit->value.at[ir_at(x->unit, read)->u.ref].name, (long long)at, (long long)address);
}

/* ---- folds */

/* The exponent of 2 that the folds of this row and the columns so far ask for. */
static double reference(running *r, const ir_let *l) { return let_value(r->x, r, (uint32_t)l->ref).f; }

/* A sum that stands relative to 2^from, relative to 2^to. Nothing was summed where the reference is still -inf. */
static double moved(double sum, double from, double to) {
    return from == to ? sum : from == -HUGE_VAL ? 0 : sum * exp2(from - to);
}

/* Brings what one row has summed to the reference of now. Only sums of reals have one, so the values are doubles. */
static void rescale(running *r, uint32_t let) {
    const ir_let *l = &r->k->lets[let];
    double now = reference(r, l), *old = &r->let[let].ref[r->row];
    int64_t n = n_vals(r, l);
    for (int64_t v = r->row * n; v < (r->row + 1) * n; v++) r->let[let].value[v].f = moved(r->let[let].value[v].f, *old, now);
    *old = now;
}

/* One column into one fold, for each value. The weight of an ACC does not vary over values, so it is evaluated once. */
static void fold_one(running *r, uint32_t let) {
    const ir_let *l = &r->k->lets[let];
    if (!truth(r, l->where)) return;
    ir_scalar e = ir_machine_eval(r->x, l->e);
    int64_t n = n_vals(r, l);
    for (int64_t v = 0; v < n; v++) {
        /* A value beyond the split has a place that nobody stores; its reads may be out of range. */
        if (l->rank & IR_VAL && !go_to_val(r, v)) continue;
        ir_scalar y = l->kind == IR_LET_ACC ? product(l, e, ir_machine_eval(r->x, l->b), r) : v ? ir_machine_eval(r->x, l->e) : e;
        ir_scalar *to = held(r, let);
        *to = ir_machine_combine(r->x, (ir_red)l->red, (ir_sort)l->sort, *to, y);
    }
}

/* One block of columns, the folds in order: what a later one stands relative to has seen the block already. */
static void run_block(running *r, int64_t first, int64_t last) {
    for (uint32_t i = 0; i < r->k->n_lets; i++) {
        const ir_let *l = &r->k->lets[i];
        if (!is_fold(l) || l->sweep != r->sweep) continue;
        for (int64_t row = 0; row < r->rows.n; row++) {
            if (!go_to_row(r, row)) continue;
            /* Once per block, as a backend does it: within a block all weights stand relative to one reference. */
            if (l->ref >= 0) rescale(r, i);
            for (int64_t c = first; c < last && c < r->cols.n; c++) {
                go_to(r, &r->cols, c);
                if (l->kind == IR_LET_FOLD && l->rank & IR_VAL) go_to_val(r, 0);  /* its guard and body are asked at some value first */
                fold_one(r, i);
            }
            r->folded = ++r->x->clock;
        }
    }
}

/* Relative sums start at the reference -inf, where moving them gives 0: nothing was summed.
 * Called before each sweep, and before each half of a split one; folds of other sweeps keep what they hold. */
static void reset_folds(running *r) {
    for (uint32_t i = 0; i < r->k->n_lets; i++) {
        const ir_let *l = &r->k->lets[i];
        if (!is_fold(l) || l->sweep != r->sweep) continue;
        let_state *s = &r->let[i];
        int64_t n = r->rows.n * n_vals(r, l);
        if (n > s->cap) s->value = BASE_ARRAY(r->scratch, (size_t)(s->cap = n), ir_scalar);
        if (r->rows.n > s->ref_cap) s->ref = BASE_ARRAY(r->scratch, (size_t)(s->ref_cap = r->rows.n), double);
        for (int64_t k = 0; k < n; k++) s->value[k] = ir_machine_identity((ir_red)l->red, (ir_sort)l->sort);
        for (int64_t k = 0; k < r->rows.n; k++) s->ref[k] = -HUGE_VAL;
    }
    r->folded = ++r->x->clock;
}

static void run_columns(running *r, int64_t first, int64_t last, int64_t block) {
    for (int64_t c = first; c < last; c += block) run_block(r, c, c + block < last ? c + block : last);
}

/* ---- columns in two parts */

typedef struct { ir_scalar **value; double **ref; } part;         /* by let */

/* What a thread would hand over: the sums, and the reference that each stands relative to.
 * The copies are needed since the second half is summed in the same places. */
static part take_part(running *r) {
    part p = {BASE_ARRAY(r->scratch, r->k->n_lets + 1, ir_scalar *), BASE_ARRAY(r->scratch, r->k->n_lets + 1, double *)};
    for (uint32_t i = 0; i < r->k->n_lets; i++) {
        const ir_let *l = &r->k->lets[i];
        if (!is_fold(l) || l->sweep != r->sweep) continue;
        p.value[i] = base_copy(r->scratch, r->let[i].value, sizeof(ir_scalar) * (size_t)(r->rows.n * n_vals(r, l)));
        p.ref[i] = BASE_ARRAY(r->scratch, (size_t)r->rows.n + 1, double);
        for (int64_t row = 0; row < r->rows.n && l->ref >= 0; row++)
            if (go_to_row(r, row)) p.ref[i][row] = reference(r, l);
    }
    return p;
}

/* Lines in order: a reference is evaluated from folds that have been merged already. */
static void merge_row(running *r, uint32_t i, const part *parts) {
    const ir_let *l = &r->k->lets[i];
    int64_t n = n_vals(r, l);
    double now = l->ref >= 0 ? reference(r, l) : 0;
    for (int64_t k = r->row * n; k < (r->row + 1) * n; k++) {
        ir_scalar a = parts[0].value[i][k], b = parts[1].value[i][k];
        if (l->ref >= 0) {
            a.f = moved(a.f, parts[0].ref[i][r->row], now);
            b.f = moved(b.f, parts[1].ref[i][r->row], now);
        }
        r->let[i].value[k] = ir_machine_combine(r->x, (ir_red)l->red, (ir_sort)l->sort, a, b);
    }
    r->let[i].ref[r->row] = now;
}

/* The two halves know nothing of each other until they are merged.
 * Split by position alone: of a single column the first half is empty, and merging has to hold then too. */
static void run_split(running *r, int64_t n_cols) {
    part parts[2];
    for (int h = 0; h < 2; h++) {
        reset_folds(r);
        run_columns(r, h ? n_cols / 2 : 0, h ? n_cols : n_cols / 2, BLOCK);
        parts[h] = take_part(r);
    }
    for (uint32_t i = 0; i < r->k->n_lets; i++) {
        if (!is_fold(&r->k->lets[i]) || r->k->lets[i].sweep != r->sweep) continue;
        for (int64_t row = 0; row < r->rows.n; row++)
            if (go_to_row(r, row)) merge_row(r, i, parts);
        r->folded = ++r->x->clock;
    }
}

/* ---- stores */

/* Reads what it adds to, so `+=` meets the elements of `into`. */
static void store_one(running *r, const ir_kernel_store *s) {
    ir_tensor *t = &r->frame->value[s->at.result];
    bool real = ir_dtypes[t->dtype].sort == IR_SORT_REAL;
    ir_scalar v = ir_machine_eval(r->x, s->e);
    int64_t at = ir_machine_address(r->x, s->at.result, s->at.n_places, s->at.places);
    if (s->at.mode == IR_STORE_ADD)
        v = ir_machine_combine(r->x, IR_RED_SUM, (ir_sort)ir_dtypes[t->dtype].sort, real ? (ir_scalar){.f = t->f[at]} : (ir_scalar){.i = t->i[at]}, v);
    if (real) t->f[at] = v.f;
    else t->i[at] = v.i;
}

/* A store that does not vary over columns or values writes once per row, not once for each of them. */
static void store_row(running *r, const ir_kernel_store *s, uint8_t rank) {
    int64_t n_cols = rank & IR_COL ? r->cols.n : 1, n_val = rank & IR_VAL ? r->vals.n : 1;
    for (int64_t c = 0; c < n_cols; c++) {
        if (rank & IR_COL) go_to(r, &r->cols, c);
        for (int64_t v = 0; v < n_val; v++) {
            if (rank & IR_VAL) go_to_val(r, v);
            if (is_inside(r, r->k->inside, 0xff, 0)) store_one(r, s);  /* all parts of it, now that every axis is set */
        }
    }
}

/* ---- items */

/* Lists the columns; returns how many there are in the row that has the most.
 * With ragged columns the list is made again at each row (go_to_row); what is counted here only says how far blocks have to go. */
static int64_t most_columns(running *r) {
    const ir_kernel *k = r->k;
    int64_t most = 0;
    r->cols_by_row = false;
    for (uint32_t c = 0; c < r->cols.n_axes; c++)
        for (uint32_t a = 0; a < r->rows.n_axes; a++)
            r->cols_by_row |= ir_depends(k->unit, k->axes[r->cols.axes[c]].extent, k->axes[r->rows.axes[a]].var);
    if (!r->cols_by_row) {
        list_points(r, &r->cols);
        return r->cols.n;
    }
    for (int64_t row = 0; row < r->rows.n; row++)
        if (go_to_row(r, row) && r->cols.n > most) most = r->cols.n;
    return most;
}

/* After all sweeps: every fold is complete. Stores in order, since two of them may write one result. */
static void run_stores(running *r) {
    for (uint32_t i = 0; i < r->k->n_stores; i++) {
        const ir_kernel_store *s = &r->k->stores[i];
        /* Places count too: a constant may be stored at every column. */
        uint8_t rank = ir_kernel_rank(r->k, s->e);
        for (uint32_t p = 0; p < s->at.n_places; p++) rank |= ir_kernel_rank(r->k, s->at.places[p]);
        columns_of_store(r, &s->at);
        most_columns(r);
        for (int64_t row = 0; row < r->rows.n; row++)
            if (go_to_row(r, row)) store_row(r, s, rank);
    }
}

/* Sweeps one after the other; each may read what earlier ones have finished. */
static void run_item(running *r) {
    list_points(r, &r->rows);
    list_points(r, &r->vals);
    for (r->sweep = 0; r->sweep < r->k->n_sweeps; r->sweep++) {
        columns_of_sweep(r);
        int64_t n_cols = most_columns(r);
        reset_folds(r);
        if (r->mode == IR_INTERP_SPLIT) run_split(r, n_cols);
        else run_columns(r, 0, n_cols, r->mode == IR_INTERP_BLOCKS ? BLOCK : n_cols > 0 ? n_cols : 1);
    }
    run_stores(r);
}

/* Row-major, which stores with `last` depend on: of two elements with one place the later wins. */
static void run_items(running *r, const points *items, uint32_t depth) {
    if (depth == items->n_axes) {
        run_item(r);
        return;
    }
    const ir_axis *axis = &r->k->axes[items->axes[depth]];
    int64_t n = ir_machine_eval(r->x, axis->extent).i;
    for (int64_t i = 0; i < n; i++) {
        ir_machine_set(r->x, axis->var, i);
        run_items(r, items, depth + 1);
    }
}

/* ---- the whole */

/* A result that two stores share is made once.
 * `into` is copied here: in a kernel the result has its other elements before the first item runs. */
static void make_results(running *r, base_diags *diags) {
    for (uint32_t i = 0; i < r->k->n_stores; i++) {
        const ir_store *s = &r->k->stores[i].at;
        const ir_type *type = &r->k->unit->value.at[s->result].type;
        ir_tensor *t = &r->frame->value[s->result];
        int64_t dim[IR_RANK];
        bool again = false;
        for (uint32_t j = 0; j < i; j++) again |= r->k->stores[j].at.result == s->result;
        if (again) continue;
        if (!ir_type_shape(r->k->unit, r->frame, type, dim, diags)) longjmp(r->x->fail, 1);
        *t = ir_tensor_new(r->arena, type->dtype, type->rank, dim);
        if (s->into) memcpy(t->i, r->frame->value[s->into].i, sizeof *t->i * (size_t)t->n);
    }
}

typedef struct { const running *r; bool found; } fold_search;

static bool find_fold(const ir_unit *u, void *env, ir_expr e) {
    fold_search *f = env;
    if (ir_is(u, e, IR_LET)) {
        uint32_t let = ir_at(u, e)->u.ref;
        f->found |= let < f->r->k->n_lets && (is_fold(&f->r->k->lets[let]) || f->r->let[let].folds);
    }
    return !f->found;
}

/* Which lines have to be forgotten when a fold has grown. */
static void find_dependences(running *r) {
    const ir_kernel *k = r->k;
    for (uint32_t i = 0; i < k->n_lets; i++) {
        const ir_let *l = &k->lets[i];
        /* Lines mention earlier ones only, whose `folds` is final by now. */
        const ir_expr parts[] = {l->e, l->a, l->b, l->where};
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            if (!parts[p]) continue;
            fold_search f = {.r = r};
            ir_walk(k->unit, parts[p], find_fold, &f);
            r->let[i].folds |= f.found;
            ir_machine_prepare(r->x, parts[p]);
        }
    }
}

/* False after a report. Everything but the results is scratch, so a failure needs no cleaning up here. */
static bool run_kernel(running *r, const int64_t *counters, base_diags *diags) {
    const ir_kernel *k = r->k;
    const ir_expr does = ir_kernel_does(k);                /* before the machine, which knows the expressions that there are by then */
    r->let = BASE_ARRAY(r->scratch, k->n_lets + 1, let_state);
    r->x = ir_machine_create(k->unit, r->frame, r->scratch, diags);
    r->x->let = let_value;
    r->x->seen = check_access;
    r->x->env = r;
    if (setjmp(r->x->fail)) return false;
    ir_machine_start(r->x, k->span, 0, NULL);
    for (uint32_t c = 0; c < k->n_counters; c++) {
        r->x->fixed[k->counters[c]] = true;
        ir_machine_set(r->x, k->counters[c], counters[c]);
    }
    find_dependences(r);
    make_results(r, diags);
    points items;
    list_axes(k, IR_ITEM, &items);
    list_axes(k, IR_ROW, &r->rows);
    list_axes(k, IR_VAL, &r->vals);
    /* A kernel with nothing to store may read tensors that are empty: its lines must not be looked at. */
    if (ir_machine_eval(r->x, does).i) run_items(r, &items, 0);
    return true;
}

/* All but the results lives in a scratch arena that is gone at the end: the caller's grows by the results alone. */
bool ir_kernel_run(const ir_kernel *k, ir_frame *frame, const int64_t *counters, ir_interp_mode mode, base_arena *arena, base_diags *diags) {
    jmp_buf no_memory;                           /* of both arenas: the scratch must not be lost, whichever runs out */
    base_arena *scratch = base_arena_create(NULL, &no_memory);
    if (!scratch) base_arena_fail(arena);
    jmp_buf *outside = base_arena_recover(arena, &no_memory);
    if (setjmp(no_memory)) {
        base_arena_destroy(scratch);
        base_arena_recover(arena, outside);
        base_arena_fail(arena);
    }
    running *r = BASE_NEW(scratch, running);
    *r = (running){.k = k, .frame = frame, .arena = arena, .scratch = scratch, .mode = mode};
    bool ok = run_kernel(r, counters, diags);
    base_arena_destroy(scratch);
    base_arena_recover(arena, outside);
    return ok;
}
