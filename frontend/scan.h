/* What scanner and parser share while one file is read. Private to the two and to parse.c. */
#ifndef ATTN_FRONTEND_SCAN_H
#define ATTN_FRONTEND_SCAN_H
#include <locale.h>
#include "ast.h"

enum { FE_MAX_BRACKETS = 100 };

typedef struct { uint32_t start, end; } fe_doc_line;             /* of the text behind ## */
typedef struct fe_scan {
    base_arena *arena;
    base_diags *diags;
    struct fe_program *program;                                  /* interns names */
    uint32_t file, offset;                                       /* offset: of the next byte to be matched */
    const char *text;
    bool may_end, line_due;                                      /* the line so far can end a statement; a new line has passed */
    bool said_deep;
    bool skipping;                                               /* from a mistake on to the end of its statement */
    uint32_t last_end;                                           /* of the last token */
    uint32_t depth, too_deep;
    bool lines_count[FE_MAX_BRACKETS];                           /* one entry per open bracket: do new lines count inside it? */
    uint32_t opened[FE_MAX_BRACKETS];                            /* and where it stands */
    BASE_VEC(fe_doc_line) docs;
    fe_decls decls;                                              /* the result */
} fe_scan;

const char *fe_intern(struct fe_program *program, const char *text, size_t n);

/* the generated scanner */
typedef void *yyscan_t;
int fe_lex_init_extra(fe_scan *s, yyscan_t *scanner);
int fe_lex_destroy(yyscan_t scanner);
void fe_lex_open(yyscan_t scanner, char *buffer, size_t n);      /* n bytes and two zeros */
void fe_brackets_drop(fe_scan *s);                               /* forgets open '(' and '[': after an error, lines count again */
/* the generated parser */
int fe_yyparse(yyscan_t scanner, fe_scan *s);
#endif
