// Eight doubles at a time, and functions compiled for several instruction sets with the choice made at run time.
// Lanes are independent: results do not depend on the instruction set chosen, apart from fused rounding.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define MELISMA_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MELISMA_CLONES
#endif

namespace melisma {

// Loads and stores through pointers to Vec8 need no alignment.
using Vec8 [[gnu::vector_size(64), gnu::aligned(8), gnu::may_alias]] = double;
inline const Vec8* vec8_at(const double* first) { return reinterpret_cast<const Vec8*>(first); }
inline Vec8* vec8_at(double* first) { return reinterpret_cast<Vec8*>(first); }

}  // namespace melisma
