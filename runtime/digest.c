/* SHA-256, by libmd: names for contents. Code is found again by the digest of what it was made from, and run; so two texts must not share one,
 * not even texts that somebody has made to collide. The one file of the runtime that needs a library; modules do without it, and an archive's members that
 * nobody calls are not linked. */
#include <sys/types.h>
#include <sha256.h>
#include "rt.h"

_Static_assert(sizeof(rt_digest) == SHA256_DIGEST_LENGTH, "a digest is what the library makes");

rt_digest rt_digest_of(const void *bytes, size_t n) {
    rt_digest out;
    SHA2_CTX state;
    SHA256Init(&state);
    SHA256Update(&state, bytes, n);
    SHA256Final(out.bytes, &state);
    return out;
}
