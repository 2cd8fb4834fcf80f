/* Grammar of .attn text: LALR(1), no conflicts. Actions only build the tree; what a list may hold (an index name before ':', a range
 * on a left side, the name of a clause) is checked where it is used, where the message can say what was meant.
 * Recovery is at the ends of statements, clauses and declarations. */
%code requires { #include "scan.h" }
%code {
    typedef union FE_YYSTYPE fe_value;
    int fe_yylex(FE_YYSTYPE *value, base_span *at, yyscan_t scanner);
    static void fe_yyerror(const base_span *at, yyscan_t scanner, fe_scan *s, const char *message);

    #define YYLLOC_DEFAULT(out, rhs, n) do { \
            if (n) { (out) = YYRHSLOC(rhs, 1); (out).end = YYRHSLOC(rhs, n).end; } \
            else { (out) = YYRHSLOC(rhs, 0); (out).start = (out).end; } } while (0)
    #define LIST(type) BASE_NEW(s->arena, type)
    #define START(out, type, value) ((out) = LIST(type), (void)BASE_PUSH(s->arena, (out), value))
    #define PUSH(list, value) (BASE_PUSH(s->arena, list, value), (list))
    #define NEW(type, ...) new_##type(s, (type){__VA_ARGS__})

    static fe_type *new_fe_type(fe_scan *s, fe_type value) { return base_copy(s->arena, &value, sizeof value); }
    static fe_formals *new_fe_formals(fe_scan *s, fe_formals value) { return base_copy(s->arena, &value, sizeof value); }
    static fe_stmt *define(fe_scan *s, fe_stmt_kind kind, base_span at, fe_left left, fe_type *type, fe_expr *e);
    static fe_stmt *locals(fe_scan *s, base_span at, fe_decls *decls);
    static fe_decls *one(fe_scan *s, fe_decl *decl);
    static void decls_add(fe_scan *s, const fe_decls *decls);
}
%define api.pure full
%define api.prefix {fe_yy}
%define api.location.type {base_span}
%define parse.error custom
%define parse.lac full
%locations
%lex-param { yyscan_t scanner }
%parse-param { yyscan_t scanner } { fe_scan *s }
%expect 0
%union {
    int64_t i; double f; const char *text; fe_name name;
    fe_expr *e; fe_exprs *exprs; fe_item item; fe_items *items; fe_names *names; fe_formals *formals;
    fe_clause clause; fe_clauses *clauses; fe_dim dim; fe_dims *dims; fe_type *type; fe_field field; fe_fields *fields;
    fe_fact fact; fe_facts *facts; fe_left left; fe_stmt *stmt; fe_stmts *stmts; fe_decl *decl; fe_decls *decls; fe_relation relation;
}

%token <name> NAME "a name"
%token <i> INT "an integer"
%token <f> REAL "a number"
%token <text> STRING "a string"
%token IMPORT "'import'" CONST "'const'" PARAM "'param'" STATE "'state'" GRAPH "'graph'" FN "'fn'" VARIANT "'variant'"
%token FOR "'for'" WHILE "'while'" IN "'in'" WHERE "'where'" WITH "'with'" LET "'let'" ATTEND "'attend'" AND "'and'" OR "'or'" NOT "'not'"
%token ARROW "'->'" DOTDOT "'..'" ADDTO "'+='" EQ "'=='" NE "'!='" LE "'<='" GE "'>='" FLOORDIV "'//'"
%token SEP "the end of the line" END 0 "the end of the file"
%token BAD_CHAR "a character that no .attn text has" BAD_STRING "a string that does not end on its line"
%token BAD_NUMBER "a malformed number" TOO_DEEP "a bracket inside too many others"

%type <e> expr chain arith post attend const_value table init while
%type <relation> relation
%type <exprs> exprs table_items
%type <item> item
%type <items> items items1
%type <names> names
%type <formals> formals
%type <clause> clause
%type <clauses> clauses
%type <dim> dim
%type <dims> dims dims2
%type <type> type
%type <field> field
%type <fields> fields fields1 results
%type <fact> fact
%type <facts> facts where
%type <left> left
%type <stmt> stmt
%type <stmts> stmts
%type <decls> decl local consts
%type <decl> const
%type <text> file_name
%type <name> ring

%left OR
%left AND
%precedence NOT
%left '+' '-'
%left '*' '/' FLOORDIV '%'
%precedence NEG
%right '^'
%precedence NO_BLOCK
%precedence '{'
%%
file: decls

/* A list of things that each end with their line. */
decls: %empty
    | decl                                   { decls_add(s, $1); }
    | decls SEP
    | decls SEP decl                         { decls_add(s, $3); }

decl: IMPORT NAME                            { $$ = one(s, fe_decl_new(s, FE_DECL_IMPORT, $2, @$)); }
    | IMPORT STRING                          { fe_decl *d = fe_decl_new(s, FE_DECL_IMPORT, (fe_name){NULL, @2}, @$); d->path = $2; $$ = one(s, d); }
    | local
    | FN NAME '(' formals ')' '=' expr       { fe_decl *d = fe_decl_new(s, FE_DECL_FN, $2, @$); d->fn.formals = $4; d->fn.body = $7; $$ = one(s, d); }
    | VARIANT NAME '(' formals ')' '{' clauses '}'
        { fe_decl *d = fe_decl_new(s, FE_DECL_VARIANT, $2, @$); d->variant.formals = $4; d->variant.clauses = $7; $$ = one(s, d); }
    | GRAPH NAME '(' fields ')' results where '{' stmts '}'
        { fe_decl *d = fe_decl_new(s, FE_DECL_GRAPH, $2, @$); d->graph.inputs = $4; d->graph.outputs = $6; d->graph.facts = $7; d->graph.body = $9; $$ = one(s, d); }
    | error                                  { $$ = NULL; }

/* what may stand in a file and in a graph */
local: CONST consts                          { $$ = $2; }
    | PARAM NAME ':' type file_name
        { fe_decl *d = fe_decl_new(s, FE_DECL_PARAM, $2, @$); d->param.type = $4; d->param.storage = $5; $$ = one(s, d); }
    | STATE NAME ':' type ring init
        { fe_decl *d = fe_decl_new(s, FE_DECL_STATE, $2, @$); d->state.type = $4; d->state.ring = $5; d->state.init = $6; $$ = one(s, d); }
consts: const                                { $$ = one(s, $1); }
    | consts ',' const                       { $$ = PUSH($1, $3); }
const: NAME '=' const_value                  { $$ = fe_decl_new(s, FE_DECL_CONST, $1, @$); $$->value = $3; }
const_value: expr
    | table
table: '{' table_items '}'                   { $$ = fe_table_new(s, @$, $2); }
table_items: const_value                     { START($$, fe_exprs, $1); }
    | table_items ',' const_value            { $$ = PUSH($1, $3); }
file_name: %empty                            { $$ = NULL; }
    | '=' STRING                             { $$ = $2; }
ring: %empty                                 { $$ = (fe_name){NULL, @$}; }
    | NAME                                       /* only "ring" */
init: %empty                                 { $$ = NULL; }
    | '=' expr                               { $$ = $2; }

/* fn f(i, j: x, y): the names before ':' are indices */
formals: %empty                              { $$ = NEW(fe_formals, LIST(fe_names), LIST(fe_names)); }
    | names                                  { $$ = NEW(fe_formals, LIST(fe_names), $1); }
    | names ':'                              { $$ = NEW(fe_formals, $1, LIST(fe_names)); }
    | names ':' names                        { $$ = NEW(fe_formals, $1, $3); }
names: NAME                                  { START($$, fe_names, $1); }
    | names ',' NAME                         { $$ = PUSH($1, $3); }

fields: %empty                               { $$ = LIST(fe_fields); }
    | fields1
fields1: field                               { START($$, fe_fields, $1); }
    | fields1 ',' field                      { $$ = PUSH($1, $3); }
field: NAME ':' type                         { $$ = (fe_field){$1, $3, @$}; }
type: NAME                                   { $$ = NEW(fe_type, $1, LIST(fe_dims), @$); }
    | NAME '[' dims ']'                      { $$ = NEW(fe_type, $1, $3, @$); }
dims: dim                                    { START($$, fe_dims, $1); }
    | dims ',' dim                           { $$ = PUSH($1, $3); }
dim: arith                                   { $$ = (fe_dim){FE_DIM_PLAIN, {NULL, @$}, $1, NULL, @$}; }
    | NAME LE arith                          { $$ = (fe_dim){FE_DIM_GROWING, $1, $3, NULL, @$}; }
    | '(' dims2 ')'                          { $$ = (fe_dim){FE_DIM_PACKED, {NULL, @$}, NULL, $2, @$}; }
dims2: arith ',' arith
        { fe_dim a = {FE_DIM_PLAIN, {NULL, @1}, $1, NULL, @1}, b = {FE_DIM_PLAIN, {NULL, @3}, $3, NULL, @3};
          $$ = LIST(fe_dims); BASE_PUSH(s->arena, $$, a); BASE_PUSH(s->arena, $$, b); }
    | dims2 ',' arith                        { fe_dim d = {FE_DIM_PLAIN, {NULL, @3}, $3, NULL, @3}; $$ = PUSH($1, d); }

results: %empty                              { $$ = LIST(fe_fields); }
    | ARROW '(' fields ')'                   { $$ = $3; }
where: %empty                                { $$ = LIST(fe_facts); }
    | WHERE facts                            { $$ = $2; }
facts: fact                                  { START($$, fe_facts, $1); }
    | facts ',' fact                         { $$ = PUSH($1, $3); }
fact: expr                                   { $$ = (fe_fact){$1, {NULL, @$}, NULL, @$}; }
    | NAME IN '{' exprs '}'                  { $$ = (fe_fact){NULL, $1, $4, @$}; }
exprs: expr                                  { START($$, fe_exprs, $1); }
    | exprs ',' expr                         { $$ = PUSH($1, $3); }

stmts: %empty                                { $$ = LIST(fe_stmts); }
    | stmt                                   { $$ = LIST(fe_stmts); if ($1) BASE_PUSH(s->arena, $$, $1); }
    | stmts SEP
    | stmts SEP stmt                         { $$ = $1; if ($3) BASE_PUSH(s->arena, $$, $3); }
stmt: left '=' expr                          { $$ = define(s, FE_STMT_DEFINE, @$, $1, NULL, $3); }
    | left ADDTO expr                        { $$ = define(s, FE_STMT_ADD_TO, @$, $1, NULL, $3); }
    | left ':' type '=' expr                 { $$ = define(s, FE_STMT_DEFINE, @$, $1, $3, $5); }
    | FOR NAME IN arith DOTDOT arith while '{' stmts '}'
        { $$ = fe_stmt_new(s, FE_STMT_FOR, @$); $$->loop.counter = $2; $$->loop.lo = $4; $$->loop.hi = $6; $$->loop.cond = $7; $$->loop.body = $9; }
    | local                                  { $$ = locals(s, @$, $1); }
    | error                                  { $$ = NULL; }
left: NAME                                   { $$ = (fe_left){$1, LIST(fe_items), NULL, @$}; }
    | NAME '[' items1 ']'                    { $$ = (fe_left){$1, LIST(fe_items), $3, @$}; }
    | NAME '[' items1 ':' items1 ']'         { $$ = (fe_left){$1, $3, $5, @$}; }
while: %empty                                { $$ = NULL; }
    | WHILE expr                             { $$ = $2; }

clauses: %empty                              { $$ = LIST(fe_clauses); }
    | clause                                 { $$ = LIST(fe_clauses); if ($1.name.text) BASE_PUSH(s->arena, $$, $1); }
    | clauses SEP
    | clauses SEP clause                     { $$ = $1; if ($3.name.text) BASE_PUSH(s->arena, $$, $3); }
clause: NAME '=' expr                        { $$ = (fe_clause){FE_CLAUSE_PLAIN, $1, $3, NULL, NULL, @$}; }
    | LET NAME '=' expr                      { $$ = (fe_clause){FE_CLAUSE_LET, $2, $4, NULL, NULL, @$}; }
    | WITH NAME '(' items ')'                { $$ = (fe_clause){FE_CLAUSE_WITH, $2, NULL, LIST(fe_items), $4, @$}; }
    | WITH NAME '(' items1 ':' items ')'     { $$ = (fe_clause){FE_CLAUSE_WITH, $2, NULL, $4, $6, @$}; }
    | error                                  { $$ = (fe_clause){FE_CLAUSE_PLAIN, {NULL, @$}, NULL, NULL, NULL, @$}; }

expr: arith
    | chain
    | NOT expr                               { $$ = fe_expr_new(s, FE_NOT, @$, $2, NULL); }
    | expr AND expr                          { $$ = fe_expr_new(s, FE_AND, @$, $1, $3); }
    | expr OR expr                           { $$ = fe_expr_new(s, FE_OR, @$, $1, $3); }

/* a < b <= c means a < b and b <= c */
chain: arith relation arith                  { $$ = fe_chain_new(s, @$, $1, $2, $3); }
    | chain relation arith                   { $$ = fe_chain_extend(s, @$, $1, $2, $3); }
relation: '<'                                { $$ = FE_LT; }
    | '>'                                    { $$ = FE_GT; }
    | LE                                     { $$ = FE_LE; }
    | GE                                     { $$ = FE_GE; }
    | EQ                                     { $$ = FE_EQ; }
    | NE                                     { $$ = FE_NE; }

arith: post
    | arith '+' arith                        { $$ = fe_expr_new(s, FE_ADD, @$, $1, $3); }
    | arith '-' arith                        { $$ = fe_expr_new(s, FE_SUB, @$, $1, $3); }
    | arith '*' arith                        { $$ = fe_expr_new(s, FE_MUL, @$, $1, $3); }
    | arith '/' arith                        { $$ = fe_expr_new(s, FE_DIV, @$, $1, $3); }
    | arith FLOORDIV arith                   { $$ = fe_expr_new(s, FE_FLOORDIV, @$, $1, $3); }
    | arith '%' arith                        { $$ = fe_expr_new(s, FE_MOD, @$, $1, $3); }
    | arith '^' arith                        { $$ = fe_expr_new(s, FE_POW, @$, $1, $3); }
    | '-' arith %prec NEG                    { $$ = fe_expr_new(s, FE_NEG, @$, $2, NULL); }

post: INT                                    { $$ = fe_expr_new(s, FE_INT, @$, NULL, NULL); $$->i = $1; }
    | REAL                                   { $$ = fe_expr_new(s, FE_REAL, @$, NULL, NULL); $$->f = $1; }
    | NAME                                   { $$ = fe_expr_new(s, FE_NAME, @$, NULL, NULL); $$->name = $1; }
    | '(' expr ')'                           { $$ = $2; }
    | NAME '(' items ')'                     { $$ = fe_call_new(s, @$, $1, LIST(fe_items), $3); }
    | NAME '(' items1 ':' items ')'          { $$ = fe_call_new(s, @$, $1, $3, $5); }
    | post '[' items1 ']'                    { $$ = fe_index_new(s, @$, $1, $3); }
    | post '.' NAME                          { $$ = fe_member_new(s, @$, $1, $3); }
    | attend             %prec NO_BLOCK
    | attend '{' clauses '}'                 { $$ = fe_attend_with(s, @$, $1, $3); }
attend: ATTEND '(' items1 ':' items1 ')'     { $$ = fe_attend_new(s, @$, $3, $5, LIST(fe_clauses)); }

items: %empty                                { $$ = LIST(fe_items); }
    | items1
items1: item                                 { START($$, fe_items, $1); }
    | items1 ',' item                        { $$ = PUSH($1, $3); }
item: expr                                   { $$ = (fe_item){FE_ITEM_EXPR, {NULL, @$}, $1, NULL, @$}; }
    | NAME '=' expr                          { $$ = (fe_item){FE_ITEM_NAMED, $1, $3, NULL, @$}; }
    | NAME IN arith DOTDOT arith             { $$ = (fe_item){FE_ITEM_RANGE, $1, $3, $5, @$}; }
%%
static fe_stmt *define(fe_scan *s, fe_stmt_kind kind, base_span at, fe_left left, fe_type *type, fe_expr *e)
{
    fe_stmt *stmt = fe_stmt_new(s, kind, at);
    stmt->define.left = left;
    stmt->define.type = type;
    stmt->define.e = e;
    return stmt;
}

static fe_stmt *locals(fe_scan *s, base_span at, fe_decls *decls)
{
    fe_stmt *stmt = fe_stmt_new(s, FE_STMT_LOCAL, at);
    stmt->locals = decls;
    return stmt;
}

static fe_decls *one(fe_scan *s, fe_decl *decl)
{
    fe_decls *decls = LIST(fe_decls);
    return PUSH(decls, decl);
}

static void decls_add(fe_scan *s, const fe_decls *decls)
{
    for (uint32_t k = 0; decls && k < decls->n; k++) BASE_PUSH(s->arena, &s->decls, decls->at[k]);
}

/* What a bad token says by itself needs no list of what was expected. */
static bool report_bad_token(fe_scan *s, yysymbol_kind_t token, base_span at)
{
    switch (token) {
    case YYSYMBOL_BAD_CHAR: base_report(s->diags, BASE_MSG_BAD_CHARACTER, at); return true;
    case YYSYMBOL_BAD_STRING: base_report(s->diags, BASE_MSG_BAD_STRING, at); return true;
    case YYSYMBOL_BAD_NUMBER: base_report(s->diags, BASE_MSG_BAD_NUMBER, at); return true;
    case YYSYMBOL_TOO_DEEP: base_report(s->diags, BASE_MSG_TOO_DEEP, at); return true;
    default: return false;
    }
}

/* A bracket that an earlier line has left open is most often what is wrong. */
static const char *open_bracket(const fe_scan *s, base_span at)
{
    if (!s->depth || s->lines_count[s->depth - 1]) return NULL;
    const base_file *file = &s->diags->files.at[s->file];
    uint32_t line, here, column, opened = s->opened[s->depth - 1];
    base_position(file, opened, &line, &column);
    base_position(file, at.start, &here, &column);
    return line < here ? base_printf(s->arena, "the '%c' in line %u is not closed", s->text[opened], line) : NULL;
}

static int yyreport_syntax_error(const yypcontext_t *context, yyscan_t scanner, fe_scan *s)
{
    (void)scanner;
    enum { MAX = 6 };
    yysymbol_kind_t token = yypcontext_token(context), expected[MAX];
    base_span at = *yypcontext_location(context);
    const char *hint = open_bracket(s, at);
    fe_brackets_drop(s);
    s->skipping = true;
    if (report_bad_token(s, token, at)) return 0;
    int n = yypcontext_expected_tokens(context, expected, MAX);
    base_text text;
    base_text_init(&text, s->arena);
    for (int k = 0; k < n; k++) base_text_add(&text, "%s%s", k == 0 ? "" : k + 1 == n ? " or " : ", ", yysymbol_name(expected[k]));
    base_diag *diag = base_report(s->diags, BASE_MSG_SYNTAX, at);
    diag->expected = n > 0 ? text.at : NULL;
    diag->found = yysymbol_name(token);
    diag->hint = hint;
    return 0;
}

/* Only for the parser's stack being full: the text nests beyond all sense. */
static void fe_yyerror(const base_span *at, yyscan_t scanner, fe_scan *s, const char *message)
{
    (void)scanner, (void)message;
    base_report(s->diags, BASE_MSG_TOO_DEEP, *at);
}
