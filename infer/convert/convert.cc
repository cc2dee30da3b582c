#include "infer/convert/convert.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <optional>

#include "data/audio/audio_writer.h"
#include "data/audio/resample.h"
#include "infer/convert/source_audio.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"

namespace melisma {
namespace {

constexpr double kSilence = 1.0 / 32768;  // one step of 16 bits

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

void add_remark(Conversion& result, const std::string& remark) {
  result.remark += (result.remark.empty() ? "" : "; ") + remark;
}

// Heard in the recording, or as the curve says.
std::vector<float> pitch_of(const Work& work, Conversion& result) {
  const auto& wave = work.source.wave_16k;
  const auto& curve = work.options.curve;
  if (!curve) return extract_pitch(wave, work.voice.pitch());
  if (const auto remark = curve_length_remark(*curve, work.source.seconds()); !remark.empty()) {
    add_remark(result, remark);
  }
  return frames_of_curve(*curve, std::ssize(wave) / kFeatureHopSamples);
}

// Features, and the voice's audio made of them.
void speak(const Work& work, OutputStream& out, Conversion& result) {
  const auto& voice = work.voice;
  const auto f0 = pitch_of(work, result);
  require_no_stop();
  auto content_config = voice.content();
  if (!work.options.content_weights.empty()) content_config.weights = work.options.content_weights;
  auto content = extract_content(work.source.wave_16k, content_config);
  retrieve(content, f0, work.options.retrieval);
  const auto pitch = summarise_pitch(f0);
  result.voiced_share = pitch.voiced_share;
  result.median_f0_hz = pitch.median_hz;
  if (pitch.voiced_share == 0) add_remark(result, "no voiced frame was found: the result is breath and noise");
  const auto edited = edit_pitch(f0, work.options.pitch);
  result.semitones = edited.semitones;
  double done = 0;
  const double total = static_cast<double>(content.n_frames * voice.hop_samples());
  voice.synthesize(content, edited.f0_hz, work.options.speaker, work.options.synthesis,
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
    add_remark(result, fmt::format("the result was clipped: its peak was {:.2f} of full scale", result.peak));
  result.elapsed_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return result;
}

}  // namespace melisma
