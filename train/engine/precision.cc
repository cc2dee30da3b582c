#include "train/engine/precision.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

#include "models/layers/device.h"
#include "models/layers/packed_matrix.h"
#include "tools/base/error.h"

namespace melisma {
namespace precision_detail {
namespace {

bool is_cast_to(const std::string& precision) { return precision == "bf16" || precision == "fp16"; }

}  // namespace
}  // namespace precision_detail

void require_precision(const std::string& precision, at::Device device) {
  if (precision == "fp32") return;
  if (device.is_cuda()) {
    if (precision == "fp16" || gpu_has_narrow_products(device)) return;
    fail(ErrorKind::device,
         "trainer.precision is {0}, but {1} does not multiply {0} (compute capability 8.0 and later do); set "
         "trainer.precision to fp16 or fp32",
         precision, device_text(device));
  }
  if (precision != "bf16") {
    fail(ErrorKind::device,
         "trainer.precision is {}, which GPUs compute with and CPUs do not: they would train slower than in fp32; set "
         "trainer.precision to bf16 or fp32, or trainer.device to a GPU",
         precision);
  }
  if (cpu_multiplies_bf16()) return;
  fail(ErrorKind::device,
       "trainer.precision is bf16, but this CPU does not multiply bfloat16 (AVX-512 BF16 or AMX): it would train "
       "slower than in fp32; set trainer.precision = \"fp32\"");
}

void set_gpu_products(const std::string& precision) {
  at::globalContext().setAllowTF32CuBLAS(precision == "tf32");
  at::globalContext().setAllowTF32CuDNN(precision == "tf32");
}

PrecisionScope::PrecisionScope(const std::string& precision, at::Device device)
    : device_(device.type()),
      is_cast_(precision_detail::is_cast_to(precision)),
      was_cast_(at::autocast::is_autocast_enabled(device_)) {
  if (!is_cast_) return;
  at::autocast::set_autocast_dtype(device_, precision == "fp16" ? at::kHalf : at::kBFloat16);
  at::autocast::set_autocast_enabled(device_, true);
}

PrecisionScope::~PrecisionScope() {
  if (!is_cast_) return;
  at::autocast::set_autocast_enabled(device_, was_cast_);
  at::autocast::clear_cache();  // of rounded parameters, which the next step changes
}

}  // namespace melisma
