#include "infer/convert/output.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>

#include "data/audio/audio_file.h"
#include "data/audio/loudness.h"
#include "data/effects/decibels.h"
#include "infer/features/pitch.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/unnamed_file.h"

namespace melisma {
namespace fs = std::filesystem;
namespace conversion_output_detail {
namespace {

constexpr std::int64_t kBlockFrames = 1 << 16;

Waveform mono(std::vector<float> samples, std::int64_t rate_hz) { return {std::move(samples), 1, rate_hz}; }

// Of a recording's mean of all channels: the output has one channel too.
double integrated_lufs(const fs::path& path) {
  auto reader = AudioReader::open(path);
  LoudnessMeter meter(reader.info().sample_rate_hz, 1, {.true_peak = false, .maxima = false});
  std::vector<float> block(static_cast<std::size_t>(kBlockFrames));
  while (const auto count = reader.read_mono(block)) {
    meter.add(mono({block.begin(), block.begin() + count}, reader.info().sample_rate_hz));
  }
  return meter.integrated_lufs();
}

}  // namespace
}  // namespace conversion_output_detail

using namespace conversion_output_detail;

// The recording at the output's rate, read along.
class ConversionOutput::Dry {
 public:
  Dry(const fs::path& path, std::int64_t rate_hz)
      : reader_(AudioReader::open(path)), resampler_(reader_.info().sample_rate_hz, rate_hz) {}

  // The next `count` samples; silence beyond the end.
  std::span<const float> next(std::size_t count) {
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(n_given_));
    std::vector<float> block(static_cast<std::size_t>(kBlockFrames));
    while (!is_at_end_ && waiting_.size() < count) {
      const auto read = reader_.read_mono(block);
      is_at_end_ = read == 0;
      if (is_at_end_) {
        resampler_.finish(waiting_);
      } else {
        resampler_.push(std::span(block).first(static_cast<std::size_t>(read)), waiting_);
      }
    }
    if (waiting_.size() < count) waiting_.resize(count, 0.0F);
    n_given_ = count;
    return std::span<const float>(waiting_).first(count);
  }

 private:
  AudioReader reader_;
  StreamResampler resampler_;
  std::vector<float> waiting_;
  std::size_t n_given_ = 0;
  bool is_at_end_ = false;
};

// A first copy of the output, whose loudness is known when it is complete: samples in a file without a name, which is
// gone however the program ends.
class ConversionOutput::Loud {
 public:
  Loud(const Place& place)
      : place_(place.file),
        rate_hz_(place.rate_hz),
        copy_(unnamed_file_beside(place.file)),
        meter_(place.rate_hz, 1, {.true_peak = false, .maxima = false}) {}

  void write(const Waveform& block) {
    meter_.add(block);
    if (std::fwrite(block.samples.data(), sizeof(float), block.samples.size(), copy_.get()) != block.samples.size()) {
      fail_to_write(place_, errno);
    }
  }

  // Hands the copy on, as loud as the recording.
  LoudnessMatch match(const fs::path& recording, const TakeAudio& take) {
    LoudnessMatch match{.input_lufs = integrated_lufs(recording)};
    match.gain_db = match.input_lufs - meter_.integrated_lufs();
    match.is_measurable = std::isfinite(match.gain_db);
    if (!match.is_measurable) match.gain_db = 0;
    const auto factor = static_cast<float>(factor_of_db(match.gain_db));
    if (std::fflush(copy_.get()) != 0) fail_to_write(place_, errno);
    std::rewind(copy_.get());
    while (true) {
      std::vector<float> block(static_cast<std::size_t>(kBlockFrames));
      block.resize(std::fread(block.data(), sizeof(float), block.size(), copy_.get()));
      if (std::ferror(copy_.get()) != 0) fail(ErrorKind::device, "the copy of '{}' cannot be read", place_.string());
      if (block.empty()) return match;
      for (float& sample : block) sample *= factor;
      take(mono(std::move(block), rate_hz_));
    }
  }

 private:
  fs::path place_;
  std::int64_t rate_hz_;
  UnnamedFile copy_;
  LoudnessMeter meter_;
};

ConversionOutput::ConversionOutput(const Place& place, const SourceAudio& source, const OutputOptions& options)
    : place_(place),
      n_left_(resampled_length(source.n_frames, source.rate_hz, place.rate_hz)),
      mix_share_(options.mix),
      resampler_(place.voice_rate_hz, place.rate_hz) {
  if (options.formant_ratio != 1) {
    formants_ =
        make_effect(FormantShiftSettings{.ratio = options.formant_ratio}, {.sample_rate_hz = place.voice_rate_hz});
  }
  if (options.volume_envelope != 1) {
    const auto n_samples = std::ssize(source.wave_16k) / kFeatureHopSamples * (place.voice_rate_hz / 100);
    envelope_.emplace(source.wave_16k, kFeatureRateHz, n_samples, place.voice_rate_hz, options.volume_envelope);
  }
  if (options.mix != 1) dry_ = std::make_unique<Dry>(place.recording, place.rate_hz);
  if (options.effects) effects_ = options.effects->make(place.rate_hz, 1);
  if (options.match_loudness) loud_ = std::make_unique<Loud>(place_);
  writer_.emplace(place.file, place.rate_hz, 1, place.format);
}

ConversionOutput::~ConversionOutput() = default;

void ConversionOutput::push(std::span<const float> samples) {
  auto block = mono({samples.begin(), samples.end()}, place_.voice_rate_hz);
  if (!formants_) return shape(std::move(block));
  formants_->push(std::move(block), [this](Waveform moved) { shape(std::move(moved)); });
}

void ConversionOutput::shape(Waveform block) {
  if (!envelope_) return resample_and_mix(block.samples);
  std::vector<float> shaped;
  envelope_->push(block.samples, shaped);
  resample_and_mix(shaped);
}

void ConversionOutput::resample_and_mix(std::span<const float> samples) {
  std::vector<float> resampled;
  resampler_.push(samples, resampled);
  mix(std::move(resampled));
}

void ConversionOutput::mix(std::vector<float> samples) {
  samples.resize(std::min(samples.size(), static_cast<std::size_t>(n_left_)));
  n_left_ -= std::ssize(samples);
  if (samples.empty()) return;
  if (dry_) {
    const auto dry = dry_->next(samples.size());
    const auto share = static_cast<float>(mix_share_);
    for (std::size_t n = 0; n < samples.size(); ++n) samples[n] = dry[n] + share * (samples[n] - dry[n]);
  }
  auto block = mono(std::move(samples), place_.rate_hz);
  if (!effects_) return write(std::move(block));
  effects_->push(std::move(block), [this](Waveform out) { write(std::move(out)); });
}

// Into the first copy while there is one, else into the file.
void ConversionOutput::write(Waveform block) {
  if (loud_) return loud_->write(block);
  for (const float sample : block.samples) peak_ = std::max(peak_, std::abs(static_cast<double>(sample)));
  writer_->write(block);
}

void ConversionOutput::finish() {
  if (formants_) formants_->finish([this](Waveform moved) { shape(std::move(moved)); });
  std::vector<float> rest;
  if (envelope_) envelope_->finish(rest);
  resample_and_mix(rest);
  rest.clear();
  resampler_.finish(rest);
  mix(std::move(rest));
  while (n_left_ > 0) mix(std::vector<float>(static_cast<std::size_t>(std::min(n_left_, kBlockFrames))));
  if (effects_) effects_->finish([this](Waveform out) { write(std::move(out)); });
  if (loud_) {
    const auto first = std::move(loud_);
    loudness_ = first->match(place_.recording, [this](Waveform block) { write(std::move(block)); });
  }
  writer_->finish();
}

}  // namespace melisma
