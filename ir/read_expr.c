/* Tokens and expressions of IR text: recursive descent over the grammar of text.h, with a bounded stack. An expression is built as it is
 * read, so it is folded and canonical like any other. The first error is reported and ends the reading. */
#include <stdlib.h>
#include <string.h>
#include "text.h"

/* Of nested operators and parentheses. The printer cuts expressions at a smaller height, so whatever it prints can be
 * read. */
enum { MAX_DEPTH = 200 };

/* ---------------------------------------------------------------- tokens */

/* Bytes from 0x80 on are parts of UTF-8: names may use any letters. */
static bool starts_name(unsigned char c) { return (c | 32) >= 'a' && (c | 32) <= 'z' ? true : c == '_' || c >= 0x80; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool in_name(char c) { return starts_name((unsigned char)c) || is_digit(c); }

/* The text ends with a zero byte, so looking one byte ahead is always allowed. A comment runs from # to the end of its
 * line. */
static uint32_t skip_blank(const ir_reader *r, uint32_t at) {
    for (;; at++) {
        char c = r->text[at];
        if (c == '#')
            while (r->text[at] && r->text[at] != '\n') at++;
        if (!r->text[at] || (c != '#' && c != ' ' && c != '\t' && c != '\n' && c != '\r')) return at;
    }
}

/* The first byte at or behind `at` that is no digit; `at` itself where there is none, so a number may end with its dot. */
static uint32_t digits_end(const ir_reader *r, uint32_t at) {
    while (is_digit(r->text[at])) at++;
    return at;
}

/* x, x.1, o.lse: a name goes on behind a dot, but `0..B` and `lo..hi` are ranges */
static uint32_t name_end(const ir_reader *r, uint32_t at) {
    while (in_name(r->text[at]) || (r->text[at] == '.' && in_name(r->text[at + 1]))) at++;
    return at;
}

/* `0..B` is a range: a dot before another dot belongs to neither number. */
static ir_token number_at(const ir_reader *r, uint32_t start) {
    uint32_t at = digits_end(r, start);
    bool real = false;
    if (r->text[at] == '.' && r->text[at + 1] != '.') at = digits_end(r, at + 1), real = true;
    /* An e without digits behind it is no exponent: the number ends before it and a name begins. */
    if ((r->text[at] | 32) == 'e') {
        uint32_t exponent = at + 1 + (r->text[at + 1] == '-' || r->text[at + 1] == '+');
        if (is_digit(r->text[exponent])) at = digits_end(r, exponent), real = true;
    }
    return (ir_token){real ? IR_TOKEN_REAL : IR_TOKEN_INT, start, at};
}

/* A string that does not end on its line is a mark, which nothing expects. */
static ir_token string_at(const ir_reader *r, uint32_t start) {
    uint32_t at = start + 1;
    for (; r->text[at] && r->text[at] != '"' && r->text[at] != '\n'; at++)
        if (r->text[at] == '\\' && r->text[at + 1]) at++;
    return (ir_token){r->text[at] == '"' ? IR_TOKEN_STRING : IR_TOKEN_MARK, start, at + (r->text[at] == '"')};
}

/* An unknown character is a mark of one byte; whoever expected something else reports it. */
static ir_token mark_at(const ir_reader *r, uint32_t start) {
    static const char *const pairs[] = {"..", "//", "<=", ">=", "==", "!=", "+="};
    for (uint32_t k = 0; k < sizeof pairs / sizeof *pairs; k++)
        if (strncmp(r->text + start, pairs[k], 2) == 0) return (ir_token){IR_TOKEN_MARK, start, start + 2};
    return (ir_token){IR_TOKEN_MARK, start, start + 1};
}

/* Which kind of token starts at or behind `from`. Nothing is stored: looking ahead is another call from a later place. */
static ir_token token_at(const ir_reader *r, uint32_t from) {
    uint32_t at = skip_blank(r, from);
    char c = r->text[at];
    /* A zero byte inside the text ends it too. */
    if (at >= r->n || !c) return (ir_token){IR_TOKEN_END, from, from};       /* where the last one ended */
    if (starts_name((unsigned char)c)) return (ir_token){IR_TOKEN_NAME, at, name_end(r, at)};
    if (is_digit(c)) return number_at(r, at);
    if (c == '"') return string_at(r, at);
    /* Without digits the sign is a mark like any other unknown byte. */
    if ((c == '$' || c == '@') && is_digit(r->text[at + 1]))
        return (ir_token){c == '$' ? IR_TOKEN_LET : IR_TOKEN_ABBREVIATION, at, digits_end(r, at + 1)};
    return mark_at(r, at);
}

/* One token is always read ahead in r->token. */
void ir_next(ir_reader *r) {
    r->last_end = r->token.end;
    r->token = token_at(r, r->token.end);
}

/* No token is read yet when this starts, so the first ir_next begins at byte 0. `text` must outlive the reader. */
void ir_reader_init(ir_reader *r, ir_unit *u, uint32_t file, const char *text, size_t n) {
    memset(r, 0, sizeof *r);
    r->unit = u, r->arena = u->arena, r->file = file, r->text = text, r->n = (uint32_t)n;
    r->dims = base_map_create(u->arena);
    r->values = base_map_create(u->arena);
    ir_next(r);
}

/* One error ends the reading: texts are made by programs, and what follows an error is seldom another. */
void ir_reader_stop(ir_reader *r) { longjmp(r->failed, 1); }
base_span ir_span_of(const ir_reader *r, ir_token token) { return r->file ? (base_span){r->file, token.start, token.end} : (base_span){0}; }

/* Strings and numbers are no words: a string "map" never passes for the word. */
static bool is_word(const ir_reader *r, ir_token t, const char *word) {
    return (t.kind == IR_TOKEN_NAME || t.kind == IR_TOKEN_MARK) && strlen(word) == t.end - t.start && memcmp(r->text + t.start, word, t.end - t.start) == 0;
}

bool ir_sees(const ir_reader *r, const char *word) { return is_word(r, r->token, word); }
bool ir_sees_after(const ir_reader *r, const char *word) { return is_word(r, token_at(r, r->token.end), word); }

/* For messages: in quotes, or "the end", which has no text. */
const char *ir_token_text(const ir_reader *r, ir_token t) {
    return t.kind == IR_TOKEN_END ? "the end" : base_printf(r->arena, "'%.*s'", (int)(t.end - t.start), r->text + t.start);
}

static _Noreturn void expected(ir_reader *r, const char *what) { IR_FAIL(r, BASE_MSG_IR_EXPECTED, what, ir_token_text(r, r->token)); }

/* Reads the token if it is this one; otherwise the reader stays where it was, so that alternatives can be tried in turn. */
bool ir_eats(ir_reader *r, const char *word) {
    if (!ir_sees(r, word)) return false;
    ir_next(r);
    return true;
}

/* Where the grammar leaves no choice: anything else ends the reading. */
void ir_wants(ir_reader *r, const char *word) {
    if (!ir_eats(r, word)) expected(r, base_printf(r->arena, "'%s'", word));
}

/* A copy in the arena, which values, variables and graphs may keep. */
const char *ir_reads_name(ir_reader *r) {
    if (r->token.kind != IR_TOKEN_NAME) expected(r, "a name");
    const char *name = base_strndup(r->arena, r->text + r->token.start, r->token.end - r->token.start);
    ir_next(r);
    return name;
}

/* The quotes are left out and escapes resolved in place, as the result is never longer. A backslash is never the last
 * byte: string_at takes the byte behind it along. */
char *ir_reads_string(ir_reader *r) {
    if (r->token.kind != IR_TOKEN_STRING) expected(r, "a string");
    char *text = base_strndup(r->arena, r->text + r->token.start + 1, r->token.end - r->token.start - 2), *to = text;
    for (const char *from = text; *from; from++) {
        bool escaped = *from == '\\';
        if (escaped) from++;
        *to++ = escaped && *from == 'n' ? '\n' : *from;
    }
    *to = 0;
    ir_next(r);
    return text;
}

/* The digits of the token, at most 2^63. */
static uint64_t magnitude(ir_reader *r) {
    uint64_t value = 0;
    for (uint32_t at = r->token.start; at < r->token.end; at++) {
        /* Far beyond the limit already: a value that still fails the test below, but whose tenfold does not wrap around. */
        if (value > (uint64_t)1 << 62) value = UINT64_MAX / 16;
        value = value * 10 + (uint64_t)(r->text[at] - '0');
        if (value > (uint64_t)1 << 63) IR_FAIL(r, BASE_MSG_IR_NUMBER, ir_token_text(r, r->token));
    }
    return value;
}

/* 2^63 exists with a minus sign only. */
static int64_t literal(ir_reader *r, bool negative) {
    uint64_t value = magnitude(r);
    if (value == (uint64_t)1 << 63 && !negative) IR_FAIL(r, BASE_MSG_IR_NUMBER, ir_token_text(r, r->token));
    ir_next(r);
    return negative ? (int64_t)(0 - value) : (int64_t)value;
}

int64_t ir_reads_int(ir_reader *r) {
    bool negative = ir_eats(r, "-");
    if (r->token.kind != IR_TOKEN_INT) expected(r, "an integer");
    return literal(r, negative);
}

/* The digits are copied, so that the conversion sees a terminated text and nothing behind the token. */
double ir_reads_real(ir_reader *r) {
    /* Words, not numbers: they are tokens of a name. */
    if (ir_eats(r, "inf")) return (double)INFINITY;
    if (ir_eats(r, "nan")) return (double)NAN;
    if (r->token.kind != IR_TOKEN_INT && r->token.kind != IR_TOKEN_REAL) expected(r, "a number");
    double value = base_real_read(base_strndup(r->arena, r->text + r->token.start, r->token.end - r->token.start));
    ir_next(r);
    return value;
}

/* ---------------------------------------------------------------- operators */

static const char *sort_text(ir_sort sort) {
    switch (sort) {
    case IR_SORT_INT: return "an integer";
    case IR_SORT_REAL: return "a real";
    case IR_SORT_BOOL: return "a truth value";
    default: return "nothing";
    }
}

static ir_sort sort_of(const ir_reader *r, ir_expr e) { return (ir_sort)ir_at(r->unit, e)->sort; }

/* Anything but an integer is left as it is, truth values too: whoever needs a real checks the sort afterwards. */
ir_expr ir_to_real(ir_unit *u, ir_expr e) { return ir_at(u, e)->sort == IR_SORT_INT ? ir_op1(u, IR_FLOAT, e) : e; }

/* An integer becomes a real where the row asks for one, or stands beside one. */
static void widen(ir_reader *r, ir_op op, uint32_t n, ir_expr *operands) {
    const char *args = ir_ops[op].args;
    /* One real among the operands that must be alike makes all of them real; those that the row wants real become so
     * anyway. */
    bool real = false;
    for (uint32_t k = 0; k < n; k++) real |= (args[k] == 'n' || args[k] == 'x') && sort_of(r, operands[k]) == IR_SORT_REAL;
    for (uint32_t k = 0; k < n; k++)
        if (args[k] == 'f' || (real && (args[k] == 'n' || args[k] == 'x'))) operands[k] = ir_to_real(r->unit, operands[k]);
}

/* What came out of construction: the poison has been reported, unless it is our fault. */
static ir_expr sound(ir_reader *r, ir_token at, ir_expr e) {
    if (!e && !r->unit->diags->n_errors) IR_FAIL_AT(r, at, BASE_MSG_INTERNAL_IR, "an expression that was refused");
    if (!e) ir_reader_stop(r);
    return e;
}

/* `at` is the token of the operator. Sorts are tested before construction, which would only answer with the poison. */
static ir_expr apply(ir_reader *r, ir_token at, ir_op op, uint32_t n, ir_expr *operands) {
    widen(r, op, n, operands);
    if (ir_result_sort(r->unit, op, n, operands) == IR_SORT_NONE)
        IR_FAIL_AT(r, at, BASE_MSG_IR_SORT, ir_ops[op].text, sort_text(sort_of(r, operands[0])), n > 1 ? " and " : "",
                   n > 1 ? sort_text(sort_of(r, operands[n - 1])) : "");
    return sound(r, at, ir_apply(r->unit, op, n, operands));
}

/* Literals in sums, products and comparisons come here too: construction folds them, so a text of constants reads as one
 * literal. */
static ir_expr apply2(ir_reader *r, ir_token at, ir_op op, ir_expr a, ir_expr b) { return apply(r, at, op, 2, (ir_expr[]){a, b}); }

/* The grammar goes around: a parenthesis or an argument starts again at the loosest level. */
static ir_expr or_level(ir_reader *r);
static ir_expr unary_level(ir_reader *r);

/* Text comes from files: its nesting must not become that of the stack. */
static void deeper(ir_reader *r) {
    if (++r->depth > MAX_DEPTH) IR_FAIL(r, BASE_MSG_IR_DEEP, MAX_DEPTH);
}

/* Expressions between commas up to the closing mark, which is read. */
static uint32_t list(ir_reader *r, const char *close, uint32_t most, ir_expr *out) {
    uint32_t n = 0;
    while (!ir_eats(r, close)) {
        if (n) ir_wants(r, ",");
        if (n == most) IR_FAIL(r, BASE_MSG_IR_LIMIT, "expressions", most);
        out[n++] = or_level(r);
    }
    return n;
}

/* ---------------------------------------------------------------- names, reads, calls */

/* A read is built as soon as its places are known; nothing is looked up later. */
static ir_expr read_element(ir_reader *r, ir_token at) {
    uint32_t value;
    if (!base_map_get(r->values, ir_reads_name(r), &value)) IR_FAIL_AT(r, at, BASE_MSG_IR_UNKNOWN, "value", ir_token_text(r, at));
    ir_expr places[IR_RANK];
    ir_wants(r, "[");
    /* The sort of the result is that of the value's element type. */
    uint32_t n = list(r, "]", IR_RANK, places), rank = r->unit->value.at[value].type.rank;
    if (n != rank) IR_FAIL_AT(r, at, BASE_MSG_IR_COUNT, ir_token_text(r, at), rank, "indices", n);
    for (uint32_t k = 0; k < n; k++)
        if (sort_of(r, places[k]) != IR_SORT_INT) IR_FAIL_AT(r, at, BASE_MSG_IR_SORT, "[]", sort_text(sort_of(r, places[k])), "", "");
    return sound(r, at, ir_read(r->unit, value, n, places));
}

/* Variables hide dimensions; the innermost meaning counts. */
static ir_expr bare_name(ir_reader *r, ir_token at) {
    ir_unit *u = r->unit;
    if (ir_eats(r, "true")) return ir_bool(u, true);
    if (ir_eats(r, "false")) return ir_bool(u, false);
    if (ir_sees(r, "inf") || ir_sees(r, "nan")) return ir_real(u, ir_reads_real(r));
    const char *name = ir_reads_name(r);
    for (uint32_t k = r->scope.n; k-- > 0;)
        if (strcmp(r->scope.at[k].name, name) == 0) return r->scope.at[k].e;
    /* No variable has the name, so it can only be that of a dimension. */
    uint32_t dim;
    if (base_map_get(r->dims, name, &dim)) return ir_dim_expr(u, dim);
    IR_FAIL_AT(r, at, BASE_MSG_IR_UNKNOWN, "name", ir_token_text(r, at));
}

/* NAME in 0..EXTENT, ... Each variable is new, also where a name is used again, and later extents see the earlier ones. */
uint32_t ir_reads_ranges(ir_reader *r, uint32_t most, ir_var *out) {
    uint32_t n = 0;
    do {
        if (n == most) IR_FAIL(r, BASE_MSG_IR_LIMIT, "index variables", most);
        const char *name = ir_reads_name(r);
        ir_wants(r, "in");
        if (r->token.kind != IR_TOKEN_INT || literal(r, false) != 0) expected(r, "0: ranges start at 0, other bounds are a guard");
        ir_wants(r, "..");
        out[n] = ir_var_new(r->unit, ir_plain_name(r->arena, name), ir_reads_sum(r));
        BASE_PUSH(r->arena, &r->scope, ((ir_meaning){name, ir_var_expr(r->unit, out[n])}));
        n++;
    } while (ir_eats(r, ","));
    return n;
}

/* `name(v in` begins a reduction, everything else is a call: max(a, b) and max(j in 0..T: ..) are told apart by one token. */
static ir_expr reduction(ir_reader *r, ir_token at, ir_red kind) {
    ir_unit *u = r->unit;
    uint32_t outside = r->scope.n;
    ir_var bound[IR_AXES];
    uint32_t n = ir_reads_ranges(r, IR_AXES, bound);
    ir_expr where = ir_eats(r, "where") ? or_level(r) : ir_bool(u, true);
    ir_wants(r, ":");
    ir_expr body = or_level(r);
    ir_wants(r, ")");
    /* Names of what is bound end with the reduction. Messages about sorts point at its name, where it begins. */
    r->scope.n = outside;
    ir_sort sort = sort_of(r, body);
    bool fits = ir_red_takes(kind, sort);
    if (!fits) IR_FAIL_AT(r, at, BASE_MSG_IR_SORT, ir_reds[kind].text, sort_text(sort), "", "");
    if (sort_of(r, where) != IR_SORT_BOOL) IR_FAIL_AT(r, at, BASE_MSG_IR_SORT, "where", sort_text(sort_of(r, where)), "", "");
    return sound(r, at, ir_reduce(u, kind, n, bound, where, body));
}

/* The table of operators is the list of functions. */
static ir_expr call(ir_reader *r, ir_token at) {
    const char *name = ir_reads_name(r);
    ir_wants(r, "(");
    if (r->token.kind == IR_TOKEN_NAME && ir_sees_after(r, "in"))
        /* A name that is no reduction goes on to the operators; if it is none either, it is unknown. */
        for (uint32_t k = 0; k < IR_N_REDS; k++)
            if (strcmp(ir_reds[k].text, name) == 0) return reduction(r, at, (ir_red)k);
    for (uint32_t op = 0; op < IR_N_OPS; op++) {
        if (ir_ops[op].form != 'C' || strcmp(ir_ops[op].text, name) != 0) continue;
        /* More than any row of the table takes, so that a wrong count is reported as such. */
        ir_expr operands[8];
        uint32_t n = list(r, ")", 8, operands);
        if (n != ir_ops[op].n_args) IR_FAIL_AT(r, at, BASE_MSG_IR_COUNT, ir_token_text(r, at), (unsigned)ir_ops[op].n_args, "operands", n);
        return apply(r, at, (ir_op)op, n, operands);
    }
    IR_FAIL_AT(r, at, BASE_MSG_IR_UNKNOWN, "function", ir_token_text(r, at));
}

/* ---------------------------------------------------------------- abbreviations */

/* The number of an abbreviation is between @ and what follows; the printer counts from 1, but any number will do. */
static uint64_t number_of(ir_reader *r) {
    r->token.start++;                            /* past the @ */
    uint64_t number = magnitude(r);
    ir_next(r);
    return number;
}

/* The innermost definition of a number counts, and its parameters are substituted: an abbreviation is no node of the DAG. */
static ir_expr abbreviation(ir_reader *r, ir_token at) {
    uint64_t number = number_of(r);
    ir_expr arguments[IR_AXES];
    uint32_t n = ir_eats(r, "{") ? list(r, "}", IR_AXES, arguments) : 0;
    /* Searched from the last one: maps and parentheses may use a number again. */
    const ir_abbreviation *let = NULL;
    for (uint32_t k = r->lets.n; k-- > 0 && !let;)
        if (r->lets.at[k].number == number) let = &r->lets.at[k];
    if (!let) IR_FAIL_AT(r, at, BASE_MSG_IR_UNKNOWN, "abbreviation", ir_token_text(r, at));
    if (n != let->n_params) IR_FAIL_AT(r, at, BASE_MSG_IR_COUNT, ir_token_text(r, at), let->n_params, "arguments", n);
    if (!n) return let->e;
    /* Arguments are places, so integers; all parameters are replaced at once, so an argument may mention a variable that
     * is itself a parameter. */
    ir_binding all[IR_AXES];
    for (uint32_t k = 0; k < n; k++) {
        if (sort_of(r, arguments[k]) != IR_SORT_INT) IR_FAIL_AT(r, at, BASE_MSG_IR_SORT, "{}", sort_text(sort_of(r, arguments[k])), "", "");
        all[k] = (ir_binding){let->params[k], arguments[k]};
    }
    return sound(r, at, ir_substitute(r->unit, let->e, n, all));
}

/* @{i in 0..S} = expr ; with its parameters in scope for the definition alone. It is pushed at the end, so it cannot
 * mention itself. */
static void definition(ir_reader *r) {
    uint32_t outside = r->scope.n;
    if (r->token.kind != IR_TOKEN_ABBREVIATION) expected(r, "@ and a number");
    ir_var params[IR_AXES];
    ir_abbreviation let = {.number = number_of(r)};
    if (ir_eats(r, "{")) {
        let.n_params = ir_reads_ranges(r, IR_AXES, params);
        ir_wants(r, "}");
    }
    ir_wants(r, "=");
    let.e = or_level(r);
    ir_wants(r, ";");
    let.params = base_copy(r->arena, params, let.n_params * sizeof *params);
    BASE_PUSH(r->arena, &r->lets, let);
    r->scope.n = outside;
}

/* ---------------------------------------------------------------- levels */

void ir_reads_lets(ir_reader *r) {
    while (ir_eats(r, "let")) definition(r);
}

/* Abbreviations last to the end of the expression that they stand in front of; a parenthesis may have its own. */
static ir_expr full(ir_reader *r) {
    uint32_t outside = r->lets.n;
    ir_reads_lets(r);
    ir_expr e = or_level(r);
    r->lets.n = outside;
    return e;
}

/* $k: a line of a kernel, in scope under that name */
static ir_expr kernel_line(ir_reader *r, ir_token at) {
    for (uint32_t k = r->scope.n; k-- > 0;) {
        if (strlen(r->scope.at[k].name) != at.end - at.start || memcmp(r->scope.at[k].name, r->text + at.start, at.end - at.start) != 0) continue;
        ir_next(r);
        return r->scope.at[k].e;
    }
    IR_FAIL_AT(r, at, BASE_MSG_IR_UNKNOWN, "line", ir_token_text(r, at));
}

/* What binds tightest: decided by the kind of the token, and for names by what stands behind them. */
static ir_expr post_level(ir_reader *r) {
    ir_token at = r->token;
    switch (at.kind) {
    case IR_TOKEN_INT: return ir_int(r->unit, literal(r, false));
    case IR_TOKEN_REAL: return ir_real(r->unit, ir_reads_real(r));
    case IR_TOKEN_ABBREVIATION: return abbreviation(r, at);
    case IR_TOKEN_LET: return kernel_line(r, at);
    case IR_TOKEN_NAME:
        if (ir_sees_after(r, "[")) return read_element(r, at);
        return r->text[at.end] == '(' ? call(r, at) : bare_name(r, at);      /* `0..L (` is no call */
    default: break;
    }
    if (!ir_eats(r, "(")) expected(r, "an expression");
    ir_expr e = full(r);
    ir_wants(r, ")");
    return e;
}

/* The exponent is a unary level: 2^-x needs no parentheses, and a^b^c is a^(b^c). */
static ir_expr power_level(ir_reader *r) {
    ir_expr e = post_level(r);
    ir_token at = r->token;
    return ir_eats(r, "^") ? apply2(r, at, IR_POW, e, unary_level(r)) : e;
}

/* -1.5 is a literal, -x^2 is -(x^2). */
static ir_expr minus(ir_reader *r, ir_token at) {
    ir_token number = r->token;
    bool alone = !is_word(r, token_at(r, number.end), "^");
    if (alone && number.kind == IR_TOKEN_INT) return ir_int(r->unit, literal(r, true));
    if (alone && (number.kind == IR_TOKEN_REAL || ir_sees(r, "inf"))) return ir_real(r->unit, -ir_reads_real(r));
    /* A literal was taken with its sign above, so that the least integer can be read; what is left is an operation. */
    ir_expr e = unary_level(r);
    return apply(r, at, IR_NEG, 1, &e);
}

/* Every way around the grammar comes through here or through not_level, so these two alone count the depth. */
static ir_expr unary_level(ir_reader *r) {
    deeper(r);
    ir_token at = r->token;
    ir_expr e = ir_eats(r, "-") ? minus(r, at) : power_level(r);
    r->depth--;
    return e;
}

/* Leans to the left by its loop: long products take no stack. */
static ir_expr mul_level(ir_reader *r) {
    ir_expr e = unary_level(r);
    for (;;) {
        ir_token at = r->token;
        ir_op op = ir_sees(r, "*") ? IR_MUL : ir_sees(r, "/") ? IR_DIV : ir_sees(r, "//") ? IR_FDIV : ir_sees(r, "%") ? IR_MOD : IR_NONE;
        if (!op) return e;
        ir_next(r);
        e = apply2(r, at, op, e, unary_level(r));
    }
}

/* One level calls the next tighter one for its operands and goes on as long as an operator of its own follows. */
static ir_expr add_level(ir_reader *r) {
    ir_expr e = mul_level(r);
    for (;;) {
        ir_token at = r->token;
        if (ir_eats(r, "+")) e = apply2(r, at, IR_ADD, e, mul_level(r));
        else if (ir_eats(r, "-")) e = apply2(r, at, IR_SUB, e, mul_level(r));
        else return e;
    }
}

/* The DAG knows < and <= only: > and >= are those with the sides swapped. */
static ir_op comparison(const ir_reader *r, bool *swapped) {
    static const struct { const char *text; ir_op op; bool swapped; } all[] = {{"<", IR_LT, false}, {"<=", IR_LE, false}, {">", IR_LT, true},
        {">=", IR_LE, true}, {"==", IR_EQ, false}, {"!=", IR_NE, false}};
    for (uint32_t k = 0; k < sizeof all / sizeof *all; k++)
        if (ir_sees(r, all[k].text)) {
            *swapped = all[k].swapped;
            return all[k].op;
        }
    return IR_NONE;
}

/* 0 <= i - j < w is 0 <= i - j and i - j < w */
static ir_expr compare_level(ir_reader *r) {
    ir_expr left = add_level(r), all = 0;
    for (;;) {
        ir_token at = r->token;
        bool swapped;
        ir_op op = comparison(r, &swapped);
        if (!op) return all ? all : left;
        ir_next(r);
        ir_expr right = add_level(r), one = swapped ? apply2(r, at, op, right, left) : apply2(r, at, op, left, right);
        all = all ? apply2(r, at, IR_AND, all, one) : one;
        /* The right side of one comparison is the left side of the next. */
        left = right;
    }
}

/* `not` stands above comparisons: not a < b is not (a < b). */
static ir_expr not_level(ir_reader *r) {
    ir_token at = r->token;
    if (!ir_eats(r, "not")) return compare_level(r);
    deeper(r);
    ir_expr e = not_level(r);
    r->depth--;
    return apply(r, at, IR_NOT, 1, &e);
}

/* `and` and `or` lean to the left in loops, as sums do; `and` binds tighter. */
static ir_expr and_level(ir_reader *r) {
    ir_expr e = not_level(r);
    for (ir_token at = r->token; ir_eats(r, "and"); at = r->token) e = apply2(r, at, IR_AND, e, not_level(r));
    return e;
}

static ir_expr or_level(ir_reader *r) {
    ir_expr e = and_level(r);
    for (ir_token at = r->token; ir_eats(r, "or"); at = r->token) e = apply2(r, at, IR_OR, e, and_level(r));
    return e;
}

/* ---------------------------------------------------------------- for read.c and the tables */

ir_expr ir_reads_full(ir_reader *r) { return full(r); }

/* Reports at the start of the expression, not where it ended. */
ir_expr ir_reads_sort(ir_reader *r, ir_sort sort) {
    ir_token at = r->token;
    ir_expr e = full(r);
    if (sort == IR_SORT_REAL) e = ir_to_real(r->unit, e);
    if (sort_of(r, e) != sort) IR_FAIL_AT(r, at, BASE_MSG_IR_EXPECTED, sort_text(sort), sort_text(sort_of(r, e)));
    return e;
}

/* No comparison and no `let`: behind a bound stands a word or a mark that must not be taken for a part of it. */
ir_expr ir_reads_sum(ir_reader *r) {
    ir_token at = r->token;
    ir_expr e = add_level(r);
    if (sort_of(r, e) != IR_SORT_INT) IR_FAIL_AT(r, at, BASE_MSG_IR_EXPECTED, "an integer", sort_text(sort_of(r, e)));
    return e;
}

/* For expressions that the compiler itself writes down, such as the `expand` texts of ops.def: `names` stand for
 * `values`. An error in such a text is the compiler's own and reported as that. */
ir_expr ir_expr_parse(ir_unit *u, const char *text, uint32_t n_names, const char *const *names, const ir_expr *values) {
    ir_reader *r = BASE_NEW(u->arena, ir_reader);
    ir_reader_init(r, u, 0, text, strlen(text));
    /* r is not changed between here and a jump back, so it still holds its value then. */
    if (setjmp(r->failed)) {
        base_report(u->diags, BASE_MSG_INTERNAL_IR, (base_span){0}, base_printf(u->arena, "the text of an expression: %s", text));
        return 0;
    }
    for (uint32_t k = 0; k < n_names; k++) BASE_PUSH(u->arena, &r->scope, ((ir_meaning){names[k], values[k]}));
    for (ir_dim d = 1; d < u->dim.n; d++) base_map_put(r->dims, u->dim.at[d].name, d);
    for (ir_value v = 1; v < u->value.n; v++) base_map_put(r->values, u->value.at[v].name, v);
    ir_expr e = full(r);
    if (r->token.kind != IR_TOKEN_END) expected(r, "the end");
    return e;
}
