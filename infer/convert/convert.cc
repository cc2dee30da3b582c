#include "infer/convert/convert.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <optional>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "data/audio/iir.h"
#include "data/audio/resample.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"

namespace melisma {
namespace {

constexpr double kSilence = 1.0 / 32768;  // one step of 16 bits

// The recording as the features want it: mono, 16 kHz, without rumble, padded to whole frames.
struct SourceAudio {
  std::vector<float> wave_16k;
  std::int64_t n_frames = 0;  // of the file, at its own rate
  std::int64_t rate_hz = 0;
  float peak = 0;  // of the file
  [[nodiscard]] double seconds() const { return static_cast<double>(n_frames) / static_cast<double>(rate_hz); }
};

void remove_rumble(std::span<float> wave_16k, double corner_hz) {
  const auto sections = butterworth_sections(5, FilterKind::high, std::array{corner_hz}, kFeatureRateHz);
  if (wave_16k.size() > n_extension(sections)) filter_both_ways_in_place(sections, wave_16k);  // else a millisecond
}

SourceAudio read_source(const std::filesystem::path& path, double high_pass_hz) {
  auto reader = AudioReader::open(path);
  SourceAudio source{.rate_hz = reader.info().sample_rate_hz};
  StreamResampler resampler(source.rate_hz, kFeatureRateHz);
  std::vector<float> block(1 << 16);
  bool is_finite = true;
  while (const auto count = reader.read_mono(block)) {
    const std::span<const float> samples(block.data(), static_cast<std::size_t>(count));
    for (const float sample : samples) {
      is_finite &= std::isfinite(sample);
      source.peak = std::max(source.peak, std::abs(sample));
    }
    if (!is_finite)
      fail(ErrorKind::data, "'{}' holds samples that are not finite; repair or re-export it", path.string());
    source.n_frames += count;
    resampler.push(samples, source.wave_16k);
  }
  resampler.finish(source.wave_16k);
  if (source.n_frames == 0) fail(ErrorKind::data, "'{}' holds no samples", path.string());
  if (high_pass_hz > 0) remove_rumble(source.wave_16k, high_pass_hz);
  const auto hop = static_cast<std::size_t>(kFeatureHopSamples);
  source.wave_16k.resize((source.wave_16k.size() + hop - 1) / hop * hop);
  return source;
}

// Takes samples at the voice's rate, writes exactly `total` frames at the output's rate.
class OutputStream {
 public:
  OutputStream(const std::filesystem::path& path, std::int64_t from_hz, std::int64_t to_hz, std::int64_t total,
               const AudioFormat& format)
      : writer_(path, to_hz, 1, format), rate_hz_(to_hz), left_(total) {
    if (from_hz != to_hz) resampler_.emplace(from_hz, to_hz);
  }

  void push(std::span<const float> samples) {
    if (!resampler_) return put({samples.begin(), samples.end()});
    std::vector<float> resampled;
    resampler_->push(samples, resampled);
    put(std::move(resampled));
  }

  void finish() {
    if (resampler_) {
      std::vector<float> rest;
      resampler_->finish(rest);
      put(std::move(rest));
    }
    while (left_ > 0) put(std::vector<float>(static_cast<std::size_t>(std::min<std::int64_t>(left_, 1 << 16)), 0.0f));
    writer_.finish();
  }

  [[nodiscard]] double peak() const { return peak_; }

 private:
  void put(std::vector<float> samples) {
    samples.resize(std::min(samples.size(), static_cast<std::size_t>(left_)));
    left_ -= static_cast<std::int64_t>(samples.size());
    for (const float sample : samples) peak_ = std::max(peak_, std::abs(static_cast<double>(sample)));
    if (!samples.empty()) writer_.write({.samples = std::move(samples), .n_channels = 1, .sample_rate_hz = rate_hz_});
  }

  AudioWriter writer_;
  std::optional<StreamResampler> resampler_;
  std::int64_t rate_hz_, left_;
  double peak_ = 0;
};

// What is done with one recording.
struct Work {
  const Voice& voice;
  const SourceAudio& source;
  const ConvertOptions& options;
  const std::function<void(double)>& progress;
};

void require_no_stop() {
  if (const int stop = stop_requested()) throw Error::interrupted(stop, "conversion stopped");
}

// Features, and the voice's audio made of them.
void speak(const Work& work, OutputStream& out, Conversion& result) {
  const auto& voice = work.voice;
  const auto f0 = extract_pitch(work.source.wave_16k, voice.pitch());
  require_no_stop();
  auto content = extract_content(work.source.wave_16k, voice.content());
  retrieve(content, f0, work.options.retrieval);
  const auto pitch = summarise_pitch(f0);
  result.voiced_share = pitch.voiced_share;
  result.median_f0_hz = pitch.median_hz;
  if (pitch.voiced_share == 0) result.remark = "no voiced frame was found: the result is breath and noise";
  double done = 0;
  const double total = static_cast<double>(content.n_frames * voice.hop_samples());
  voice.synthesize(content, shift_pitch(f0, work.options.pitch_semitones), work.options.speaker, work.options.synthesis,
                   [&](std::span<const float> samples) {
                     require_no_stop();
                     out.push(samples);
                     done += static_cast<double>(samples.size());
                     if (work.progress) work.progress(done / total);
                   });
}

}  // namespace

Conversion convert_file(const Voice& voice, const std::filesystem::path& input, const std::filesystem::path& output,
                        const ConvertOptions& options, const std::function<void(double)>& progress) {
  const auto started = std::chrono::steady_clock::now();
  const auto& format = options.format.empty() ? audio_format_for(output) : audio_format_named(options.format);
  const auto rate_hz = options.sample_rate_hz > 0 ? options.sample_rate_hz : voice.sample_rate_hz();
  const auto source = read_source(input, options.high_pass_hz);
  Conversion result{.seconds = source.seconds()};
  write_file_atomically(output, [&](const std::filesystem::path& temporary) {
    OutputStream out(temporary, voice.sample_rate_hz(), rate_hz,
                     resampled_length(source.n_frames, source.rate_hz, rate_hz), format);
    if (source.peak < kSilence) {
      result.remark = "the recording is silent, and so is the result";
    } else {
      speak({voice, source, options, progress}, out, result);
    }
    out.finish();  // silence up to the length of the recording
    result.peak = out.peak();
  });
  if (result.peak > 1)
    result.remark = fmt::format("the result was clipped: its peak was {:.2f} of full scale", result.peak);
  result.elapsed_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return result;
}

}  // namespace melisma
