#include "data/effects/reverb.h"

#include <array>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "data/effects/delay_line.h"

namespace melisma {
namespace {

constexpr std::size_t kLines = 8;
using Lines = std::array<double, kLines>;

// Of the largest room; the smallest is a tenth.
constexpr Lines kLineMs{61.3, 68.9, 76.1, 83.7, 91.9, 101.3, 111.7, 123.1};
constexpr std::array kDiffuserMs{4.77, 12.61};
constexpr double kDiffusion = 0.6;

std::int64_t room_frames(double ms, double room_size, std::int64_t sample_rate_hz) {
  return std::max<std::int64_t>(frames_of_ms(ms * (0.1 + 0.9 * room_size), sample_rate_hz), 1);
}

// The lengths of the lines, drawn apart until no two share a factor: echoes that fall together would ring.
std::array<std::int64_t, kLines> line_lengths(double room_size, std::int64_t sample_rate_hz) {
  std::array<std::int64_t, kLines> lengths{};
  for (std::size_t i = 0; i < kLines; ++i) {
    auto length = room_frames(kLineMs[i], room_size, sample_rate_hz);
    const auto shares_factor = [&](std::size_t k) { return std::gcd(lengths[k], length) > 1 || lengths[k] == length; };
    for (std::size_t k = 0; k < i; ++k) {
      if (!shares_factor(k)) continue;
      ++length;
      k = static_cast<std::size_t>(-1);  // all of them again
    }
    lengths[i] = length;
  }
  return lengths;
}

// A comb and its mirror: every frequency passes, spread over time.
class Diffuser {
 public:
  explicit Diffuser(std::int64_t length) : length_(length), line_(length - 1) {}
  double next(double sample) {
    const double late = line_.at(length_ - 1);
    const double in = sample - kDiffusion * late;
    line_.push(static_cast<float>(in));
    return late + kDiffusion * in;
  }

 private:
  std::int64_t length_;
  DelayLine line_;
};

// +1 and -1: rows of a Hadamard matrix. A channel goes in by one and comes out by another, so that ways through two
// lines and back to front do not add up; every channel has its own, so that they do not sound alike.
double sign_of(std::size_t row, std::size_t line) { return std::popcount(row % kLines & line) % 2 == 0 ? 1.0 : -1.0; }

class Reverb final : public InPlaceEffect {
 public:
  Reverb(const ReverbSettings& settings, const SignalShape& shape)
      : settings_(settings), lengths_(line_lengths(settings.room_size, shape.sample_rate_hz)) {
    const double rate_hz = static_cast<double>(shape.sample_rate_hz);
    double kept_energy = 0;
    for (std::size_t i = 0; i < kLines; ++i) {
      lines_.emplace_back(lengths_[i] - 1);
      gains_[i] = std::pow(10, -3 * static_cast<double>(lengths_[i]) / (settings.decay_s * rate_hz));
      kept_energy += gains_[i] * gains_[i] / kLines;
    }
    // White noise comes out as loud as it goes in.
    scale_ = std::sqrt((1 - kept_energy) / kLines);
    const double corner_hz = std::min(20000 * std::pow(0.05, settings.damping), 0.45 * rate_hz);
    damping_pole_ = settings.damping == 0 ? 0 : std::exp(-2 * std::numbers::pi * corner_hz / rate_hz);
    const auto pre_delay = frames_of_ms(settings.pre_delay_ms, shape.sample_rate_hz);
    for (std::int64_t c = 0; c < shape.n_channels; ++c) {
      pre_delays_.emplace_back(pre_delay);
      auto& row = diffusers_.emplace_back();
      for (const double ms : kDiffuserMs)
        row.emplace_back(room_frames(ms, settings.room_size, shape.sample_rate_hz) + c);
    }
    wet_.resize(static_cast<std::size_t>(shape.n_channels));
  }

 private:
  void change(Waveform& block) override {
    const auto n_frames = static_cast<std::size_t>(block.n_frames());
    for (std::size_t n = 0; n < n_frames; ++n) {
      Lines in{};
      for (std::size_t c = 0; c < wet_.size(); ++c) send(block.samples[c * n_frames + n], c, in);
      turn(in);
      const double mean = std::accumulate(wet_.begin(), wet_.end(), 0.0) / static_cast<double>(wet_.size());
      for (std::size_t c = 0; c < wet_.size(); ++c) {
        auto& sample = block.samples[c * n_frames + n];
        const double room = mean + settings_.width * (wet_[c] - mean);
        sample = static_cast<float>(settings_.dry * sample + settings_.wet * room);
      }
    }
  }

  void send(float sample, std::size_t channel, Lines& in) {
    pre_delays_[channel].push(sample);
    double value = pre_delays_[channel].oldest();
    for (auto& diffuser : diffusers_[channel]) value = diffuser.next(value);
    for (std::size_t i = 0; i < kLines; ++i) in[i] += sign_of(channel + 1, i) * value;
  }

  // What the lines give now, to each channel and, reflected, back into them.
  void turn(const Lines& in) {
    Lines out{};
    double sum = 0;
    for (std::size_t i = 0; i < kLines; ++i) {
      auto& damped = damped_[i];
      damped += (1 - damping_pole_) * (lines_[i].at(lengths_[i] - 1) - damped);
      if (std::abs(damped) < 1e-30) damped = 0;
      out[i] = gains_[i] * damped;
      sum += out[i];
    }
    for (std::size_t c = 0; c < wet_.size(); ++c) {
      double value = 0;
      for (std::size_t i = 0; i < kLines; ++i) value += sign_of(c + 4, i) * damped_[i];
      wet_[c] = scale_ * value;
    }
    for (std::size_t i = 0; i < kLines; ++i) {
      lines_[i].push(static_cast<float>(in[i] + out[i] - 2.0 / kLines * sum));
    }
  }

  ReverbSettings settings_;
  std::array<std::int64_t, kLines> lengths_;
  std::vector<DelayLine> lines_;
  Lines gains_{}, damped_{};
  double scale_ = 1, damping_pole_ = 0;
  std::vector<DelayLine> pre_delays_;             // one a channel
  std::vector<std::vector<Diffuser>> diffusers_;  // [channels][kDiffuserMs]
  std::vector<double> wet_;                       // [channels], of this frame
};

}  // namespace

std::unique_ptr<Effect> make_effect(const ReverbSettings& settings, const SignalShape& shape) {
  return std::make_unique<Reverb>(settings, shape);
}

}  // namespace melisma
