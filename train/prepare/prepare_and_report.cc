#include "train/prepare/prepare_and_report.h"

#include <fmt/format.h>

#include "tools/base/console_sink.h"
#include "tools/base/json_text.h"
#include "train/prepare/report.h"

namespace melisma {

int prepare_and_report(const PrepareOptions& options, std::span<const FeatureMaker> features) {
  ConsoleSink console;
  const auto report = prepare(options.request, features, console);
  console.flush();
  if (options.json) {
    fmt::print("{}\n", json_text(json_of(report)));
  } else {
    fmt::print("{}", text_of(report));
  }
  return report.exit_code();
}

}  // namespace melisma
