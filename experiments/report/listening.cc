// Sounds with their pictures: players that need no network, spectrograms rendered here.
#include <fmt/format.h>

#include "data/audio/audio_file.h"
#include "experiments/report/html.h"
#include "experiments/report/sections.h"
#include "experiments/report/spectrogram.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/media.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr double kMostEmbeddedSeconds = 30;

// What browsers play is embedded as it is; everything else becomes WAV. Long sounds are cut.
std::string player(const fs::path& file, const Waveform& wave) {
  const auto extension = file.extension().string();
  const auto name = html_escaped(file.filename().string());
  std::string uri;
  if (wave.seconds() <= kMostEmbeddedSeconds && (extension == ".flac" || extension == ".wav" || extension == ".mp3")) {
    uri = data_uri(extension == ".mp3" ? "audio/mpeg" : "audio/" + extension.substr(1), read_file(file));
  } else {
    const auto kept = std::min<std::int64_t>(
        wave.n_frames(), static_cast<std::int64_t>(kMostEmbeddedSeconds * static_cast<double>(wave.sample_rate_hz)));
    uri = data_uri("audio/wav", wav_bytes(wave.channel(0).first(static_cast<std::size_t>(kept)), wave.sample_rate_hz));
  }
  return fmt::format(R"(<audio controls preload="metadata" src="{}" aria-label="{}"></audio>)", uri, name);
}

std::string sound_figure(const std::string& label, const fs::path& file) {
  const auto wave = read_audio_mono(file);
  const auto picture = data_uri("image/png", spectrogram_png(wave));
  const bool is_cut = wave.seconds() > kMostEmbeddedSeconds;
  return fmt::format(R"(<figure class="sound"><figcaption>{0} <span class="quiet">{1:.1f} s{2}</span></figcaption>)"
                     R"(<img src="{3}" alt="Spectrogram of {0}">{4}</figure>)",
                     html_escaped(label), wave.seconds(), is_cut ? ", first 30 s" : "", picture, player(file, wave));
}

}  // namespace

std::string listening_section(const RunRecord& record) {
  std::string html;
  for (const auto& evaluation : record.evaluations) {
    for (const auto& example : json_part(evaluation, "examples")) {
      std::string figures;
      for (const auto& sound : json_part(example, "sounds")) {
        const auto file = fs::path(evaluation.value("_folder", "")) / sound.value("file", "");
        if (fs::exists(file)) figures += sound_figure(sound.value("label", ""), file);
      }
      if (figures.empty()) continue;
      html += fmt::format(R"(<h4>{} <span class="quiet">{}</span></h4><div class="sounds">{}</div>)",
                          html_escaped(example.value("recording", "")), html_escaped(evaluation.value("split", "")),
                          figures);
    }
  }
  if (html.empty()) return html;
  return "<h3>Listen</h3><p class=\"quiet\">Time runs to the right, mel frequency up to 11 kHz, 70 dB from dark to "
         "light.</p>" +
         html;
}

std::string sounds_section(const std::vector<std::string>& sounds) {
  std::string figures;
  for (const auto& sound : sounds) {
    const auto equals = sound.find('=');
    if (equals == std::string::npos || equals == 0) {
      fail(ErrorKind::usage, "'{}' is not label=file", sound);
    }
    figures += sound_figure(sound.substr(0, equals), sound.substr(equals + 1));
  }
  if (figures.empty()) return figures;
  return "<section><h2>Conversions</h2><div class=\"sounds\">" + figures + "</div></section>";
}

}  // namespace melisma
