#include <stdlib.h>
#include <string.h>
#include "eval_world.h"

static jmp_buf no_memory;

trial trial_create(const char *text) {
    trial t = {.arena = base_arena_create(NULL, &no_memory)};
    if (setjmp(no_memory)) abort();
    t.diags = base_diags_create(t.arena);
    t.g = ir_graph_read(t.arena, t.diags, base_file_add(t.diags, "test.ir", text, strlen(text)));
    if (!t.g) fail_msg("%s", trial_message(&t));
    t.frame = ir_frame_create(t.g->unit, t.arena);
    return t;
}

void trial_destroy(trial *t) { base_arena_destroy(t->arena); }

void trial_dim(trial *t, const char *name, int64_t extent) {
    for (ir_dim d = 1; d < t->g->unit->dim.n; d++)
        if (!strcmp(t->g->unit->dim.at[d].name, name)) {
            t->frame.dim[d] = extent;
            return;
        }
    fail_msg("no dimension %s", name);
}

ir_tensor *trial_tensor(trial *t, const char *name) {
    for (ir_value v = 1; v < t->g->unit->value.n; v++) {
        const ir_value_info *info = &t->g->unit->value.at[v];
        int64_t dim[IR_RANK];
        if (strcmp(info->name, name) != 0) continue;
        if (t->frame.value[v].n < 0) {
            assert_true(ir_type_shape(t->g->unit, &t->frame, &info->type, dim, t->diags));
            t->frame.value[v] = ir_tensor_new(t->arena, info->type.dtype, info->type.rank, dim);
        }
        return &t->frame.value[v];
    }
    fail_msg("no value %s", name);
    return NULL;
}

void trial_reals(trial *t, const char *name, uint32_t n, const double *from) {
    ir_tensor *x = trial_tensor(t, name);
    assert_int_equal(x->n, n);
    memcpy(x->f, from, n * sizeof *from);
}

void trial_ints(trial *t, const char *name, uint32_t n, const int64_t *from) {
    ir_tensor *x = trial_tensor(t, name);
    assert_int_equal(x->n, n);
    memcpy(x->i, from, n * sizeof *from);
}

bool trial_run(trial *t) { return ir_graph_eval(t->g, &t->frame, t->arena, t->diags); }
const char *trial_code(const trial *t) { return t->diags->first ? base_messages[t->diags->first->message].code : ""; }
const char *trial_message(const trial *t) { return t->diags->first ? t->diags->first->text : ""; }
