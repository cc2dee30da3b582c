#include "data/effects/convolution.h"

#include <cmath>
#include <complex>
#include <vector>

#include "data/audio/audio_file.h"
#include "data/audio/resample.h"
#include "data/effects/decibels.h"
#include "data/effects/fourier.h"
#include "tools/base/error.h"
#include "tools/base/format.h"

namespace melisma {
namespace {

using Spectrum = std::vector<std::complex<float>>;

// sum += a * b, bin by bin; written out, because the library's product asks for infinities.
void add_product(const Spectrum& a, const Spectrum& b, Spectrum& sum) {
  for (std::size_t k = 0; k < sum.size(); ++k) {
    const float re = a[k].real() * b[k].real() - a[k].imag() * b[k].imag();
    const float im = a[k].real() * b[k].imag() + a[k].imag() * b[k].real();
    sum[k] += std::complex<float>(re, im);
  }
}

// One channel, `partition` samples late.
class Convolver {
 public:
  Convolver(std::span<const float> response, std::int64_t partition)
      : fourier_(2 * partition),
        partition_(static_cast<std::size_t>(partition)),
        in_(2 * partition_),
        out_(2 * partition_),
        sum_(static_cast<std::size_t>(fourier_.n_bins())) {
    for (; !response.empty(); response = response.subspan(std::min(partition_, response.size()))) {
      std::vector<float> part(response.begin(),
                              response.begin() + static_cast<std::ptrdiff_t>(std::min(partition_, response.size())));
      part.resize(2 * partition_);
      fourier_.forward(part, parts_.emplace_back(sum_.size()));
    }
    past_.resize(parts_.size(), Spectrum(sum_.size()));
  }

  // The convolved sample of `partition` samples ago.
  float next(float sample) {
    const float convolved = out_[partition_ + fill_];
    in_[partition_ + fill_] = sample;
    if (++fill_ == partition_) next_partition();
    return convolved;
  }

 private:
  void next_partition() {
    newest_ = newest_ == 0 ? past_.size() - 1 : newest_ - 1;
    fourier_.forward(in_, past_[newest_]);
    std::fill(sum_.begin(), sum_.end(), 0.0F);
    for (std::size_t k = 0; k < parts_.size(); ++k) add_product(past_[(newest_ + k) % past_.size()], parts_[k], sum_);
    fourier_.inverse(sum_, out_);  // the second half is free of the wrap-around
    std::copy(in_.begin() + static_cast<std::ptrdiff_t>(partition_), in_.end(), in_.begin());
    fill_ = 0;
  }

  RealFourier fourier_;
  std::size_t partition_, fill_ = 0, newest_ = 0;
  std::vector<float> in_, out_;         // the last two partitions; the convolved ones
  std::vector<Spectrum> parts_, past_;  // of the response; of the signal, a ring
  Spectrum sum_;
};

class Convolution final : public LateEffect {
 public:
  Convolution(const ConvolutionSettings& settings, const SignalShape& shape, const Waveform& response,
              std::int64_t partition)
      : LateEffect(shape, partition), mix_(static_cast<float>(settings.mix)) {
    for (std::int64_t c = 0; c < shape.n_channels; ++c) {
      channels_.push_back({Convolver(response.channel(std::min(c, response.n_channels - 1)), partition),
                           std::vector<float>(static_cast<std::size_t>(partition))});
    }
  }

 private:
  struct Channel {
    Convolver convolver;
    std::vector<float> dry;  // the last partition, a ring
  };

  void change(Waveform& block) override {
    for (std::int64_t c = 0; c < block.n_channels; ++c) {
      auto& [convolver, dry] = channels_[static_cast<std::size_t>(c)];
      auto at = at_;
      for (float& sample : block.channel(c)) {
        const float late = dry[at];
        dry[at] = sample;
        sample = late + mix_ * (convolver.next(sample) - late);
        at = at + 1 == dry.size() ? 0 : at + 1;
      }
      if (c + 1 == block.n_channels) at_ = at;
    }
  }

  float mix_;
  std::size_t at_ = 0;
  std::vector<Channel> channels_;
};

Waveform response_of(const ConvolutionSettings& settings, const SignalShape& shape) {
  if (settings.impulse.empty()) fail(ErrorKind::config, "a convolution needs the file of an impulse response: impulse");
  const auto path = shape.folder / settings.impulse;
  auto response = resample(read_audio(path), shape.sample_rate_hz);
  if (response.n_channels != 1 && response.n_channels != shape.n_channels) {
    fail(ErrorKind::config, "the impulse response '{}' has {}, the signal {}; use one with one channel, or as many",
         path.string(), format_amount(static_cast<double>(response.n_channels), "channels"), shape.n_channels);
  }
  double energy = 0;
  for (const float sample : response.samples) energy += static_cast<double>(sample) * static_cast<double>(sample);
  if (energy == 0) fail(ErrorKind::data, "the impulse response '{}' holds only silence", path.string());
  double gain = factor_of_db(settings.gain_db);
  if (settings.normalise) gain /= std::sqrt(energy / static_cast<double>(response.n_channels));
  for (float& sample : response.samples) sample *= static_cast<float>(gain);
  return response;
}

}  // namespace

std::unique_ptr<Effect> make_effect(const ConvolutionSettings& settings, const SignalShape& shape) {
  const auto response = response_of(settings, shape);
  const auto partition =
      std::clamp<std::int64_t>(power_of_two_from(static_cast<double>(response.n_frames())), 64, 8192);
  return std::make_unique<Convolution>(settings, shape, response, partition);
}

}  // namespace melisma
