// metrics.jsonl of a run: one JSON object a line, appended as training goes on, readable at any moment.
//   {"kind":"scalars","time":"2026-01-31T12:00:00Z","step":150,"epoch":3,"phase":"train","values":{"loss/mel":21.4}}
//   {"kind":"decision",...,"about":"overtraining","decision":"stop","reason":"..."}
//   {"kind":"message",...,"severity":"warning","text":"..."}
// A number that is not finite is null.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/base/append_file.h"
#include "tools/base/event.h"

namespace melisma {

// Keeps scalars, decisions, warnings and errors. Each line goes out in one write, so a kill leaves at most one torn
// line, which the next opening removes.
class MetricsFileSink final : public EventSink {
 public:
  // Appends to `path`, made if absent. A run that resumes after `resumed_step` drops what an abandoned continuation
  // wrote about later steps; 0 starts the file anew, no value keeps every line. Throws Error(device) naming path and
  // cause.
  explicit MetricsFileSink(const std::filesystem::path& path, std::optional<std::int64_t> resumed_step = std::nullopt);
  // Throws Error(device) if the line cannot be written, for example on a full disk.
  void receive(const Event& event) override;
  // To the disk itself.
  void flush() override;

 private:
  void write_line(const std::string& json);
  AppendFile file_;
  std::int64_t step_ = 0, epoch_ = 0;  // of the latest event that has them: when a message was said
};

// A line of the file. Fields that its kind lacks are empty.
struct MetricsLine {
  std::string kind, time, phase;
  std::int64_t step = 0, epoch = 0;
  NamedValues values;  // in the order written; NaN for null
  std::string about, decision, reason;
  std::string severity, text;
};

// Every whole line, in order; a torn last line is left out. Absent file: nothing. Throws Error(data) naming file and
// line if another line is not of this format.
[[nodiscard]] std::vector<MetricsLine> read_metrics_file(const std::filesystem::path& path);

}  // namespace melisma
