// Four doubles at a time, and functions compiled for several instruction sets with the choice made at run time.
// Lanes are independent: results do not depend on the instruction set chosen, apart from fused rounding.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define MELISMA_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MELISMA_CLONES
#endif

// `a > b ? a : b` may become one instruction: no NaN comes here and the sign of zero does not matter.
#if defined(__GNUC__) && !defined(__clang__)
#define MELISMA_PLAIN_MAXIMA __attribute__((optimize("finite-math-only", "no-signed-zeros")))
#else
#define MELISMA_PLAIN_MAXIMA
#endif

namespace melisma {

// Loads and stores through pointers to Vec4 need no alignment. Wider vectors are split badly where AVX-512 is missing.
using Vec4 [[gnu::vector_size(32), gnu::aligned(8), gnu::may_alias]] = double;
inline const Vec4* vec4_at(const double* first) { return reinterpret_cast<const Vec4*>(first); }
inline Vec4* vec4_at(double* first) { return reinterpret_cast<Vec4*>(first); }

}  // namespace melisma
