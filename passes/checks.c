/* What must be asked of data before it is used. Every position of a READ that is not proved in range, every divisor of // and % that is not
 * proved nonzero, every integer that may need more than 64 bits (exact.c), and every place of a store that is not proved in range becomes a
 * check before the node: two maps of rank 0 under the same guards as the use itself,
 *   position = min(v.. where guards and not (0 <= index and index < extent): linear position of v..)
 *   found    = min(v.. where guards and not (..) and linear position == position: index)
 * so that what is lazily hidden is never complained about. Equal checks are made once. Checks that read only sources stand right behind the
 * sources, out of loops too: tables are looked at before anything is computed.
 * In: a fused graph. Out: the same with IR_FORM_CHECK nodes. Smallest example: tests/golden/checks/gather.attnt. */
#include "exact.h"
#include "lower.h"
#include "rewrite.h"

typedef struct {                 /* what holds where an expression is evaluated */
    ir_expr guard;               /* true here, beside what the parents say */
    uint32_t parent;             /* index of the context around; [0] is its own */
    ir_var *bound; uint32_t n_bound; /* variables that have a value here */
    pass_memo seen;              /* expressions looked at here */
} context;
typedef BASE_VEC(ir_var) var_list;
typedef struct {                 /* a check: its guards, the extents around that are not empty, the variables of the index as they appear */
    ir_expr index, good;
    lower_list guards, some;
    var_list free;
} asked;
typedef struct {
    ir_unit *u;
    BASE_VEC(context) contexts;  /* [0]: nothing is known */
    pass_memo suspect;           /* expressions that hold something unproved: 1 yes, 2 no */
    BASE_VEC(asked) made;        /* checks so far */
    pass_memo computed;          /* values that are no sources */
    ir_builder *early, *here;    /* right behind the sources; in the block at hand, before the node */
    const ir_node *node;         /* the map at hand */
} checks_state;

/* ---- what needs a look: reads and divisions that nothing proves */
static bool is_suspect(checks_state *c, ir_expr e);
/* `ir_at_least(-divisor, 1)`: a divisor that is always negative is no 0 either. A bit may be any number, so it is always looked at. */
static bool suspect_itself(checks_state *c, ir_expr e) {
    ir_unit *u = c->u;
    ir_op op = (ir_op)ir_at(u, e)->op;
    if (pass_may_overflow(u, e)) return true;
    if (op == IR_FDIV || op == IR_MOD) return !ir_at_least(u, ir_operand(u, e, 1), 1) && !ir_at_least(u, ir_op1(u, IR_NEG, ir_operand(u, e, 1)), 1);
    if (op == IR_BIT) return true;
    if (op != IR_READ) return false;
    ir_type type = u->value.at[ir_at(u, e)->u.ref].type;
    for (uint32_t i = 0; i < type.rank; i++)
        if (!ir_in_range(u, ir_operand(u, e, i), type.dim[i])) return true;
    return false;
}
/* Memoised without regard to guards, so that whole expressions in which nothing can fail are passed over in every context. Extents of what is
 * bound are evaluated too. */
static bool is_suspect(checks_state *c, ir_expr e) {
    uint32_t known;
    if (!ir_n_operands(c->u, e)) return false;
    if (pass_memo_get(&c->suspect, e, &known)) return known == 1;
    bool suspect = suspect_itself(c, e);
    for (uint32_t i = 0; i < ir_n_operands(c->u, e); i++) suspect |= is_suspect(c, ir_operand(c->u, e, i));
    for (uint32_t i = 0; ir_is(c->u, e, IR_RED) && i < ir_red_n_bound(c->u, e); i++) suspect |= is_suspect(c, c->u->var.at[ir_red_bound(c->u, e, i)].extent);
    pass_memo_put(&c->suspect, e, suspect ? 1 : 2);
    return suspect;
}

/* ---- contexts */
/* The context inside `parent`; equal ones are one, so that `seen` holds for both. Nothing new: the parent itself. */
static uint32_t within(checks_state *c, uint32_t parent, ir_expr guard, ir_var *bound, uint32_t n_bound) {
    if (!n_bound && ir_is_bool(c->u, guard, true)) return parent;
    /* from 1: context 0 has no parent and equals nothing inside another */
    for (uint32_t i = 1; i < c->contexts.n; i++) {
        const context *k = &c->contexts.at[i];
        if (k->parent == parent && k->guard == guard && k->n_bound == n_bound && (!n_bound || !memcmp(k->bound, bound, n_bound * sizeof *bound))) return i;
    }
    context k = { guard, parent, bound, n_bound, pass_memo_create(c->u->arena) };
    return BASE_PUSH(c->u->arena, &c->contexts, k);
}
/* All guards from the outside in, so that each is evaluated where those before it hold. */
static ir_expr guards_of(checks_state *c, uint32_t at) {
    if (!at) return ir_bool(c->u, true);
    ir_expr before = guards_of(c, c->contexts.at[at].parent);
    return ir_and(c->u, before, c->contexts.at[at].guard);
}

/* ---- one check */
static bool listed(const var_list *list, ir_var v) {
    for (uint32_t i = 0; i < list->n; i++)
        if (list->at[i] == v) return true;
    return false;
}
/* Variables around that `needed` depends on, what their extents depend on too, from the outside in. Of the others it matters only that there is something
 * to run over: `some` says so. One whose extent moves is taken in. */
static bool moves(const ir_unit *u, ir_expr extent) { return ir_free(u, extent) || ir_has_op(u, extent, IR_READ); }
static ir_set with_extents(ir_unit *u, ir_set needed) {
    /* ends: the set only grows, and extents depend on variables around alone */
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < ir_set_size(u, needed); i++) {
            ir_set more = ir_set_union(u, needed, ir_free(u, u->var.at[ir_set_at(u, needed, i)].extent));
            again |= more != needed;
            needed = more;
        }
    }
    return needed;
}
/* Outer variables, then what is bound from the outside in, each once: a binder may occur again inside. */
static void around(checks_state *c, uint32_t at, var_list *out) {
    BASE_VEC(uint32_t) chain = { 0 };
    /* from the inside out, and read backwards below */
    for (uint32_t k = at; k; k = c->contexts.at[k].parent) BASE_PUSH(c->u->arena, &chain, k);
    for (uint32_t i = 0; i < c->node->map.n_outer; i++) BASE_PUSH(c->u->arena, out, c->node->map.outer[i]);
    for (uint32_t i = chain.n; i--;) {
        const context *k = &c->contexts.at[chain.at[i]];
        for (uint32_t b = 0; b < k->n_bound; b++)
            if (!listed(out, k->bound[b])) BASE_PUSH(c->u->arena, out, k->bound[b]);
    }
}
static ir_expr not_empty(ir_unit *u, ir_var v) { return ir_op2(u, IR_LT, ir_int(u, 0), u->var.at[v].extent); }
static ir_expr variables(checks_state *c, uint32_t at, ir_set needed, var_list *out) {
    ir_unit *u = c->u;
    var_list all = { 0 };
    ir_expr some = ir_bool(u, true);
    around(c, at, &all);
    for (uint32_t i = 0; i < all.n; i++)
        if (moves(u, u->var.at[all.at[i]].extent)) needed = ir_set_union(u, needed, ir_set_of(u, 1, &all.at[i]));
    needed = with_extents(u, needed);
    for (uint32_t i = 0; i < all.n; i++) {
        if (ir_set_has(u, needed, all.at[i])) BASE_PUSH(u->arena, out, all.at[i]);
        else some = ir_and(u, some, not_empty(u, all.at[i]));
    }
    return some;
}
/* Row-major over the variables with fixed extents; those whose extents move have no place in a linear position. */
static ir_expr linear_position(ir_unit *u, const var_list *all, var_list *over) {
    ir_expr at = ir_int(u, 0);
    for (uint32_t i = 0; i < all->n; i++) {
        ir_expr extent = u->var.at[all->at[i]].extent;
        if (moves(u, extent)) continue;
        at = ir_add(u, ir_mul(u, at, extent), ir_var_expr(u, all->at[i]));
        ir_var named = ir_var_new(u, u->var.at[all->at[i]].name, extent);        /* the check's own: others belong to their nodes */
        BASE_PUSH(u->arena, over, named);
    }
    return at;
}

/* Both halves of a check are plain maps of rank 0 to i64, so that `lower` makes ordinary kernels of them. */
static ir_node *scalar_node(checks_state *c, const char *name, ir_expr body) {
    ir_type type = { .dtype = IR_TYPE_I64 };
    return ir_node_map(c->u, c->node->span, 0, NULL, ir_value_new(c->u, name, &type), body);
}

typedef struct { const checks_state *c; bool computed; } source_env;
static void find_computed(void *env, ir_value v) {
    source_env *s = env;
    s->computed |= pass_memo_get(&s->c->computed, v, NULL);
}
/* Then it may stand before everything, loops too: it must not mention a counter either. */
static bool reads_sources_only(checks_state *c, const ir_node *position) {
    source_env s = { c, false };
    pass_node_reads(c->u, position, find_computed, &s);
    return !s.computed && !ir_free(c->u, position->map.results[0].body);
}

/* index: what is asked about; shown: the number that the message names */
typedef struct { const char *what; ir_value tensor; uint8_t axis; ir_expr index, shown, limit, good; } question;

/* ---- has it been asked already, under no more guards? */
/* Free variables in order of appearance: two spellings of a question are matched by it. */
static void appear(ir_unit *u, ir_expr e, pass_memo *seen, var_list *out) {
    if (!ir_free(u, e) || !pass_memo_add(seen, e)) return;
    if (ir_is(u, e, IR_VAR)) BASE_PUSH(u->arena, out, ir_at(u, e)->u.ref);
    else
        for (uint32_t i = 0; i < ir_n_operands(u, e); i++) appear(u, ir_operand(u, e, i), seen, out);
}
static bool among(const lower_list *list, ir_expr e) {
    for (uint32_t i = 0; i < list->n; i++)
        if (list->at[i] == e) return true;
    return false;
}
/* Does the old check answer the new question? The same index and condition, up to the names of free variables; each guard of the old one is a guard
 * of the new one, so that the old one looked wherever the new one would; and whatever had to be non-empty for the old one is so for the new. */
static bool follows(ir_unit *u, const asked *old, const asked *new) {
    ir_binding *all = BASE_ARRAY(u->arena, old->free.n + 1u, ir_binding);
    /* by position: the k-th variable of the one stands for the k-th of the other, if their extents are the same */
    if (old->free.n != new->free.n) return false;
    for (uint32_t i = 0; i < old->free.n; i++) {
        if (u->var.at[old->free.at[i]].extent != u->var.at[new->free.at[i]].extent) return false;
        all[i] = (ir_binding){ old->free.at[i], ir_var_expr(u, new->free.at[i]) };
    }
    if (ir_substitute(u, old->index, old->free.n, all) != new->index || ir_substitute(u, old->good, old->free.n, all) != new->good) return false;
    for (uint32_t i = 0; i < old->guards.n; i++)
        if (!among(&new->guards, ir_substitute(u, old->guards.at[i], old->free.n, all))) return false;
    for (uint32_t i = 0; i < old->some.n; i++)
        if (!among(&new->some, old->some.at[i])) return false;
    return true;
}
/* Only extents without variables can be compared across nodes, so only they are listed in `some`. A new question is noted. */
static bool is_new(checks_state *c, uint32_t at, ir_expr index, ir_expr good, ir_expr guards) {
    asked a = { .index = index, .good = good };
    pass_memo seen = pass_memo_create(c->u->arena);
    var_list all = { 0 };
    lower_conjuncts(c->u, guards, &a.guards);
    around(c, at, &all);
    for (uint32_t i = 0; i < all.n; i++) {
        ir_expr some = not_empty(c->u, all.at[i]);
        if (!ir_is(c->u, some, IR_BOOL) && !ir_free(c->u, some)) BASE_PUSH(c->u->arena, &a.some, some);
    }
    appear(c->u, index, &seen, &a.free);
    for (uint32_t i = 0; i < c->made.n; i++)
        if (follows(c->u, &c->made.at[i], &a)) return false;
    BASE_PUSH(c->u->arena, &c->made, a);
    return true;
}

/* `bad` is asked for every index of what it depends on. Where the reduction folds to "never", there is nothing to ask at run time. */
static void add_check(checks_state *c, uint32_t at, const question *q) {
    ir_unit *u = c->u;
    ir_expr guards = guards_of(c, at), bad = ir_and(u, guards, ir_not(u, q->good));
    var_list all = { 0 }, over = { 0 };
    ir_expr some = variables(c, at, ir_set_union(u, ir_free(u, bad), ir_free(u, q->index)), &all);
    if (!is_new(c, at, q->index, q->good, guards)) return;
    if (all.n > IR_AXES) {
        base_report(u->diags, BASE_MSG_NO_KERNEL, c->node->span, "the check of an index depends on more than 16 variables");
        return;
    }
    ir_expr linear = linear_position(u, &all, &over);
    bad = ir_and(u, some, bad);
    ir_expr position = ir_reduce(u, IR_RED_MIN, all.n, all.at, bad, linear);
    int64_t never;
    /* the poison was reported; INT64_MAX is the identity of min: no index is bad, by proof */
    if (!position || (ir_is_int(u, position, &never) && never == INT64_MAX)) return;
    ir_node *n = BASE_NEW(u->arena, ir_node);
    const char *in = u->value.at[c->node->map.results[0].store.result].name, *of = q->tensor ? u->value.at[q->tensor].name : q->what;
    n->form = IR_FORM_CHECK;
    n->span = c->node->span;
    n->check = (ir_check){ .what = q->what, .tensor = q->tensor, .axis = q->axis, .limit = q->limit, .over = over.at, .n_over = (uint8_t)over.n };
    n->check.position = scalar_node(c, base_printf(u->arena, "%s_%s_at", in, of), position);
    /* the second map is run only if the first has found one, and looks at that one index */
    ir_expr first = ir_read(u, n->check.position->map.results[0].store.result, 0, NULL);
    ir_expr found = ir_reduce(u, IR_RED_MIN, all.n, all.at, ir_and(u, bad, ir_op2(u, IR_EQ, linear, first)), q->shown);
    n->check.found = scalar_node(c, base_printf(u->arena, "%s_%s_found", in, of), found);
    /* the tensor is only named, but a name must mean something where it stands */
    bool early = q->tensor && !pass_memo_get(&c->computed, q->tensor, NULL) && reads_sources_only(c, n->check.position);
    ir_builder_add(early ? c->early : c->here, n);
}

/* What a guard says need not be asked: its parts are true here, in the spelling that folding gives them. */
typedef struct { pass_memo known; } known_env;
static ir_expr known_true(ir_unit *u, void *env, ir_expr e) {
    known_env *k = env;
    return ir_at(u, e)->sort == IR_SORT_BOOL && pass_memo_get(&k->known, e, NULL) ? ir_bool(u, true) : 0;
}
/* First by the guards as they are spelled, then by proof, in which every variable around may be taken to have a value. */
static bool holds(checks_state *c, uint32_t at, ir_expr truth) {
    lower_list parts = { 0 };
    known_env k = { pass_memo_create(c->u->arena) };
    lower_conjuncts(c->u, guards_of(c, at), &parts);
    for (uint32_t i = 0; i < parts.n; i++) pass_memo_add(&k.known, parts.at[i]);
    if (ir_is_bool(c->u, ir_rebuild(c->u, truth, known_true, &k), true)) return true;
    var_list all = { 0 };
    around(c, at, &all);
    return ir_provably_where(c->u, ir_set_of(c->u, all.n, all.at), truth);
}

/* Each side that a guard or a proof settles is dropped, so the check asks only what is open. */
static void ask_index(checks_state *c, uint32_t at, const char *what, ir_value tensor, uint32_t axis, ir_expr index, ir_expr limit) {
    ir_unit *u = c->u;
    /* the cheapest proof first, without guards: most positions end here */
    if (ir_in_range(u, index, limit)) return;
    ir_expr low = ir_op2(u, IR_LE, ir_int(u, 0), index), high = ir_op2(u, IR_LT, index, limit);
    if (holds(c, at, low)) low = ir_bool(u, true);
    if (holds(c, at, high)) high = ir_bool(u, true);
    question q = { what, tensor, (uint8_t)axis, index, index, limit, ir_and(u, low, high) };
    if (!ir_is_bool(u, q.good, true)) add_check(c, at, &q);
}
/* What divides the extent of a variable around is not 0: the variable has a value. */
static bool divides_around(checks_state *c, uint32_t at, ir_expr divisor) {
    var_list all = { 0 };
    around(c, at, &all);
    for (uint32_t i = 0; i < all.n; i++)
        if (ir_divides(c->u, divisor, c->u->var.at[all.at[i]].extent)) return true;
    return false;
}
static void ask_divisor(checks_state *c, uint32_t at, ir_expr divisor) {
    ir_unit *u = c->u;
    if (divides_around(c, at, divisor)) return;
    ir_expr good = ir_op2(u, IR_NE, divisor, ir_int(u, 0));
    question q = { "divisor", 0, 0, divisor, divisor, ir_int(u, 0), good };
    if (!ir_is_bool(u, good, true) && !holds(c, at, good)) add_check(c, at, &q);
}

/* What it is made of has been asked before: pass_fits relies on operands that fit. The message shows no number: it would not fit either. */
static void ask_exact(checks_state *c, uint32_t at, ir_expr e) {
    if (!pass_may_overflow(c->u, e)) return;
    ir_expr good = pass_fits(c->u, e);
    question q = { pass_overflow_name(c->u, e), 0, 0, e, ir_int(c->u, 0), ir_int(c->u, 0), good };
    if (!ir_is_bool(c->u, good, true) && !holds(c, at, good)) add_check(c, at, &q);
}
/* Bits of an int64 but the sign. */
static void ask_bit(checks_state *c, uint32_t at, ir_expr n) {
    ir_unit *u = c->u;
    ir_expr good = ir_and(u, ir_op2(u, IR_LE, ir_int(u, 0), n), ir_op2(u, IR_LE, n, ir_int(u, 62)));
    question q = { "bit", 0, 0, n, n, ir_int(u, 0), good };
    if (!ir_is_bool(u, good, true) && !holds(c, at, good)) add_check(c, at, &q);
}

/* ---- the walk: each suspect expression once per context */
static void look(checks_state *c, uint32_t at, ir_expr e);
typedef struct { checks_state *c; uint32_t at; } look_env;
static void look_term(void *env, ir_expr term) {
    const look_env *l = env;
    look(l->c, l->at, term);
}
static void look_all(checks_state *c, uint32_t at, ir_expr e) {
    for (uint32_t i = 0; i < ir_n_operands(c->u, e); i++) look(c, at, ir_operand(c->u, e, i));
}
/* Extents are evaluated outside, the guard for every index, the body where the guard holds. The reduction itself may overflow. */
static void look_reduction(checks_state *c, uint32_t at, ir_expr e) {
    ir_unit *u = c->u;
    uint32_t n = ir_red_n_bound(u, e);
    ir_var *bound = BASE_ARRAY(u->arena, n, ir_var);
    for (uint32_t i = 0; i < n; i++) {
        bound[i] = ir_red_bound(u, e, i);
        look(c, at, u->var.at[bound[i]].extent);
    }
    /* the guard is evaluated for every index: it has the variables, but does not hold in itself */
    uint32_t inside = within(c, at, ir_bool(u, true), bound, n);
    look(c, inside, ir_red_where(u, e));
    look(c, within(c, inside, ir_red_where(u, e), NULL, 0), ir_red_body(u, e));
    ask_exact(c, at, e);
}
/* Operands before the operator: a check is made after those that it relies on. Lazy sides are looked at in a context of their own. */
static void look(checks_state *c, uint32_t at, ir_expr e) {
    ir_unit *u = c->u;
    if (!is_suspect(c, e) || !pass_memo_add(&c->contexts.at[at].seen, e)) return;
    ir_expr first = ir_is(u, e, IR_VAR) ? 0 : ir_operand(u, e, 0);
    switch (ir_at(u, e)->op) {
    case IR_RED: look_reduction(c, at, e); break;
    case IR_SELECT:
        look(c, at, first);
        look(c, within(c, at, first, NULL, 0), ir_operand(u, e, 1));
        look(c, within(c, at, ir_not(u, first), NULL, 0), ir_operand(u, e, 2));
        break;
    case IR_AND: case IR_OR:
        look(c, at, first);
        look(c, within(c, at, ir_is(u, e, IR_AND) ? first : ir_not(u, first), NULL, 0), ir_operand(u, e, 1));
        break;
    case IR_READ:
        look_all(c, at, e);
        for (uint32_t i = 0; i < ir_n_operands(u, e); i++) {
            ir_value v = ir_at(u, e)->u.ref;
            ask_index(c, at, "index", v, i, ir_operand(u, e, i), u->value.at[v].type.dim[i]);
        }
        break;
    case IR_FDIV: case IR_MOD:
        look_all(c, at, e);
        ask_divisor(c, at, ir_operand(u, e, 1));
        ask_exact(c, at, e);
        break;
    case IR_BIT:
        look_all(c, at, e);
        ask_bit(c, at, ir_operand(u, e, 1));
        break;
    case IR_ADD: case IR_SUB: case IR_NEG: {     /* reals come this way too, and are never asked */
        look_env l = { c, at };
        pass_sum_terms(u, e, look_term, &l);
        ask_exact(c, at, e);
        break;
    }
    default:
        look_all(c, at, e);
        ask_exact(c, at, e);
        break;
    }
}

/* Contexts start anew: what they know is about this node's variables. Questions asked before stay in `made`, over all nodes. */
static void check_map(checks_state *c, const ir_node *n) {
    c->node = n;
    c->contexts.n = 0;
    /* [0]: the node itself, whose outer variables all have a value */
    context nothing = { ir_bool(c->u, true), 0, NULL, 0, pass_memo_create(c->u->arena) };
    BASE_PUSH(c->u->arena, &c->contexts, nothing);
    for (uint32_t i = 0; i < n->map.n_results; i++) {
        const ir_result *r = &n->map.results[i];
        look(c, 0, r->body);
        for (uint32_t k = 0; k < r->store.n_places; k++) {
            look(c, 0, r->store.places[k]);
            ask_index(c, 0, "place", 0, k, r->store.places[k], c->u->value.at[r->store.result].type.dim[k]);
        }
    }
}

static void mark_computed(void *env, ir_value v) { pass_memo_add(env, v); }

/* The top block's sources go to `early`, which the checks of tables then follow; everything else, with its checks before it, to `late`. Values of a
 * loop's body count as computed before the body is walked. */
static ir_block check_block(checks_state *c, const ir_block *block, bool top) {
    ir_builder *late = ir_builder_create(c->u), *outside = c->here;
    c->here = late;
    for (uint32_t i = 0; i < block->n; i++) {
        ir_node *n = block->at[i];
        bool source = n->form == IR_FORM_INPUT || n->form == IR_FORM_PARAM || n->form == IR_FORM_CONST;
        /* before the node is looked at: no question about it may move in front of it */
        if (!source) pass_node_defines(n, mark_computed, &c->computed);
        if (n->form == IR_FORM_MAP) check_map(c, n);
        if (n->form == IR_FORM_LOOP) {
            for (uint32_t k = 0; k < n->loop.n_carries; k++) pass_memo_add(&c->computed, n->loop.carries[k].inside);
            n = ir_node_copy(c->u, n);
            n->loop.body = check_block(c, &n->loop.body, false);
        }
        ir_builder_add(source && top ? c->early : late, n);
    }
    c->here = outside;
    return ir_builder_block(late);
}

bool pass_checks(pass_state *state) {
    ir_unit *u = state->graph->unit;
    checks_state c = { .u = u, .suspect = pass_memo_create(u->arena), .computed = pass_memo_create(u->arena),
                       .early = ir_builder_create(u) };
    ir_block late = check_block(&c, &state->graph->body, true);
    for (uint32_t i = 0; i < late.n; i++) ir_builder_add(c.early, late.at[i]);
    state->graph = ir_graph_with(state->graph, ir_builder_block(c.early));
    return true;
}
