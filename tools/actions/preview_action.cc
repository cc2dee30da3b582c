#include "tools/actions/preview_action.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "data/audio/audio_file.h"
#include "data/audio/audio_writer.h"
#include "data/audio/loudness.h"
#include "experiments/report/preview_page.h"
#include "infer/convert/convert.h"
#include "infer/convert/sung_phrase.h"
#include "models/rvc/voice_file.h"
#include "tools/actions/console.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/json_text.h"
#include "tools/base/scratch_folder.h"
#include "tools/base/stop.h"

namespace melisma {
namespace preview_detail {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr double kMostSeconds = 30;  // of a phrase: every voice's sound is embedded in the page

// Model files of the folder and those in it, by name; hidden ones are no models.
std::vector<fs::path> model_files(const fs::path& folder) {
  if (!fs::is_directory(folder)) fail(ErrorKind::usage, "'{}' is no folder of models", folder.string());
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto ending = entry.path().extension();
    if (!entry.is_regular_file() || entry.path().filename().string().starts_with(".")) continue;
    if (ending == ".safetensors" || ending == ".pth" || ending == ".pt") files.push_back(entry.path());
  }
  if (files.empty()) {
    fail(ErrorKind::data, "'{}' holds no .safetensors and no .pth file; melisma extract makes them of runs",
         folder.string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The phrase as a file in `scratch`, whatever it was: mono flac that browsers play.
fs::path phrase_file(const PreviewOptions& options, const ScratchFolder& scratch) {
  const auto phrase = options.input.empty() ? sung_phrase() : read_audio_mono(options.input);
  if (phrase.seconds() > kMostSeconds) {
    fail(ErrorKind::usage, "'{}' is {} long; a phrase of at most {} is expected", options.input.string(),
         format_seconds(phrase.seconds()), format_seconds(kMostSeconds));
  }
  const auto path = scratch / "phrase.flac";
  write_audio(path, phrase, "flac16");
  return path;
}

PreviewSound sound_of(const fs::path& file) {
  PreviewSound sound{.wave = read_audio_mono(file), .media_type = "audio/flac", .bytes = read_file(file)};
  sound.f0_hz = extract_pitch(sound.wave, PitchConfig{});
  return sound;
}

std::string pitch_text(const PitchSummary& pitch) {
  if (pitch.voiced_share == 0) return "none";
  return fmt::format("{:.0f} to {:.0f} Hz, median {:.0f}", pitch.low_hz, pitch.high_hz, pitch.median_hz);
}

// What the model is, for its row; what it cannot say is left out.
void describe(const ModelFile& model, const Voice& voice, const fs::path& path, PreviewVoice& row) {
  row.facts.emplace_back("rate", fmt::format("{} Hz", voice.sample_rate_hz()));
  row.facts.emplace_back("content", voice.content().method);
  row.facts.emplace_back("parameters", format_count(model.weights.n_parameters()));
  row.facts.emplace_back("file", fmt::format("{}, {}", model.layout, format_bytes(fs::file_size(path))));
  if (model.epoch >= 0) row.facts.emplace_back("epoch", std::to_string(model.epoch));
  if (!voice.speakers().empty()) row.facts.emplace_back("speaker", voice.speakers().front());
}

// The voice of one file over the phrase.
void speak(const fs::path& path, const fs::path& phrase, const ScratchFolder& scratch, const PreviewOptions& options,
           PreviewVoice& row) {
  const auto model = read_rvc_voice(path);
  const auto voice = Voice::load(model);
  describe(model, voice, path, row);
  const auto spoken = scratch / "spoken.flac";
  PitchEdits edits;
  edits.transpose_semitones = options.semitones;
  const auto done = convert_file(voice, phrase, spoken,
                                 {.pitch = edits, .format = "flac16", .synthesis = {.noise_seed = options.noise_seed}});
  row.sound = sound_of(spoken);
  row.facts.emplace_back("pitch", pitch_text(summarise_pitch(row.sound.f0_hz)));
  const auto loudness = measure_loudness(row.sound.wave).integrated_lufs;
  row.facts.emplace_back("loudness", std::isfinite(loudness) ? fmt::format("{:.1f} LUFS", loudness) : "silent");
  row.facts.emplace_back("speed", fmt::format("{:.1f}x real time", done.seconds / done.elapsed_seconds));
  if (!done.remark.empty()) row.facts.emplace_back("remark", done.remark);
}

// One row a file: an error of one is its row's, and the others are still heard.
PreviewVoice previewed(const fs::path& path, const fs::path& phrase, const ScratchFolder& scratch,
                       const PreviewOptions& options) {
  PreviewVoice row{.name = fs::relative(path, options.folder).string()};
  try {
    speak(path, phrase, scratch, options, row);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted) throw;
    row.error = error.what();
  } catch (const c10::Error& error) {
    row.error = error.what_without_backtrace();
  }
  return row;
}

Json row_json(const PreviewVoice& row) {
  Json facts = Json::object();
  for (const auto& [fact, value] : row.facts) facts[fact] = value;
  return {
      {"name", row.name}, {"fate", row.error.empty() ? "spoke" : "failed"}, {"reason", row.error}, {"facts", facts}};
}

}  // namespace
}  // namespace preview_detail

int preview(const PreviewOptions& options) {
  using namespace preview_detail;
  install_stop_handlers();
  const auto files = model_files(options.folder);
  require_writable(options.output);
  const ScratchFolder scratch;
  const auto phrase = phrase_file(options, scratch);
  PreviewPage page{
      .title = fs::absolute(options.folder).lexically_normal().filename().string(),
      .phrase_name = options.input.empty() ? "six syllables, sung by no one" : options.input.filename().string(),
      .phrase = sound_of(phrase)};
  const auto events = console_events();
  auto report = Json::array();
  for (const auto& file : files) {
    page.voices.push_back(previewed(file, phrase, scratch, options));
    report.push_back(row_json(page.voices.back()));
    events->receive(ProgressEvent{
        "previewing", static_cast<double>(report.size()), static_cast<double>(files.size()), "voices", {}});
    events->flush();
    const auto& row = page.voices.back();
    if (!options.json) fmt::print("{}: {}\n", row.name, row.error.empty() ? "spoke" : "failed: " + row.error);
  }
  write_file_atomically(options.output, preview_html(page));
  const auto n_failed = std::ranges::count_if(page.voices, [](const auto& voice) { return !voice.error.empty(); });
  if (options.json) {
    fmt::print("{}\n", json_text(report));
  } else {
    fmt::print("{} ({}): {} of {} spoke\n", options.output.string(), format_bytes(fs::file_size(options.output)),
               std::ssize(files) - n_failed, format_amount(static_cast<double>(files.size()), "voices"));
  }
  return n_failed > 0 ? 3 : 0;
}

}  // namespace melisma
