// A libcuda and a libnvrtc for machines without a GPU: the whole path of the CUDA backend runs through them in tests.
//
// "Compiling" gives the text to the host's C++ compiler over emulator.hpp; the "cubin" is the shared object that comes out. Device memory is
// the host's, filled with NaN, and every access of a kernel is checked against what is allocated. As on a GPU, a wrong address makes every
// later call fail. Functions can be told to fail, and what is still alive can be counted.
#include <clocale>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))
struct range { const char *at; size_t bytes; };
struct CUctx_st;
struct CUmod_st { void *library; };
struct CUfunc_st { CUmod_st *module; void *kernel; };
typedef const char *launch_fn(void *kernel, unsigned blocks, unsigned threads, void **params, const range *ranges, size_t n_ranges);

namespace {
enum result { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, INVALID_IMAGE = 200, INVALID_CONTEXT = 201, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };
const char MAGIC[8] = {'F', 'A', 'K', 'E', 'C', 'U', 'B', 'N'};
struct state {
    std::recursive_mutex lock;
    bool initialised = false;
    unsigned broken = OK;
    std::string error;
    int contexts = 0;
    std::map<uintptr_t, size_t> memory;
    std::vector<CUmod_st *> modules;
    std::vector<CUfunc_st *> functions;
    std::map<std::string, unsigned> failing;
    unsigned last_blocks = 0;
};
state &s() {
    static state *all = new state;
    return *all;
}
thread_local int depth;

unsigned begin(const char *name, bool needs_context = true) {
    auto told = s().failing.find(name);
    if (told != s().failing.end()) return told->second;
    if (!s().initialised) return NOT_INITIALIZED;
    if (s().broken) return s().broken;
    return needs_context && depth == 0 ? (unsigned)INVALID_CONTEXT : (unsigned)OK;
}
#define BEGIN(...) \
    std::lock_guard<std::recursive_mutex> guard(s().lock); \
    if (unsigned code = begin(__VA_ARGS__)) return code

bool inside(uintptr_t at, size_t bytes) {
    auto next = s().memory.upper_bound(at);
    if (next == s().memory.begin()) return false;
    --next;
    return at + bytes <= next->first + next->second;
}

// ---- files
std::string folder() {
    char name[] = "/tmp/attn-emulated-XXXXXX";
    return mkdtemp(name) ? name : "";
}
std::string contents(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
}
void put(const std::string &path, const std::string &text) { std::ofstream(path, std::ios::binary) << text; }
void remove_folder(const std::string &dir) {
    for (const char *name : {"/kernels.cpp", "/kernels.so", "/log"}) unlink((dir + name).c_str());
    rmdir(dir.c_str());
}
}  // namespace

// ---- for tests
EXPORT void fake_fail(const char *name, unsigned result) {      // 0: works again
    if (result) s().failing[name] = result;
    else s().failing.erase(name);
}
EXPORT int fake_alive() { return s().contexts + (int)s().memory.size() + (int)s().modules.size() + depth; }
EXPORT const char *fake_error() { return s().error.c_str(); }
EXPORT unsigned fake_last_blocks() { return s().last_blocks; }
EXPORT void fake_reset() {                                       // after a wrong address: as a new process
    s().broken = OK;
    s().error.clear();
}

// ---- NVRTC, of a version that spoils the locale
struct _nvrtcProgram { std::string text, log, cubin; };
EXPORT unsigned nvrtcVersion(int *major, int *minor) { return *major = 12, *minor = 0, 0; }
EXPORT const char *nvrtcGetErrorString(unsigned result) { return result == 6 ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR"; }
EXPORT unsigned nvrtcCreateProgram(_nvrtcProgram **program, const char *text, const char *, int, const char *const *, const char *const *) {
    *program = new _nvrtcProgram{text, "", ""};
    return 0;
}
EXPORT unsigned nvrtcDestroyProgram(_nvrtcProgram **program) {
    delete *program;
    *program = nullptr;
    return 0;
}
EXPORT unsigned nvrtcCompileProgram(_nvrtcProgram *program, int n_options, const char *const *options) {
    setlocale(LC_ALL, "C");
    auto told = s().failing.find("nvrtcCompileProgram");
    if (told != s().failing.end()) return told->second;
    bool arch = false;
    for (int i = 0; i < n_options; i++) arch |= strncmp(options[i], "--gpu-architecture=sm_", 22) == 0;
    if (!arch) return 5;
    static std::map<std::string, std::string> done;              // one program in many sizes is one text
    std::string &cubin = done[program->text];
    if (!cubin.empty()) return program->cubin = cubin, 0;
    std::string dir = folder();
    put(dir + "/kernels.cpp", program->text);
    std::string command = "'" ATTN_CXX "' -std=c++17 -O1 -w -fPIC -shared -fvisibility=hidden -fno-strict-aliasing -U_FORTIFY_SOURCE -DATTN_EMULATED -include '" ATTN_EMULATOR "' '" + dir + "/kernels.cpp' -o '" + dir + "/kernels.so' 2> '" + dir + "/log'";
    int status = system(command.c_str());
    program->log = contents(dir + "/log");
    std::string object = contents(dir + "/kernels.so");
    remove_folder(dir);
    if (status != 0) return 6;
    uint64_t n = object.size();
    program->cubin = cubin = std::string(MAGIC, 8) + std::string((const char *)&n, 8) + object;
    return 0;
}
EXPORT unsigned nvrtcGetProgramLogSize(_nvrtcProgram *program, size_t *bytes) { return *bytes = program->log.size() + 1, 0; }
EXPORT unsigned nvrtcGetProgramLog(_nvrtcProgram *program, char *log) { return memcpy(log, program->log.c_str(), program->log.size() + 1), 0; }
EXPORT unsigned nvrtcGetCUBINSize(_nvrtcProgram *program, size_t *bytes) { return *bytes = program->cubin.size(), 0; }
EXPORT unsigned nvrtcGetCUBIN(_nvrtcProgram *program, char *cubin) { return memcpy(cubin, program->cubin.data(), program->cubin.size()), 0; }

// ---- driver: start and context
EXPORT unsigned cuInit(unsigned flags) {
    auto told = s().failing.find("cuInit");
    if (told != s().failing.end()) return told->second;
    s().initialised = true;
    return flags == 0 ? OK : INVALID_VALUE;
}
EXPORT unsigned cuGetErrorName(unsigned code, const char **text) {
    static const std::map<unsigned, const char *> names = {{INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"}, {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"}, {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"},
        {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"}, {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"}, {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"}};
    auto found = names.find(code);
    *text = found == names.end() ? nullptr : found->second;
    return *text ? OK : INVALID_VALUE;
}
EXPORT unsigned cuDriverGetVersion(int *version) { return *version = 12000, OK; }
EXPORT unsigned cuDeviceGetCount(int *n) {
    BEGIN("cuDeviceGetCount", false);
    return *n = 1, OK;
}
EXPORT unsigned cuDeviceGet(int *device, int ordinal) {
    BEGIN("cuDeviceGet", false);
    return *device = 0, ordinal == 0 ? OK : INVALID_VALUE;
}
EXPORT unsigned cuDeviceGetAttribute(int *value, unsigned attribute, int) {
    BEGIN("cuDeviceGetAttribute", false);
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 1 : 0;
    return OK;
}
EXPORT unsigned cuDevicePrimaryCtxRetain(CUctx_st **context, int) {
    BEGIN("cuDevicePrimaryCtxRetain", false);
    s().contexts++;
    *context = (CUctx_st *)&s();
    return OK;
}
EXPORT unsigned cuDevicePrimaryCtxRelease_v2(int) {
    std::lock_guard<std::recursive_mutex> guard(s().lock);
    return s().contexts-- > 0 ? OK : INVALID_CONTEXT;
}
EXPORT unsigned cuCtxPushCurrent_v2(CUctx_st *context) {
    BEGIN("cuCtxPushCurrent", false);
    if (context != (CUctx_st *)&s() || s().contexts == 0) return INVALID_CONTEXT;
    return depth++, OK;
}
EXPORT unsigned cuCtxPopCurrent_v2(CUctx_st **context) {
    if (depth == 0) return INVALID_CONTEXT;
    *context = (CUctx_st *)&s();
    return depth--, OK;
}
EXPORT unsigned cuCtxSynchronize() {
    BEGIN("cuCtxSynchronize");
    return OK;
}

// ---- driver: memory
EXPORT unsigned cuMemAlloc_v2(unsigned long long *at, size_t bytes) {
    BEGIN("cuMemAlloc");
    if (bytes == 0) return INVALID_VALUE;
    void *p = malloc(bytes);
    if (!p) return OUT_OF_MEMORY;
    memset(p, 0xff, bytes);
    s().memory[(uintptr_t)p] = bytes;
    *at = (uintptr_t)p;
    return OK;
}
EXPORT unsigned cuMemFree_v2(unsigned long long at) {
    BEGIN("cuMemFree");
    if (s().memory.erase((uintptr_t)at) == 0) return INVALID_VALUE;
    free((void *)(uintptr_t)at);
    return OK;
}
EXPORT unsigned cuMemcpyHtoD_v2(unsigned long long to, const void *from, size_t bytes) {
    BEGIN("cuMemcpyHtoD");
    if (!inside(to, bytes)) return INVALID_VALUE;
    return memcpy((void *)(uintptr_t)to, from, bytes), OK;
}
EXPORT unsigned cuMemcpyDtoH_v2(void *to, unsigned long long from, size_t bytes) {
    BEGIN("cuMemcpyDtoH");
    if (!inside(from, bytes)) return INVALID_VALUE;
    return memcpy(to, (const void *)(uintptr_t)from, bytes), OK;
}
EXPORT unsigned cuMemcpyDtoD_v2(unsigned long long to, unsigned long long from, size_t bytes) {
    BEGIN("cuMemcpyDtoD");
    if (!inside(from, bytes) || !inside(to, bytes)) return INVALID_VALUE;
    return memmove((void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes), OK;
}
EXPORT unsigned cuMemsetD8_v2(unsigned long long at, unsigned char value, size_t bytes) {
    BEGIN("cuMemsetD8");
    if (!inside(at, bytes)) return INVALID_VALUE;
    return memset((void *)(uintptr_t)at, value, bytes), OK;
}

// ---- driver: modules and launches
EXPORT unsigned cuModuleLoadData(CUmod_st **module, const void *image) {
    BEGIN("cuModuleLoadData");
    if (memcmp(image, MAGIC, 8) != 0) return INVALID_IMAGE;
    uint64_t n;
    memcpy(&n, (const char *)image + 8, 8);
    std::string dir = folder();
    put(dir + "/kernels.so", std::string((const char *)image + 16, n));
    void *library = dlopen((dir + "/kernels.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "fakecuda: %s\n", dlerror());
    remove_folder(dir);
    if (!library) return INVALID_IMAGE;
    *module = new CUmod_st{library};
    s().modules.push_back(*module);
    return OK;
}
EXPORT unsigned cuModuleUnload(CUmod_st *module) {
    BEGIN("cuModuleUnload");
    for (size_t i = 0; i < s().modules.size(); i++)
        if (s().modules[i] == module) s().modules.erase(s().modules.begin() + (long)i--);
    for (size_t i = 0; i < s().functions.size(); i++)
        if (s().functions[i]->module == module) {
            delete s().functions[i];
            s().functions.erase(s().functions.begin() + (long)i--);
        }
    dlclose(module->library);
    delete module;
    return OK;
}
EXPORT unsigned cuModuleGetFunction(CUfunc_st **function, CUmod_st *module, const char *name) {
    BEGIN("cuModuleGetFunction");
    void *kernel = dlsym(module->library, name);
    if (!kernel) return NOT_FOUND;
    *function = new CUfunc_st{module, kernel};
    s().functions.push_back(*function);
    return OK;
}
EXPORT unsigned cuLaunchKernel(CUfunc_st *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, void *stream, void **params, void **extra) {
    BEGIN("cuLaunchKernel");
    if (gx == 0 || gy != 1 || gz != 1 || bx == 0 || bx > 1024 || by != 1 || bz != 1 || stream || extra) return INVALID_VALUE;
    launch_fn *launch;
    void *found = dlsym(function->module->library, "emulator_launch");
    memcpy(&launch, &found, sizeof found);
    std::vector<range> ranges;
    for (auto &m : s().memory) ranges.push_back({(const char *)m.first, m.second});
    s().last_blocks = gx;
    const char *wrong = launch(function->kernel, gx, bx, params, ranges.data(), ranges.size());
    if (wrong) {
        fprintf(stderr, "fakecuda: %s\n", wrong);
        s().error = wrong;
        s().broken = ILLEGAL_ADDRESS;
    }
    return OK;
}

// ---- versions: gives exactly the interface that was asked for
EXPORT unsigned cuGetProcAddress_v2(const char *name, void **out, int version, uint64_t, unsigned *) {
    struct row { const char *name; int version; const char *symbol; };
    static const row rows[] = {
#define DRIVER(name, version, symbol, params) {#name, version, symbol},
#include "driver.def"
    };
    Dl_info self;
    if (!dladdr((void *)&cuInit, &self)) return NOT_FOUND;
    void *library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    *out = nullptr;
    for (const row &r : rows)
        if (strcmp(r.name, name) == 0 && r.version == version) *out = dlsym(library, r.symbol);
    if (library) dlclose(library);
    return *out ? OK : NOT_FOUND;
}
