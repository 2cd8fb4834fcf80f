/* The compiled plan for narrower CPUs than this one: what AVX2 alone gives, and the x86-64 that every such CPU has. */
#include "cpus.h"

int main(int argc, char **argv) {
    static const plan_machine avx2 = {.backend = cpus_backend, .arch = "x86-64-v3", .missing = cpus_no_avx2}, baseline = {.backend = cpus_backend, .arch = "x86-64", .missing = cpus_no_x86};
    const diff_target targets[] = {plan_target("plan avx2", &avx2), plan_target("plan x86-64", &baseline)};
    return diff_main("plan on other CPUs", argc > 1 ? argv[1] : NULL, 2, targets);
}
