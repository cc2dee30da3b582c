// A libFuzzer target for one reader of foreign files: any bytes are read or refused by Error(checkpoint). tools/fuzz
// builds and runs it; MELISMA_FUZZED_READER is pth, safetensors or index.
#include <ATen/ATen.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "models/retrieval/index_file.h"
#include "models/weights/model_file.h"
#include "models/weights/pth_file.h"
#include "models/weights/pth_model.h"
#include "models/weights/safetensors.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

// Looks at every number, so that a view outside the file is noticed.
double sum_of(const StateDict& weights) {
  double sum = 0;
  for (const auto& [name, tensor] : weights) {
    if (tensor.numel() > 0 && !tensor.is_complex()) sum += tensor.to(at::kDouble).sum().item<double>();
  }
  return sum;
}

double read_as_pth(const std::string& path) { return sum_of(model_from_pth(read_pth(path)).weights); }

double read_as_safetensors(const std::string& path) { return sum_of(read_safetensors(path).tensors); }

double read_as_index(const std::string& path) {
  const auto lists = read_index_file(path);
  double sum = 0;
  for (const auto centre : lists.centres) sum += centre;
  for (const auto& list : lists.vectors) {
    for (const auto value : list) sum += value;
  }
  return sum;
}

}  // namespace
}  // namespace melisma

#define MELISMA_JOINED(a, b) a##b
#define MELISMA_READ_AS(reader) MELISMA_JOINED(melisma::read_as_, reader)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const int file = ::memfd_create("fuzzed", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, bytes, size, 0) != static_cast<ssize_t>(size)) std::abort();
  try {
    volatile double sum = MELISMA_READ_AS(MELISMA_FUZZED_READER)(path);
    (void)sum;
  } catch (const melisma::Error& error) {
    if (error.kind() == melisma::ErrorKind::checkpoint) return 0;
    std::fprintf(stderr, "refused as another kind: %s\n", error.what());
    std::abort();
  }
  return 0;
}
