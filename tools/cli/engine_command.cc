#include <CLI/CLI.hpp>
#include <memory>

#include "tools/actions/actions.h"
#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_engine(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<EngineInfoOptions>();
  app.add_flag("--json", options->json, "print JSON");
  app.add_flag("--compare-mkl", options->compare_mkl, "measure a matrix product with and without MKL's fast path");
  app.add_flag("--gemm", options->only_gemm, "print one number: GFLOP/s of an fp32 matrix product");
  return [options, &global] { return engine(global).engine_info(*options); };
}

}  // namespace melisma
