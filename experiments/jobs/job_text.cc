#include "experiments/jobs/job_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/jobs/job_progress.h"
#include "tools/base/clock.h"
#include "tools/base/format.h"
#include "tools/base/text_table.h"

namespace melisma {
namespace {
using Json = nlohmann::ordered_json;

Json time_json(double seconds) { return seconds > 0 ? Json(utc_text(seconds)) : Json(nullptr); }

std::optional<JobProgress> progress_of(const Job& job, const JobFiles& files) {
  if (job.state != JobState::running) return std::nullopt;
  return read_progress(files.progress());
}

// "epoch 3/20, 13 %"
std::string progress_text(const std::optional<JobProgress>& progress) {
  if (!progress) return "";
  return progress->task + (progress->fraction ? fmt::format(", {:.0f} %", 100 * *progress->fraction) : "");
}

std::string left_text(const std::optional<JobProgress>& progress) {
  return progress && progress->seconds_left ? format_seconds(*progress->seconds_left) : "";
}

std::string time_text(const Job& job) {
  if (job.started == 0) return "";
  return format_seconds((job.state == JobState::running ? seconds_now() : job.ended) - job.started);
}

// Why a job is where it is; for one that waits for others or for its next try, that.
std::string note_of(const Job& job) {
  if (job.state == JobState::running && job.is_cancelling) return "told to stop";
  if (!job.reason.empty() || job.state != JobState::queued || job.request.after.empty()) return job.reason;
  return fmt::format("after {}", fmt::join(job.request.after, ", "));
}

std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

std::string command_text(std::span<const std::string> words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + quoted(word);
  return text;
}

Json to_json(const Job& job, const JobFiles& files) {
  const auto& request = job.request;
  const auto run = run_of(files);
  const auto progress = progress_of(job, files);
  Json json{{"id", job.id},
            {"name", request.name},
            {"state", name_of(job.state)},
            {"reason", job.reason},
            {"engine", job.engine},
            {"words", request.words},
            {"folder", request.folder.string()},
            {"group", request.group},
            {"wanted_device", request.device},
            {"device", job.device},
            {"priority", request.priority},
            {"after", request.after},
            {"retries", request.retries},
            {"starts", job.starts},
            {"failures", job.failures},
            {"exit_code", job.exit_code ? Json(*job.exit_code) : Json(nullptr)},
            {"cluster_id", job.cluster_id.empty() ? Json(nullptr) : Json(job.cluster_id)},
            {"submitted", time_json(job.submitted)},
            {"started", time_json(job.started)},
            {"ended", time_json(job.ended)},
            {"not_before", time_json(job.not_before)},
            {"log", files.log().string()},
            {"run", run ? Json(run->string()) : Json(nullptr)},
            {"progress", nullptr}};
  if (progress) {
    json["progress"] = {{"task", progress->task},
                        {"fraction", progress->fraction ? Json(*progress->fraction) : Json(nullptr)},
                        {"seconds_left", progress->seconds_left ? Json(*progress->seconds_left) : Json(nullptr)}};
  }
  return json;
}

std::string job_table(std::span<const Job> jobs, const JobQueue& queue) {
  std::vector<std::vector<std::string>> rows{
      {"job", "state", "name", "device", "priority", "progress", "left", "time", "note"}};
  for (const auto& job : jobs) {
    const auto progress = progress_of(job, queue.files(job.id));
    rows.push_back({fmt::to_string(job.id), std::string(name_of(job.state)), job.request.name,
                    job.device.empty() ? job.request.device : job.device, fmt::to_string(job.request.priority),
                    progress_text(progress), left_text(progress), time_text(job), note_of(job)});
  }
  return text_table(rows);
}

std::string job_facts(const Job& job, const JobFiles& files) {
  const auto progress = progress_of(job, files);
  const auto run = run_of(files);
  const auto fact = [](double time) { return time > 0 ? utc_text(time) : std::string(); };
  const std::vector<std::vector<std::string>> facts{
      {"job", fmt::format("{} of the {} engine{}", job.id, job.engine,
                          job.cluster_id.empty() ? "" : ", there " + job.cluster_id)},
      {"name", job.request.name},
      {"group", job.request.group},
      {"command", "melisma " + command_text(job.request.words)},
      {"folder", job.request.folder.string()},
      {"state", std::string(name_of(job.state)) + (note_of(job).empty() ? "" : ": " + note_of(job))},
      {"progress", progress_text(progress)},
      {"left", left_text(progress)},
      {"device", job.device.empty() ? job.request.device : job.device},
      {"priority", fmt::to_string(job.request.priority)},
      {"after", fmt::format("{}", fmt::join(job.request.after, ", "))},
      {"starts", fmt::format("{}, {} of {} tries failed", job.starts, job.failures, job.request.retries + 1)},
      {"submitted", fact(job.submitted)},
      {"not before", fact(job.not_before)},
      {"started", fact(job.started)},
      {"ended", fact(job.ended)},
      {"run", run ? run->string() : ""},
      {"log", std::filesystem::exists(files.log()) ? files.log().string() : ""}};
  std::string text;
  for (const auto& row : facts) {
    if (!row[1].empty()) text += fmt::format("{:<11} {}\n", row[0], row[1]);
  }
  return text;
}

}  // namespace melisma
