#include "tools/actions/inspect_action.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "data/audio/audio_file.h"
#include "tools/base/error.h"
#include "tools/base/format.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void print_value(const std::string& name, const std::string& value) { fmt::print("{:<22} {}\n", name, value); }

// Numbers as people read them; what has none says so.
std::string number(const Json& value, const char* unit, int decimals) {
  return value.is_null() ? "none" : fmt::format("{:.{}f} {}", value.get<double>(), decimals, unit);
}

void print_recording(const Json& r) {
  print_value("encoding", r["encoding"]);
  print_value("length", fmt::format("{:.3f} s, {} frames", r["seconds"].get<double>(), r["frames"].dump()));
  print_value("rate, channels", fmt::format("{} Hz, {}", r["sample_rate_hz"].dump(), r["channels"].dump()));
  const auto& l = r["loudness"];
  print_value("loudness", number(l["integrated_lufs"], "LUFS", 1) + ", range " + number(l["range_lu"], "LU", 1));
  print_value("loudest 400 ms, 3 s",
              number(l["max_momentary_lufs"], "LUFS", 1) + ", " + number(l["max_short_term_lufs"], "LUFS", 1));
  print_value("true peak, peak", number(l["true_peak_db"], "dBTP", 1) + ", " + number(l["sample_peak_db"], "dBFS", 1));
  if (const auto& s = r["spectrum"]; !s.is_null()) {
    print_value("spectrum",
                fmt::format("centroid {:.0f} Hz, bandwidth {:.0f} Hz, 85 % below {:.0f} Hz, flatness {:.3f}",
                            s["centroid_hz"].get<double>(), s["bandwidth_hz"].get<double>(),
                            s["rolloff_85_hz"].get<double>(), s["flatness"].get<double>()));
  }
  const auto& p = r["pitch"];
  print_value(fmt::format("pitch ({})", p["method"].get<std::string>()),
              fmt::format("voiced {:.0f} %, median {:.1f} Hz, 5th to 95th percentile {:.1f} to {:.1f} Hz",
                          100 * p["voiced_share"].get<double>(), p["median_hz"].get<double>(),
                          p["low_hz"].get<double>(), p["high_hz"].get<double>()));
}

// The held-out scores of a training as one line of blocks, the largest as high as a line is.
std::string curve_line(const Json& points, const std::string& metric) {
  static constexpr const char* kBlocks[] = {"\u2581", "\u2582", "\u2583", "\u2584",
                                            "\u2585", "\u2586", "\u2587", "\u2588"};
  std::vector<double> scores;
  for (const auto& point : points) {
    if (point[metric].is_number()) scores.push_back(point[metric].get<double>());
  }
  if (scores.empty()) return "";
  const auto [low, high] = std::ranges::minmax(scores);
  std::string line;
  for (const auto score : scores) line += kBlocks[high > low ? std::lround(7 * (score - low) / (high - low)) : 0];
  return fmt::format("{}  {:.4f} to {:.4f}, last {:.4f}", line, low, high, scores.back());
}

void print_training(const Json& t) {
  if (t.is_null()) return;
  const auto metric = t["metric"].get<std::string>();
  print_value("training", fmt::format("{}, {}; best epoch {}: {} {:.4f}", t["run"].get<std::string>(),
                                      t["state"].get<std::string>(), t["best_epoch"].dump(), metric,
                                      t["best_score"].get<double>()));
  if (const auto line = curve_line(t["held_out"], metric); !line.empty()) print_value("  held-out, by epoch", line);
}

// What a training goes on from.
void print_optimizer(const Json& o) {
  if (o.is_null()) return;
  if (o.contains("problem")) return print_value("optimizer", "not understood: " + o["problem"].get<std::string>());
  print_value("optimizer",
              fmt::format("{}, {} steps, learning rate {:g}{}", o["kind"].get<std::string>(), o["steps"].dump(),
                          o["learning_rate"].get<double>(),
                          o["initial_learning_rate"].is_null()
                              ? ""
                              : fmt::format(" of {:g} at first", o["initial_learning_rate"].get<double>())));
  print_value("  settings", fmt::format("betas {}, eps {:g}, weight decay {:g}",
                                        fmt::join(o["betas"].get<std::vector<double>>(), " "), o["eps"].get<double>(),
                                        o["weight_decay"].get<double>()));
  std::string types;
  for (const auto& [type, count] : o["moments"].items()) types += fmt::format(", {} {}", count.dump(), type);
  print_value("  moments", fmt::format("of {} of {} parameters{}", o["parameters_with_state"].dump(),
                                       o["parameters"].dump(), types));
}

// What a fused voice is made of.
void print_parents(const Json& provenance) {
  if (!provenance.is_object() || !provenance.contains("fused_from")) return;
  print_value("fused", fmt::format("{} on {} weights", provenance.value("method", ""), provenance.value("on", "")));
  for (const auto& parent : provenance["fused_from"]) {
    print_value("  of " + parent.value("name", ""), "sha256 " + parent.value("sha256", "").substr(0, 12));
  }
  const auto weights_of_parts = provenance.value("weights", Json::object());
  for (const auto& [part, weights] : weights_of_parts.items()) {
    print_value("  weights of " + part, fmt::format("{:.4g}", fmt::join(weights.get<std::vector<double>>(), ", ")));
  }
}

void print_model(const Json& m) {
  print_value("model", m["label"]);
  print_value("family, layout", fmt::format("{}, {}", m["family"].get<std::string>(), m["layout"].get<std::string>()));
  if (m["sample_rate_hz"] > 0) print_value("rate", m["sample_rate_hz"].dump() + " Hz");
  const auto known = [&](const char* key) { return m[key] >= 0 ? m[key].dump() : std::string("unknown"); };
  print_value("epoch, step", known("epoch") + ", " + known("step"));
  std::string types;
  for (const auto& [type, count] : m["types"].items()) types += fmt::format(", {} {}", count.dump(), type);
  print_value("quantization", m["quantization"].get<std::string>() + types);
  print_value("size", fmt::format("{} parameters in {} tensors, {}", m["parameters"].dump(), m["tensors"].dump(),
                                  format_bytes(m["bytes"].get<std::uint64_t>())));
  for (const auto& part : m["parts"]) {
    print_value("  " + part["name"].get<std::string>(),
                fmt::format("{:>10} parameters, norm {:.4g}", part["parameters"].dump(), part["norm"].get<double>()));
  }
  print_optimizer(m["optimizer"]);
  print_training(m["training"]);
  print_parents(m["provenance"]);
  for (const auto* key : {"contents", "info"}) {
    if (!m[key].is_object()) continue;
    for (const auto& [name, value] : m[key].items()) {
      print_value("  " + name, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
}

void print_index(const Json& i) {
  print_value("feature index",
              fmt::format("{} vectors of {} columns in {} lists, {}", i["vectors"].dump(), i["columns"].dump(),
                          i["lists"].dump(), format_bytes(i["bytes"].get<std::uint64_t>())));
}

}  // namespace

int inspect(const InspectOptions& options) {
  const fs::path path(options.subject);
  Json result;
  if (path.extension() == ".index") {
    result = inspected_index(path);
  } else if (audio_extension_of(path) != nullptr) {
    result = inspected_recording(path);
  } else {
    result = inspected_model(options);
  }
  if (options.json) {
    fmt::print("{}\n", json_text(result));
  } else if (result["what"] == "recording") {
    print_recording(result);
  } else if (result["what"] == "model") {
    print_model(result);
  } else {
    print_index(result);
  }
  return 0;
}

}  // namespace melisma
