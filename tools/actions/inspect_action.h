// `melisma inspect`: what a model or a recording is.
#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace melisma {

struct InspectOptions {
  std::filesystem::path workspace;
  std::string subject;         // a model file, run, checkpoint folder, feature index or audio file
  std::string epoch = "best";  // of a run
  bool json = false;
};

// Prints a table, or JSON. Exit code 0.
int inspect(const InspectOptions& options);

// The parts: {"what": "recording" | "model" | "index", ...}.
[[nodiscard]] nlohmann::ordered_json inspected_recording(const std::filesystem::path& path);
[[nodiscard]] nlohmann::ordered_json inspected_model(const InspectOptions& options);
[[nodiscard]] nlohmann::ordered_json inspected_index(const std::filesystem::path& path);

}  // namespace melisma
