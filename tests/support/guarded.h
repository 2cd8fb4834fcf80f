/* Memory that ends at a page nobody may touch: what machine code reads or writes behind its end is a crash, where sanitizers see nothing. */
#ifndef TEST_GUARDED_H
#define TEST_GUARDED_H
#include "module.h"

void *guarded_alloc(size_t bytes);               /* its end is that of a page, so the start is aligned as `bytes` is. NULL: no memory */
void guarded_free(void *at, size_t bytes);       /* NULL is allowed */
void guarded_device(rt_device *device);          /* from now on a device of the host allocates like this */
#endif
