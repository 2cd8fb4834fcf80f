/* libcuda, opened at run time, and the primary context of its first device.
 *
 * Functions are asked for by version (cuGetProcAddress), so that a later driver with a later interface still gives ours.
 * The stub library of a toolkit and a driver without a card both load; cuInit tells them apart from a GPU.
 */
#include <string.h>
#include "cuda_internal.h"

enum { RESULT_NO_DEVICE = 100, RESULT_STUB_LIBRARY = 34 };

/* cuGetProcAddress as of 12.0 has a fifth parameter; the form of 11.3 is called by its own type. */
typedef unsigned proc_address_12(const char *name, void **out, int version, uint64_t flags, unsigned *status);
typedef unsigned proc_address_11(const char *name, void **out, int version, uint64_t flags);
typedef struct { proc_address_12 *v12; proc_address_11 *v11; } resolver;

/* By version where the driver can; else (a driver from before 11.3, or one that does not know the name) by the symbol it exports for this
   interface. */
static bool resolve(const cuda_driver *driver, const resolver *r, const char *name, int version, const char *symbol, void *pointer) {
    void *at = NULL;
    if (r->v12) {
        if (r->v12(name, &at, version, 0, NULL) != 0) at = NULL;
    } else if (r->v11) {
        if (r->v11(name, &at, version, 0) != 0) at = NULL;
    }
    if (!at) return cuda_library_symbol(driver->library, symbol, pointer);
    memcpy(pointer, &at, sizeof at);
    return true;
}

/* All or nothing: a driver that lacks one function is not used, so calls elsewhere need no test for NULL. */
static bool symbols(cuda_driver *driver, char *error, size_t n) {
    resolver r = {NULL, NULL};
    if (!cuda_library_symbol(driver->library, "cuGetProcAddress_v2", &r.v12)) cuda_library_symbol(driver->library, "cuGetProcAddress", &r.v11);
#define DRIVER(name, version, symbol, params)                                                                                              \
    if (!resolve(driver, &r, #name, version, symbol, &driver->name)) {                                                                     \
        snprintf(error, n, "the CUDA driver has no function %s", #name);                                                                   \
        return false;                                                                                                                      \
    }
#include "driver.def"
    return true;
}

/* What cuInit says decides between no GPU, which is told in words, and a driver that fails, which is told by its own name for the failure. */
static bool start(cuda_driver *driver, char *error, size_t n) {
    unsigned result = driver->cuInit(0);
    if (result == RESULT_NO_DEVICE || result == RESULT_STUB_LIBRARY) {
        snprintf(error, n, "no GPU: the CUDA driver is %s", result == RESULT_NO_DEVICE ? "there, but sees no device" : "the stub library of a toolkit");
        return false;
    }
    /* Other failures of cuInit keep the driver's name for them. */
    int count = 0;
    if (!cuda_driver_ok(driver, result, "start", error, n) || !cuda_driver_ok(driver, driver->cuDeviceGetCount(&count), "count devices", error, n)) return false;
    if (count == 0) {
        snprintf(error, n, "no GPU: the CUDA driver sees no device");
        return false;
    }
    driver->cuDriverGetVersion(&driver->version);
    return cuda_driver_ok(driver, driver->cuDeviceGet(&driver->device, 0), "get device 0", error, n) &&
           cuda_driver_ok(driver, driver->cuDevicePrimaryCtxRetain(&driver->context, driver->device), "retain the primary context", error, n);
}

bool cuda_driver_open(cuda_driver *out, const cuda_options *options, char *error, size_t n) {
    cuda_search search = {0};
    if (options->driver) {
        cuda_search_name(&search, options->driver);
    } else {
        /* The driver's own name first; the plain one is often the stub of a toolkit. */
        cuda_search_name(&search, "libcuda.so.1");
        cuda_search_name(&search, "libcuda.so");
    }
    *out = (cuda_driver){.library = search.library};
    /* Written first: if a library opened, what fails next writes over it. */
    snprintf(error, n, "no CUDA driver; tried %s", search.tried);
    if (out->library && symbols(out, error, n) && start(out, error, n)) return true;
    cuda_driver_close(out);
    return false;
}

/* Takes half-opened ones too. The primary context lives on while others in the process hold it. */
void cuda_driver_close(cuda_driver *driver) {
    if (driver->context) driver->cuDevicePrimaryCtxRelease(driver->device);
    cuda_library_close(driver->library);
    *driver = (cuda_driver){0};
}

/* The one place that knows the codes of the driver. */
bool cuda_driver_ok(const cuda_driver *driver, unsigned result, const char *doing, char *error, size_t n) {
    if (result == 0) return true;
    const char *name = NULL;
    if (driver->cuGetErrorName(result, &name) != 0 || !name) name = "unknown code";
    snprintf(error, n, "the CUDA driver could not %s: %s (%u)", doing, name, result);
    return false;
}

/* An attribute that cannot be had is 0, so callers bring a default. */
int cuda_driver_attribute(const cuda_driver *driver, unsigned attribute) {
    int value = 0;
    return driver->cuDeviceGetAttribute(&value, attribute, driver->device) == 0 ? value : 0;
}
