/* The compiled plan on this machine's CPU. */
#include "cpu.h"
#include "plan.h"

static const ir_backend *backend(base_arena *arena) {
    (void)arena;
    return cpu_backend();
}

int main(int argc, char **argv) {
    static const plan_machine host = {.backend = backend};
    const diff_target targets[] = {plan_target("plan", &host)};
    return diff_main("plan", argc > 1 ? argv[1] : NULL, 1, targets);
}
