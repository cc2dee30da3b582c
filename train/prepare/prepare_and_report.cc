#include "train/prepare/prepare_and_report.h"

#include "tools/base/console_sink.h"
#include "train/prepare/report.h"

namespace melisma {

int prepare_and_report(const PrepareOptions& options, std::span<const FeatureMaker> features) {
  ConsoleSink console;
  const auto report = prepare(options.request, features, console);
  console.flush();
  print_report(text_of(report), json_of(report), options.json);
  return report.exit_code();
}

}  // namespace melisma
