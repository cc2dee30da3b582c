#include "infer/convert/convert.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "data/audio/slicing.h"
#include "data/effects/noise_reduction.h"
#include "data/signal/chunks.h"
#include "infer/convert/source_audio.h"
#include "models/layers/tensor_memory.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/memory.h"
#include "tools/base/seed.h"
#include "tools/base/stop.h"

namespace melisma {
namespace {

constexpr double kSilence = 1.0 / 32768;  // one step of 16 bits

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

// Where something is said, in frames: everything, or what lies between silences.
std::vector<FrameRange> pieces_of(const Work& work) {
  const auto& wave = work.source.wave_16k;
  const auto n_frames = std::ssize(wave) / kFeatureHopSamples;
  if (!work.options.split_at_silence) return {{0, n_frames}};
  std::vector<FrameRange> pieces;
  for (const auto& range : slice_at_silence(wave, kFeatureRateHz)) {
    const auto before = pieces.empty() ? 0 : pieces.back().last;
    const FrameRange piece{std::max(range.first / kFeatureHopSamples, before),
                           std::min((range.last + kFeatureHopSamples - 1) / kFeatureHopSamples, n_frames)};
    if (piece.length() > 0) pieces.push_back(piece);
  }
  return pieces;
}

std::span<const float> samples_of(const Work& work, const FrameRange& piece) {
  return std::span(work.source.wave_16k)
      .subspan(static_cast<std::size_t>(piece.first * kFeatureHopSamples),
               static_cast<std::size_t>(piece.length() * kFeatureHopSamples));
}

// Heard in the pieces, or as the curve says; outside the pieces unvoiced.
std::vector<float> pitch_of(const Work& work, const std::vector<FrameRange>& pieces, Conversion& result) {
  std::vector<float> f0(work.source.wave_16k.size() / static_cast<std::size_t>(kFeatureHopSamples));
  std::vector<float> followed;
  if (const auto& curve = work.options.curve) {
    if (const auto remark = curve_length_remark(*curve, work.source.seconds()); !remark.empty()) {
      add_remark(result, remark);
    }
    followed = frames_of_curve(*curve, std::ssize(f0));
  }
  for (const auto& piece : pieces) {
    const auto heard = followed.empty()
                           ? extract_pitch(samples_of(work, piece), work.options.hearing.value_or(work.voice.pitch()))
                           : std::vector(followed.begin() + piece.first, followed.begin() + piece.last);
    std::copy_n(heard.begin(), std::min(std::ssize(heard), piece.length()), f0.begin() + piece.first);
  }
  return f0;
}

// A piece's ends that lie in silence are faded over 10 ms.
class Fades {
 public:
  Fades(const FrameRange& piece, std::int64_t n_frames, std::int64_t hop)
      : is_in_(piece.first > 0), is_out_(piece.last < n_frames), length_(hop), left_(piece.length() * hop) {}

  void apply(std::span<float> samples) {
    for (float& sample : samples) {
      const auto gain = [&](std::int64_t at) {
        return static_cast<float>(std::min<std::int64_t>(at, length_)) / static_cast<float>(length_);
      };
      if (is_in_) sample *= gain(n_done_);
      if (is_out_) sample *= gain(left_ - 1);
      ++n_done_;
      --left_;
    }
  }

 private:
  bool is_in_, is_out_;
  std::int64_t length_, left_, n_done_ = 0;
};

void release_what_is_free() {
  release_kept_tensor_memory();
  release_free_memory();
}

// The voice's audio of one piece; `f0` is the recording's, heard and edited.
void speak_piece(const Work& work, const FrameRange& piece, std::span<const float> heard, std::span<const float> edited,
                 const std::function<void(std::span<const float>)>& take) {
  auto content_config = work.voice.content();
  if (!work.options.content_weights.empty()) content_config.weights = work.options.content_weights;
  const auto part = [&](std::span<const float> f0) {
    return f0.subspan(static_cast<std::size_t>(piece.first), static_cast<std::size_t>(piece.length()));
  };
  auto content = extract_content(samples_of(work, piece), content_config);
  retrieve(content, part(heard), work.options.retrieval);
  release_what_is_free();  // what hearing needed, before speaking needs as much
  auto synthesis = work.options.synthesis;
  // Or the same noise would begin every piece.
  if (piece.first > 0) synthesis.noise_seed = seed_of(synthesis.noise_seed, "piece", {piece.first});
  Fades fades(piece, std::ssize(edited), work.voice.hop_samples());
  std::vector<float> faded;
  work.voice.synthesize(content, part(edited), work.options.speakers, synthesis, [&](std::span<const float> samples) {
    faded.assign(samples.begin(), samples.end());
    fades.apply(faded);
    take(faded);
  });
}

// Features, and the voice's audio made of them, silence between the pieces.
void speak(const Work& work, ConversionOutput& out, Conversion& result) {
  const auto pieces = pieces_of(work);
  result.pieces = std::ssize(pieces);
  if (pieces.empty()) add_remark(result, "nothing is louder than silence, and so the voice is silent");
  const auto f0 = pitch_of(work, pieces, result);
  release_what_is_free();
  require_no_stop();
  const auto pitch = summarise_pitch(f0);
  result.voiced_share = pitch.voiced_share;
  result.median_f0_hz = pitch.median_hz;
  if (pitch.voiced_share == 0 && !pieces.empty()) {
    add_remark(result, "no voiced frame was found: the result is breath and noise");
  }
  const auto edited = edit_pitch(f0, work.options.pitch);
  result.semitones = edited.semitones;
  const auto hop = work.voice.hop_samples();
  std::int64_t n_done = 0;  // samples
  const std::vector<float> silence(static_cast<std::size_t>(hop), 0.0F);
  const auto give = [&](std::span<const float> samples) {
    require_no_stop();
    out.push(samples);
    n_done += std::ssize(samples);
    if (work.progress) work.progress(static_cast<double>(n_done) / static_cast<double>(std::ssize(f0) * hop));
  };
  for (const auto& piece : pieces) {
    while (n_done < piece.first * hop) give(silence);
    speak_piece(work, piece, f0, edited.f0_hz, give);
  }
}

void add_loudness(Conversion& result) {
  if (!result.loudness || result.loudness->is_measurable) return;
  add_remark(result, "too quiet or too short to match its loudness");
}

}  // namespace

Conversion convert_file(const Voice& voice, const std::filesystem::path& input, const std::filesystem::path& output,
                        const ConvertOptions& options, const std::function<void(double)>& progress) {
  const auto started = std::chrono::steady_clock::now();
  const auto& format = options.format.empty() ? audio_format_for(output) : audio_format_named(options.format);
  const auto rate_hz = options.sample_rate_hz > 0 ? options.sample_rate_hz : voice.sample_rate_hz();
  auto source = read_source(input, options.high_pass_hz);
  if (options.clean > 0) reduce_noise(source.wave_16k, kFeatureRateHz, options.clean);
  Conversion result{.seconds = source.seconds()};
  write_file_atomically(output, [&](const std::filesystem::path& temporary) {
    ConversionOutput out({.recording = input,
                          .file = temporary,
                          .voice_rate_hz = voice.sample_rate_hz(),
                          .rate_hz = rate_hz,
                          .format = format},
                         source, options.output);
    if (source.peak < kSilence) {
      result.remark = "the recording is silent, and so is the result";
    } else {
      speak({voice, source, options, progress}, out, result);
    }
    out.finish();
    result.peak = out.peak();
    result.loudness = out.loudness();
  });
  add_loudness(result);
  if (result.peak > 1)
    add_remark(result, fmt::format("the result was clipped: its peak was {:.2f} of full scale", result.peak));
  result.elapsed_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return result;
}

}  // namespace melisma
