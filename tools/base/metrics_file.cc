#include "tools/base/metrics_file.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tools/base/atomic_file.h"
#include "tools/base/clock.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace {

using MetricsJson = nlohmann::ordered_json;

MetricsJson line_of(std::string_view kind, std::int64_t step, std::int64_t epoch) {
  return {{"kind", kind}, {"time", utc_now()}, {"step", step}, {"epoch", epoch}};
}

std::string dumped(const MetricsJson& json) {
  return json_line(json);  // messages may name files in any encoding
}

// The whole lines of `text`: what follows the last line break was torn by a kill.
std::vector<std::string_view> whole_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return lines;
}

// The text that a resume after `step` goes on from. Lines that are not ours are kept: reading says so, not writing.
std::string kept_text(const std::string& text, std::optional<std::int64_t> step) {
  std::string kept;
  if (step == 0) return kept;
  for (const auto line : whole_lines(text)) {
    if (step) {
      const auto json = MetricsJson::parse(line, nullptr, false);
      if (json.is_object() && json.contains("step") && json["step"].is_number() && json["step"] > *step) continue;
    }
    kept.append(line).append("\n");
  }
  return kept;
}

MetricsLine parsed_line(const MetricsJson& json) {
  MetricsLine line;
  line.kind = json.at("kind");
  line.time = json.at("time");
  line.step = json.at("step");
  line.epoch = json.at("epoch");
  line.phase = json.value("phase", "");
  line.about = json.value("about", "");
  line.decision = json.value("decision", "");
  line.reason = json.value("reason", "");
  line.severity = json.value("severity", "");
  line.text = json.value("text", "");
  if (json.contains("values")) {
    for (const auto& [name, value] : json.at("values").items()) {
      line.values.emplace_back(name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
    }
  }
  return line;
}

// What `path` keeps of an earlier session is settled before the file is opened to append.
std::filesystem::path prepared(const std::filesystem::path& path, std::optional<std::int64_t> resumed_step) {
  if (std::filesystem::exists(path)) {
    const auto text = read_file(path);
    if (const auto kept = kept_text(text, resumed_step); kept != text) write_file_atomically(path, kept);
  }
  return path;
}

}  // namespace

MetricsFileSink::MetricsFileSink(const std::filesystem::path& path, std::optional<std::int64_t> resumed_step)
    : file_(prepared(path, resumed_step)), step_(resumed_step.value_or(0)) {}

void MetricsFileSink::receive(const Event& event) {
  if (const auto* scalars = std::get_if<ScalarsEvent>(&event)) {
    step_ = scalars->step;
    epoch_ = scalars->epoch;
    auto json = line_of("scalars", scalars->step, scalars->epoch);
    json["phase"] = scalars->phase;
    auto values = MetricsJson::object();
    for (const auto& [name, value] : scalars->values)
      values[name] = std::isfinite(value) ? MetricsJson(value) : nullptr;
    json["values"] = std::move(values);
    write_line(dumped(json));
  } else if (const auto* decision = std::get_if<DecisionEvent>(&event)) {
    step_ = decision->step;
    epoch_ = decision->epoch;
    auto json = line_of("decision", decision->step, decision->epoch);
    json["about"] = decision->about;
    json["decision"] = decision->decision;
    json["reason"] = decision->reason;
    write_line(dumped(json));
  } else if (const auto* message = std::get_if<MessageEvent>(&event); message && message->severity != Severity::info) {
    auto json = line_of("message", step_, epoch_);
    json["severity"] = message->severity == Severity::error ? "error" : "warning";
    json["text"] = message->text;
    write_line(dumped(json));
  }
}

void MetricsFileSink::write_line(const std::string& json) { file_.append(json + "\n"); }

void MetricsFileSink::flush() { file_.sync(); }

std::vector<MetricsLine> read_metrics_file(const std::filesystem::path& path) {
  std::vector<MetricsLine> lines;
  if (!std::filesystem::exists(path)) return lines;
  const auto text = read_file(path);
  for (const auto line : whole_lines(text)) {
    try {
      lines.push_back(parsed_line(MetricsJson::parse(line)));
    } catch (const nlohmann::json::exception&) {
      fail(ErrorKind::data, "'{}' line {} is not a line of metrics", path.string(), lines.size() + 1);
    }
  }
  return lines;
}

}  // namespace melisma
