/* What a call will cost, from its bound shapes alone: nothing runs.
 *
 * The compiler gives each launch a cost per item, over dimensions, and what one unit of it takes by the cost model. A loop multiplies by its turns, as
 * counted from its bounds at the first turn: sizes that change from turn to turn, and loops that end by a test, make it an estimate.
 */
#include <string.h>
#include "rt.h"

enum { MOST_LOOPS = 64 };

/* Busy seconds of one launch on one core. A cost that nobody knows counts as one unit per item. */
double rt_launch_seconds(const rt_step *s, const int64_t *slots) {
    int64_t items = slots[s->items], cost = slots[s->cost];
    return items > 0 ? (double)items * (double)(cost > 0 ? cost : 1) * s->unit_s : 0;
}

typedef struct { const rt_entry *entry; const rt_call *call; int64_t *slots; double turns[MOST_LOOPS]; uint32_t depth, workers; } counting;

/* No more threads than items compute a launch. */
static void count_launch(const counting *c, const rt_step *s, rt_cost *out) {
    double turns = c->turns[c->depth], seconds = turns * rt_launch_seconds(s, c->slots);
    int64_t items = c->slots[s->items];
    if (items <= 0) return;
    out->launches += turns;
    out->items += turns * (double)items;
    out->predicted_s += seconds;
    out->elapsed_s += seconds / (double)(items < c->workers ? items : c->workers);
}

/* The counter stands at its first turn; what depends on it is computed as a run would. Sizes that do not fit then count as they were. */
static void enter(counting *c, const rt_step *loop) {
    int64_t lo = c->slots[loop->lo], hi = c->slots[loop->hi];
    rt_ints_error error;
    double turns = hi > lo ? (double)hi - (double)lo : 0;
    if (c->depth + 1 < MOST_LOOPS) c->depth++;
    c->turns[c->depth] = (c->depth ? c->turns[c->depth - 1] : 1) * turns;
    c->slots[loop->counter] = lo;
    if (turns > 0) rt_ints_run(c->entry->ops + loop->first_op, loop->n_ops, c->call->read, c->slots, &error);
}

/* After rt_bind. The set-up has been made with the model and costs nothing any more. */
rt_cost rt_cost_of(const rt_call *call, int workers) {
    const rt_entry *e = rt_entry_of(call);
    const rt_graph *g = call->instance->graph;
    counting c = {.entry = e, .call = call, .workers = workers > 0 ? (uint32_t)workers : 1, .turns = {1}};
    rt_cost out = {.workspace_bytes = call->slots[e->workspace]};
    c.slots = base_copy(call->arena, call->slots, e->n_slots * sizeof *c.slots);
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        double bytes = rt_dtypes[g->tensors[k].dtype].bytes;
        for (uint32_t axis = 0; axis < g->tensors[k].rank; axis++) bytes *= (double)c.slots[g->tensors[k].dims[axis]];
        out.tensor_bytes += bytes;
    }
    for (uint32_t k = e->n_setup; k < e->n_steps; k++) {
        const rt_step *s = &e->steps[k];
        if (s->kind == RT_STEP_LOOP) enter(&c, s);
        else if (s->kind == RT_STEP_NEXT && c.depth) c.depth--;
        else if (s->kind == RT_STEP_LAUNCH) count_launch(&c, s, &out);
        /* Launches behind a check find out what was wrong: a run that ends well leaves them out. */
        else if (s->kind == RT_STEP_CHECK) k = s->target - 1;
    }
    return out;
}
