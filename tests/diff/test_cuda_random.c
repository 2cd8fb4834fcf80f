/* Attentions put together by chance (random.c) as CUDA text over the emulated driver; arguments as of diff_test_cpu_random. */
#include "emulated.h"
#include "random.h"

int main(int argc, char **argv) {
    static const plan_machine cuda = {.name = "emulated CUDA", .backend = emulated_backend, .arch = "sm_80", .device = true};
    return random_main(argc, argv, "random attentions on cuda", 24, 1, &cuda);
}
