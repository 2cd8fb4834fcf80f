/* A graph from a string, compiled and run inside this program: softmax attention of two queries over three keys. */
#include <stdio.h>
#include "attn/attn.h"

static const char source[] =
    "graph attention(q: f32[S,D], k: f32[T,D], v: f32[T,E]) -> (o: f32[S,E]) {\n"
    "    o[i,e] = attend(j: q[i,d], k[j,d], v[j,e])\n"
    "}\n";

int main(void) {
    static float q[2][2] = {{1, 0}, {0, 4}}, k[3][2] = {{1, 0}, {0, 1}, {1, 1}}, v[3][1] = {{1}, {2}, {6}}, o[2][1];
    attn_diagnostics *said = NULL;
    attn_context *context = NULL;
    attn_program *program = NULL;
    attn_module *module = NULL;
    attn_model *model = NULL;
    attn_argument in[] = {{"q", NULL}, {"k", NULL}, {"v", NULL}}, out = {"o", NULL};
    attn_run_options run = ATTN_RUN_OPTIONS_INIT;
    run.inputs = in, run.n_inputs = 3;
    run.outputs = &out, run.n_outputs = 1;
    /* The first function that fails ends the chain, and has said why. The tensors are these arrays: nothing is copied. */
    bool done = !attn_diagnostics_create(NULL, &said) && !attn_context_create(NULL, said, &context) &&
                !attn_program_from_text(context, "attention.attn", source, sizeof source - 1, said, &program) &&
                !attn_module_create(context, program, NULL, said, &module) &&
                !attn_model_create(context, module, NULL, said, &model) &&
                !attn_tensor_wrap(context, ATTN_F32, 2, (int64_t[]){2, 2}, NULL, q, said, &in[0].tensor) &&
                !attn_tensor_wrap(context, ATTN_F32, 2, (int64_t[]){3, 2}, NULL, k, said, &in[1].tensor) &&
                !attn_tensor_wrap(context, ATTN_F32, 2, (int64_t[]){3, 1}, NULL, v, said, &in[2].tensor) &&
                !attn_tensor_wrap(context, ATTN_F32, 2, (int64_t[]){2, 1}, NULL, o, said, &out.tensor) &&
                !attn_model_run(model, &run, said);
    if (done) printf("%.4f\n%.4f\n", (double)o[0][0], (double)o[1][0]);
    for (size_t i = 0; i < attn_diagnostics_count(said); i++) fputs(attn_diagnostics_render(said, i, false), stderr);
    for (size_t i = 0; i < 3; i++) attn_tensor_destroy(in[i].tensor);
    attn_tensor_destroy(out.tensor);
    attn_model_destroy(model);
    attn_module_destroy(module);
    attn_program_destroy(program);
    attn_context_destroy(context);
    attn_diagnostics_destroy(said);
    return done ? 0 : 1;
}
