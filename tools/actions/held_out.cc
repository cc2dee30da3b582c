#include "tools/actions/held_out.h"

#include <fmt/format.h>

#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/hash.h"

namespace melisma {

using HeldOutJson = nlohmann::ordered_json;

MeasuredVoice measured_voice(ModelSource source, ModelFile file, const Dataset& dataset, at::Device device) {
  auto voice = with_context(fmt::format("loading '{}'", source.label), [&] { return Voice::load(file, device); });
  if (voice.sample_rate_hz() != dataset.sample_rate_hz()) {
    fail(ErrorKind::data, "'{}' speaks at {} Hz but the dataset '{}' is at {} Hz; prepare one at the voice's rate",
         source.label, voice.sample_rate_hz(), dataset.path().string(), dataset.sample_rate_hz());
  }
  auto digest = sha256_of_file(source.file);
  return {std::move(source), std::move(file), std::move(voice), std::move(digest)};
}

HeldOutJson identity_json(const MeasuredVoice& measured) {
  const auto& [source, file, voice, digest] = measured;
  return {{"label", source.label},
          {"file", source.file.string()},
          {"sha256", digest},
          {"epoch", source.checkpoint ? source.checkpoint->epoch : file.epoch},
          {"step", source.checkpoint ? source.checkpoint->step : file.step}};
}

Candidate voice_candidate(std::string name, std::string summary, const Voice& voice, const Dataset& dataset,
                          std::uint64_t noise_seed) {
  return {std::move(name), std::move(summary), [&voice, &dataset, noise_seed](const Clip& clip) {
            return voice.resynthesize(dataset, clip, {.noise_seed = noise_seed});
          }};
}

void require_clips(const Dataset& dataset, Split split) {
  if (!dataset.clips_of(split).empty()) return;
  fail(ErrorKind::data, "{}: the {} split has no clips", dataset.path().string(), name_of(split));
}

std::function<void(std::int64_t, std::int64_t)> clip_progress(EventSink& events, std::string task) {
  return [&events, task = std::move(task)](std::int64_t done, std::int64_t total) {
    events.receive(ProgressEvent{task, static_cast<double>(done), static_cast<double>(total), "clips", {}});
  };
}

HeldOutJson ledger_json(const Dataset& dataset) {
  auto entries = HeldOutJson::array();
  for (const auto& entry : dataset.ledger()) {
    entries.push_back({{"time_utc", entry.time_utc}, {"command", entry.command}, {"model_hash", entry.model_hash}});
  }
  return entries;
}

void print_ledger(const Dataset& dataset) {
  const auto openings = dataset.ledger();
  fmt::print("\nthe test split has been opened {} so far:\n",
             format_amount(static_cast<double>(openings.size()), "times"));
  for (const auto& entry : openings) {
    fmt::print("  {}  {}  model {}\n", entry.time_utc, entry.command, entry.model_hash.substr(0, 12));
  }
}

}  // namespace melisma
