// attn.h in C++17: compiles without warnings, and a graph runs with objects held by unique_ptr.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>
#include "attn/attn.h"

static int failures = 0;
#define CHECK(what) ((what) ? void() : (void)(std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what), failures++))

template <class T, void (*end)(T *)> struct destroy {
    void operator()(T *object) const { end(object); }
};
template <class T, void (*end)(T *)> using owned = std::unique_ptr<T, destroy<T, end>>;
using diagnostics = owned<attn_diagnostics, attn_diagnostics_destroy>;
using context = owned<attn_context, attn_context_destroy>;
using program = owned<attn_program, attn_program_destroy>;
using module = owned<attn_module, attn_module_destroy>;
using model = owned<attn_model, attn_model_destroy>;
using tensor = owned<attn_tensor, attn_tensor_destroy>;

static void run(const char *target) {
    const std::string source = "graph scaled(x: f32[N], a: f32) -> (y: f32[N], s: f32) { y[n] = a*x[n]\n s = sum(n: x[n]) }";
    attn_diagnostics *d = nullptr;
    attn_context *c = nullptr;
    attn_program *p = nullptr;
    attn_module *m = nullptr;
    attn_model *o = nullptr;
    attn_tensor *x = nullptr, *a = nullptr;
    attn_module_options options = ATTN_MODULE_OPTIONS_INIT;
    options.target = target;
    CHECK(attn_diagnostics_create(nullptr, &d) == ATTN_OK);
    diagnostics said(d);
    CHECK(attn_context_create(nullptr, d, &c) == ATTN_OK);
    context host(c);
    CHECK(attn_program_from_text(c, "scaled.attn", source.data(), source.size(), d, &p) == ATTN_OK);
    program text(p);
    CHECK(attn_module_create(c, p, &options, d, &m) == ATTN_OK);
    module code(m);
    CHECK(attn_model_create(c, m, nullptr, d, &o) == ATTN_OK);
    model ready(o);

    std::vector<float> elements = {1, 2, 3, 4, 5};
    float factor = 3;
    const int64_t n = static_cast<int64_t>(elements.size());
    CHECK(attn_tensor_wrap(c, ATTN_F32, 1, &n, nullptr, elements.data(), d, &x) == ATTN_OK);
    tensor holds_x(x);
    CHECK(attn_tensor_wrap(c, ATTN_F32, 0, nullptr, nullptr, &factor, d, &a) == ATTN_OK);
    tensor holds_a(a);
    attn_argument inputs[] = {{"x", x}, {"a", a}}, outputs[] = {{"y", nullptr}, {"s", nullptr}};
    attn_run_options call = ATTN_RUN_OPTIONS_INIT;
    call.inputs = inputs, call.n_inputs = 2;
    call.outputs = outputs, call.n_outputs = 2;
    CHECK(attn_model_run(o, &call, d) == ATTN_OK);
    tensor y(outputs[0].tensor), s(outputs[1].tensor);
    CHECK(y && attn_tensor_dim(y.get(), 0) == n && attn_tensor_rank(s.get()) == 0);
    for (int64_t k = 0; y && k < n; k++) CHECK(std::fabs(static_cast<float *>(attn_tensor_data(y.get()))[k] - 3 * elements[static_cast<size_t>(k)]) < 1e-6f);
    CHECK(s && std::fabs(*static_cast<float *>(attn_tensor_data(s.get())) - 15) < 1e-5f);
    for (size_t k = 0; k < attn_diagnostics_count(d); k++) std::fputs(attn_diagnostics_render(d, k, false), stderr);
}

int main() {
    run("cpu");
    run("eval");
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
