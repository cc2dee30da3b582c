#include "train/engine/precision.h"

#include <ATen/autocast_mode.h>

#include "models/layers/packed_matrix.h"
#include "tools/base/error.h"

namespace melisma {

void require_precision(const std::string& precision) {
  if (precision == "bf16" && !cpu_multiplies_bf16()) {
    fail(ErrorKind::device,
         "trainer.precision is bf16, but this CPU does not multiply bfloat16 (AVX-512 BF16 or AMX): it would train "
         "slower than in fp32; set trainer.precision = \"fp32\"");
  }
}

PrecisionScope::PrecisionScope(const std::string& precision)
    : is_cast_(precision == "bf16"), was_cast_(at::autocast::is_autocast_enabled(at::kCPU)) {
  if (!is_cast_) return;
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCPU, true);
}

PrecisionScope::~PrecisionScope() {
  if (!is_cast_) return;
  at::autocast::set_autocast_enabled(at::kCPU, was_cast_);
  at::autocast::clear_cache();  // of rounded parameters, which the next step changes
}

}  // namespace melisma
