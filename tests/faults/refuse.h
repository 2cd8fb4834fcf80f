/* What the test's own build of the plug-in offers beside its entry: the n-th call of LLVM's that may fail does; 0: none. */
#ifndef ATTN_REFUSE_H
#define ATTN_REFUSE_H
typedef void refuse_begin_fn(long n);
typedef long refuse_end_fn(const char **name);   /* how many such calls there were; *name: the one that failed, "" if none did */
#endif
