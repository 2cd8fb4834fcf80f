/* Put in: the reads of a producer's result become its expression, all variables at once, in all its readers. Allowed for maps with one
 * result and no places, read by maps only, at positions that are proved in range: elsewhere the producer's range is what a check looks at. */
#include "fuse.h"

typedef struct { const ir_node *p; ir_value value; bool in_range; } put_env; /* p: the producer of value; in_range: of all reads met so far */

/* Called on every expression of a reader, from the root down. Positions are rebuilt too: they may read the same result. A position that is out of
 * range would be an error at the read; put in, nothing would notice, hence `in_range`. */
static ir_expr put(ir_unit *u, void *env, ir_expr e) {
    put_env *p = env;
    if (!ir_is(u, e, IR_READ) || ir_at(u, e)->u.ref != p->value) return 0;
    uint32_t n = p->p->map.n_outer;
    ir_binding *all = BASE_ARRAY(u->arena, n, ir_binding);
    for (uint32_t i = 0; i < n; i++) {
        ir_var v = p->p->map.outer[i];
        ir_expr at = ir_rebuild(u, ir_operand(u, e, i), put, env);
        p->in_range &= ir_in_range(u, at, u->var.at[v].extent);
        all[i] = (ir_binding){ v, at };
    }
    return ir_substitute(u, p->p->map.results[0].body, n, all);
}

/* What a store goes into must be a tensor in memory, and reads in places stay reads: nothing is put in there. */
static bool places_read(fuse_block *b, const ir_node *n, ir_value v) {
    for (uint32_t i = 0; i < n->map.n_results; i++) {
        if (n->map.results[i].store.into == v) return true;
        for (uint32_t k = 0; k < n->map.results[i].store.n_places; k++)
            if (ir_reads(b->u, n->map.results[i].store.places[k], v)) return true;
    }
    return false;
}

/* A copy of the reader in which all reads are put in. Nodes are immutable, and the move may yet be refused. */
static ir_node *with(fuse_block *b, const ir_node *reader, put_env *env) {
    ir_node *n = ir_node_copy(b->u, reader);
    n->map.results = base_copy(b->arena, reader->map.results, reader->map.n_results * sizeof *reader->map.results);
    for (uint32_t i = 0; i < n->map.n_results; i++) n->map.results[i].body = ir_rebuild(b->u, n->map.results[i].body, put, env);
    return n;
}

/* Notes the reason for the remark, over that of an earlier attempt, and is false: nothing has changed. apart and together are 0 where no costs
 * were compared. */
static bool refuse(fuse_block *b, uint32_t i, const char *why, double apart, double together) {
    fuse_slot *s = &b->slots.at[i];
    s->kept = why;
    s->apart = apart;
    s->together = together;
    return false;
}

/* Also where the core of `ir` has given up: body 0. */
static bool too_deep(fuse_block *b, const ir_node *n) {
    for (uint32_t i = 0; i < n->map.n_results; i++)
        if (!n->map.results[i].body || fuse_depth(b, n->map.results[i].body) > FUSE_DEPTH) return true;
    return false;
}

/* A read of one of several results, or of a store with places, is not one expression at one position. */
static bool candidate(const ir_node *p) {
    return p && p->form == IR_FORM_MAP && p->map.n_results == 1 && !p->map.results[0].store.n_places && !p->map.results[0].store.into;
}

typedef struct { uint32_t slot; ir_node *node; } reader;

/* All readers or none: where one keeps reading the result, it has to be computed and stored anyway. Readers stand behind their producer, so the
 * walk begins there. It stops as soon as the copies made so far have no good kernel and what stands now has one. */
bool fuse_put(fuse_block *b, uint32_t i) {
    ir_node *p = b->slots.at[i].node;
    if (!candidate(p)) return false;
    /* one environment for all readers: `in_range` is asked after each */
    put_env env = { p, p->map.results[0].store.result, true };
    BASE_VEC(reader) readers = { 0 };
    const char *why = "";
    double before = fuse_slot_cost(b, i), after = 0;
    for (uint32_t k = i + 1; k < b->slots.n; k++) {
        const ir_node *n = b->slots.at[k].node;
        if (!n || !fuse_node_reads(b, n, env.value)) continue;
        if (n->form != IR_FORM_MAP || places_read(b, n, env.value)) return refuse(b, i, "something other than a statement reads it too", 0, 0);
        ir_node *m = with(b, n, &env);
        if (!env.in_range) return refuse(b, i, "it is read at positions that are not proved in range", 0, 0);
        if (too_deep(b, m)) return refuse(b, i, "the expression would be nested too deep", 0, 0);
        before += fuse_slot_cost(b, k);
        after += fuse_cost(b, m, &why);
        BASE_PUSH(b->arena, &readers, ((reader){ k, m }));
        if (after >= fuse_none && before < fuse_none) return refuse(b, i, why, before, after);
    }
    /* no node of this block reads it: nothing to compare */
    if (!readers.n) return false;
    if (!fuse_gains(before, after)) return refuse(b, i, "computing it again costs more than storing it", before, after);
    const char *into = fuse_name(b, readers.at[0].node);
    for (uint32_t k = 1; k < readers.n; k++) into = base_printf(b->arena, "%s and %s", into, fuse_name(b, readers.at[k].node));
    fuse_moved(b, p->span, before, after, "%s is computed inside %s", fuse_name(b, p), into);
    for (uint32_t k = 0; k < readers.n; k++) fuse_set(b, readers.at[k].slot, readers.at[k].node);
    fuse_set(b, i, NULL);
    return true;
}
