#include "data/audio/frame_energy.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tools/base/error.h"

namespace melisma {
namespace {

// Eight partial sums: no chain of dependent additions, and the same order everywhere.
double energy_of(std::span<const float> samples) {
  constexpr std::size_t kLanes = 8;
  double sums[kLanes] = {};
  std::size_t index = 0;
  for (; index + kLanes <= samples.size(); index += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double value = samples[index + lane];
      sums[lane] += value * value;
    }
  }
  for (; index < samples.size(); ++index) sums[0] += static_cast<double>(samples[index]) * samples[index];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace

FrameEnergy::FrameEnergy(std::int64_t window_samples, std::int64_t hop_samples)
    : window_(window_samples), hop_(hop_samples) {
  if (window_ < 1 || hop_ < 1) fail(ErrorKind::config, "frames of {} samples every {} samples", window_, hop_);
  const auto left = window_ / 2;  // zeros in front of the signal; all frame edges are multiples of the cell
  cell_ = std::gcd(std::gcd(hop_, left), window_);
  cells_a_frame_ = window_ / cell_;
  cells_a_hop_ = hop_ / cell_;
  recent_.assign(static_cast<std::size_t>(cells_a_frame_), 0.0);
  pending_.reserve(static_cast<std::size_t>(cell_));
  for (std::int64_t cell = 0; cell < left / cell_; ++cell) end_cell(0.0);
}

void FrameEnergy::end_cell(double energy) {
  recent_[static_cast<std::size_t>(n_cells_ % cells_a_frame_)] = energy;
  ++n_cells_;
  const auto past_first = n_cells_ - cells_a_frame_;
  if (past_first < 0 || past_first % cells_a_hop_ != 0) return;
  double sum = 0;  // in signal order, not ring order
  for (std::int64_t cell = past_first; cell < n_cells_; ++cell) {
    sum += recent_[static_cast<std::size_t>(cell % cells_a_frame_)];
  }
  rms_.push_back(std::sqrt(sum / static_cast<double>(window_)));
}

void FrameEnergy::push(std::span<const float> block) {
  n_samples_ += static_cast<std::int64_t>(block.size());
  const auto cell = static_cast<std::size_t>(cell_);
  if (!pending_.empty()) {
    const auto step = std::min(block.size(), cell - pending_.size());
    pending_.insert(pending_.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(step));
    block = block.subspan(step);
    if (pending_.size() < cell) return;
    end_cell(energy_of(pending_));
    pending_.clear();
  }
  for (; block.size() >= cell; block = block.subspan(cell)) end_cell(energy_of(block.first(cell)));
  pending_.assign(block.begin(), block.end());
}

std::vector<double> FrameEnergy::finish() {
  const auto padded = n_samples_ + 2 * (window_ / 2);
  const auto n_frames = padded < window_ ? 0 : 1 + (padded - window_) / hop_;
  if (!pending_.empty()) {
    pending_.resize(static_cast<std::size_t>(cell_), 0.0f);
    end_cell(energy_of(pending_));
    pending_.clear();
  }
  while (static_cast<std::int64_t>(rms_.size()) < n_frames) end_cell(0.0);
  rms_.resize(static_cast<std::size_t>(n_frames));
  return std::move(rms_);
}

std::vector<double> frame_rms(std::span<const float> samples, std::int64_t window_samples, std::int64_t hop_samples) {
  FrameEnergy frames(window_samples, hop_samples);
  frames.push(samples);
  return frames.finish();
}

}  // namespace melisma
