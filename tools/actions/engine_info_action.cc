#include "tools/actions/engine_info_action.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/cpu/Utils.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>

#include <nlohmann/json.hpp>

namespace melisma {
namespace {

// The interposed MKL question (see tools/cli/main/main.cc): asked through the symbol table, as MKL asks it.
bool mkl_fast_path_on_amd() {
  using Question = int (*)();
  const auto question = reinterpret_cast<Question>(dlsym(RTLD_DEFAULT, "mkl_serv_intel_cpu_true"));
  return question != nullptr && question() != 0;
}

bool has_capability(const std::string& name) {
  const auto capabilities = at::cpu::get_cpu_capabilities();
  const auto found = capabilities.find(name);
  return found != capabilities.end() && found->second.isBool() && found->second.toBool();
}

}  // namespace

int engine_info(const EngineInfoOptions& options) {
  nlohmann::ordered_json facts;
  facts["libtorch"] = TORCH_VERSION;
  facts["cpu_capability"] = at::get_cpu_capability();
  facts["threads"] = at::get_num_threads();
  facts["mkl_fast_path"] = mkl_fast_path_on_amd();
  const char* waiting = std::getenv("OMP_WAIT_POLICY");
  facts["omp_wait_policy"] = waiting != nullptr ? waiting : "unset";
  facts["bf16_arithmetic"] = has_capability("avx512_bf16") || has_capability("amx_bf16");
  if (options.json) {
    fmt::print("{}\n", facts.dump(2));
  } else {
    for (const auto& [name, value] : facts.items()) {
      fmt::print("{:<18} {}\n", name, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
  return 0;
}

}  // namespace melisma
