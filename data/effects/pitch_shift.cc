#include "data/effects/pitch_shift.h"

#include <cmath>
#include <complex>
#include <vector>

#include "data/audio/resample.h"
#include "data/effects/fourier.h"

namespace melisma {
namespace {

using Complex = std::complex<float>;

Complex product(Complex a, Complex b) {  // the library's asks for infinities
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

// One channel, longer by `stretch` and at the same pitch. Frame k = -1, 0, ... is taken around position k * hop /
// stretch of the signal and put around k * hop. The phases a frame should have follow from the frame put before and
// from how the signal turned within one hop, which a second spectrum, one hop earlier in the signal, tells.
class Stretcher {
 public:
  Stretcher(double stretch, std::int64_t length)
      : stretch_(stretch),
        length_(length),
        hop_(length / 4),
        fourier_(length),
        window_(hann_window(length)),
        frame_(window_.size()),
        sum_(window_.size()),
        now_(static_cast<std::size_t>(fourier_.n_bins())),
        earlier_(now_.size()),
        put_(now_.size()),
        loudness_(now_.size()),
        before_first_(length_ / 2 + hop_ + static_cast<std::int64_t>(std::ceil(static_cast<double>(hop_) / stretch)) +
                      1) {
    in_.resize(static_cast<std::size_t>(before_first_));
  }

  void push(std::span<const float> samples, std::vector<float>& out) {
    in_.insert(in_.end(), samples.begin(), samples.end());
    while (last_of_next_frame() <= first_ + std::ssize(in_)) next_frame(out);
  }

  // Until the end of the signal has come out.
  void finish(std::vector<float>& out) {
    const auto n_out = static_cast<double>(first_ + std::ssize(in_) - before_first_) * stretch_;
    while (static_cast<double>(next_ * hop_ - length_ / 2) < n_out) {
      const auto missing = last_of_next_frame() - first_ - std::ssize(in_);
      if (missing > 0) in_.insert(in_.end(), static_cast<std::size_t>(missing), 0.0F);
      next_frame(out);
    }
  }

 private:
  static constexpr std::int64_t kFirst = -1;  // the earliest frame that reaches the signal's beginning

  // Positions count from the first of in_'s silence in front: before_first_ samples before the signal.
  [[nodiscard]] std::int64_t centre_of_next_frame() const {
    return before_first_ + std::llround(static_cast<double>(next_ * hop_) / stretch_);
  }
  [[nodiscard]] std::int64_t last_of_next_frame() const { return centre_of_next_frame() + length_ / 2; }

  void spectrum_around(std::int64_t centre, std::vector<Complex>& spectrum) {
    const auto begin = in_.begin() + (centre - length_ / 2 - first_);
    std::transform(window_.begin(), window_.end(), begin, frame_.begin(), std::multiplies<>());
    fourier_.forward(frame_, spectrum);
  }

  void next_frame(std::vector<float>& out) {
    const auto centre = centre_of_next_frame();
    spectrum_around(centre, now_);
    spectrum_around(centre - hop_, earlier_);
    if (next_ > kFirst) turn_phases();
    put_ = now_;
    fourier_.inverse(put_, frame_);
    for (std::size_t n = 0; n < frame_.size(); ++n) sum_[n] += frame_[n] * window_[n] / 1.5F;
    hand_on_hop(out);
    ++next_;
    const auto needed = centre_of_next_frame() - hop_ - length_ / 2;
    if (needed - first_ > 16 * length_) {  // seldom, so that moving costs nothing
      in_.erase(in_.begin(), in_.begin() + (needed - first_));
      first_ = needed;
    }
  }

  // The frame's first hop is complete; of the first frames what lies before the signal is dropped.
  void hand_on_hop(std::vector<float>& out) {
    const auto n_early = std::clamp<std::int64_t>(length_ / 2 - next_ * hop_, 0, hop_);
    out.insert(out.end(), sum_.begin() + n_early, sum_.begin() + hop_);
    std::move(sum_.begin() + hop_, sum_.end(), sum_.begin());
    std::fill(sum_.end() - hop_, sum_.end(), 0.0F);
  }

  // Each peak goes on from the phase it was put with, the bins around it go along, up to the dip between two peaks.
  void turn_phases() {
    for (std::size_t k = 0; k < now_.size(); ++k) loudness_[k] = std::norm(now_[k]);
    std::size_t begin = 0;
    for (std::size_t peak = next_peak(0); peak < now_.size();) {
      const auto next = next_peak(peak + 1);
      const auto end =
          next == now_.size()
              ? next
              : static_cast<std::size_t>(std::min_element(loudness_.begin() + static_cast<std::ptrdiff_t>(peak),
                                                          loudness_.begin() + static_cast<std::ptrdiff_t>(next)) -
                                         loudness_.begin());
      const auto turn = product(put_[peak], std::conj(earlier_[peak]));
      const float size = std::abs(turn);
      if (size > 0) {
        for (auto k = begin; k < end; ++k) now_[k] = product(now_[k], turn / size);
      }
      begin = end;
      peak = next;
    }
  }

  // The next bin that is louder than its two neighbours to each side; one past the end if there is none.
  [[nodiscard]] std::size_t next_peak(std::size_t from) const {
    const auto n = loudness_.size();
    for (auto k = std::max<std::size_t>(from, 2); k + 2 < n; ++k) {
      if (loudness_[k] > loudness_[k - 1] && loudness_[k] > loudness_[k - 2] && loudness_[k] >= loudness_[k + 1] &&
          loudness_[k] >= loudness_[k + 2]) {
        return k;
      }
    }
    return n;
  }

  double stretch_;
  std::int64_t length_, hop_;
  RealFourier fourier_;
  std::vector<float> window_, frame_, sum_;
  std::vector<Complex> now_, earlier_, put_;
  std::vector<float> loudness_;
  std::int64_t before_first_, first_ = 0, next_ = kFirst;  // first_: position of in_.front()
  std::vector<float> in_;
};

class PitchShift final : public ElasticEffect {
 public:
  PitchShift(const PitchShiftSettings& settings, const SignalShape& shape) : ElasticEffect(shape) {
    constexpr double kFrameSeconds = 0.046;
    const double ratio = std::exp2(settings.semitones / 12);
    const auto rate_hz = shape.sample_rate_hz;
    const auto stretched_hz = std::llround(static_cast<double>(kFine * rate_hz) * ratio);
    for (std::int64_t c = 0; c < shape.n_channels; ++c) {
      channels_.push_back({Stretcher(static_cast<double>(stretched_hz) / static_cast<double>(kFine * rate_hz),
                                     power_of_two_from(0.7 * kFrameSeconds * static_cast<double>(rate_hz))),
                           StreamResampler(stretched_hz, kFine * rate_hz)});
    }
  }

 private:
  static constexpr std::int64_t kFine = 16;  // a sixteenth of a Hz: rates are whole numbers
  struct Channel {
    Stretcher stretcher;
    StreamResampler resampler;
  };

  void feed(const Waveform& block, std::vector<std::vector<float>>& made) override {
    for (std::size_t c = 0; c < channels_.size(); ++c) {
      std::vector<float> stretched;
      channels_[c].stretcher.push(block.channel(static_cast<std::int64_t>(c)), stretched);
      channels_[c].resampler.push(stretched, made[c]);
    }
  }

  bool drain(std::vector<std::vector<float>>& made) override {
    for (std::size_t c = 0; c < channels_.size(); ++c) {
      std::vector<float> stretched;
      channels_[c].stretcher.finish(stretched);
      channels_[c].resampler.push(stretched, made[c]);
      channels_[c].resampler.finish(made[c]);
    }
    return false;
  }

  std::vector<Channel> channels_;
};

}  // namespace

std::unique_ptr<Effect> make_effect(const PitchShiftSettings& settings, const SignalShape& shape) {
  return std::make_unique<PitchShift>(settings, shape);
}

}  // namespace melisma
