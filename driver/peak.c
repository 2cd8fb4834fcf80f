/* What this machine's vector units can do: chains of f32 multiply-adds that depend on nothing but themselves, on all threads, the best of a few
 * rounds. Written once for the widest vectors that the compiler knows and cloned for what the CPU has.
 */
#include <math.h>
#include <string.h>
#include <time.h>
#include "api.h"

/* CHAINS independent sums keep the units busy while each waits for its last multiply-add: some 4 cycles on two units want 8 at least.
 * LANES is 512 bits of f32: narrower units take several instructions for each. Several items for each thread even out uneven ones. */
enum { CHAINS = 12, LANES = 16, ROUNDS = 40000, ITEMS_PER_THREAD = 8 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

/* A macro, since each function below must be compiled for its own target. The chains start differently, so that no two can be merged, and
 * their sum is returned, so that none is dropped. With a factor below 1 the sums stay finite however many rounds there are. */
#define CHAIN_BODY                                                                                                                                   \
    lanes sum[CHAINS];                                                                                                                               \
    for (int c = 0; c < CHAINS; c++) sum[c] = (lanes){0} + (float)c;                                                                                 \
    for (int round = 0; round < ROUNDS; round++)                                                                                                     \
        for (int c = 0; c < CHAINS; c++) sum[c] = sum[c] * factor + addend;                                                                          \
    for (int c = 1; c < CHAINS; c++) sum[0] += sum[c];                                                                                               \
    float all = 0;                                                                                                                                   \
    for (int k = 0; k < LANES; k++) all += sum[0][k];                                                                                                \
    return all

/* A multiply-add must become one instruction; GCC must vectorise whatever the build's own level is. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT ON
#define WIDE_TARGET "avx512f"
#else
#pragma GCC optimize("O3,fp-contract=fast")
#define WIDE_TARGET "avx512f,prefer-vector-width=512"
#endif
typedef float chains_fn(float factor, float addend);
static float chains_plain(float factor, float addend) { CHAIN_BODY; }
#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static float chains_256(float factor, float addend) { CHAIN_BODY; }
__attribute__((target(WIDE_TARGET))) static float chains_512(float factor, float addend) { CHAIN_BODY; }
#endif

/* By what the CPU has: a build for any x86-64 still measures the widest units. */
static chains_fn *choose(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return chains_512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return chains_256;
#endif
    return chains_plain;
}

/* The result is stored, so that no compiler can leave the chains out. */
static void work(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    chains_fn *fn = choose();
    float *out = frame->buffers[0];
    (void)scratch;
    for (int64_t k = first; k < last; k++) out[k] = fn(0.999f, (float)frame->ints[0]);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct { attn_context *context; double seconds, gflops; } measuring;

/* The best round of several, since whatever disturbs makes slower, never faster. */
static attn_status measure(api_call *call, void *args) {
    measuring *m = args;
    int64_t items = (int64_t)m->context->threads * ITEMS_PER_THREAD, one = 1;
    float *out = BASE_ARRAY(call->scratch, (size_t)items, float);
    rt_frame frame = {&one, (void *[]){out}};
    rt_job job = {.struct_size = sizeof job, .fn = work, .frame = &frame, .items = items, .cost_of_item = ROUNDS * CHAINS};
    /* Two operations for each multiply-add, as in operations.c: the two figures are compared. */
    double flops = 2.0 * LANES * CHAINS * ROUNDS * (double)items, end = now() + m->seconds;
    do {
        double start = now();
        if (!m->context->executor.run(m->context->executor.self, &job)) api_no_memory(call);
        double rate = flops / (now() - start) * 1e-9;
        if (rate > m->gflops) m->gflops = rate;
    } while (now() < end);
    return ATTN_OK;
}

/* The figure of f32 on the host, whatever the program computes in: the ceiling that `attnc bench` compares with. */
attn_status attn_context_peak(attn_context *context, double seconds, double *gflops) {
    measuring m = {context, seconds, 0};
    if (!context || !gflops) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&context->allocator, NULL, measure, &m);
    /* 0 if it failed. */
    *gflops = m.gflops;
    return status;
}
