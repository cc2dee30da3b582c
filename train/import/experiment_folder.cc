#include "train/import/experiment_folder.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace fs = std::filesystem;
namespace experiment_folder_detail {
namespace {

constexpr std::string_view kFiller = "mute";
constexpr std::int64_t kMostSpeakers = 100000;  // as model.speakers

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// "0_12_3" as 0, 12, 3; empty if a part is no number.
std::vector<std::int64_t> numbers_in(const std::string& name) {
  std::vector<std::int64_t> numbers;
  std::istringstream parts(name);
  for (std::string part; std::getline(parts, part, '_');) {
    const auto number = number_of(part);
    if (!number) return {};
    numbers.push_back(*number);
  }
  return numbers;
}

// Numbered names by their numbers, the others after them.
bool comes_before(const std::string& a, const std::string& b) {
  const auto left = numbers_in(a), right = numbers_in(b);
  if (left.empty() != right.empty()) return right.empty();
  return left != right ? left < right : a < b;
}

// The name of a slice in a file name of any of the folders: "0_1_2.wav.npy" and "0_1_2.npy" are of "0_1_2".
std::string slice_name(const fs::path& file) {
  auto name = file.filename().string();
  for (const std::string_view ending : {".npy", ".wav", ".spec.pt"}) {
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  }
  return name;
}

bool is_filler(const std::string& name) { return name.starts_with(kFiller); }

// Names of the slices in a folder that have this ending.
std::set<std::string> names_in(const fs::path& folder, std::string_view ending) {
  std::set<std::string> names;
  std::error_code none;
  for (const auto& item : fs::directory_iterator(folder, none)) {
    const auto file = item.path().filename().string();
    if (file.ends_with(ending) && !file.starts_with(".")) names.insert(slice_name(file));
  }
  return names;
}

struct FileList {
  std::map<std::string, std::int64_t> speakers;  // by name of slice
  std::int64_t n_fillers = 0;
};

// Lines "wave|content|coarse|f0|speaker", of any machine's paths.
FileList read_file_list(const fs::path& path) {
  FileList list;
  if (!fs::is_regular_file(path)) return list;
  std::istringstream lines(read_file(path));
  std::int64_t n_line = 0;
  for (std::string line; std::getline(lines, line);) {
    ++n_line;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty()) continue;
    const auto bar = line.rfind('|');
    const auto speaker = bar == std::string::npos ? std::nullopt : number_of(std::string_view(line).substr(bar + 1));
    if (!speaker || *speaker >= kMostSpeakers) {
      fail(ErrorKind::data, "{}:{}: expected wave|features|pitch|f0|speaker, found '{}'", path.string(), n_line, line);
    }
    auto wave = line.substr(0, line.find('|'));
    std::replace(wave.begin(), wave.end(), '\\', '/');
    const auto name = slice_name(wave);
    if (is_filler(name)) {
      ++list.n_fillers;
    } else {
      list.speakers[name] = *speaker;
    }
  }
  return list;
}

const ExperimentLayout* layout_of(const fs::path& folder) {
  const ExperimentLayout* found = nullptr;
  for (const auto& layout : kExperimentLayouts) {
    if (!fs::is_directory(folder / layout.waves)) continue;
    if (fs::is_directory(folder / layout.content)) return &layout;
    if (found == nullptr) found = &layout;
  }
  return found;
}

ExperimentSlice slice_of(const fs::path& folder, const ExperimentLayout& layout, const std::string& name,
                         const FileList& list) {
  ExperimentSlice slice{.name = name, .recording = name};
  const auto numbers = numbers_in(name);
  if (numbers.size() >= 2) slice.recording = name.substr(0, name.rfind('_'));
  const bool names_speaker = layout.tool == "applio" && numbers.size() >= 3 && numbers[0] < kMostSpeakers;
  const auto listed = list.speakers.find(name);
  slice.speaker = listed != list.speakers.end() ? listed->second : names_speaker ? numbers[0] : 0;
  slice.wave = folder / layout.waves / (name + ".wav");
  slice.f0 = folder / layout.f0 / (name + ".wav.npy");
  slice.content = folder / layout.content / (name + ".npy");
  return slice;
}

// Slices of `folder`, the experiment's or one of those held out.
void take_slices_of(ExperimentFolder& experiment, const fs::path& folder, std::optional<Split> side) {
  const auto& layout = *experiment.layout;
  const auto list = read_file_list(folder / "filelist.txt");
  experiment.n_fillers += list.n_fillers;
  auto names = names_in(folder / layout.waves, ".wav");
  names.merge(names_in(folder / layout.content, ".npy"));
  names.merge(names_in(folder / layout.f0, ".npy"));
  for (const auto& [name, speaker] : list.speakers) names.insert(name);
  for (const auto& name : names) {
    if (is_filler(name)) continue;
    experiment.slices.push_back(slice_of(folder, layout, name, list));
    experiment.slices.back().side = side;
  }
}

void take_slices(ExperimentFolder& experiment) {
  const auto held_out = experiment.folder / kHeldOutFolder;
  for (const auto side : {Split::validation, Split::test}) {
    take_slices_of(experiment, held_out / name_of(side), side);
  }
  const auto is_split = !experiment.slices.empty();
  take_slices_of(experiment, experiment.folder, is_split ? std::optional(Split::train) : std::nullopt);
  std::sort(experiment.slices.begin(), experiment.slices.end(),
            [](const auto& a, const auto& b) { return comes_before(a.name, b.name); });
}

// What extract noted of the slices it kept from the tool.
void take_held_out_caveat(ExperimentFolder& experiment) {
  const auto path = experiment.folder / kHeldOutFolder / kHeldOutFile;
  if (experiment.n_held_out() == 0 || !fs::is_regular_file(path)) return;
  const auto note = nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!note.is_object() || !note.contains("caveat") || !note["caveat"].is_string()) {
    fail(ErrorKind::data, "'{}' does not say what melisma extract writes there: {{\"caveat\": \"...\"}}",
         path.string());
  }
  experiment.held_out_caveat = note["caveat"].get<std::string>();
}

// What Applio notes beside the slices.
void take_model_info(ExperimentFolder& experiment) {
  const auto path = experiment.folder / "model_info.json";
  if (!fs::is_regular_file(path)) return;
  const auto info = nlohmann::json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (!info.is_object()) fail(ErrorKind::data, "'{}' is no JSON object", path.string());
  if (info.contains("embedder_model") && info["embedder_model"].is_string()) {
    experiment.embedder = info["embedder_model"].get<std::string>();
  }
}

void take_models(ExperimentFolder& experiment) {
  for (const auto& item : fs::directory_iterator(experiment.folder)) {
    const auto name = item.path().filename().string();
    if (!item.is_regular_file() || item.path().extension() != ".pth" || name.starts_with("D_")) continue;
    (name.starts_with("G_") ? experiment.generators : experiment.voices).push_back(item.path());
  }
  std::sort(experiment.generators.begin(), experiment.generators.end());
  std::sort(experiment.voices.begin(), experiment.voices.end());
}

}  // namespace
}  // namespace experiment_folder_detail

std::int64_t ExperimentFolder::n_held_out() const {
  return std::count_if(slices.begin(), slices.end(),
                       [](const auto& slice) { return slice.side.value_or(Split::train) != Split::train; });
}

std::int64_t ExperimentFolder::n_speakers() const {
  std::int64_t n = 0;
  for (const auto& slice : slices) n = std::max(n, slice.speaker + 1);
  return n;
}

ExperimentFolder look_at_experiment(const fs::path& folder) {
  using namespace experiment_folder_detail;
  if (!fs::is_directory(folder)) {
    fail(ErrorKind::data, "there is no folder '{}'; give an experiment folder of Applio or RVC-WebUI (logs/NAME)",
         folder.string());
  }
  ExperimentFolder experiment{.folder = folder, .layout = layout_of(folder)};
  if (experiment.layout != nullptr) take_slices(experiment);
  take_held_out_caveat(experiment);
  take_model_info(experiment);
  take_models(experiment);
  if (fs::is_regular_file(folder / "config.json")) experiment.config = folder / "config.json";
  if (experiment.slices.empty() && experiment.generators.empty()) {
    fail(ErrorKind::data,
         "'{}' is no experiment folder of Applio (sliced_audios, f0_voiced, extracted) or RVC-WebUI (0_gt_wavs, "
         "2b-f0nsf, 3_feature768): it has neither slices nor G_*.pth checkpoints{}",
         folder.string(),
         experiment.voices.empty() ? "" : "; its voices can be used as they are: melisma extract, melisma convert");
  }
  return experiment;
}

}  // namespace melisma
