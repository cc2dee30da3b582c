#include "models/layers/packed_matrix.h"

#include <ATen/ATen.h>
#include <ATen/cpu/Utils.h>
#include <c10/core/GradMode.h>

#include "tools/base/error.h"

// MKL's packed products, which LibTorch carries and exports; null where it was built on another BLAS.
extern "C" {
[[gnu::weak]] std::size_t cblas_sgemm_pack_get_size(int which, int m, int n, int k);
[[gnu::weak]] void cblas_sgemm_pack(int layout, int which, int transpose, int m, int n, int k, float alpha,
                                    const float* source, int row_stride, float* packed);
[[gnu::weak]] void cblas_sgemm_compute(int layout, int transpose_a, int transpose_b, int m, int n, int k,
                                       const float* a, int a_row_stride, const float* b, int b_row_stride, float beta,
                                       float* c, int c_row_stride);
}

namespace melisma {
namespace packed_matrix_detail {
namespace {

constexpr int kRowMajor = 101, kAsItIs = 111, kTransposed = 112, kPacked = 151, kSecondFactor = 162;
// Rows the layout is made for. Any number may follow; made for many it is the fastest for few as well.
constexpr int kTypicalRows = 1000;

bool has_packed_products() {
  return cblas_sgemm_pack_get_size != nullptr && cblas_sgemm_pack != nullptr && cblas_sgemm_compute != nullptr;
}

// From row to row; what a tensor of one row says of it means nothing.
int row_stride(const at::Tensor& matrix) {
  return static_cast<int>(matrix.size(0) > 1 ? matrix.stride(0) : matrix.size(1));
}

at::Tensor packed(const at::Tensor& weight) {
  const auto n = static_cast<int>(weight.size(0)), k = static_cast<int>(weight.size(1));
  const auto bytes = cblas_sgemm_pack_get_size(kSecondFactor, kTypicalRows, n, k);
  auto layout = at::empty({static_cast<std::int64_t>(bytes / sizeof(float)) + 1}, at::kFloat);
  cblas_sgemm_pack(kRowMajor, kSecondFactor, kTransposed, kTypicalRows, n, k, 1.0F, weight.const_data_ptr<float>(), k,
                   layout.mutable_data_ptr<float>());
  return layout;
}

}  // namespace
}  // namespace packed_matrix_detail

bool cpu_multiplies_bf16() {
  const auto abilities = at::cpu::get_cpu_capabilities();
  for (const auto* name : {"avx512_bf16", "amx_bf16"}) {
    const auto found = abilities.find(name);
    if (found != abilities.end() && found->second.isBool() && found->second.toBool()) return true;
  }
  return false;
}

PackedMatrix::PackedMatrix(const at::Tensor& weight, at::ScalarType type) : in_(weight.size(1)), out_(weight.size(0)) {
  const c10::NoGradGuard no_grad;
  if (type == at::kBFloat16 && !cpu_multiplies_bf16()) {
    fail(ErrorKind::device, "this CPU does not multiply bfloat16; choose fp32");
  }
  const auto whole = weight.detach().to(type).contiguous();
  if (type == at::kFloat && packed_matrix_detail::has_packed_products()) {
    packed_ = packed_matrix_detail::packed(whole);
  } else {
    plain_ = whole;
  }
}

void PackedMatrix::multiply(const at::Tensor& x, const at::Tensor& y, bool accumulate) const {
  using namespace packed_matrix_detail;
  if (x.size(0) == 0) return;
  if (packed_.defined()) {
    cblas_sgemm_compute(kRowMajor, kAsItIs, kPacked, static_cast<int>(x.size(0)), static_cast<int>(out_),
                        static_cast<int>(in_), x.const_data_ptr<float>(), row_stride(x),
                        packed_.const_data_ptr<float>(), static_cast<int>(out_), accumulate ? 1.0F : 0.0F,
                        y.mutable_data_ptr<float>(), row_stride(y));
    return;
  }
  const auto product = at::linear(x.to(plain_.scalar_type()), plain_);
  accumulate ? y.add_(product) : y.copy_(product);
}

}  // namespace melisma
