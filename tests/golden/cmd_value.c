/* What a program of the language is worth: every graph by the float64 evaluator, its outputs as lists of numbers in row-major order.
 *
 *   #: dims N=4 M=2          sizes
 *   #: x = 1 0.5 -inf        the elements of an input; one that no line names counts 0, 1, 2, ...
 *
 * A graph that a data error stops prints nothing; the error is reported where it happens. */
#include <stdlib.h>
#include <string.h>
#include "frontend.h"
#include "golden.h"
#include "ir.h"

typedef struct { golden_run *run; const ir_graph *g; ir_frame frame; } world;

/* What stands behind `#: name ` and the character after it, ' ' for dims, '=' for inputs; NULL. */
static const char *line_of(const golden_run *run, const char *name, const char *sign) {
    const base_file *f = &run->diags->files.at[run->file];
    const char *start = base_printf(run->arena, "#: %s %s", name, sign), *at = strstr(f->text, start);
    if (!at || (at > f->text && at[-1] != '\n')) return NULL;
    at += strlen(start);
    return base_strndup(run->arena, at, strcspn(at, "\n"));
}

static bool bind_dims(world *w) {
    const ir_unit *u = w->g->unit;
    const char *line = line_of(w->run, "dims", "");
    for (ir_dim d = 1; d < u->dim.n; d++) {
        const char *at = line ? strstr(line, base_printf(w->run->arena, "%s=", u->dim.at[d].name)) : NULL;
        if (!at) golden_fail(w->run, "no line `#: dims %s=...`", u->dim.at[d].name);
        if (!at) return false;
        w->frame.dim[d] = strtoll(at + strlen(u->dim.at[d].name) + 1, NULL, 10);
    }
    return true;
}

static void put(ir_tensor *t, int64_t k, double x) {
    if (ir_dtypes[t->dtype].sort == IR_SORT_REAL) t->f[k] = ir_round_to(t->dtype, x);
    else t->i[k] = (int64_t)x;
}

static bool fill(world *w, const char *name, ir_tensor *t) {
    const char *at = line_of(w->run, name, "=");
    for (int64_t k = 0; k < t->n; k++) {
        char *end = NULL;
        put(t, k, at ? strtod(at, &end) : (double)k);
        if (at && end == at) golden_fail(w->run, "`#: %s =` gives less than %lld numbers", name, (long long)t->n);
        if (at && end == at) return false;
        at = at ? end : NULL;
    }
    return true;
}

static bool is_dimension(const world *w, ir_value v, int64_t *out) {
    for (uint32_t k = 0; k < w->g->n_scalars; k++)
        if (w->g->scalars[k] == v) *out = w->frame.dim[w->g->scalar_dims[k]];
    for (uint32_t k = 0; k < w->g->n_scalars; k++)
        if (w->g->scalars[k] == v) return true;
    return false;
}

static bool bind_source(world *w, ir_value v) {
    const ir_value_info *info = &w->g->unit->value.at[v];
    int64_t dim[IR_RANK], extent = 0;
    if (!ir_type_shape(w->g->unit, &w->frame, &info->type, dim, w->run->diags)) return false;
    ir_tensor *t = &w->frame.value[v];
    *t = ir_tensor_new(w->run->arena, info->type.dtype, info->type.rank, dim);
    if (!is_dimension(w, v, &extent)) return fill(w, info->name, t);
    put(t, 0, (double)extent);
    return true;
}

static void print_output(const world *w, const ir_output_info *o) {
    const ir_tensor *t = &w->frame.value[o->value];
    base_text_add(w->run->out, "%s.%s =", w->g->name, o->name);
    for (int64_t k = 0; k < t->n; k++) {
        if (ir_dtypes[t->dtype].sort == IR_SORT_REAL) base_text_add(w->run->out, " %.6g", t->f[k]);
        else base_text_add(w->run->out, " %lld", (long long)t->i[k]);
    }
    base_text_add(w->run->out, "\n");
}

static void value_of(golden_run *run, const ir_graph *g) {
    world w = {run, g, ir_frame_create(g->unit, run->arena)};
    bool ready = bind_dims(&w);
    for (uint32_t k = 0; ready && k < g->body.n; k++) {
        const ir_node *n = g->body.at[k];
        if (n->form == IR_FORM_INPUT || n->form == IR_FORM_PARAM) ready = bind_source(&w, n->source.value);
    }
    if (!ready || !ir_graph_eval(g, &w.frame, run->arena, run->diags)) return;
    for (uint32_t k = 0; k < g->n_outputs; k++) print_output(&w, &g->outputs[k]);
}

void golden_value(golden_run *run) {
    fe_program *p = fe_program_create(run->arena, run->diags, run->file, golden_load, run);
    for (uint32_t k = 0; p && k < fe_n_graphs(p); k++) {
        const ir_graph *g = fe_graph_lower(p, k, run->arena, run->diags);
        if (g && ir_graph_verify(g, "the frontend")) value_of(run, g);
    }
}
