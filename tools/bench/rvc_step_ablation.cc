#include "tools/bench/rvc_step_ablation.h"

#include <fmt/format.h>

#include "eval/statistics/quantile.h"
#include "tools/bench/peer.h"

namespace melisma {
namespace {

struct FormTimes {
  StepForm form;
  std::vector<double> seconds = {};
};

// All off, all on, then each switch alone, then each one missing, in the order of kStepSwitches.
std::vector<FormTimes> forms_to_time() {
  std::vector<FormTimes> forms{{kAllSwitchesOff}, {StepForm{}}};
  for (const bool alone : {true, false}) {
    for (const auto& row : kStepSwitches) {
      auto form = alone ? kAllSwitchesOff : StepForm{};
      form.*row.member = alone;
      forms.push_back({form});
    }
  }
  return forms;
}

void time_in_turn(std::vector<FormTimes>& forms, const RvcSettings& settings, const Batch& batch, int repeats) {
  RvcTask task(settings, {}, nullptr, {}, {});
  FormedStep step(task, settings);
  std::int64_t index = 0;
  for (int round = 0; round <= repeats; ++round) {
    for (auto& [form, seconds] : forms) {
      step.set_form(form);
      const double begin = cpu_seconds();
      (void)step(batch, StepContext(1, 1, index++, 0));
      if (round > 0) seconds.push_back(cpu_seconds() - begin);
    }
  }
}

}  // namespace

BenchmarkTable ablate_rvc_step(const RvcSettings& settings, const Batch& batch, int repeats) {
  auto forms = forms_to_time();
  time_in_turn(forms, settings, batch, repeats);
  std::vector<double> medians;
  for (const auto& form : forms) medians.push_back(median(form.seconds));
  const double none = medians[0], all = medians[1];
  BenchmarkTable table{
      .title = fmt::format("Each switch: how many times faster the step is with it (medians of {} steps "
                           "in turn; all off {:.2f} s, all on {:.2f} s: {:.3f} x)",
                           repeats, none, all, none / all),
      .rows = {{"switch", "alone", "beside the others", "what it does"}}};
  for (std::size_t i = 0; i < kStepSwitches.size(); ++i) {
    const double alone = medians[2 + i], without = medians[2 + kStepSwitches.size() + i];
    table.rows.push_back({std::string(kStepSwitches[i].name), fmt::format("{:.3f} x", none / alone),
                          fmt::format("{:.3f} x", without / all), std::string(kStepSwitches[i].summary)});
  }
  return table;
}

}  // namespace melisma
