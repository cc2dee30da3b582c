#include "experiments/jobs/job_progress.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "experiments/jobs/job_queue.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr auto kPause = std::chrono::seconds(2);

// A training tells of one epoch at a time, "epoch 3/20": what is done is counted over all of them.
struct Overall {
  std::string stage;
  std::optional<double> fraction;
};

Overall overall_of(const ProgressEvent& event) {
  const double part = event.total > 0 ? std::clamp(event.done / event.total, 0.0, 1.0) : 0;
  long long epoch = 0, n_epochs = 0;
  if (std::sscanf(event.task.c_str(), "epoch %lld/%lld", &epoch, &n_epochs) == 2 && n_epochs > 0) {
    return {"training", (static_cast<double>(epoch - 1) + part) / static_cast<double>(n_epochs)};
  }
  if (event.total <= 0) return {event.task, std::nullopt};
  return {event.task, part};
}

Json json_of(std::optional<double> value) { return value ? Json(*value) : Json(nullptr); }

std::optional<double> number_in(const Json& json, const char* key) {
  if (!json.at(key).is_number()) return std::nullopt;
  return json.at(key).get<double>();
}

}  // namespace

JobProgressSink::JobProgressSink(fs::path path) : path_(std::move(path)) {}

void JobProgressSink::receive(const Event& event) {
  const auto* progress = std::get_if<ProgressEvent>(&event);
  if (progress == nullptr) return;
  const auto overall = overall_of(*progress);
  const auto now = std::chrono::steady_clock::now();
  const bool is_new = overall.stage != stage_;
  if (is_new) rate_ = RateEstimator(300);
  stage_ = overall.stage;
  if (overall.fraction) rate_.observe(*overall.fraction, std::chrono::duration<double>(now.time_since_epoch()).count());
  if (!is_new && written_ && now - *written_ < kPause) return;
  written_ = now;
  const Json json{{"task", progress->task},
                  {"fraction", json_of(overall.fraction)},
                  {"seconds_left", json_of(overall.fraction ? rate_.seconds_left(1) : std::nullopt)},
                  {"updated", seconds_now()}};
  try {
    write_file_atomically(path_, json_line(json) + "\n");
  } catch (const Error&) {
    // the work matters more than the word of it
  }
}

std::optional<JobProgress> read_progress(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  try {
    const auto json = Json::parse(read_file(path));
    return JobProgress{.task = json.at("task").get<std::string>(),
                       .fraction = number_in(json, "fraction"),
                       .seconds_left = number_in(json, "seconds_left"),
                       .updated = json.at("updated").get<double>()};
  } catch (const std::exception&) {  // replaced or damaged meanwhile
    return std::nullopt;
  }
}

}  // namespace melisma
