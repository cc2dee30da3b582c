// Tests compute with one thread unless told otherwise (OMP_NUM_THREADS): several binaries run side by side, and threads
// that wait for each other on busy cores cost more than they bring.
#include <ATen/Parallel.h>

#include <cstdlib>

namespace {

[[gnu::constructor]] void use_one_thread() {
  if (std::getenv("OMP_NUM_THREADS") == nullptr) at::set_num_threads(1);
}

}  // namespace
