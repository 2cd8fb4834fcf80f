/* Questions about kernels, and their text. */
#include "text.h"

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

static const ir_axis *axis_of(const ir_kernel *k, ir_var v) {
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].var == v) return &k->axes[a];
    return NULL;
}

typedef struct { const ir_kernel *k; uint8_t rank; } ranking;

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

/* A role without axes has one point. */
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

ir_expr ir_kernel_does(const ir_kernel *k) {
    ir_expr any = ir_bool(k->unit, false);
    for (uint32_t i = 0; i < k->n_stores; i++) any = ir_or(k->unit, any, stores_some(k, &k->stores[i].at));
    return any;
}

/* ---- text: what kernel_read.c reads back. Names of axes come into scope first, so that one name means one axis in all lines. */

typedef struct { ir_printer expr; const ir_kernel *k; base_text *out; } writer;

static void put(writer *w, ir_expr e) { ir_put_full(&w->expr, e, IR_LEVEL_OR); }
static void put_var(writer *w, ir_var v) { base_text_add(w->out, "%s", ir_scope_name(&w->expr, v)); }
static const char *value_name(const writer *w, ir_value v) { return w->k->unit->value.at[v].name; }

static void put_list(writer *w, uint32_t n, const ir_expr *at) {
    for (uint32_t i = 0; i < n; i++) {
        base_text_add(w->out, i ? ", " : "");
        put(w, at[i]);
    }
}

static void put_range(writer *w, const char *word, ir_var v, ir_expr extent) {
    base_text_add(w->out, "%s %s in 0..", word, ir_scope_push(&w->expr, v));
    ir_put_full(&w->expr, extent, IR_LEVEL_ADD);
}

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

/* `dot` for a TERM of two factors, `pair` for one with a body of its own, whose reduction is named. */
static void put_what(writer *w, const ir_let *l) {
    static const char *const kinds[] = {"", "dot ", "fold", "acc "};
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
    if (l->kind != IR_LET_EXPR && l->where && !ir_is_bool(w->k->unit, l->where, true)) {
        base_text_add(w->out, "  where ");
        put(w, l->where);
    }
    if (l->sweep || l->kind == IR_LET_FOLD || l->kind == IR_LET_ACC) base_text_add(w->out, "  sweep %u", l->sweep);
    if (l->ref >= 0) base_text_add(w->out, "  relative to 2^$%d", l->ref);
    base_text_add(w->out, "\n");
}

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
        if (!(a->gather >> i & 1)) continue;
        base_text_add(w->out, ", gather by ");
        put_var(w, w->k->axes[i].var);
    }
    base_text_add(w->out, "\n");
}

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

void ir_kernel_print(const ir_kernel *k, base_text *out) {
    writer w = {.k = k, .out = out};
    ir_printer_init(&w.expr, k->unit, out);
    put_head(&w);
    for (uint32_t i = 0; i < k->n_lets; i++) put_let(&w, i);
    for (uint32_t i = 0; i < k->n_stores; i++) put_store(&w, &k->stores[i]);
    for (uint32_t i = 0; i < k->n_accesses; i++) put_access(&w, &k->accesses[i]);
}
