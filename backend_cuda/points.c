/* The template for kernels without sweeps: maps and contractions. A thread computes one point of the result at a time, neighbours in a warp
 * take neighbours along the last axis of the result. Stores over the same axes share their points.
 */
#include <stdlib.h>
#include "writer.h"

/* Without sweeps, columns and values are axes like any other: each moves a place of the result. Features are bound by TERMs. */
static const uint8_t roles[] = {IR_ITEM, IR_ROW, IR_COL, IR_VAL};
enum { N_ROLES = sizeof roles };

/* Axes come in the order of the kernel, so equal sets are equal lists. */
static bool same_axes(cuda_axes a, cuda_axes b) {
    bool same = a.n == b.n;
    for (uint32_t i = 0; same && i < a.n; i++) same = a.at[i] == b.at[i];
    return same;
}

/* Axes whose extent depends on another one are loops of a thread, the rest are points. */
static void part(const cuda_writer *w, cuda_axes all, cuda_axes *points, cuda_axes *loops) {
    /* An extent over a counter or a dimension alone is the same for all points; only axes of the same list matter. */
    ir_set set = cuda_axes_set(w, all);
    *points = *loops = (cuda_axes){0};
    points->at = BASE_ARRAY(w->arena, all.n, uint32_t);
    loops->at = BASE_ARRAY(w->arena, all.n, uint32_t);
    for (uint32_t i = 0; i < all.n; i++) {
        cuda_axes *to = ir_set_meets(w->u, ir_free(w->u, w->k->axes[all.at[i]].extent), set) ? loops : points;
        to->at[to->n++] = all.at[i];
    }
}

/* The axis of the result that the variable moves. */
static uint32_t place_with(const cuda_writer *w, const ir_kernel_store *s, uint32_t axis) {
    uint32_t i = 0;
    while (i < s->at.n_places && !ir_depends(w->u, s->at.places[i], w->k->axes[axis].var)) i++;
    return i == s->at.n_places ? 0 : i;
}

/* In the order of the places, so that neighbouring points are neighbours in memory. */
static void order_by_place(const cuda_writer *w, const ir_kernel_store *s, cuda_axes *axes) {
    /* By insertion, which keeps the order of axes that share a place. */
    for (uint32_t i = 1; i < axes->n; i++)
        for (uint32_t k = i; k > 0 && place_with(w, s, axes->at[k - 1]) > place_with(w, s, axes->at[k]); k--) {
            uint32_t t = axes->at[k];
            axes->at[k] = axes->at[k - 1];
            axes->at[k - 1] = t;
        }
}

/* All stores with these axes, from the first on; earlier ones have other axes. */
static void point(cuda_writer *w, const ir_kernel_store *first, cuda_axes all) {
    bool guarded = !ir_is_bool(w->u, w->k->inside, true);
    if (guarded) {
        cuda_want(w, w->k->inside);
        cuda_open(w, "if (%s)", cuda_expr(w, w->k->inside));
    }
    for (const ir_kernel_store *s = first; s < w->k->stores + w->k->n_stores; s++)
        if (same_axes(cuda_store_axes(w, s, N_ROLES, roles), all)) cuda_store(w, s);
    if (guarded) cuda_close(w);
}

/* Where several points may share a place, one thread takes them in order. */
static bool ordered(const cuda_writer *w, const ir_kernel_store *first, cuda_axes all) {
    bool found = false;
    for (const ir_kernel_store *s = first; s < w->k->stores + w->k->n_stores; s++) found |= s->at.mode != IR_STORE_ONE && same_axes(cuda_store_axes(w, s, N_ROLES, roles), all);
    return found;
}

/* All stores over these axes, in one loop over points: what they have in common is computed once. */
static void group(cuda_writer *w, const ir_kernel_store *s, cuda_axes all) {
    cuda_axes points, loops;
    /* One thread has no neighbours in memory to please; its points keep the kernel's order of axes, which decides what comes last. */
    bool in_order = ordered(w, s, all);
    part(w, all, &points, &loops);
    if (!in_order) order_by_place(w, s, &points);
    cuda_scope before = cuda_scope_begin(w);
    cuda_open(w, "%s", in_order ? "if (thread_index() == 0)" : "");
    cuda_count(w, "point", points.at, points.n);
    cuda_open(w, in_order ? "for (i64 point = 0; point < n_point; point++)" : "for (i64 point = thread_index(); point < n_point; point += thread_count())");
    cuda_digits(w, "point", "point", points.at, points.n);
    cuda_loops(w, loops.at, loops.n);
    cuda_bind(w, cuda_axes_set(w, all));
    point(w, s, all);
    /* The loops, the loop over points, and the block around it. */
    for (uint32_t i = 0; i < loops.n + 2; i++) cuda_close(w);
    cuda_scope_end(w, before);
}

/* Each set of axes once, with the first store that has it. */
void cuda_points(cuda_writer *w) {
    const ir_kernel *k = w->k;
    for (uint32_t i = 0; i < k->n_stores; i++) {
        cuda_axes all = cuda_store_axes(w, &k->stores[i], N_ROLES, roles);
        bool done = false;
        for (uint32_t j = 0; j < i; j++) done |= same_axes(cuda_store_axes(w, &k->stores[j], N_ROLES, roles), all);
        if (!done) group(w, &k->stores[i], all);
    }
}
