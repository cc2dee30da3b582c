#include "models/pitch/front_end.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "data/signal/mel.h"
#include "data/signal/stft.h"

namespace melisma {
namespace front_end_detail {
namespace {

constexpr std::int64_t kCrepeWindow = 1024, kRmvpeWindow = 1024;
constexpr double kSilence = 1e-5;  // smallest mel magnitude before the logarithm

const MelConfig kRmvpeMel{
    .sample_rate_hz = kPitchRateHz, .n_fft = kRmvpeWindow, .n_mels = 128, .fmin = 30, .fmax = 8000, .htk = true};

// Frames [first, first + count) of windows of n_fft samples that begin at 160 t - lead -> magnitudes
// [n_fft/2+1, count].
at::Tensor magnitudes(std::span<const float> wave, std::int64_t first, std::int64_t count, std::int64_t n_fft,
                      std::int64_t lead, double eps) {
  const auto begin = first * kPitchHop - lead;
  const auto samples = samples_around(wave, begin, begin + (count - 1) * kPitchHop + n_fft, Surroundings::mirror);
  const StftConfig config{.n_fft = n_fft, .hop = kPitchHop, .window = n_fft, .padding = Padding::none};
  return magnitude(stft(samples, config), eps);
}

at::Tensor log_mel_frames(const at::Tensor& magnitudes, const MelConfig& config) {
  return to_mel(magnitudes, config).clamp_min(kSilence).log().transpose(0, 1).contiguous();
}

// Row i of the result is frame sources[i]; frames_of(first, count) makes consecutive ones, [count, bands].
at::Tensor frames_from(const std::vector<std::int64_t>& sources, const auto& frames_of) {
  const auto [low, high] = std::minmax_element(sources.begin(), sources.end());
  const auto first = *low;
  return frames_of(first, *high + 1 - first).index_select(0, at::tensor(sources, at::kLong) - first);
}

}  // namespace
}  // namespace front_end_detail

at::Tensor samples_around(std::span<const float> wave, std::int64_t first, std::int64_t last, Surroundings outside) {
  const auto n = std::ssize(wave);
  const bool can_mirror = outside == Surroundings::mirror && std::max(-first, last - n) < n;
  auto samples = at::zeros({last - first}, at::kFloat);
  auto* out = samples.data_ptr<float>();
  for (auto i = first; i < std::min<std::int64_t>(last, 0) && can_mirror; ++i) out[i - first] = wave[-i];
  const auto from = std::clamp<std::int64_t>(first, 0, n), to = std::clamp<std::int64_t>(last, from, n);
  std::copy(wave.begin() + from, wave.begin() + to, out + (from - first));
  for (auto i = std::max(first, n); i < last && can_mirror; ++i) out[i - first] = wave[2 * (n - 1) - i];
  return samples;
}

at::Tensor crepe_frames(std::span<const float> wave, std::int64_t first, std::int64_t count) {
  using namespace front_end_detail;
  const auto begin = first * kPitchHop - kCrepeWindow / 2;
  const auto samples = samples_around(wave, begin, begin + (count - 1) * kPitchHop + kCrepeWindow, Surroundings::zeros);
  const auto frames = samples.unfold(0, kCrepeWindow, kPitchHop);  // [count, 1024]
  const auto centred = frames - frames.mean(1, /*keepdim=*/true);
  return centred.div_(centred.std(1, /*unbiased=*/true, /*keepdim=*/true).clamp_min_(1e-10));
}

at::Tensor rmvpe_mel(std::span<const float> wave, std::int64_t first, std::int64_t count) {
  using namespace front_end_detail;
  const auto total = network_frames(std::ssize(wave)), beyond = first + count - total;
  const auto inside = std::clamp<std::int64_t>(total - first, 0, count);
  if (beyond >= total) {
    return at::constant_pad_nd(rmvpe_mel(wave, first, inside), {0, 0, 0, count - inside});
  }
  std::vector<std::int64_t> sources;
  for (auto t = first; t < first + count; ++t) sources.push_back(t < total ? t : 2 * (total - 1) - t);
  return frames_from(sources, [&](std::int64_t from, std::int64_t n) {
    return log_mel_frames(magnitudes(wave, from, n, kRmvpeWindow, kRmvpeWindow / 2, 0), kRmvpeMel);
  });
}

at::Tensor fcpe_mel(std::span<const float> wave, std::int64_t first, std::int64_t count, const FcpeMel& config) {
  using namespace front_end_detail;
  const MelConfig mel{.sample_rate_hz = kPitchRateHz,
                      .n_fft = config.n_fft,
                      .n_mels = config.n_mels,
                      .fmin = config.fmin,
                      .fmax = config.fmax};
  const auto whole = std::max<std::int64_t>(1, std::ssize(wave) / kPitchHop);
  std::vector<std::int64_t> sources;
  for (auto t = first; t < first + count; ++t) sources.push_back(std::min(t, whole - 1));
  return frames_from(sources, [&](std::int64_t from, std::int64_t n) {
    return log_mel_frames(magnitudes(wave, from, n, config.n_fft, (config.n_fft - kPitchHop) / 2, 1e-9), mel);
  });
}

}  // namespace melisma
