/* Private to the text forms (print_expr.c, print.c, read_expr.c, read.c).
 *
 * The grammar of expressions, loosest first; the same in graphs, kernels, tables:
 *   full  : { let @k [ {NAME in 0..expr, ...} ] = expr ; } expr          abbreviations of what is mentioned often
 *   expr  : or < and < not < chain of == != < <= > >= < + - < * / // % < unary - < ^ < post
 *   post  : INT | REAL | true | false | inf | nan | NAME | $k | @k [ {expr, ...} ] | (expr) | NAME[expr, ...] | NAME(expr, ...)
 *         | NAME(NAME in 0..expr, ... [where expr]: expr)                a reduction
 */
#ifndef ATTN_IR_TEXT_H
#define ATTN_IR_TEXT_H
#include "ir.h"

enum { IR_LEVEL_OR = 1, IR_LEVEL_AND, IR_LEVEL_NOT, IR_LEVEL_COMPARE, IR_LEVEL_ADD, IR_LEVEL_MUL, IR_LEVEL_UNARY, IR_LEVEL_POWER, IR_LEVEL_POST };
int ir_op_level(ir_op op);                       /* of infix and prefix operators */
bool ir_is_reserved(const char *name);           /* words that expressions need: no variable or dimension prints as one of these */
char *ir_plain_name(base_arena *arena, const char *name);                        /* of a variable, without the .1 that kept it apart */

typedef struct { ir_var var; const char *name; } ir_shown;
typedef struct ir_sheet ir_sheet;
typedef struct {
    const ir_unit *unit;
    base_text *out;
    base_arena *arena;
    BASE_VEC(ir_shown) scope;                    /* variables that have a name here, the innermost last */
    ir_sheet *sheet;                             /* what is known of the expressions being printed */
} ir_printer;

/* print_expr.c */
void ir_printer_init(ir_printer *p, const ir_unit *u, base_text *out);
const char *ir_scope_push(ir_printer *p, ir_var v);                              /* a name that means nothing else here */
const char *ir_scope_name(const ir_printer *p, ir_var v);
void ir_put_lets(ir_printer *p, uint32_t n, const ir_expr *roots, const char *between);   /* abbreviations for roots, each ended by `between` */
void ir_put(ir_printer *p, ir_expr e, int level);                                /* one of the roots */
void ir_put_full(ir_printer *p, ir_expr e, int level);                           /* with its abbreviations; a level above OR puts them in parentheses */
void ir_put_ranges(ir_printer *p, uint32_t n, const ir_var *vars);               /* b in 0..B, i in 0..S; the names come into scope */

/* kernel.c: names of the axes as the kernel's text has them, one per axis */
const char **ir_axis_names(const ir_kernel *k, base_arena *arena);

/* ---- reading: one error ends it, by a jump to `failed` */
typedef enum { IR_TOKEN_END, IR_TOKEN_NAME, IR_TOKEN_INT, IR_TOKEN_REAL, IR_TOKEN_STRING, IR_TOKEN_LET, IR_TOKEN_ABBREVIATION, IR_TOKEN_MARK } ir_token_kind;
typedef struct { uint8_t kind; uint32_t start, end; } ir_token;
typedef struct { const char *name; ir_expr e; } ir_meaning;
typedef struct { uint64_t number; ir_expr e; ir_var *params; uint32_t n_params; } ir_abbreviation;
typedef struct {
    ir_unit *unit;
    base_arena *arena;
    const char *text;
    uint32_t file, n;                            /* file 0: a text that is no file */
    ir_token token;                              /* the next one */
    uint32_t last_end;                           /* where the one before it ended */
    uint32_t depth;
    BASE_VEC(ir_meaning) scope;                  /* variables and operands, the innermost last */
    base_map *dims, *values;
    BASE_VEC(ir_abbreviation) lets;
    jmp_buf failed;
} ir_reader;

/* Reports at the token and ends the reading. */
#define IR_FAIL_AT(r, where, message, ...) (base_report((r)->unit->diags, message, ir_span_of((r), (where)), __VA_ARGS__), ir_reader_stop(r))
#define IR_FAIL(r, message, ...) IR_FAIL_AT(r, (r)->token, message, __VA_ARGS__)

/* read_expr.c */
void ir_reader_init(ir_reader *r, ir_unit *u, uint32_t file, const char *text, size_t n);
_Noreturn void ir_reader_stop(ir_reader *r);
base_span ir_span_of(const ir_reader *r, ir_token token);
void ir_next(ir_reader *r);
bool ir_sees(const ir_reader *r, const char *word);                              /* the next token is this name or mark */
bool ir_sees_after(const ir_reader *r, const char *word);                        /* the one after the next is */
bool ir_eats(ir_reader *r, const char *word);
void ir_wants(ir_reader *r, const char *word);
const char *ir_reads_name(ir_reader *r);
char *ir_reads_string(ir_reader *r);
int64_t ir_reads_int(ir_reader *r);                                              /* a literal, with its sign */
double ir_reads_real(ir_reader *r);                                              /* a literal without sign, whole or not */
const char *ir_token_text(const ir_reader *r, ir_token token);
void ir_reads_lets(ir_reader *r);                                                /* let ...; they last until r->lets.n is set back */
ir_expr ir_reads_full(ir_reader *r);
ir_expr ir_reads_sort(ir_reader *r, ir_sort sort);                               /* a full expression of this sort; an integer becomes a real */
ir_expr ir_reads_sum(ir_reader *r);                                              /* down from +: an integer */
ir_expr ir_to_real(ir_unit *u, ir_expr e);
uint32_t ir_reads_ranges(ir_reader *r, uint32_t most, ir_var *out);              /* NAME in 0..expr, ...; the names come into scope */
#endif
