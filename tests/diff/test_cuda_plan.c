/* The compiled plan as CUDA text over the emulated driver: copies, constants, checks and outputs pass through the device's memory. */
#include "emulated.h"
#include "plan.h"

int main(int argc, char **argv) {
    static const plan_machine cuda = {.backend = emulated_backend, .arch = "sm_80", .device = true};
    const diff_target targets[] = {plan_target("plan cuda emulated", &cuda)};
    return diff_main("plan on cuda", argc > 1 ? argv[1] : NULL, 1, targets);
}
