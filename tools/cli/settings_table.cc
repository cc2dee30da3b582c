#include "tools/cli/settings_table.h"

#include "data/effects/effects.h"
#include "experiments/jobs/jobs_config.h"
#include "experiments/sweeps/sweep_file.h"
#include "infer/match/match_config.h"
#include "tools/config/config.h"
#include "train/prepare/prepare_config.h"
#include "train/prepare/song_config.h"
#include "train/tasks/mix_settings.h"
#include "train/tasks/rvc_settings.h"

namespace melisma {
namespace {

template <HasFields Settings>
class Held final : public SettingsOfTask {
 public:
  Schema schema() override { return schema_of(settings_); }

 private:
  Settings settings_;
};

}  // namespace

std::unique_ptr<SettingsOfTask> make_prepare_settings() { return std::make_unique<Held<PrepareConfig>>(); }
std::unique_ptr<SettingsOfTask> make_match_settings() { return std::make_unique<Held<MatchSettings>>(); }
std::unique_ptr<SettingsOfTask> make_song_settings() { return std::make_unique<Held<SongConfig>>(); }
std::unique_ptr<SettingsOfTask> make_jobs_settings() { return std::make_unique<Held<JobsConfig>>(); }
std::unique_ptr<SettingsOfTask> make_sweep_settings() { return std::make_unique<Held<SweepSettings>>(); }
std::unique_ptr<SettingsOfTask> make_effect_settings() {
  class Effects final : public SettingsOfTask {
   public:
    Schema schema() override { return settings_.schema(); }

   private:
    AllEffectSettings settings_;
  };
  return std::make_unique<Effects>();
}

std::unique_ptr<SettingsOfTask> make_rvc_settings() { return std::make_unique<Held<RvcSettings>>(); }
std::unique_ptr<SettingsOfTask> make_mix_settings() { return std::make_unique<Held<MixSettings>>(); }

std::string settings_reference() {
  std::string text =
      "# Every setting\n\n"
      "Written by `melisma config reference`; a test keeps it in step with the program. A setting is given in a TOML "
      "file\n"
      "(`--config FILE`; the part before the last dot is the table) or on the command line (`--set name=value`).\n"
      "`melisma config explain TASK` shows the same in a console.\n";
  for (const auto& row : kSettingsOfTasks) {
    text += fmt::format("\n## {}\n{}\n\n{}", row.name, row.summary, markdown_reference(row.make()->schema()));
  }
  return text;
}

}  // namespace melisma
