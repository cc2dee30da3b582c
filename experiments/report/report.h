// One self-contained page about runs: curves, held-out numbers, sounds, exports, provenance. Nothing is computed anew:
// every number comes from a file of the run. No script, no network.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct ReportOptions {
  std::filesystem::path workspace;
  std::vector<std::string> runs;     // names, ids or folders; the first is the page's subject
  std::vector<std::string> sounds;   // "label=file": more audio to listen to, conversions for example
  std::vector<std::string> exports;  // quality reports (JSON) besides those in <workspace>/models that name the run
  std::string title;                 // empty = made of the runs' names
};

// The page. Error(usage) for an unknown run or an ill-formed sound, Error(data) for a file that cannot be read.
[[nodiscard]] std::string report_html(const ReportOptions& options);

// The page in a file, written atomically.
void write_report(const ReportOptions& options, const std::filesystem::path& output);

}  // namespace melisma
