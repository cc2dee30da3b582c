#include "infer/match/match_input.h"

#include <algorithm>
#include <cmath>

#include "data/audio/audio_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"

namespace melisma {
namespace match_input_detail {
namespace {

constexpr std::int64_t kBlockFrames = 1 << 16;
constexpr std::int64_t kClippedSamples = 8, kLimitedSamples = 128;  // more at the peak than a recording has by chance

bool is_close(double a, double b) { return std::abs(a - b) <= 1e-8 + 1e-5 * std::abs(b); }

const MatchRemark* remark(int code) { return std::ranges::find(kMatchRemarks, code, &MatchRemark::code); }

// The remark on a target whose peak is reached too often, or null.
const MatchRemark* remark_on_peaks(const StereoSignal& signal) {
  double peak = 0;
  for (const auto* channel : {&signal.left, &signal.right}) {
    for (const double sample : *channel) peak = std::max(peak, std::abs(sample));
  }
  std::int64_t n_at_peak = 0;
  for (const auto* channel : {&signal.left, &signal.right}) {
    n_at_peak += std::ranges::count_if(*channel, [&](double sample) { return is_close(std::abs(sample), peak); });
  }
  if (n_at_peak <= kClippedSamples) return nullptr;
  if (is_close(peak, 1)) return remark(3001);
  return n_at_peak > kLimitedSamples ? remark(3002) : nullptr;
}

[[noreturn]] void fail_too_long(double seconds, const MatchConfig& config, bool is_target) {
  fail(ErrorKind::data, "{} long, expected {} at most; match a part of it, or raise matching.max_seconds (code {})",
       format_seconds(seconds), format_seconds(config.max_seconds), is_target ? 4002 : 4102);
}

}  // namespace
}  // namespace match_input_detail

MatchIntake::MatchIntake(MatchRole role, std::int64_t sample_rate_hz, std::int64_t n_channels,
                         const MatchConfig& config, std::int64_t n_expected)
    : role_(role), sample_rate_hz_(sample_rate_hz), n_channels_(n_channels), config_(config) {
  if (n_channels < 1 || n_channels > 2) {
    fail(ErrorKind::data, "{} channels, expected one or two; mix them down first (code {})", n_channels,
         role == MatchRole::target ? 4004 : 4104);
  }
  for (std::int64_t channel = 0; channel < n_channels; ++channel) {
    resamplers_.emplace_back(sample_rate_hz, config.sample_rate_hz);
  }
  signal_.sample_rate_hz = config.sample_rate_hz;
  const auto n_resampled =
      static_cast<std::size_t>(resampled_length(n_expected, sample_rate_hz, config.sample_rate_hz));
  signal_.left.reserve(n_resampled);
  if (n_channels == 2) signal_.right.reserve(n_resampled);
}

MatchIntake::Limits MatchIntake::limits() const {
  return {static_cast<std::int64_t>(config_.max_seconds * static_cast<double>(sample_rate_hz_)),
          config_.fft_size * sample_rate_hz_ / config_.sample_rate_hz};
}

void MatchIntake::add(const Waveform& block) {
  for (std::int64_t channel = 0; channel < n_channels_; ++channel) {
    const auto samples = block.channel(channel);
    const auto bad = std::ranges::find_if(samples, [](float sample) { return !std::isfinite(sample); });
    if (bad != samples.end()) {
      fail(ErrorKind::data, "sample {} of channel {} is not finite; repair the recording or cut that part out",
           n_frames_ + (bad - samples.begin()), channel);
    }
    resampled_.clear();
    resamplers_[static_cast<std::size_t>(channel)].push(samples, resampled_);
    auto& out = channel == 0 ? signal_.left : signal_.right;
    out.insert(out.end(), resampled_.begin(), resampled_.end());
  }
  n_frames_ += block.n_frames();
  if (n_frames_ > limits().most) {
    match_input_detail::fail_too_long(static_cast<double>(n_frames_) / static_cast<double>(sample_rate_hz_), config_,
                                      role_ == MatchRole::target);
  }
}

MatchInput MatchIntake::finish(bool is_lossy) {
  using namespace match_input_detail;
  const bool is_target = role_ == MatchRole::target;
  if (n_frames_ < limits().least) {
    fail(ErrorKind::data, "{} frames, expected {} or more; take a longer part (code {})", n_frames_, limits().least,
         is_target ? 4003 : 4103);
  }
  for (std::int64_t channel = 0; channel < n_channels_; ++channel) {
    resampled_.clear();
    resamplers_[static_cast<std::size_t>(channel)].finish(resampled_);
    auto& out = channel == 0 ? signal_.left : signal_.right;
    out.insert(out.end(), resampled_.begin(), resampled_.end());
  }
  if (n_channels_ == 1) signal_.right = signal_.left;
  MatchInput input{.signal = std::move(signal_)};
  if (is_lossy) input.remarks.push_back(remark(is_target ? 3004 : 2203));
  if (n_channels_ == 1) input.remarks.push_back(remark(is_target ? 2101 : 2201));
  if (sample_rate_hz_ != config_.sample_rate_hz) input.remarks.push_back(remark(is_target ? 3003 : 2202));
  if (const auto* peaks = is_target ? remark_on_peaks(input.signal) : nullptr; peaks != nullptr) {
    input.remarks.push_back(peaks);
  }
  return input;
}

MatchInput read_match_input(const std::filesystem::path& path, MatchRole role, const MatchConfig& config) {
  auto reader = AudioReader::open(path);
  const auto info = reader.info();
  return with_context("reading '" + path.string() + "'", [&] {
    const auto n_frames = info.n_frames.value_or(0);
    const double seconds = static_cast<double>(n_frames) / static_cast<double>(info.sample_rate_hz);
    if (seconds > config.max_seconds) {
      match_input_detail::fail_too_long(seconds, config, role == MatchRole::target);
    }
    MatchIntake intake(role, info.sample_rate_hz, info.n_channels, config, n_frames);
    while (true) {
      const auto block = reader.read(match_input_detail::kBlockFrames);
      if (block.samples.empty()) break;
      intake.add(block);
    }
    return intake.finish(info.decoder == AudioDecoder::ffmpeg);
  });
}

namespace match_input_detail {
namespace {

// A file's channel, resampled, held against a part of a signal.
class Comparison {
 public:
  Comparison(const std::vector<double>& expected, std::int64_t from_hz, std::int64_t to_hz)
      : expected_(expected), resampler_(from_hz, to_hz) {}
  bool push(std::span<const float> samples) {
    found_.clear();
    resampler_.push(samples, found_);
    return agrees();
  }
  bool finish() {
    found_.clear();
    resampler_.finish(found_);
    return agrees() && at_ == expected_.size();
  }

 private:
  bool agrees() {
    if (found_.size() > expected_.size() - at_) return false;
    const auto from = expected_.begin() + static_cast<std::ptrdiff_t>(at_);
    at_ += found_.size();
    return std::equal(found_.begin(), found_.end(), from,
                      [](float found, double expected) { return is_close(expected, double{found}); });
  }
  const std::vector<double>& expected_;
  StreamResampler resampler_;
  std::vector<float> found_;
  std::size_t at_ = 0;
};

}  // namespace
}  // namespace match_input_detail

bool holds_the_same(const std::filesystem::path& path, const StereoSignal& signal) {
  auto reader = AudioReader::open(path);
  const auto& info = reader.info();
  match_input_detail::Comparison left(signal.left, info.sample_rate_hz, signal.sample_rate_hz),
      right(signal.right, info.sample_rate_hz, signal.sample_rate_hz);
  return with_context("reading '" + path.string() + "'", [&] {
    for (auto block = reader.read(match_input_detail::kBlockFrames); !block.samples.empty();
         block = reader.read(match_input_detail::kBlockFrames)) {
      if (!left.push(block.channel(0)) || !right.push(block.channel(block.n_channels - 1))) return false;
    }
    return left.finish() && right.finish();
  });
}

bool are_the_same(const StereoSignal& target, const StereoSignal& reference) {
  return std::ranges::equal(target.left, reference.left, match_input_detail::is_close) &&
         std::ranges::equal(target.right, reference.right, match_input_detail::is_close);
}

}  // namespace melisma
