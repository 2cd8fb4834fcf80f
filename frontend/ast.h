/* The syntax tree of one file. Built by the grammar's actions alone, in one arena, never changed afterwards.
 *
 * Names are interned by the program: two names are the same if their texts are the same pointer. Spans are bytes of the file.
 * Depth is bounded (FE_MAX_DEPTH) where nodes are made, so that every walk may recurse.
 */
#ifndef ATTN_FRONTEND_AST_H
#define ATTN_FRONTEND_AST_H
#include "base.h"

enum { FE_MAX_DEPTH = 250 };             /* of an expression's tree */

typedef struct { const char *text; base_span at; } fe_name;      /* text NULL: none */
typedef struct fe_expr fe_expr;
typedef struct fe_type fe_type;
typedef struct fe_decl fe_decl;
typedef struct fe_stmt fe_stmt;

typedef BASE_VEC(fe_expr *) fe_exprs;
typedef BASE_VEC(fe_name) fe_names;
typedef BASE_VEC(fe_decl *) fe_decls;
typedef BASE_VEC(fe_stmt *) fe_stmts;

typedef enum { FE_ITEM_EXPR, FE_ITEM_NAMED, FE_ITEM_RANGE } fe_item_kind;
typedef struct {                         /* what may stand between commas: e, name = e, name in e..hi */
    uint8_t kind;
    fe_name name;                        /* EXPR: none */
    fe_expr *e, *hi;
    base_span at;
} fe_item;
typedef BASE_VEC(fe_item) fe_items;

typedef enum { FE_CLAUSE_PLAIN, FE_CLAUSE_LET, FE_CLAUSE_WITH } fe_clause_kind;
typedef struct {
    uint8_t kind;
    fe_name name;                        /* PLAIN scale, score, ...; LET the new name; WITH the variant */
    fe_expr *e;                          /* PLAIN, LET */
    fe_items *binders, *args;            /* WITH */
    base_span at;
} fe_clause;
typedef BASE_VEC(fe_clause) fe_clauses;

typedef enum {
    FE_BAD,                              /* something went wrong and has been reported */
    FE_INT, FE_REAL, FE_NAME,
    FE_NEG, FE_NOT,
    FE_ADD, FE_SUB, FE_MUL, FE_DIV, FE_FLOORDIV, FE_MOD, FE_POW, FE_AND, FE_OR,
    FE_CHAIN, FE_CALL, FE_AT, FE_MEMBER, FE_ATTEND, FE_TABLE
} fe_expr_kind;
typedef enum { FE_LT, FE_GT, FE_LE, FE_GE, FE_EQ, FE_NE } fe_relation;
struct fe_expr {
    uint8_t kind;
    uint16_t depth;
    base_span at;
    union {
        int64_t i;                                                        /* INT */
        double f;                                                         /* REAL */
        fe_name name;                                                     /* NAME */
        struct { fe_expr *a, *b; } op;                                    /* NEG .. OR; NEG, NOT: a alone */
        struct { fe_exprs terms; BASE_VEC(uint8_t) relations; } chain;    /* a < b <= c */
        struct { fe_name name; fe_items *binders, *args; } call;          /* f(binders: args) */
        struct { fe_expr *base; fe_items *items; } index;                 /* base[items] */
        struct { fe_expr *base; fe_name field; } member;
        struct { fe_items *binders, *operands; fe_clauses *clauses; } attend;
        fe_exprs table;                                                   /* {a, b}; tables of tables too */
    };
};

typedef enum { FE_DIM_PLAIN, FE_DIM_GROWING, FE_DIM_PACKED } fe_dim_kind;
typedef struct fe_dim fe_dim;
typedef BASE_VEC(fe_dim) fe_dims;
struct fe_dim {                          /* e; name <= e; (parts) */
    uint8_t kind;
    fe_name name;
    fe_expr *e;
    fe_dims *parts;
    base_span at;
};
struct fe_type { fe_name element; fe_dims *dims; base_span at; };
typedef struct { fe_name name; fe_type *type; base_span at; } fe_field;
typedef BASE_VEC(fe_field) fe_fields;
typedef struct { fe_expr *e; fe_name name; fe_exprs *values; base_span at; } fe_fact;   /* e; or name in {values} */
typedef BASE_VEC(fe_fact) fe_facts;
typedef struct { fe_names *indices, *values; } fe_formals;

typedef enum { FE_STMT_DEFINE, FE_STMT_ADD_TO, FE_STMT_FOR, FE_STMT_LOCAL } fe_stmt_kind;
typedef struct { fe_name name; fe_items *binders, *items; base_span at; } fe_left;      /* items NULL: no brackets */
struct fe_stmt {
    uint8_t kind;
    base_span at;
    union {
        struct { fe_left left; fe_type *type; fe_expr *e; } define;       /* DEFINE, ADD_TO; type may be NULL */
        struct { fe_name counter; fe_expr *lo, *hi, *cond; fe_stmts *body; } loop;      /* cond may be NULL */
        fe_decls *locals;                                                 /* const, param, state inside a graph */
    };
};

typedef enum { FE_DECL_IMPORT, FE_DECL_CONST, FE_DECL_PARAM, FE_DECL_STATE, FE_DECL_FN, FE_DECL_VARIANT, FE_DECL_GRAPH } fe_decl_kind;
struct fe_decl {
    uint8_t kind;
    fe_name name;                        /* import "path": none */
    base_span at;
    const char *doc;                     /* its ## lines, or NULL */
    struct fe_module *module;            /* where it stands */
    union {
        const char *path;                                                 /* IMPORT "path" */
        fe_expr *value;                                                   /* CONST */
        struct { fe_type *type; const char *storage; } param;             /* storage NULL: its own name */
        struct { fe_type *type; fe_name ring; fe_expr *init; } state;
        struct { fe_formals *formals; fe_expr *body; } fn;
        struct { fe_formals *formals; fe_clauses *clauses; } variant;
        struct { fe_fields *inputs, *outputs; fe_facts *facts; fe_stmts *body; } graph;
    };
};

/* ast.c: constructors, for the grammar */
struct fe_scan;
fe_expr *fe_expr_new(struct fe_scan *s, fe_expr_kind kind, base_span at, fe_expr *a, fe_expr *b);     /* operators; checks depth */
fe_expr *fe_chain_new(struct fe_scan *s, base_span at, fe_expr *a, fe_relation relation, fe_expr *b);
fe_expr *fe_chain_extend(struct fe_scan *s, base_span at, fe_expr *chain, fe_relation relation, fe_expr *b);   /* a chain in brackets is a term, not this */
fe_expr *fe_call_new(struct fe_scan *s, base_span at, fe_name name, fe_items *binders, fe_items *args);
fe_expr *fe_index_new(struct fe_scan *s, base_span at, fe_expr *base, fe_items *items);
fe_expr *fe_member_new(struct fe_scan *s, base_span at, fe_expr *base, fe_name field);
fe_expr *fe_attend_new(struct fe_scan *s, base_span at, fe_items *binders, fe_items *operands, fe_clauses *clauses);
fe_expr *fe_attend_with(struct fe_scan *s, base_span at, fe_expr *attend, fe_clauses *clauses);
fe_expr *fe_table_new(struct fe_scan *s, base_span at, const fe_exprs *items);
fe_decl *fe_decl_new(struct fe_scan *s, fe_decl_kind kind, fe_name name, base_span at);
fe_stmt *fe_stmt_new(struct fe_scan *s, fe_stmt_kind kind, base_span at);
#endif
