/* Constructors of the syntax tree. Each checks the depth of what it makes, so that later walks may recurse without asking. The parser
 * owns no memory: nodes live in the arena of the program, zeroed, and lists are taken over as they are. */
#include "ast.h"
#include "scan.h"

/* Absent parts, such as the second operand of a negation, have depth 0. */
static uint16_t depth_of(const fe_expr *e) { return e ? e->depth : 0; }

/* The greatest depth among the expressions of a list; ranges have two each. */
static uint16_t items_depth(const fe_items *items)
{
    uint16_t depth = 0;
    for (uint32_t k = 0; items && k < items->n; k++) {
        uint16_t a = depth_of(items->at[k].e), b = depth_of(items->at[k].hi);
        if (a > depth) depth = a;
        if (b > depth) depth = b;
    }
    return depth;
}

/* e stands over things of this depth; FE_BAD, reported, where the tree becomes too deep. What was below is dropped, and depth 1 lets
 * the parser go on building over it without saying it again. Also for a node that gains parts: depth only grows. */
static fe_expr *node_over(fe_scan *s, fe_expr *e, base_span at, uint16_t below)
{
    e->at = at;
    /* As uint16_t it cannot run over: what is below has passed this test and is at most FE_MAX_DEPTH deep. */
    if (e->depth <= below) e->depth = (uint16_t)(below + 1);
    if (e->depth <= FE_MAX_DEPTH) return e;
    if (!s->said_deep) base_report(s->diags, BASE_MSG_TOO_DEEP, at);        /* a long sum would say it every FE_MAX_DEPTH terms */
    s->said_deep = true;
    e->kind = FE_BAD;
    e->depth = 1;
    return e;
}

/* May come back as FE_BAD; the caller fills in its fields all the same, and nobody reads them under that kind. */
static fe_expr *node_new(fe_scan *s, fe_expr_kind kind, base_span at, uint16_t below)
{
    fe_expr *e = BASE_NEW(s->arena, fe_expr);
    e->kind = (uint8_t)kind;
    return node_over(s, e, at, below);
}

/* Operators and leaves alike: a leaf has no operands, so its depth is 1. The caller fills in what the kind holds. */
fe_expr *fe_expr_new(fe_scan *s, fe_expr_kind kind, base_span at, fe_expr *a, fe_expr *b)
{
    /* Expressions in brackets are the same nodes, so brackets alone add no depth; the scanner bounds those. */
    uint16_t below = depth_of(a) > depth_of(b) ? depth_of(a) : depth_of(b);
    fe_expr *e = node_new(s, kind, at, below);
    e->op.a = a;
    e->op.b = b;
    return e;
}

/* The first comparison of a chain. Its terms are kept side by side, so that `0 <= i - j < w` evaluates i - j once. */
fe_expr *fe_chain_new(fe_scan *s, base_span at, fe_expr *a, fe_relation relation, fe_expr *b)
{
    fe_expr *e = node_new(s, FE_CHAIN, at, depth_of(a));
    if (e->kind == FE_BAD) return e;
    BASE_PUSH(s->arena, &e->chain.terms, a);
    return fe_chain_extend(s, at, e, relation, b);
}

/* The same node grows. A chain has one more term than relations: relation k stands between terms k and k + 1. */
fe_expr *fe_chain_extend(fe_scan *s, base_span at, fe_expr *e, fe_relation relation, fe_expr *b)
{
    if (e->kind == FE_BAD) return e;
    BASE_PUSH(s->arena, &e->chain.terms, b);
    BASE_PUSH(s->arena, &e->chain.relations, (uint8_t)relation);
    return node_over(s, e, at, depth_of(b));
}

/* f(binders: args); without a colon the list of binders is empty, not NULL. */
fe_expr *fe_call_new(fe_scan *s, base_span at, fe_name name, fe_items *binders, fe_items *args)
{
    uint16_t a = items_depth(binders), b = items_depth(args);
    fe_expr *e = node_new(s, FE_CALL, at, a > b ? a : b);
    e->call.name = name;
    e->call.binders = binders;
    e->call.args = args;
    return e;
}

/* The base is whatever stands before the brackets; that only names and members have axes is decided when it is lowered. */
fe_expr *fe_index_new(fe_scan *s, base_span at, fe_expr *base, fe_items *items)
{
    uint16_t a = depth_of(base), b = items_depth(items);
    fe_expr *e = node_new(s, FE_AT, at, a > b ? a : b);
    e->index.base = base;
    e->index.items = items;
    return e;
}

/* base.field: of a record, or the lse of an attend. Whether there is such a field is asked when it is lowered. */
fe_expr *fe_member_new(fe_scan *s, base_span at, fe_expr *base, fe_name field)
{
    fe_expr *e = node_new(s, FE_MEMBER, at, depth_of(base));
    e->member.base = base;
    e->member.field = field;
    return e;
}

/* Without clauses, as far as is known: fe_attend_with adds them when they have been read. Until then the list is empty, so an attend
 * without a block is complete. */
fe_expr *fe_attend_new(fe_scan *s, base_span at, fe_items *binders, fe_items *operands, fe_clauses *clauses)
{
    uint16_t a = items_depth(binders), b = items_depth(operands);
    fe_expr *e = node_new(s, FE_ATTEND, at, a > b ? a : b);
    e->attend.binders = binders;
    e->attend.operands = operands;
    e->attend.clauses = clauses;
    return e;
}

/* Clauses may be deeper than the operands, so the depth is looked at again. */
fe_expr *fe_attend_with(fe_scan *s, base_span at, fe_expr *e, fe_clauses *clauses)
{
    uint16_t below = 0;
    if (e->kind == FE_BAD) return e;
    for (uint32_t k = 0; k < clauses->n; k++) {
        const fe_clause *c = &clauses->at[k];
        /* WITH has lists and no expression, the other kinds the reverse; what is absent counts 0. */
        uint16_t of[] = {depth_of(c->e), items_depth(c->binders), items_depth(c->args)};
        for (int i = 0; i < 3; i++) below = of[i] > below ? of[i] : below;
    }
    e->attend.clauses = clauses;
    return node_over(s, e, at, below);
}

/* Rows are tables themselves. That they are alike is checked where the table is used, by table_collect. */
fe_expr *fe_table_new(fe_scan *s, base_span at, const fe_exprs *items)
{
    uint16_t below = 0;
    for (uint32_t k = 0; k < items->n; k++)
        if (items->at[k]->depth > below) below = items->at[k]->depth;
    fe_expr *e = node_new(s, FE_TABLE, at, below);
    /* The vector's head is copied, its elements stay where they are: the grammar pushes nothing after the closing brace. */
    e->table = *items;
    return e;
}

/* Doc and module are filled in later: the one by docs_attach, the other when the file's names are declared. */
fe_decl *fe_decl_new(fe_scan *s, fe_decl_kind kind, fe_name name, base_span at)
{
    fe_decl *d = BASE_NEW(s->arena, fe_decl);
    d->kind = (uint8_t)kind;
    d->name = name;
    d->at = at;
    return d;
}

/* The grammar fills in what the kind holds; all of it is zero until then. */
fe_stmt *fe_stmt_new(fe_scan *s, fe_stmt_kind kind, base_span at)
{
    fe_stmt *stmt = BASE_NEW(s->arena, fe_stmt);
    stmt->kind = (uint8_t)kind;
    stmt->at = at;
    return stmt;
}
