#include "tools/actions/compute_facts.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

#include "models/layers/packed_matrix.h"

namespace melisma {
namespace {

// Asked through the symbol table, as MKL asks it; the program defines the answer.
bool is_mkl_fast_path_on() {
  using Question = int (*)();
  const auto question = reinterpret_cast<Question>(dlsym(RTLD_DEFAULT, "mkl_serv_intel_cpu_true"));
  return question != nullptr && question() != 0;
}

std::string cpu_model_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "unknown";
}

}  // namespace

ComputeFacts compute_facts() {
  const char* waiting = std::getenv("OMP_WAIT_POLICY");
  return {
      .libtorch = TORCH_VERSION,
      .cpu_capability = at::get_cpu_capability(),
      .cpu_model = cpu_model_name(),
      .threads = at::get_num_threads(),
      .mkl_fast_path = is_mkl_fast_path_on(),
      .omp_wait_policy = waiting != nullptr ? waiting : "unset",
      .bf16_arithmetic = cpu_multiplies_bf16(),
  };
}

std::string ComputeFacts::line() const {
  return fmt::format("LibTorch {}, {}, {} thread{}, MKL fast path {}, OpenMP waiting {}", libtorch, cpu_capability,
                     threads, threads == 1 ? "" : "s", mkl_fast_path ? "on" : "off", omp_wait_policy);
}

double measured_gemm_gflops(int repeats) {
  const c10::NoGradGuard no_grad;
  const auto a = at::full({512, 768}, 0.5), b = at::full({768, 3072}, 0.25);
  auto product = at::mm(a, b);  // first call: MKL sets itself up
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    at::mm_out(product, a, b);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + repeats / 2, seconds.end());
  return 2.0 * 512 * 768 * 3072 / seconds[static_cast<std::size_t>(repeats / 2)] * 1e-9;
}

}  // namespace melisma
