/* What the library asks of the system, counted, and refused at one place: these programs hold the whole library, linked so that its calls go through
 * the functions of faults.c first. */
#ifndef ATTN_FAULTS_H
#define ATTN_FAULTS_H
#include <stdbool.h>

typedef enum { FAULTS_FAIL, FAULTS_INTERRUPT, FAULTS_SHORT } faults_kind;
/* From now on: the n-th call fails (0: none); or is interrupted by a signal, if it reads or writes; or each read and write moves 7 bytes at most. */
void faults_begin(faults_kind kind, long n);
long faults_end(void);                           /* calls since then; what follows is not touched */
const char *faults_name(void);                   /* of the call that was refused; "": none */
#endif
