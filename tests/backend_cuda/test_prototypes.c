/* Our own prototypes of NVRTC and the driver against the vendor's headers, where a toolkit is installed: the comparison is made by the compiler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#if defined(__has_include)
#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)
#define HAVE_HEADERS 1
#endif
#endif

#ifdef HAVE_HEADERS
#include <cuda.h>
#include <nvrtc.h>

/* A function of the vendor is compatible with our type for it: then `_Generic` picks our type. Names that cuda.h maps to a later version
 * than ours are compared by their own name. */
#define SAME(name, type) _Static_assert(_Generic(&name, type: 1, default: 0), #name " has another type in the vendor's header")
#define NVRTC(name, result, params) SAME(name, result(*) params);
#include "nvrtc.def"
#define DRIVER(name, version, symbol, params) SAME(name, unsigned(*) params);
#include "driver.def"
_Static_assert(CUDA_SUCCESS == 0 && NVRTC_SUCCESS == 0, "zero is success");
_Static_assert(CUDA_ERROR_STUB_LIBRARY == 34 && CUDA_ERROR_NO_DEVICE == 100, "codes without a GPU");
_Static_assert(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT == 16 && CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR == 75 && CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR == 76, "attributes");
#endif

static void test_prototypes(void **state) {
    (void)state;
#ifndef HAVE_HEADERS
    print_message("skipped: no CUDA toolkit with cuda.h and nvrtc.h was found when this was built\n");
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prototypes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
