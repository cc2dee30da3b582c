#include "data/signal/cepstrum.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tools/base/error.h"

namespace melisma {
namespace cepstrum_detail {
namespace {

// [width]: the weights that turn a window of samples into the order-th derivative of the polynomial of degree `order`
// fitted to it; with that degree the derivative is the same at every position of the window.
at::Tensor derivative_weights(std::int64_t width, std::int64_t order) {
  const auto t = at::arange(width, at::kDouble) - static_cast<double>(width / 2);
  if (order == 1) return t / t.square().sum();
  const auto parabola = t.square() - t.square().mean();  // orthogonal to constants and lines
  return 2 * parabola / parabola.square().sum();
}

}  // namespace
}  // namespace cepstrum_detail

at::Tensor dct_matrix(std::int64_t n_out, std::int64_t n_in) {
  const auto n = static_cast<double>(n_in);
  auto matrix = at::empty({n_out, n_in}, at::kDouble);
  auto* value = matrix.data_ptr<double>();
  for (std::int64_t k = 0; k < n_out; ++k) {
    const auto scale = std::sqrt((k == 0 ? 1.0 : 2.0) / n);
    for (std::int64_t i = 0; i < n_in; ++i) {
      *value++ = scale * std::cos(std::numbers::pi * static_cast<double>(k * (2 * i + 1)) / (2 * n));
    }
  }
  return matrix;
}

at::Tensor mfcc(const at::Tensor& log_mel, std::int64_t n_coefficients, double lifter) {
  const auto bands = log_mel.size(-2);
  if (n_coefficients < 1 || n_coefficients > bands) {
    fail(ErrorKind::config, "mfcc: {} coefficients of {} bands; ask for 1 to {}", n_coefficients, bands, bands);
  }
  auto matrix = dct_matrix(n_coefficients, bands);
  if (lifter > 0) {
    const auto i = at::arange(1, n_coefficients + 1, at::kDouble);
    matrix = matrix * (1 + lifter / 2 * at::sin(std::numbers::pi * i / lifter)).unsqueeze(1);
  }
  return at::matmul(matrix.to(log_mel.options()), log_mel);
}

at::Tensor delta(const at::Tensor& features, std::int64_t width, std::int64_t order) {
  if (width < 3 || width % 2 == 0 || order < 1 || order > 2 || width <= order) {
    fail(ErrorKind::config, "delta: width {} and order {}; need an odd width of at least 3 and order 1 or 2", width,
         order);
  }
  const auto frames = features.size(-1);
  width = std::min(width, frames % 2 == 1 ? frames : frames - 1);
  if (width <= order) return at::zeros_like(features);
  const auto weights = cepstrum_detail::derivative_weights(width, order).to(features.options());  // [width]
  const auto inner = at::matmul(features.unfold(-1, width, 1), weights);  // [..., frames - width + 1]
  const auto half = width / 2;
  auto sizes = inner.sizes().vec();
  sizes.back() = half;
  return at::cat({inner.narrow(-1, 0, 1).expand(sizes), inner, inner.narrow(-1, inner.size(-1) - 1, 1).expand(sizes)},
                 -1);
}

}  // namespace melisma
