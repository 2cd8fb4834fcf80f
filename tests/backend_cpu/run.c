#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include "native.h"
#include "rt.h"
#include "run.h"
#include <cmocka.h>

cpu_run *cpu_run_create(const char *arch) {
    cpu_run *r = calloc(1, sizeof *r);
    r->arena = base_arena_create(NULL, &r->failed);
    if (setjmp(r->failed)) fail_msg("out of memory");
    r->diags = base_diags_create(r->arena);
    r->u = ir_unit_create(r->arena, r->diags);
    r->target = cpu_backend()->target(cpu_backend(), arch, r->arena);
    assert_non_null(r->target);
    return r;
}
void cpu_run_destroy(cpu_run *r) {
    base_arena_destroy(r->arena);
    free(r);
}

static void room(cpu_run *r) {   /* the frame grows with the unit; what it holds stays */
    ir_frame f = ir_frame_create(r->u, r->arena);
    for (uint32_t i = 0; i < r->n_dims; i++) f.dim[i] = r->frame.dim[i];
    for (uint32_t i = 0; i < r->n_values; i++) f.value[i] = r->frame.value[i];
    r->frame = f;
    r->n_dims = r->u->dim.n;
    r->n_values = r->u->value.n;
}

void cpu_run_bind(cpu_run *r, ir_dim dim, int64_t n) {
    room(r);
    r->frame.dim[dim] = n;
}
ir_value cpu_run_input(cpu_run *r, const char *name, uint8_t dtype, uint32_t rank, const ir_expr *dim) {
    ir_type t = {.dtype = dtype, .rank = (uint8_t)rank};
    for (uint32_t i = 0; i < rank; i++) t.dim[i] = dim[i];
    const ir_value v = ir_value_new(r->u, name, &t);
    room(r);
    int64_t shape[IR_RANK];
    assert_true(ir_type_shape(r->u, &r->frame, &t, shape, r->diags));
    r->frame.value[v] = ir_tensor_new(r->arena, dtype, (uint8_t)rank, shape);
    return v;
}

double cpu_noise(int64_t i) {
    uint64_t x = (uint64_t)i * 0x9e3779b97f4a7c15u + 0x1234567;
    double sum = 0;
    for (int k = 0; k < 4; k++) {
        x ^= x >> 30, x *= 0xbf58476d1ce4e5b9u, x ^= x >> 27, x *= 0x94d049bb133111ebu, x ^= x >> 31;
        sum += (double)(x >> 11) * 0x1p-53 - 0.5;
    }
    return sum * 1.7;
}
void cpu_run_fill(cpu_run *r, ir_value v, double (*f)(int64_t i), int64_t (*g)(int64_t i)) {
    ir_tensor *t = &r->frame.value[v];
    const bool real = ir_dtypes[t->dtype].sort == IR_SORT_REAL;
    for (int64_t i = 0; i < t->n; i++) {
        if (real) t->f[i] = ir_round_to(t->dtype, f(i));
        else t->i[i] = ir_saturate_to(t->dtype, g(i));
    }
}

static bool agree(double x, double y, double tolerance) {
    if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
    if (isinf(x) || isinf(y)) return x == y;
    return fabs(x - y) <= tolerance * fmax(1, fabs(y));
}

static const ir_tensor *wanted(cpu_run *r, const ir_node *map) {
    room(r);
    ir_builder *b = ir_builder_create(r->u);
    bool made[4096] = {false};
    for (uint32_t i = 0; i < map->map.n_results; i++) made[map->map.results[i].store.result] = true;
    ir_frame full = ir_frame_create(r->u, r->arena);
    for (uint32_t i = 0; i < r->u->dim.n; i++) full.dim[i] = r->frame.dim ? r->frame.dim[i] : 0;
    for (ir_value v = 1; v < r->u->value.n; v++)
        if (!made[v] && r->frame.value[v].n >= 0) {
            full.value[v] = r->frame.value[v];
            ir_builder_add(b, ir_node_source(r->u, IR_FORM_INPUT, (base_span){0, 0, 0}, v));
        }
    ir_builder_add(b, ir_node_copy(r->u, map));
    ir_value *out = BASE_ARRAY(r->arena, map->map.n_results, ir_value);
    for (uint32_t i = 0; i < map->map.n_results; i++) out[i] = map->map.results[i].store.result;
    ir_builder_add(b, ir_node_use(r->u, IR_FORM_OUTPUT, (base_span){0, 0, 0}, map->map.n_results, out));
    ir_graph *g = BASE_NEW(r->arena, ir_graph);
    g->unit = r->u;
    g->name = "test";
    g->body = ir_builder_block(b);
    if (!ir_graph_eval(g, &full, r->arena, r->diags)) {
        base_text text;
        base_text_init(&text, r->arena);
        if (r->diags->first) base_diag_print(r->diags, r->diags->first, false, &text);
        fail_msg("the evaluator: %s", text.at ? text.at : "");
    }
    return full.value;
}

static void fail_with(cpu_run *r, const char *what) {
    base_text text;
    base_text_init(&text, r->arena);
    for (const base_diag *d = r->diags->first; d; d = d->next) base_diag_print(r->diags, d, false, &text);
    fail_msg("%s: %s", what, text.at ? text.at : "");
}

static void compare(const char *name, const ir_tensor *want, const ir_tensor *found, double tolerance) {
    const bool real = ir_dtypes[want->dtype].sort == IR_SORT_REAL;
    for (int64_t i = 0; i < want->n; i++) {
        const double x = real ? found->f[i] : (double)found->i[i], y = real ? ir_round_to(want->dtype, want->f[i]) : (double)want->i[i];
        if (!agree(x, y, tolerance)) fail_msg("%s[%lld] is %.17g, wanted %.17g", name, (long long)i, x, y);
    }
}

ir_kernel *cpu_run_native(cpu_run *r, const ir_node *map) {
    room(r);
    ir_kernel *k = pass_lower_node(r->u, map);
    if (!k) fail_with(r, "lower");
    rt_host host;
    rt_host_init(&host, &native_serial, NULL);
    const native how = {cpu_backend(), r->target, &host.device};
    const bool ran = native_run(&how, k, &r->frame, NULL, r->arena, r->diags);
    if (!ran) fail_with(r, "run");
    return k;
}

void cpu_run_check(cpu_run *r, const ir_node *map, double tolerance) {
    const ir_tensor *want = wanted(r, map);
    const ir_kernel *k = cpu_run_native(r, map);
    for (uint32_t i = 0; i < k->n_stores; i++) compare(k->name, &want[k->stores[i].at.result], &r->frame.value[k->stores[i].at.result], tolerance);
}
