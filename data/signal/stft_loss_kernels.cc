#include "data/signal/stft_loss_kernels.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "data/signal/vector.h"

// Loops with roots in them become vectors only if roots need not set errno.
#if defined(__GNUC__) && !defined(__clang__)
#define MELISMA_PLAIN_ROOTS __attribute__((optimize("no-math-errno", "no-trapping-math")))
#else
#define MELISMA_PLAIN_ROOTS
#endif

namespace melisma {
namespace stft_kernels {
namespace {

constexpr int64_t kBlock = 256;            // bins whose sums are kept in float
constexpr int64_t kSpan = 64 * kBlock;     // bins of a task
constexpr int64_t kSamplesOfTask = 16384;  // of the wave a task adds frames up for

struct BlockSums {
  float squares = 0, magnitudes = 0, target_squares = 0;
};

MELISMA_PLAIN_ROOTS MELISMA_CLONES void magnitudes_of(const float* spectrum, int64_t n, float floor, float* out) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float re = spectrum[2 * i], im = spectrum[2 * i + 1];
    const float power = re * re + im * im;
    out[i] = std::sqrt(power < floor ? floor : power);
  }
}

// n <= kBlock; ratios[i] = max(X, Y) / min(X, Y), those past n are 1.
MELISMA_PLAIN_ROOTS MELISMA_CLONES BlockSums compare_block(const float* spectrum, const float* target, int64_t n,
                                                           float floor, float* ratios) {
  float squares = 0, magnitudes = 0, target_squares = 0;
#pragma omp simd reduction(+ : squares, magnitudes, target_squares)
  for (int64_t i = 0; i < n; ++i) {
    const float re = spectrum[2 * i], im = spectrum[2 * i + 1];
    const float power = re * re + im * im;
    const float x = std::sqrt(power < floor ? floor : power), y = target[i];
    const float difference = x - y;
    squares += difference * difference;
    magnitudes += std::fabs(difference);
    target_squares += y * y;
    ratios[i] = (x > y ? x : y) / (x > y ? y : x);
  }
  for (int64_t i = n; i < kBlock; ++i) ratios[i] = 1;
  return {squares, magnitudes, target_squares};
}

// Products of 32 ratios each: a sum of logarithms is the logarithm of a product.
MELISMA_CLONES void products_of(const float* ratios, double* products) {
  constexpr int kProducts = kBlock / 32;
  for (int p = 0; p < kProducts; ++p) products[p] = 1;
  for (int i = 0; i < kBlock / 4; i += kProducts) {
    for (int p = 0; p < kProducts; ++p) {
      const float* at = ratios + i + p;
      products[p] *=
          static_cast<double>(at[0]) * at[kBlock / 4] * (static_cast<double>(at[kBlock / 2]) * at[3 * kBlock / 4]);
    }
  }
}

double sum_of_logs(const float* ratios) {
  double products[kBlock / 32];
  products_of(ratios, products);
  double sum = 0;
  bool is_finite = true;
  for (const double product : products) {
    sum += std::log(product);
    is_finite = is_finite && std::isfinite(product);
  }
  if (is_finite) return sum;
  sum = 0;
  for (int64_t i = 0; i < kBlock; ++i) sum += std::log(static_cast<double>(ratios[i]));
  return sum;
}

MELISMA_PLAIN_ROOTS MELISMA_CLONES void gradient_of_block(float* spectrum, const float* target, int64_t n, float floor,
                                                          float convergence, float log, float linear) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float re = spectrum[2 * i], im = spectrum[2 * i + 1];
    const float power = re * re + im * im;
    const float x = std::sqrt(power < floor ? floor : power), inverse = 1 / x;
    const float difference = x - target[i];
    const float sign = difference > 0 ? 1.0f : (difference < 0 ? -1.0f : 0.0f);
    const float slope = inverse * (convergence * difference + sign * (log * inverse + linear));
    const float factor = power < floor ? 0.0f : slope;
    spectrum[2 * i] = factor * re;
    spectrum[2 * i + 1] = factor * im;
  }
}

MELISMA_CLONES void add_product(const float* a, const float* b, int64_t n, float* sum) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) sum[i] += a[i] * b[i];
}

MELISMA_CLONES void product(const float* a, const float* b, int64_t n, float* out) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = a[i] * b[i];
}

// Where a sample outside [0, n) is mirrored to; |index| < n.
int64_t mirrored(int64_t index, int64_t n) {
  if (index < 0) return -index;
  return index < n ? index : 2 * (n - 1) - index;
}

const float* floats_of(const at::Tensor& complex) {
  return reinterpret_cast<const float*>(complex.const_data_ptr<c10::complex<float>>());
}

}  // namespace
}  // namespace stft_kernels

at::Tensor frames_of(const at::Tensor& wave, const at::Tensor& window, int64_t first, int64_t length, int64_t hop) {
  const auto rows = wave.size(0), n = wave.size(1), n_fft = window.size(0), frames = n / hop + 1;
  const auto made = at::empty({rows, frames, n_fft}, wave.options());
  const auto* source = wave.const_data_ptr<float>();
  const auto* weights = window.const_data_ptr<float>();
  auto* out = made.data_ptr<float>();
  at::parallel_for(0, rows * frames, 16, [&](int64_t begin, int64_t end) {
    for (auto at = begin; at < end; ++at) {
      const auto* row = source + at / frames * n;
      auto* frame = out + at * n_fft;
      std::memset(frame, 0, static_cast<std::size_t>(first) * sizeof(float));
      std::memset(frame + first + length, 0, static_cast<std::size_t>(n_fft - first - length) * sizeof(float));
      const auto start = at % frames * hop - n_fft / 2;
      if (start + first >= 0 && start + first + length <= n) {
        stft_kernels::product(row + start + first, weights + first, length, frame + first);
        continue;
      }
      for (auto i = first; i < first + length; ++i) {
        frame[i] = weights[i] * row[stft_kernels::mirrored(start + i, n)];
      }
    }
  });
  return made;
}

at::Tensor frames_to_wave(const at::Tensor& frames, const at::Tensor& window, int64_t first, int64_t length,
                          int64_t hop, int64_t n_samples) {
  const auto rows = frames.size(0), n_frames = frames.size(1), n_fft = window.size(0);
  const auto n = n_samples, margin = n_fft / 2, padded = n + 2 * margin;
  const auto sums = at::zeros({rows, padded}, frames.options());
  const auto* source = frames.const_data_ptr<float>();
  const auto* weights = window.const_data_ptr<float>();
  auto* out = sums.data_ptr<float>();
  constexpr auto kPart = stft_kernels::kSamplesOfTask;
  const auto parts = (padded + kPart - 1) / kPart;
  at::parallel_for(0, rows * parts, 1, [&](int64_t begin, int64_t end) {
    for (auto task = begin; task < end; ++task) {
      const auto row = task / parts, low = task % parts * kPart, high = std::min(low + kPart, padded);
      // Frames that have a sample in [low, high).
      const auto reach = low - first - length + 1;
      for (auto t = reach <= 0 ? 0 : (reach + hop - 1) / hop; t < n_frames && t * hop + first < high; ++t) {
        const auto from = std::max(low, t * hop + first), to = std::min(high, t * hop + first + length);
        if (from >= to) continue;
        stft_kernels::add_product(source + (row * n_frames + t) * n_fft + from - t * hop, weights + from - t * hop,
                                  to - from, out + row * padded + from);
      }
    }
  });
  auto wave = sums.narrow(1, margin, n);
  for (int64_t row = 0; row < rows; ++row) {  // what the mirrored ends were made of
    auto* whole = out + row * padded;
    auto* inside = whole + margin;
    for (int64_t i = 1; i <= margin; ++i) inside[i] += whole[margin - i];
    for (int64_t i = 0; i < padded - margin - n; ++i) inside[n - 2 - i] += inside[n + i];
  }
  return wave;
}

at::Tensor floored_magnitudes(const at::Tensor& spectrum, double floor) {
  const auto made = at::empty(spectrum.sizes(), at::TensorOptions().dtype(at::kFloat));
  const auto* source = stft_kernels::floats_of(spectrum);
  auto* out = made.data_ptr<float>();
  at::parallel_for(0, spectrum.numel(), stft_kernels::kSpan, [&](int64_t begin, int64_t end) {
    stft_kernels::magnitudes_of(source + 2 * begin, end - begin, static_cast<float>(floor), out + begin);
  });
  return made;
}

SpectralSums spectral_sums(const at::Tensor& spectrum, const at::Tensor& target, double floor) {
  using stft_kernels::kBlock;
  using stft_kernels::kSpan;
  const auto n = spectrum.numel(), tasks = (n + kSpan - 1) / kSpan;
  const auto* z = stft_kernels::floats_of(spectrum);
  const auto* y = target.const_data_ptr<float>();
  std::vector<SpectralSums> parts(static_cast<std::size_t>(tasks));
  at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
    float ratios[kBlock];
    for (auto task = begin; task < end; ++task) {
      auto& part = parts[static_cast<std::size_t>(task)];
      for (auto at = task * kSpan; at < std::min(n, (task + 1) * kSpan); at += kBlock) {
        const auto block = stft_kernels::compare_block(z + 2 * at, y + at, std::min(kBlock, n - at),
                                                       static_cast<float>(floor), ratios);
        part.squares += block.squares;
        part.magnitudes += block.magnitudes;
        part.target_squares += block.target_squares;
        part.logs += stft_kernels::sum_of_logs(ratios);
      }
    }
  });
  SpectralSums sums;
  for (const auto& part : parts) {
    sums.squares += part.squares;
    sums.magnitudes += part.magnitudes;
    sums.target_squares += part.target_squares;
    sums.logs += part.logs;
  }
  return sums;
}

void spectrum_to_gradient(const at::Tensor& spectrum, const at::Tensor& target, double floor,
                          const SpectralSlopes& slopes) {
  const auto bins = spectrum.size(-1), rows = spectrum.numel() / bins;
  auto* z = reinterpret_cast<float*>(spectrum.data_ptr<c10::complex<float>>());
  const auto* y = target.const_data_ptr<float>();
  const auto convergence = static_cast<float>(slopes.convergence / 2), log = static_cast<float>(slopes.log / 2),
             linear = static_cast<float>(slopes.linear / 2);
  at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
    for (auto row = begin; row < end; ++row) {
      auto* at = z + 2 * row * bins;
      stft_kernels::gradient_of_block(at, y + row * bins, bins, static_cast<float>(floor), convergence, log, linear);
      for (const auto bin : {std::int64_t{0}, bins - 1}) {
        at[2 * bin] *= 2;
        at[2 * bin + 1] *= 2;
      }
    }
  });
}

}  // namespace melisma
