// How jobs are run: <workspace>/jobs.toml, or the file that --config names.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "experiments/jobs/job_engine.h"
#include "tools/config/fields.h"

namespace melisma {

// Names of kJobEngines, for the field's choices.
inline constexpr auto kJobEngineNames = [] {
  std::array<std::string_view, kJobEngines.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kJobEngines[i].name;
  return names;
}();

struct JobsConfig {
  std::string engine = "local";
  std::int64_t retries = 1;
  Duration backoff{30, Duration::Unit::seconds};
  Duration grace{60, Duration::Unit::seconds};
  static constexpr auto fields() {
    using C = JobsConfig;
    return std::tuple{
        field("engine", &C::engine, "what runs them").choices(kJobEngineNames),
        field("retries", &C::retries,
              "further tries after failures that may pass: not after exit codes 2 (usage), 3 (data) and 4 (diverged)")
            .range(0, 100),
        field("backoff", &C::backoff, "wait before the first further try; doubled each time, an hour at most"),
        field("grace", &C::grace, "what a job gets to save and end in when it is stopped, before it is killed"),
    };
  }
};

}  // namespace melisma
