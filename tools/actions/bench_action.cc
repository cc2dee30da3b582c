#include "tools/actions/bench_action.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/actions/compute_facts.h"
#include "tools/base/json_text.h"
#include "tools/base/table.h"
#include "tools/base/text_table.h"
#include "tools/bench/benchmarks.h"

namespace melisma {
namespace {

std::string bar_of(const BenchmarkFigure& figure) {
  if (figure.at_least != 0)
    return fmt::format("at least {:g}: {}", figure.at_least, figure.is_met() ? "met" : "missed");
  if (figure.at_most != 0) return fmt::format("at most {:g}: {}", figure.at_most, figure.is_met() ? "met" : "missed");
  return "";
}

nlohmann::ordered_json report_as_json(std::string_view name, const BenchmarkReport& report) {
  nlohmann::ordered_json figures;
  for (const auto& figure : report.figures) {
    figures[figure.name] = {{"value", figure.value}, {"unit", figure.unit}, {"met", figure.is_met()}};
  }
  nlohmann::ordered_json tables = nlohmann::ordered_json::array();
  for (const auto& table : report.tables) tables.push_back({{"title", table.title}, {"rows", table.rows}});
  return {{"benchmark", name},
          {"machine", compute_facts().line()},
          {"setting", report.setting},
          {"figures", figures},
          {"tables", tables}};
}

}  // namespace

int bench(const BenchOptions& options) {
  const auto& row = find_row(kBenchmarks, options.name, "benchmark", ErrorKind::usage);
  const auto report = row.run({.quick = options.quick,
                               .ablate = options.ablate,
                               .repeats = options.repeats,
                               .python = options.python,
                               .gemm_gflops = [] { return measured_gemm_gflops(); }});
  if (options.json) {
    fmt::print("{}\n", json_text(report_as_json(row.name, report)));
  } else {
    fmt::print("{}: {}\n{}\n", row.name, row.summary, compute_facts().line());
    for (const auto& sentence : report.setting) fmt::print("{}\n", sentence);
    for (const auto& figure : report.figures) {
      fmt::print("{:<40}{:>12.4g} {:<10}{}\n", figure.name, figure.value, figure.unit, bar_of(figure));
    }
    for (const auto& table : report.tables) fmt::print("\n{}\n{}", table.title, text_table(table.rows));
  }
  const bool is_met = std::all_of(report.figures.begin(), report.figures.end(), [](auto& f) { return f.is_met(); });
  return is_met ? 0 : 1;
}

}  // namespace melisma
