#include "tools/actions/run_manifest.h"

#include "tools/actions/compute_facts.h"
#include "tools/base/atomic_file.h"
#include "tools/base/clock.h"
#include "tools/base/hash.h"
#include "tools/config/config.h"

namespace melisma {

std::vector<std::string> command_words() {
  std::vector<std::string> words;
  const std::string text = read_file("/proc/self/cmdline");
  for (std::size_t at = 0; at < text.size(); at = text.find('\0', at) + 1) words.emplace_back(text.c_str() + at);
  return words;
}

nlohmann::ordered_json run_manifest(const RunOrigin& origin, const Dataset& dataset) {
  const auto facts = compute_facts();
  return {
      {"format_version", 1},
      {"recipe", origin.recipe},
      {"version", origin.version},
      {"commit", origin.commit},
      {"created_utc", utc_now()},
      {"command", command_words()},
      {"seed", origin.seed},
      {"dataset",
       {{"path", dataset.path().string()},
        {"content_hash", dataset.content_hash()},
        {"split_hash", dataset.split_hash()}}},
      {"from", nullptr},
      {"compute",
       {{"libtorch", facts.libtorch},
        {"cpu", facts.cpu_model},
        {"kernels", facts.cpu_capability},
        {"threads", facts.threads},
        {"mkl_fast_path", facts.mkl_fast_path},
        {"omp_wait_policy", facts.omp_wait_policy}}},
  };
}

std::string run_signature(const RecipeRow& row, Recipe& recipe, const Dataset& dataset,
                          const std::string& weights_sha256) {
  const auto defaults = row.make();
  const auto settings = signature_of(defaults->schema(), recipe.schema());
  return content_hash(settings + dataset.content_hash() + weights_sha256).substr(0, 8);
}

}  // namespace melisma
