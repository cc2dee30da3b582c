#include "data/signal/weighted_loudness.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "data/signal/stft.h"

namespace melisma {
namespace weighted_loudness_detail {
namespace {

constexpr std::int64_t kWindow = 1024, kHop = 160, kRateHz = 16000;
constexpr std::int64_t kFramesAtOnce = 2048;
constexpr double kReferenceDb = 20, kFloorDb = -100, kRangeDb = 80, kLeastMagnitude = 1e-5;

// Levels of all frames in dB, block by block: [513, count].
void for_each_block(std::span<const float> wave, const std::function<void(const at::Tensor&)>& take) {
  const auto n = std::ssize(wave), n_frames = n / kHop + 1;
  for (std::int64_t first = 0; first < n_frames; first += kFramesAtOnce) {
    const auto count = std::min(kFramesAtOnce, n_frames - first);
    const auto begin = first * kHop - kWindow / 2, end = begin + (count - 1) * kHop + kWindow;
    auto samples = at::zeros({end - begin}, at::kFloat);
    const auto from = std::max<std::int64_t>(0, begin), to = std::max(from, std::min(end, n));
    std::copy(wave.begin() + from, wave.begin() + to, samples.data_ptr<float>() + (from - begin));
    const auto spectrum = stft(samples, {.n_fft = kWindow, .hop = kHop, .window = kWindow, .padding = Padding::none});
    take(20 * magnitude(spectrum).clamp_min(kLeastMagnitude).log10());
  }
}

// [513, 1]
at::Tensor weights_db() {
  std::vector<float> weights;
  for (std::int64_t bin = 0; bin <= kWindow / 2; ++bin) {
    weights.push_back(static_cast<float>(a_weighting_db(static_cast<double>(bin * kRateHz) / kWindow) - kReferenceDb));
  }
  return at::tensor(weights, at::kFloat).unsqueeze(1);
}

}  // namespace
}  // namespace weighted_loudness_detail

double a_weighting_db(double hz) {
  constexpr double kLowestDb = -80;
  const auto squared = hz * hz;
  if (squared == 0) return kLowestDb;
  const auto corner = [&](double corner_hz) { return std::log10(squared + corner_hz * corner_hz); };
  const auto db = 2 + 20 * (2 * std::log10(12194.217) + 2 * std::log10(squared) - corner(12194.217) -
                            corner(20.598997) - 0.5 * corner(107.65265) - 0.5 * corner(737.86223));
  return std::max(db, kLowestDb);
}

std::vector<float> a_weighted_loudness_db(std::span<const float> wave_16k) {
  using namespace weighted_loudness_detail;
  double loudest = -std::numeric_limits<double>::infinity();
  for_each_block(wave_16k, [&](const at::Tensor& db) { loudest = std::max(loudest, db.max().item<double>()); });
  const auto weights = weights_db();
  std::vector<float> levels;
  for_each_block(wave_16k, [&](const at::Tensor& db) {
    const auto mean = (db.clamp_min(loudest - kRangeDb) + weights).clamp_min_(kFloorDb).mean(0);
    levels.insert(levels.end(), mean.const_data_ptr<float>(), mean.const_data_ptr<float>() + mean.numel());
  });
  return levels;
}

}  // namespace melisma
