// Jobs as people and programs read them.
#pragma once
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "experiments/jobs/job_queue.h"

namespace melisma {

// A job with everything known of it; `files` are those of the job. Times are UTC, null where they have not come.
[[nodiscard]] nlohmann::ordered_json to_json(const Job& job, const JobFiles& files);

// One row a job: state, name, device, how far it is, how long it took or takes, and what keeps it.
[[nodiscard]] std::string job_table(std::span<const Job> jobs, const JobQueue& queue);

// One line a fact.
[[nodiscard]] std::string job_facts(const Job& job, const JobFiles& files);

// A command line as it would be typed.
[[nodiscard]] std::string command_text(std::span<const std::string> words);

}  // namespace melisma
