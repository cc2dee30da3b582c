#include "data/audio/fate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace melisma {
namespace {

constexpr float kFullScale = 0.98f;
constexpr std::int64_t kFlatTop = 3;

double decibels(double amplitude) { return 20 * std::log10(amplitude); }

}  // namespace

const FateRow& row_of(Fate fate) {
  return *std::find_if(kFates.begin(), kFates.end(), [&](const FateRow& row) { return row.fate == fate; });
}

FateAssessor::FateAssessor(const FateConfig& config, std::int64_t sample_rate_hz, std::int64_t n_channels)
    : config_(config), sample_rate_hz_(sample_rate_hz), runs_(static_cast<std::size_t>(n_channels)) {}

void FateAssessor::add(const Waveform& block) {
  for (std::int64_t channel = 0; channel < block.n_channels; ++channel) {
    add_channel(block.channel(channel), static_cast<std::size_t>(channel));
  }
  n_frames_ += block.n_frames();
}

void FateAssessor::add_channel(std::span<const float> samples, std::size_t channel) {
  float block_peak = 0;
  bool is_finite = true;
  for (const float sample : samples) {
    const float size = std::abs(sample);
    is_finite &= size <= std::numeric_limits<float>::max();
    block_peak = std::max(block_peak, size);
  }
  auto& run = runs_[channel];
  if (is_finite && block_peak < kFullScale) {  // nearly every block: nothing to count
    run = {};
    peak_ = std::max(peak_, block_peak);
    return;
  }
  for (const float sample : samples) {
    if (!std::isfinite(sample)) {
      ++n_non_finite_;
      run = {};
      continue;
    }
    const float size = std::abs(sample);
    peak_ = std::max(peak_, size);
    if (size < kFullScale) {
      run = {};
    } else if (run.length > 0 && sample == run.value) {
      ++run.length;
      n_clipped_ += run.length == kFlatTop ? kFlatTop : run.length > kFlatTop ? 1 : 0;
    } else {
      run = {sample, 1};
    }
  }
}

Assessment FateAssessor::finish() const {
  Assessment result;
  const auto n_samples = std::max<std::int64_t>(1, n_frames_ * static_cast<std::int64_t>(runs_.size()));
  result.seconds = static_cast<double>(n_frames_) / static_cast<double>(sample_rate_hz_);
  result.peak = peak_;
  result.clipped_share = static_cast<double>(n_clipped_) / static_cast<double>(n_samples);
  result.n_non_finite = n_non_finite_;
  if (n_non_finite_ > 0) {
    result.fate = Fate::non_finite;
    result.reason = fmt::format("{} of {} samples are NaN or infinite", n_non_finite_, n_samples);
  } else if (n_frames_ == 0 || result.seconds < config_.min_seconds) {
    result.fate = Fate::too_short;
    result.reason = fmt::format("{:.3g} s, at least {:.3g} s are needed", result.seconds, config_.min_seconds);
  } else if (peak_ == 0 || decibels(peak_) < config_.silence_db) {
    result.fate = Fate::silent;
    result.reason =
        peak_ == 0 ? "digital silence"
                   : fmt::format("peak {:.1f} dB, silence is below {:.1f} dB", decibels(peak_), config_.silence_db);
  } else if (result.clipped_share > config_.clipped_share) {
    result.fate = Fate::clipped;
    result.reason = fmt::format("{:.2f} % of the samples are clipped", 100 * result.clipped_share);
  }
  return result;
}

Assessment unreadable(std::string message) { return {.fate = Fate::unreadable, .reason = std::move(message)}; }

}  // namespace melisma
