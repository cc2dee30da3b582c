#include "tools/actions/engine_info_action.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/actions/compute_facts.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"

namespace melisma {
namespace {

// GFLOP/s of a fresh process of this program with MELISMA_MKL set to `choice`; MKL asks its question once a process.
double gemm_of_fresh_process(const std::string& choice) {
  const auto program = std::filesystem::read_symlink("/proc/self/exe").string();
  const auto command = fmt::format("MELISMA_MKL={} '{}' engine --gemm", choice, program);
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) fail(ErrorKind::device, "cannot start '{}' to measure it", program);
  double gflops = 0;
  const int read = std::fscanf(pipe, "%lf", &gflops);
  if (pclose(pipe) != 0 || read != 1) fail(ErrorKind::internal, "'{}' printed no number", command);
  return gflops;
}

nlohmann::ordered_json facts_as_json(const ComputeFacts& facts) {
  return {{"libtorch", facts.libtorch},
          {"cpu", facts.cpu_model},
          {"cpu_capability", facts.cpu_capability},
          {"threads", facts.threads},
          {"mkl_fast_path", facts.mkl_fast_path},
          {"omp_wait_policy", facts.omp_wait_policy},
          {"bf16_arithmetic", facts.bf16_arithmetic}};
}

}  // namespace

int engine_info(const EngineInfoOptions& options) {
  if (options.only_gemm) {
    fmt::print("{:.1f}\n", measured_gemm_gflops(15));
    return 0;
  }
  auto facts = facts_as_json(compute_facts());
  bool is_slower = false;
  if (options.compare_mkl) {
    const double fast = gemm_of_fresh_process("fast"), shipped = gemm_of_fresh_process("default");
    facts["gemm_gflops_fast_path"] = fast;
    facts["gemm_gflops_as_shipped"] = shipped;
    facts["gemm_ratio"] = fast / shipped;
    is_slower = fast < 0.9 * shipped;
  } else {
    facts["gemm_gflops"] = measured_gemm_gflops();
  }
  if (options.json) {
    fmt::print("{}\n", json_text(facts));
  } else {
    for (const auto& [name, value] : facts.items()) {
      fmt::print("{:<24} {}\n", name,
                 value.is_string()         ? value.get<std::string>()
                 : value.is_number_float() ? fmt::format("{:.2f}", value.get<double>())
                                           : value.dump());
    }
  }
  if (is_slower) fmt::print(stderr, "melisma: MKL's fast path is slower here; set MELISMA_MKL=default\n");
  return is_slower ? 5 : 0;
}

}  // namespace melisma
