// What has settings: one row a task, so that `melisma config` can explain, check and document it without Torch.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "tools/config/schema.h"

namespace melisma {

// Settings at their defaults, and the schema that refers to them.
class SettingsOfTask {
 public:
  virtual ~SettingsOfTask() = default;
  [[nodiscard]] virtual Schema schema() = 0;
};

struct SettingsRow {
  std::string_view name, summary;
  std::unique_ptr<SettingsOfTask> (*make)();
};

[[nodiscard]] std::unique_ptr<SettingsOfTask> make_rvc_settings();
[[nodiscard]] std::unique_ptr<SettingsOfTask> make_mix_settings();
[[nodiscard]] std::unique_ptr<SettingsOfTask> make_prepare_settings();
[[nodiscard]] std::unique_ptr<SettingsOfTask> make_song_settings();
[[nodiscard]] std::unique_ptr<SettingsOfTask> make_effect_settings();
[[nodiscard]] std::unique_ptr<SettingsOfTask> make_match_settings();
[[nodiscard]] std::unique_ptr<SettingsOfTask> make_jobs_settings();
[[nodiscard]] std::unique_ptr<SettingsOfTask> make_sweep_settings();

inline constexpr std::array kSettingsOfTasks{
    SettingsRow{"prepare", "how recordings become a dataset: melisma prepare", make_prepare_settings},
    SettingsRow{"multitrack", "how songs in tracks become a dataset: melisma prepare --kind multitrack",
                make_song_settings},
    SettingsRow{"rvc", "training of an RVC voice: melisma train rvc", make_rvc_settings},
    SettingsRow{"mix", "training of a mixing model: melisma train mix", make_mix_settings},
    SettingsRow{
        "effects",
        "sound effects: melisma effects, convert --effects. A chain's file has one [[effect]] table an effect, in "
        "order, with its name and its settings, here written name.setting",
        make_effect_settings},
    SettingsRow{"match", "a recording in the sound of another: melisma match", make_match_settings},
    SettingsRow{"jobs", "how jobs are run: jobs.toml of the workspace, melisma jobs --config", make_jobs_settings},
    SettingsRow{
        "sweep",
        "trainings that differ in settings: melisma sweep run. The file's table [over] has what varies, each key "
        "of the recipe with a list of values or a range, \"1e-5..1e-3:log\"",
        make_sweep_settings},
};

// The Markdown page of every setting of every task: experiments/configs/REFERENCE.md.
[[nodiscard]] std::string settings_reference();

}  // namespace melisma
