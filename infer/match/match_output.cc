#include "infer/match/match_output.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "data/audio/normalise.h"
#include "tools/base/atomic_file.h"

namespace melisma {
namespace match_output_detail {
namespace {

constexpr std::int64_t kBlockFrames = 1 << 14;
constexpr std::int64_t kPreviewSeconds = 30, kStepSeconds = 5, kFadeSeconds = 1, kFadeShare = 8;

StereoSignal rendered(const MatchedSong& song, MatchFinish finish, std::int64_t first, std::int64_t count) {
  StereoSignal part{std::vector<double>(static_cast<std::size_t>(count)),
                    std::vector<double>(static_cast<std::size_t>(count)), song.filtered.sample_rate_hz};
  song.render(finish, first, part.left, part.right);
  return part;
}

Waveform waveform_of(const StereoSignal& part) {
  Waveform wave{.n_channels = 2, .sample_rate_hz = part.sample_rate_hz};
  for (const auto* channel : {&part.left, &part.right}) {
    std::ranges::transform(*channel, std::back_inserter(wave.samples), [](double x) { return static_cast<float>(x); });
  }
  return wave;
}

// Straight from 0 to 1 over the first `fade` frames, and back over the last ones.
Waveform faded(StereoSignal part, std::int64_t fade) {
  for (auto* channel : {&part.left, &part.right}) {
    for (std::int64_t i = 0; i < fade; ++i) {
      const double share = fade > 1 ? static_cast<double>(i) / static_cast<double>(fade - 1) : 0;
      (*channel)[static_cast<std::size_t>(i)] *= share;
      (*channel)[channel->size() - 1 - static_cast<std::size_t>(i)] *= share;
    }
  }
  return waveform_of(part);
}

}  // namespace
}  // namespace match_output_detail

double write_matched(const std::filesystem::path& path, const MatchedSong& song, MatchFinish finish,
                     const AudioFormat& format) {
  using namespace match_output_detail;
  const auto n_frames = song.filtered.n_frames();
  double peak = 0;
  write_file_atomically(path, [&](const std::filesystem::path& temporary) {
    AudioWriter writer(temporary, song.filtered.sample_rate_hz, 2, format);
    for (std::int64_t first = 0; first < n_frames; first += kBlockFrames) {
      const auto block = waveform_of(rendered(song, finish, first, std::min(kBlockFrames, n_frames - first)));
      peak = std::max(peak, peak_of(block.samples));
      writer.write(block);
    }
    writer.finish();
  });
  return peak;
}

PreviewWindow preview_window(const MatchedSong& song, MatchFinish finish) {
  using namespace match_output_detail;
  const auto rate = song.filtered.sample_rate_hz, n_frames = song.filtered.n_frames();
  const auto count = kPreviewSeconds * rate, step = kStepSeconds * rate;
  if (n_frames < count) return {0, n_frames, 0};
  std::vector<double> energies;  // of every step
  for (std::int64_t first = 0; first + step <= n_frames; first += step) {
    const auto part = rendered(song, finish, first, step);
    double energy = 0;
    for (std::size_t i = 0; i < part.left.size(); ++i) {
      energy += part.left[i] * part.left[i] + part.right[i] * part.right[i];
    }
    energies.push_back(energy);
  }
  constexpr auto kSteps = kPreviewSeconds / kStepSeconds;
  double most = -1;
  std::int64_t loudest = 0;
  for (std::int64_t window = 0; window + kSteps <= std::ssize(energies); ++window) {
    double energy = 0;
    for (auto i = window; i < window + kSteps; ++i) energy += energies[static_cast<std::size_t>(i)];
    if (energy > most) most = energy, loudest = window;
  }
  const auto fade = n_frames == count ? 0 : std::min(kFadeSeconds * rate, count / kFadeShare);
  return {loudest * step, count, fade};
}

Waveform preview_of(const MatchedSong& song, MatchFinish finish, const PreviewWindow& window) {
  using namespace match_output_detail;
  return faded(rendered(song, finish, window.first, window.count), window.fade);
}

Waveform preview_of(const StereoSignal& target, double threshold, const PreviewWindow& window) {
  StereoSignal part{{}, {}, target.sample_rate_hz};
  for (const auto& [from, to] : {std::pair{&target.left, &part.left}, {&target.right, &part.right}}) {
    const auto first = from->begin() + window.first;
    std::transform(first, first + window.count, std::back_inserter(*to),
                   [&](double x) { return std::clamp(x, -threshold, threshold); });
  }
  return match_output_detail::faded(std::move(part), window.fade);
}

}  // namespace melisma
