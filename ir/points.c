/* Points: a machine of the evaluator whose variables somebody else sets. Its complaints go to a list that nobody reads. */
#include "points.h"
#include "machine.h"

struct ir_points { ir_machine *machine; };

ir_points *ir_points_create(const ir_unit *u, const ir_frame *frame, base_arena *arena) {
    ir_points *p = BASE_NEW(arena, ir_points);
    p->machine = ir_machine_create(u, frame, arena, base_diags_create(arena));
    ir_machine_start(p->machine, (base_span){0}, 0, NULL);
    return p;
}

void ir_points_set(ir_points *p, ir_var v, int64_t value) { ir_machine_set(p->machine, v, value); }

bool ir_points_eval(ir_points *p, ir_expr e, int64_t *out) {
    ir_machine *x = p->machine;
    x->depth = 0;
    if (setjmp(x->fail)) return false;
    *out = ir_machine_eval(x, e).i;
    return true;
}
