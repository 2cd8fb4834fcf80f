/* Attention compiled ahead of time: attention.so was made by attnc, its header tells what it can do. This program needs neither attn nor LLVM. */
#include <stdio.h>
#include "attention.h"

/* The sizes of a call stand beside its pointers. Shapes of results can be asked for before there is memory for them. */
static int mix(attention *model, attention_error *error) {
    static const float q[2][2] = {{1, 0}, {0, 4}}, k[3][2] = {{1, 0}, {0, 1}, {1, 1}}, v[3][1] = {{1}, {2}, {6}};
    static float o[2][1];
    attention_mix_args args = ATTENTION_MIX_ARGS_INIT;
    attention_mix_outputs shape = ATTENTION_MIX_OUTPUTS_INIT;
    args.S = 2, args.D = 2, args.T = 3, args.E = 1;
    args.q = &q[0][0], args.k = &k[0][0], args.v = &v[0][0], args.o = &o[0][0];
    int status = attention_mix_shapes(model, &args, &shape, error);
    if (!status) status = attention_mix(model, &args, error);
    if (!status) printf("o: %d by %d\n%.4f\n%.4f\n", (int)shape.o[0], (int)shape.o[1], (double)o[0][0], (double)o[1][0]);
    return status;
}

int main(void) {
    attention *model = NULL;
    attention_error error = {0};
    int status = attention_open(NULL, NULL, &model, &error);
    if (!status) status = mix(model, &error);
    if (status) fprintf(stderr, "%s\n", error.message);
    attention_close(model);
    return status != ATTENTION_OK;
}
