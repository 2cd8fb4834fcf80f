/* Questions about kernels, and their text.
 *
 *   kernel m (1 sweep, f32)
 *     dims S, T, D, P
 *     value m: f32[S]
 *     value q: f32[S, D]
 *     value k: f32[P, 16, D]
 *     value page: i32[(T + 15)//16]
 *     row i in 0..S  col j0 in 0..(T + 15)//16  col j1 in 0..16  feat d in 0..D
 *     $0   .c..      16*j0 + j1 < T
 *     $1   rc.. dot  q[i,d]  .  k[page[j0],j1,d]  over d
 *     $2   r... fold max $1  over j0, j1  where $0  sweep 0
 *     store m[i] = $2
 *     access q[i,d]: base 0, i by D, d by 1
 *     access k[page[j0],j1,d]: base 16*page[j0]*D, j1 by D, d by 1, gather by j0
 *     access page[j0]: base 0, j0 by 1
 */
#include "text.h"

/* One role, no set of them: an axis has exactly one. */
static const char *role_name(uint8_t role) {
    switch (role) {
    case IR_ITEM: return "item";
    case IR_ROW: return "row";
    case IR_COL: return "col";
    case IR_VAL: return "val";
    case IR_FEAT: return "feat";
    default: return NULL;
    }
}

/* A kernel has a handful of reads: no index. */
const ir_access *ir_kernel_access(const ir_kernel *k, ir_expr read) {
    for (uint32_t i = 0; i < k->n_accesses; i++)
        if (k->accesses[i].read == read) return &k->accesses[i];
    return NULL;
}

/* NULL for a counter: it stands still while the kernel runs, so it belongs to no rank. */
static const ir_axis *axis_of(const ir_kernel *k, ir_var v) {
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].var == v) return &k->axes[a];
    return NULL;
}

typedef struct { const ir_kernel *k; uint8_t rank; } ranking;

/* Numbers beyond the last line add nothing: the verifier asks for ranks too, of kernels that may be wrong. */
static bool add_let_rank(const ir_unit *u, void *env, ir_expr e) {
    ranking *r = env;
    if (ir_is(u, e, IR_LET) && ir_at(u, e)->u.ref < r->k->n_lets) r->rank |= r->k->lets[ir_at(u, e)->u.ref].rank;
    return true;
}

/* Free variables say which axes, lines that are mentioned say the rest by their own rank: `over` has been taken off there. */
uint8_t ir_kernel_rank(const ir_kernel *k, ir_expr e) {
    ranking r = {.k = k};
    ir_set free = ir_free(k->unit, e);
    for (uint32_t i = 0; i < ir_set_size(k->unit, free); i++) {
        const ir_axis *axis = axis_of(k, ir_set_at(k->unit, free, i));
        if (axis) r.rank |= axis->role;
    }
    ir_walk(k->unit, e, add_let_rank, &r);
    return r.rank;
}

/* A role without axes has one point.
 * Asked of values: extents of ragged columns mention other axes, and their product would too. */
ir_expr ir_axis_count(const ir_kernel *k, uint8_t role) {
    ir_expr n = ir_int(k->unit, 1);
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].role == role) n = ir_mul(k->unit, n, k->axes[a].extent);
    return n;
}

/* The axes that a store moves with have indices, all of them; an extent that moves itself counts as having some. */
static ir_expr stores_some(const ir_kernel *k, const ir_store *s) {
    ir_unit *u = k->unit;
    ir_expr some = ir_bool(u, true);
    for (uint32_t a = 0; a < k->n_axes; a++) {
        const ir_axis *axis = &k->axes[a];
        bool moves = false;
        for (uint32_t p = 0; p < s->n_places; p++) moves |= ir_depends(u, s->places[p], axis->var);
        if (moves && !ir_free(u, axis->extent) && !ir_has_op(u, axis->extent, IR_READ)) some = ir_and(u, some, ir_op2(u, IR_LT, ir_int(u, 0), axis->extent));
    }
    return some;
}

/* One store that has something to do is enough to run; the others then find their own loops empty. */
ir_expr ir_kernel_does(const ir_kernel *k) {
    ir_expr any = ir_bool(k->unit, false);
    for (uint32_t i = 0; i < k->n_stores; i++) any = ir_or(k->unit, any, stores_some(k, &k->stores[i].at));
    return any;
}

/* ---- text: what kernel_read.c reads back. Names of axes come into scope first, so that one name means one axis in all lines. */

/* expr: scope and abbreviations of what is printed; out: the same text that expr writes to. */
typedef struct { ir_printer expr; const ir_kernel *k; base_text *out; } writer;

/* Abbreviations (let @0 = ...) stand where they are used: each expression of a kernel's text can be read by itself. */
static void put(writer *w, ir_expr e) { ir_put_full(&w->expr, e, IR_LEVEL_OR); }
static void put_var(writer *w, ir_var v) { base_text_add(w->out, "%s", ir_scope_name(&w->expr, v)); }
static const char *value_name(const writer *w, ir_value v) { return w->k->unit->value.at[v].name; }

static void put_list(writer *w, uint32_t n, const ir_expr *at) {
    for (uint32_t i = 0; i < n; i++) {
        base_text_add(w->out, i ? ", " : "");
        put(w, at[i]);
    }
}

/* The name comes into scope before its extent is printed; no extent mentions its own variable. */
static void put_range(writer *w, const char *word, ir_var v, ir_expr extent) {
    base_text_add(w->out, "%s %s in 0..", word, ir_scope_push(&w->expr, v));
    ir_put_full(&w->expr, extent, IR_LEVEL_ADD);
}

/* In the order of the kernel's frame: the numbers a launch hands over are told apart by place. */
static void put_dims(writer *w) {
    const ir_unit *u = w->k->unit;
    if (w->k->n_dims) base_text_add(w->out, "  dims ");
    for (uint32_t d = 0; d < w->k->n_dims; d++) base_text_add(w->out, "%s%s", d ? ", " : "", u->dim.at[w->k->dims[d]].name);
    if (w->k->n_dims) base_text_add(w->out, "\n");
}

/* What stands in the frame is declared first, so the text can be read without the graph it came from. */
static void put_head(writer *w) {
    const ir_kernel *k = w->k;
    base_text_add(w->out, "kernel %s (%u sweep%s, %s)\n", k->name, k->n_sweeps, k->n_sweeps == 1 ? "" : "s", ir_dtypes[k->real].text);
    put_dims(w);
    for (uint32_t c = 0; c < k->n_counters; c++) {
        put_range(w, "  counter", k->counters[c], k->unit->var.at[k->counters[c]].extent);
        base_text_add(w->out, "\n");
    }
    for (uint32_t i = 0; i < k->n_values; i++) {
        const ir_type *type = &k->unit->value.at[k->values[i]].type;
        base_text_add(w->out, "  value %s: %s[", value_name(w, k->values[i]), ir_dtypes[type->dtype].text);
        put_list(w, type->rank, type->dim);
        base_text_add(w->out, "]\n");
    }
    for (uint32_t a = 0; a < k->n_axes; a++) put_range(w, base_printf(w->expr.arena, "  %s", role_name(k->axes[a].role)), k->axes[a].var, k->axes[a].extent);
    base_text_add(w->out, k->n_axes ? "\n" : "");
    if (k->inside && !ir_is_bool(k->unit, k->inside, true)) {
        base_text_add(w->out, "  inside ");
        put(w, k->inside);
        base_text_add(w->out, "\n");
    }
}

/* `dot` for a TERM of two factors, `pair` for one with a body of its own, whose reduction is named.
 * EXPR has no word: what stands behind the rank is its value. */
static void put_what(writer *w, const ir_let *l) {
    static const char *const kinds[] = {"", "dot ", "fold", "acc "};
    /* l->e is what tells the two kinds of TERM apart, everywhere */
    bool pair = l->kind == IR_LET_TERM && l->e;
    base_text_add(w->out, "%-4s ", pair ? "pair" : kinds[l->kind]);
    if (pair || l->kind == IR_LET_FOLD) base_text_add(w->out, "%s ", ir_reds[l->red].text);
    if (l->e) put(w, l->e);
    if (l->kind == IR_LET_TERM && !l->e) put(w, l->a);
    if ((l->kind == IR_LET_TERM && !l->e) || l->kind == IR_LET_ACC) {
        base_text_add(w->out, "  .  ");
        put(w, l->b);
    }
}

/* The rank is padded to four letters and the number to four places: lines read in columns. */
static void put_let(writer *w, uint32_t i) {
    const ir_let *l = &w->k->lets[i];
    base_text_add(w->out, "  %-4s %c%c%c%c ", base_printf(w->expr.arena, "$%u", i), l->rank & IR_ROW ? 'r' : '.', l->rank & IR_COL ? 'c' : '.',
                  l->rank & IR_VAL ? 'v' : '.', l->rank & IR_FEAT ? 'f' : '.');
    put_what(w, l);
    for (uint32_t v = 0; v < l->n_over; v++) {
        base_text_add(w->out, v ? ", " : "  over ");
        put_var(w, l->over[v]);
    }
    /* A guard that is true is the rule, and left out; the reader puts it back. */
    if (l->kind != IR_LET_EXPR && l->where && !ir_is_bool(w->k->unit, l->where, true)) {
        base_text_add(w->out, "  where ");
        put(w, l->where);
    }
    if (l->sweep || l->kind == IR_LET_FOLD || l->kind == IR_LET_ACC) base_text_add(w->out, "  sweep %u", l->sweep);
    if (l->ref >= 0) base_text_add(w->out, "  relative to 2^$%d", l->ref);
    base_text_add(w->out, "\n");
}

/* Modes in the order of ir_store_mode. */
static void put_store(writer *w, const ir_kernel_store *s) {
    static const char *const modes[] = {"=", "last =", "+="};
    base_text_add(w->out, "  store %s[", value_name(w, s->at.result));
    put_list(w, s->at.n_places, s->at.places);
    base_text_add(w->out, "] %s ", modes[s->at.mode]);
    put(w, s->e);
    if (s->at.into) base_text_add(w->out, "  into %s", value_name(w, s->at.into));
    base_text_add(w->out, "\n");
}

/* Axes that the address does not move with are left out. */
static void put_access(writer *w, const ir_access *a) {
    base_text_add(w->out, "  access ");
    put(w, a->read);
    base_text_add(w->out, ": base ");
    put(w, a->base);
    for (uint32_t i = 0; i < w->k->n_axes; i++) {
        if (!a->step[i]) continue;
        base_text_add(w->out, ", ");
        put_var(w, w->k->axes[i].var);
        base_text_add(w->out, " by ");
        put(w, a->step[i]);
    }
    for (uint32_t i = 0; i < w->k->n_axes; i++) {
        if (!(a->gather >> i & 1)) continue;  /* a bit per axis of the kernel */
        base_text_add(w->out, ", gather by ");
        put_var(w, w->k->axes[i].var);
    }
    base_text_add(w->out, "\n");
}

/* Names come into scope in the order of put_head, counters first: that is what decides who gets the plain name and who a suffix. */
const char **ir_axis_names(const ir_kernel *k, base_arena *arena) {
    const char **names = BASE_ARRAY(arena, k->n_axes + 1, const char *);
    base_text unused;
    ir_printer p;
    base_text_init(&unused, arena);
    ir_printer_init(&p, k->unit, &unused);
    for (uint32_t c = 0; c < k->n_counters; c++) ir_scope_push(&p, k->counters[c]);
    for (uint32_t a = 0; a < k->n_axes; a++) names[a] = ir_scope_push(&p, k->axes[a].var);
    return names;
}

/* Whole and in one order: ir_kernel_read takes it back, and printing what was read gives this text again. */
void ir_kernel_print(const ir_kernel *k, base_text *out) {
    writer w = {.k = k, .out = out};
    ir_printer_init(&w.expr, k->unit, out);
    put_head(&w);
    for (uint32_t i = 0; i < k->n_lets; i++) put_let(&w, i);
    for (uint32_t i = 0; i < k->n_stores; i++) put_store(&w, &k->stores[i]);
    for (uint32_t i = 0; i < k->n_accesses; i++) put_access(&w, &k->accesses[i]);
}
