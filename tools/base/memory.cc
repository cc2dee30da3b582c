#include "tools/base/memory.h"

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace melisma {

void release_free_memory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

void return_large_blocks_at_once() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 2 << 20);
#endif
}

}  // namespace melisma
