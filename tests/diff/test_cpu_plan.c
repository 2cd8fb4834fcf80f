/* The compiled plan on this machine's CPU. */
#include "cpus.h"

int main(int argc, char **argv) {
    static const plan_machine host = {.backend = cpus_backend};
    const diff_target targets[] = {plan_target("plan", &host)};
    return diff_main("plan", argc > 1 ? argv[1] : NULL, 1, targets);
}
