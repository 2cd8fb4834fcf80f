/* A module written by hand, small, with something of everything: a param, constants, a set-up with a check, two entries, a loop with a test.
 *
 *   graph g(x: i64[N], w: i64[M]) -> (y: i64[N]):  y = x + 3 * (2 * w[0] + 5), for N = 2 by an entry of its own;  no w may be 99
 */
#ifndef TEST_HANDMADE_H
#define TEST_HANDMADE_H
#include "rt.h"

extern const rt_module handmade;
/* The functions of its kernels, in the order of each entry, for a copy that was read. */
void handmade_load(const rt_module *read);
#endif
