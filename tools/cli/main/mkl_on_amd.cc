#include <cstdlib>
#include <cstring>

// MKL asks this before it takes its fast code paths and refuses them on processors of other makers, though it checks
// CPUID for every instruction set it uses. Answering for the instruction sets instead of the maker doubles matrix
// products on AMD. Exported from the program, so it is found before MKL's own. MELISMA_MKL=default gives MKL's own
// answer on Intel: 1 there, 0 elsewhere.
extern "C" int mkl_serv_intel_cpu_true() {
  __builtin_cpu_init();
  const char* choice = std::getenv("MELISMA_MKL");
  if (choice != nullptr && std::strcmp(choice, "default") == 0) return __builtin_cpu_is("intel") ? 1 : 0;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 0;
}
