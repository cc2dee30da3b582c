#include "infer/convert/source_audio.h"

#include <array>
#include <cmath>

#include "data/audio/audio_file.h"
#include "data/audio/iir.h"
#include "data/audio/resample.h"
#include "infer/features/pitch.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

void remove_rumble(std::span<float> wave_16k, double corner_hz) {
  const auto sections = butterworth_sections(5, FilterKind::high, std::array{corner_hz}, kFeatureRateHz);
  if (wave_16k.size() > n_extension(sections)) filter_both_ways_in_place(sections, wave_16k);  // else a millisecond
}

}  // namespace

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

}  // namespace melisma
