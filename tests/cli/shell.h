/* attnc as people use it: command lines in a folder of their own, with the program as $A. */
#ifndef CLI_SHELL_H
#define CLI_SHELL_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

int shell_open(void **state);        /* group set-up: a new folder, which is the current one, with the files of shell.c in it */
int shell_close(void **state);       /* and its removal */

typedef struct {
    int status;                      /* exit status; 128 + signal */
    char out[1 << 16], err[1 << 14];
} shell_result;
/* Runs a command line by sh. The result is good until the next call. */
const shell_result *shell(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));
/* Runs it, and it must exit with this status and have said these words: on stdout if the status is 0, else on stderr. NULL: none are asked for. */
#define expect(status, words, ...) shell_expect((status), (words), __FILE__, __LINE__, __VA_ARGS__)
void shell_expect(int status, const char *words, const char *file, int line, const char *format, ...) __attribute__((__format__(__printf__, 5, 6)));

void shell_file(const char *name, const void *bytes, size_t n);
void shell_text(const char *name, const char *text);
/* A version 1 .npy: header as given, then the elements. */
void shell_npy(const char *name, const char *header, const void *elements, size_t bytes);
/* A safetensors file: header as given. */
void shell_weights(const char *name, const char *header, const void *elements, size_t bytes);
bool shell_exists(const char *name);
int shell_count(void);               /* files in the folder */
#endif
