// Benchmarks against what users would pick instead: a table, and what each of them reports. Torch-free.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace melisma {

struct BenchmarkOptions {
  bool quick = false;              // smaller inputs: for a look, not for numbers to quote
  bool ablate = false;             // rvc-step: the worth of each economy as well
  int repeats = 0;                 // 0 = the benchmark's own choice
  std::string python = "python3";  // interpreter with a peer's packages, where a benchmark compares with one
  // The machine's fp32 matrix-product rate with the present threads, in GFLOP/s; measured when asked.
  std::function<double()> gemm_gflops;
};

// One measured number or ratio, with the bar it is held to where there is one.
struct BenchmarkFigure {
  std::string name, unit;
  double value = 0;
  double at_least = 0;  // 0 = no bar
  double at_most = 0;   // 0 = no bar
  [[nodiscard]] bool is_met() const {
    return (at_least == 0 || value >= at_least) && (at_most == 0 || value <= at_most);
  }
};

// Numbers that no bar is held to, in rows of cells; the first row is the heading.
struct BenchmarkTable {
  std::string title;
  std::vector<std::vector<std::string>> rows;
};

struct BenchmarkReport {
  std::vector<std::string> setting;  // sentences: sizes, threads, what is compared with what
  std::vector<BenchmarkFigure> figures;
  std::vector<BenchmarkTable> tables = {};
};

struct Benchmark {
  std::string_view name, summary;
  BenchmarkReport (*run)(const BenchmarkOptions& options);
};

}  // namespace melisma
