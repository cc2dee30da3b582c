// `melisma bench NAME`: runs a benchmark and prints its figures with the bars they are held to.
#pragma once
#include <string>

namespace melisma {

struct BenchOptions {
  std::string name;  // of kBenchmarks
  bool json = false;
  bool quick = false;
  bool ablate = false;
  int repeats = 0;
  std::string python = "python3";  // of the peers that are compared with
};

// Exit code 0; 1 if a figure misses its bar.
int bench(const BenchOptions& options);

}  // namespace melisma
