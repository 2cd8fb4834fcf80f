/* Questions about kernels, their text, and what must hold for each. */
#include "ir.h"

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

ir_expr ir_axis_count(const ir_kernel *k, uint8_t role) {
    ir_expr n = ir_int(k->unit, 1);
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].role == role) n = ir_mul(k->unit, n, k->axes[a].extent);
    return n;
}

/* ---- text: the lines of `gqa` in the README show all of it */

static void print_expr(const ir_kernel *k, ir_expr e, base_text *out) { ir_expr_print(k->unit, e, out); }
static void print_var(const ir_kernel *k, ir_var v, base_text *out) { print_expr(k, ir_var_expr(k->unit, v), out); }

static void print_list(const ir_kernel *k, uint32_t n, const ir_expr *at, base_text *out) {
    for (uint32_t i = 0; i < n; i++) {
        if (i) base_text_add(out, ", ");
        print_expr(k, at[i], out);
    }
}

static void print_vars(const ir_kernel *k, const char *word, uint32_t n, const ir_var *at, base_text *out) {
    if (n) base_text_add(out, "%s ", word);
    for (uint32_t i = 0; i < n; i++) {
        if (i) base_text_add(out, ", ");
        print_var(k, at[i], out);
    }
}

static void print_values(const ir_kernel *k, base_text *out) {
    const ir_unit *u = k->unit;
    for (uint32_t i = 0; i < k->n_values; i++) {
        const ir_value_info *v = &u->value.at[k->values[i]];
        base_text_add(out, "  value %s: %s[", v->name, ir_dtypes[v->type.dtype].text);
        print_list(k, v->type.rank, v->type.dim, out);
        base_text_add(out, "]\n");
    }
}

static void print_head(const ir_kernel *k, base_text *out) {
    base_text_add(out, "kernel %s:", k->name);
    for (uint32_t a = 0; a < k->n_axes; a++) {
        base_text_add(out, "%s%s ", a ? "  " : " ", role_name(k->axes[a].role));
        print_var(k, k->axes[a].var, out);
        base_text_add(out, " in 0..");
        bool leaf = ir_n_operands(k->unit, k->axes[a].extent) == 0;
        base_text_add(out, leaf ? "" : "(");
        print_expr(k, k->axes[a].extent, out);
        base_text_add(out, leaf ? "" : ")");
    }
    base_text_add(out, "  (%u sweep%s, %s)\n", k->n_sweeps, k->n_sweeps == 1 ? "" : "s", ir_dtypes[k->real].text);
    if (k->n_counters) {
        base_text_add(out, "  ");
        print_vars(k, "counters", k->n_counters, k->counters, out);
        base_text_add(out, "\n");
    }
    print_values(k, out);
    if (k->inside) {
        base_text_add(out, "  inside ");
        print_expr(k, k->inside, out);
        base_text_add(out, "\n");
    }
}

static void print_what(const ir_kernel *k, const ir_let *l, base_text *out) {
    static const char *const kinds[] = {"", "dot ", "fold", "acc "};
    bool pair = l->kind == IR_LET_TERM && l->e;
    base_text_add(out, "%-4s ", pair ? "pair" : kinds[l->kind]);
    if (pair || l->kind == IR_LET_FOLD) base_text_add(out, "%s ", ir_reds[l->red].text);
    if (l->e) print_expr(k, l->e, out);
    if (l->kind == IR_LET_TERM && !l->e) print_expr(k, l->a, out);
    if ((l->kind == IR_LET_TERM && !l->e) || l->kind == IR_LET_ACC) {
        base_text_add(out, "  .  ");
        print_expr(k, l->b, out);
    }
}

static void print_let(const ir_kernel *k, uint32_t i, base_text *out) {
    const ir_let *l = &k->lets[i];
    char name[16];
    snprintf(name, sizeof name, "$%u", i);
    base_text_add(out, "  %-4s %c%c%c%c ", name, l->rank & IR_ROW ? 'r' : '.', l->rank & IR_COL ? 'c' : '.', l->rank & IR_VAL ? 'v' : '.',
                  l->rank & IR_FEAT ? 'f' : '.');
    print_what(k, l, out);
    if (l->kind != IR_LET_EXPR) {
        print_vars(k, "  over", l->n_over, l->over, out);
        if (l->where && !ir_is_bool(k->unit, l->where, true)) {
            base_text_add(out, "  where ");
            print_expr(k, l->where, out);
        }
        if (l->kind != IR_LET_TERM) base_text_add(out, "  sweep %u", l->sweep);
        if (l->ref >= 0) base_text_add(out, "  relative to 2^$%d", l->ref);
    }
    base_text_add(out, "\n");
}

static void print_store(const ir_kernel *k, const ir_kernel_store *s, base_text *out) {
    static const char *const modes[] = {"=", "last=", "+="};
    base_text_add(out, "  store %s[", k->unit->value.at[s->at.result].name);
    print_list(k, s->at.n_places, s->at.places, out);
    base_text_add(out, "] %s ", modes[s->at.mode]);
    print_expr(k, s->e, out);
    if (s->at.into) base_text_add(out, "  into %s", k->unit->value.at[s->at.into].name);
    base_text_add(out, "\n");
}

static void print_access(const ir_kernel *k, const ir_access *a, base_text *out) {
    base_text_add(out, "  access ");
    print_expr(k, a->read, out);
    base_text_add(out, ": base ");
    print_expr(k, a->base, out);
    for (uint32_t i = 0; i < k->n_axes; i++) {
        if (!a->step[i]) continue;
        base_text_add(out, ", ");
        print_var(k, k->axes[i].var, out);
        base_text_add(out, " by ");
        print_expr(k, a->step[i], out);
    }
    for (uint32_t i = 0; i < k->n_axes; i++) {
        if (!(a->gather >> i & 1)) continue;
        base_text_add(out, ", gather by ");
        print_var(k, k->axes[i].var, out);
    }
    base_text_add(out, "\n");
}

void ir_kernel_print(const ir_kernel *k, base_text *out) {
    print_head(k, out);
    for (uint32_t i = 0; i < k->n_lets; i++) print_let(k, i, out);
    for (uint32_t i = 0; i < k->n_stores; i++) print_store(k, &k->stores[i], out);
    for (uint32_t i = 0; i < k->n_accesses; i++) print_access(k, &k->accesses[i], out);
}
