// Host bodies of the primitives that backend_cuda/prelude.c gives the device: included before an emitted text that is compiled
// by the host's C++ compiler with ATTN_EMULATED.
//
// One warp runs at a time, one fiber per lane. A lane runs until a shuffle; when all 32 have come to the same one they get
// their answers. Lanes that part (one ends or comes to another primitive) and addresses outside of what is allocated are errors.
#pragma once
#define ATTN_EMULATED 1
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

struct emulator_range { const char *at; size_t bytes; };
typedef void emulator_kernel(void **params);

namespace emulator {
enum { LANES = 32, STACK_BYTES = 256 << 10 };
enum wait_kind { NOTHING, XOR, GET, BALLOT };
struct lane {
    void *stack;
    bool done;
    wait_kind waits;
    int with;
    char given[8], got[8];
};
struct machine {
    lane lanes[LANES];
    void *stack;
    int current;
    long long first, n_threads;
    emulator_kernel *kernel;
    void **params;
    const emulator_range *ranges;
    size_t n_ranges, last_range;
    char error[200];
    char *stacks;
};
static machine *m;

static void fail(const char *what, long long number) {
    if (!m->error[0]) snprintf(m->error, sizeof m->error, "%s (%lld) in thread %lld", what, number, m->first + m->current);
}

// ---- fibers: what the calling convention preserves goes onto the stack, the stacks are exchanged
}  // namespace emulator
#if defined(__x86_64__)
asm(".text\n.hidden emulator_switch\n.globl emulator_switch\nemulator_switch:\n"
    "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");
enum { EMULATOR_RETURN = 6, EMULATOR_FRAME = 8 };   // words
#elif defined(__aarch64__)
asm(".text\n.hidden emulator_switch\n.globl emulator_switch\nemulator_switch:\n"
    "sub sp, sp, #160\n stp x19, x20, [sp]\n stp x21, x22, [sp, #16]\n stp x23, x24, [sp, #32]\n stp x25, x26, [sp, #48]\n stp x27, x28, [sp, #64]\n"
    "stp x29, x30, [sp, #80]\n stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
    "mov x9, sp\n str x9, [x0]\n mov sp, x1\n"
    "ldp x19, x20, [sp]\n ldp x21, x22, [sp, #16]\n ldp x23, x24, [sp, #32]\n ldp x25, x26, [sp, #48]\n ldp x27, x28, [sp, #64]\n"
    "ldp x29, x30, [sp, #80]\n ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n add sp, sp, #160\n ret\n");
enum { EMULATOR_RETURN = 11, EMULATOR_FRAME = 20 };
#else
#error "fibers of this machine: write the switch"
#endif
extern "C" void emulator_switch(void **from, void *to);

namespace emulator {
static void leave() { emulator_switch(&m->lanes[m->current].stack, m->stack); }
static void entry() {
    m->kernel(m->params);
    m->lanes[m->current].done = true;
    leave();
    abort();
}
static void resume(int i) {
    m->current = i;
    emulator_switch(&m->stack, m->lanes[i].stack);
}
// A stack that looks as if `entry` had been about to begin.
static void start(int i) {
    lane &l = m->lanes[i];
    l = lane();
    void **top = (void **)(m->stacks + (size_t)(i + 1) * STACK_BYTES) - 2;
    top -= EMULATOR_FRAME;
    memset(top, 0, EMULATOR_FRAME * sizeof *top);
    top[EMULATOR_RETURN] = (void *)entry;
    l.stack = top;
}

// ---- a warp
static void answer() {
    unsigned ballot = 0;
    for (int i = 0; i < LANES; i++) ballot |= (unsigned)(m->lanes[i].given[0] != 0) << i;
    for (int i = 0; i < LANES; i++) {
        lane &l = m->lanes[i];
        int from = l.waits == XOR ? i ^ l.with : l.with;
        if (l.waits == BALLOT) memcpy(l.got, &ballot, sizeof ballot);
        else if (from < 0 || from >= LANES) fail("a shuffle from lane", from);
        else memcpy(l.got, m->lanes[from].given, sizeof l.got);
    }
    for (int i = 0; i < LANES; i++) m->lanes[i].waits = NOTHING;
}
// False: all lanes are done, or they parted.
static bool step(unsigned order) {
    int done = 0, alike = 0;
    for (int k = 0; k < LANES; k++) {
        int i = (int)((unsigned)k * 5 + order) % LANES;
        if (!m->lanes[i].done) resume(i);
    }
    for (int i = 0; i < LANES; i++) {
        done += m->lanes[i].done;
        alike += m->lanes[i].waits != NOTHING && m->lanes[i].waits == m->lanes[0].waits;
    }
    if (done == LANES) return false;
    if (alike != LANES) {
        fail("lanes part at a shuffle; alike are", alike);
        return false;
    }
    answer();
    return true;
}
static void run_warp(unsigned order) {
    for (int i = 0; i < LANES; i++) start(i);
    while (step(order)) {}
}

static void wait(wait_kind kind, int with) {
    lane &l = m->lanes[m->current];
    l.waits = kind;
    l.with = with;
    leave();
}
template <class T> static T exchange(wait_kind kind, T x, int with) {
    static_assert(sizeof(T) <= 8, "what a lane gives");
    int me = m->current;
    memset(m->lanes[me].given, 0, sizeof m->lanes[me].given);
    memcpy(m->lanes[me].given, &x, sizeof x);
    wait(kind, with);
    T r;
    memcpy(&r, m->lanes[me].got, sizeof r);
    return r;
}

// ---- memory
static bool holds(size_t r, const char *at, size_t bytes) {
    const emulator_range &range = m->ranges[r];
    return at >= range.at && at + bytes <= range.at + range.bytes;
}
static bool allowed(const void *p, long long at, size_t size) {
    const char *where = (const char *)p + at * (long long)size;
    if (m->last_range < m->n_ranges && holds(m->last_range, where, size) && holds(m->last_range, (const char *)p, 1)) return true;
    for (size_t r = 0; r < m->n_ranges; r++)
        if (holds(r, (const char *)p, 1) && holds(r, where, size)) {
            m->last_range = r;
            return true;
        }
    fail("an address outside of its buffer, element", at);
    return false;
}
}  // namespace emulator

#define FN static inline
#define KERNEL(name, args) \
    static void name##_body(const args &arg); \
    extern "C" __attribute__((visibility("default"))) void name(void **params) { name##_body(*(const args *)params[0]); } \
    static void name##_body(const args &arg)
FN long long thread_index() { return emulator::m->first + emulator::m->current; }
FN long long thread_count() { return emulator::m->n_threads; }
FN int thread_lane() { return emulator::m->current; }
template <class T> FN T warp_xor(T x, int lane) { return emulator::exchange(emulator::XOR, x, lane); }
template <class T> FN T warp_get(T x, int lane) { return emulator::exchange(emulator::GET, x, lane); }
FN unsigned warp_ballot(bool x) {
    emulator::exchange(emulator::BALLOT, x, 0);
    unsigned r;
    memcpy(&r, emulator::m->lanes[emulator::m->current].got, sizeof r);
    return r;
}
FN void warp_sync() { emulator::exchange(emulator::BALLOT, true, 0); }
template <class T> FN T load(const T *p, long long at) { return emulator::allowed(p, at, sizeof *p) ? p[at] : T(); }
template <class T> FN void store(T *p, long long at, T x) {
    if (emulator::allowed(p, at, sizeof *p)) p[at] = x;
}
FN float inf_f32() { return HUGE_VALF; }
FN double inf_f64() { return HUGE_VAL; }

// Runs the whole grid. NULL, or what went wrong: text that lives until the next launch.
extern "C" __attribute__((visibility("default"))) const char *emulator_launch(emulator_kernel *kernel, unsigned blocks, unsigned threads, void **params, const emulator_range *ranges, size_t n_ranges) {
    static emulator::machine machine;
    static char error[200];
    emulator::m = &machine;
    machine.n_threads = (long long)blocks * threads;
    machine.kernel = kernel;
    machine.params = params;
    machine.ranges = ranges;
    machine.n_ranges = n_ranges;
    machine.last_range = 0;
    machine.error[0] = 0;
    machine.stacks = (char *)malloc((size_t)emulator::LANES * emulator::STACK_BYTES);
    for (long long warp = 0; warp < machine.n_threads / emulator::LANES && !machine.error[0]; warp++) {
        machine.first = warp * emulator::LANES;
        emulator::run_warp((unsigned)warp * 7);
    }
    free(machine.stacks);
    memcpy(error, machine.error, sizeof error);
    return error[0] ? error : nullptr;
}
