#include "data/audio/slicing.h"

#include <algorithm>
#include <cmath>

#include "tools/base/error.h"
#include "tools/base/table.h"

namespace melisma {
namespace {

// Python's round(): halves go to the even number, as nearbyint in the default rounding mode.
std::int64_t rounded(double value) { return static_cast<std::int64_t>(std::nearbyint(value)); }

// Index of the lowest of rms[first, last), the first of equals; the range is cut to what exists.
std::int64_t quietest(std::span<const double> rms, std::int64_t first, std::int64_t last) {
  const auto end = std::min(last, static_cast<std::int64_t>(rms.size()));
  return std::min_element(rms.begin() + first, rms.begin() + end) - rms.begin();
}

double in_samples(double ms, std::int64_t sample_rate_hz) { return static_cast<double>(sample_rate_hz) * ms / 1000; }

std::int64_t hop_of(const SilenceSlicerConfig& config, std::int64_t rate_hz) {
  const auto hop = rounded(in_samples(config.hop_ms, rate_hz));
  if (hop < 1)
    fail(ErrorKind::config, "silence slicer: hop_ms = {} is less than a sample at {} Hz", config.hop_ms, rate_hz);
  return hop;
}

std::int64_t window_of(const SilenceSlicerConfig& config, std::int64_t rate_hz) {
  return std::min(rounded(in_samples(config.min_interval_ms, rate_hz)), 4 * hop_of(config, rate_hz));
}

}  // namespace

SilenceSlicer::SilenceSlicer(const SilenceSlicerConfig& config, std::int64_t sample_rate_hz)
    : threshold_(std::pow(10.0, config.threshold_db / 20)),
      hop_(hop_of(config, sample_rate_hz)),
      window_(window_of(config, sample_rate_hz)),
      min_length_(rounded(in_samples(config.min_length_ms, sample_rate_hz) / static_cast<double>(hop_))),
      min_interval_(rounded(in_samples(config.min_interval_ms, sample_rate_hz) / static_cast<double>(hop_))),
      max_kept_(rounded(in_samples(config.max_kept_ms, sample_rate_hz) / static_cast<double>(hop_))),
      energy_(window_, hop_) {}

std::array<std::int64_t, 5> SilenceSlicer::parameters() const {
  return {hop_, window_, min_length_, min_interval_, max_kept_};
}

// Which part [first, last) of the silent frames `silent_first`..`sounding`-1 goes: from the quietest frame near its
// beginning to the quietest near its end; one cut at the quietest frame when all of it may stay.
SilenceSlicer::Silence SilenceSlicer::trim_silence(std::span<const double> rms, std::int64_t silent_first,
                                                   std::int64_t sounding) const {
  const bool is_leading = silent_first == 0;
  const auto length = sounding - silent_first;
  if (length <= max_kept_) {
    const auto cut = quietest(rms, silent_first, sounding + 1);
    return {is_leading ? 0 : cut, cut};
  }
  auto left = quietest(rms, silent_first, silent_first + max_kept_ + 1);
  auto right = quietest(rms, sounding - max_kept_, sounding + 1);
  if (is_leading) return {0, right};
  if (length <= 2 * max_kept_) {  // both kept ends overlap: the quietest frame of the overlap may widen the cut
    const auto middle = quietest(rms, sounding - max_kept_, silent_first + max_kept_ + 1);
    left = std::min(left, middle);
    right = std::max(right, middle);
  }
  return {left, right};
}

std::vector<SilenceSlicer::Silence> SilenceSlicer::find_silences(std::span<const double> rms) const {
  constexpr std::int64_t kSounding = -1;
  const auto n_frames = static_cast<std::int64_t>(rms.size());
  std::vector<Silence> silences;
  std::int64_t silent_since = kSounding, piece_begin = 0;
  for (std::int64_t frame = 0; frame < n_frames; ++frame) {
    if (rms[static_cast<std::size_t>(frame)] < threshold_) {
      if (silent_since == kSounding) silent_since = frame;
      continue;
    }
    if (silent_since == kSounding) continue;
    const bool is_long_lead = silent_since == 0 && frame > max_kept_;
    const bool ends_piece = frame - silent_since >= min_interval_ && frame - piece_begin >= min_length_;
    if (is_long_lead || ends_piece) {
      silences.push_back(trim_silence(rms, silent_since, frame));
      piece_begin = silences.back().last;
    }
    silent_since = kSounding;
  }
  if (silent_since != kSounding && n_frames - silent_since >= min_interval_) {
    const auto kept_end = std::min(n_frames, silent_since + max_kept_);
    silences.push_back({quietest(rms, silent_since, kept_end + 1), n_frames});
  }
  return silences;
}

std::vector<SampleRange> SilenceSlicer::finish() {
  const auto n_samples = energy_.n_samples();
  const auto rms = energy_.finish();
  if (n_samples == 0) return {};
  const SampleRange whole{0, n_samples};
  if (n_samples <= min_length_) return {whole};
  const auto silences = find_silences(rms);
  if (silences.empty()) return {whole};
  std::vector<SampleRange> pieces;
  std::int64_t begin = 0;
  const auto add_piece = [&](std::int64_t end) {
    if (end > begin) pieces.push_back({begin * hop_, std::min(n_samples, end * hop_)});
  };
  for (const auto& silence : silences) {
    add_piece(silence.first);
    begin = silence.last;
  }
  add_piece(static_cast<std::int64_t>(rms.size()));
  std::erase_if(pieces, [](const SampleRange& piece) { return piece.length() <= 0; });
  return pieces;
}

std::vector<SampleRange> slice_at_silence(std::span<const float> samples, std::int64_t sample_rate_hz,
                                          const SilenceSlicerConfig& config) {
  SilenceSlicer slicer(config, sample_rate_hz);
  slicer.push(samples);
  return slicer.finish();
}

std::vector<SampleRange> windows_of(SampleRange piece, std::int64_t sample_rate_hz, const WindowConfig& config) {
  const auto rate = static_cast<double>(sample_rate_hz);
  const auto length = static_cast<std::int64_t>(config.window_s * rate);
  std::vector<SampleRange> windows;
  for (std::int64_t index = 0;; ++index) {
    // The product is formed in this order because the peers truncate it.
    const auto first = piece.first + static_cast<std::int64_t>(rate * (config.window_s - config.overlap_s) *
                                                               static_cast<double>(index));
    if (first >= piece.last) return windows;
    if (static_cast<double>(piece.last - first) <= config.longest_tail_s * rate) {
      windows.push_back({first, piece.last});
      return windows;
    }
    windows.push_back({first, first + length});
  }
}

std::vector<SampleRange> fixed_windows(std::int64_t n_samples, std::int64_t sample_rate_hz, double window_s,
                                       double overlap_s) {
  const auto length = static_cast<std::int64_t>(static_cast<double>(sample_rate_hz) * window_s);
  const auto step = length - static_cast<std::int64_t>(static_cast<double>(sample_rate_hz) * overlap_s);
  if (length < 1 || step < 1) {
    fail(ErrorKind::config, "windows of {} s with an overlap of {} s make no progress", window_s, overlap_s);
  }
  std::vector<SampleRange> windows;
  for (std::int64_t first = 0; first + length <= n_samples; first += step) windows.push_back({first, first + length});
  return windows;
}

Slicer::Slicer(const SlicingConfig& config, std::int64_t sample_rate_hz)
    : config_(config), sample_rate_hz_(sample_rate_hz), silence_(config.silence, sample_rate_hz) {
  (void)find_row(kSliceModes, config.mode, "slicing mode");
  (void)find_row(kWindowConfigs, config.windows, "windows");
}

void Slicer::push(std::span<const float> block) {
  n_samples_ += static_cast<std::int64_t>(block.size());
  if (config_.mode == "automatic") silence_.push(block);
}

std::vector<SampleRange> Slicer::finish() {
  if (n_samples_ == 0) return {};
  if (config_.mode == "skip") return {{0, n_samples_}};
  if (config_.mode == "simple") {
    return fixed_windows(n_samples_, sample_rate_hz_, config_.window_s, config_.overlap_s);
  }
  const auto& windows = find_row(kWindowConfigs, config_.windows, "windows");
  std::vector<SampleRange> ranges;
  for (const auto& piece : silence_.finish()) {
    const auto inside = windows_of(piece, sample_rate_hz_, windows);
    ranges.insert(ranges.end(), inside.begin(), inside.end());
  }
  return ranges;
}

namespace {

// Whether each frame is at most top_db below the loudest one; levels below 1e-5 count as 1e-5
// (librosa.amplitude_to_db).
std::vector<bool> loud_frames(std::span<const double> rms, double top_db) {
  constexpr double kLeastPower = 1e-10;
  const double peak = rms.empty() ? 0.0 : *std::max_element(rms.begin(), rms.end());
  const double reference_db = 10 * std::log10(std::max(kLeastPower, peak * peak));
  std::vector<bool> loud(rms.size());
  for (std::size_t frame = 0; frame < rms.size(); ++frame) {
    loud[frame] = 10 * std::log10(std::max(kLeastPower, rms[frame] * rms[frame])) - reference_db > -top_db;
  }
  return loud;
}

}  // namespace

std::vector<SampleRange> split_by_level(std::span<const float> samples, double top_db, std::int64_t window_samples,
                                        std::int64_t hop_samples) {
  const auto n_samples = static_cast<std::int64_t>(samples.size());
  const auto loud = loud_frames(frame_rms(samples, window_samples, hop_samples), top_db);
  std::vector<SampleRange> ranges;
  for (std::size_t frame = 0; frame < loud.size(); ++frame) {
    if (!loud[frame]) continue;
    const auto first = frame;
    while (frame < loud.size() && loud[frame]) ++frame;
    ranges.push_back({std::min(n_samples, static_cast<std::int64_t>(first) * hop_samples),
                      std::min(n_samples, static_cast<std::int64_t>(frame) * hop_samples)});
  }
  return ranges;
}

SampleRange trim_by_level(std::span<const float> samples, double top_db, std::int64_t window_samples,
                          std::int64_t hop_samples) {
  const auto ranges = split_by_level(samples, top_db, window_samples, hop_samples);
  return ranges.empty() ? SampleRange{} : SampleRange{ranges.front().first, ranges.back().last};
}

}  // namespace melisma
