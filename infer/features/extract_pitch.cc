// Pitch by one method, or by several side by side.
#include <ATen/Parallel.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "infer/features/mono16k.h"
#include "infer/features/pitch.h"
#include "infer/features/pitch_combination.h"
#include "tools/base/table.h"

namespace melisma {
namespace extract_pitch_detail {
namespace {

std::vector<float> by_method(std::span<const float> wave_16k, const std::string& method, const PitchConfig& config,
                             int threads) {
  if (method == kImportedPitch) {
    fail(ErrorKind::config, "pitch '{}' was found by another tool, which is not asked here; choose a method: {}",
         kImportedPitch, fmt::join(kPitchMethodNames, ", "));
  }
  return find_row(kPitchMethods, method, "pitch method").function(wave_16k, config, threads);
}

// The curve of each member: as many at a time as there are threads, which they share.
std::vector<std::vector<float>> side_by_side(std::span<const float> wave_16k, const PitchRecipe& recipe,
                                             const PitchConfig& config, int threads) {
  const auto available = threads > 0 ? threads : at::get_num_threads();
  const auto n_workers = std::min(available, static_cast<int>(recipe.members.size()));
  std::vector<std::vector<float>> curves(recipe.members.size());
  std::vector<std::exception_ptr> problems(recipe.members.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i; (i = next++) < curves.size();) {
      try {
        curves[i] = by_method(wave_16k, recipe.members[i].method, config, std::max(1, available / n_workers));
      } catch (...) {
        problems[i] = std::current_exception();
      }
    }
  };
  std::vector<std::thread> workers;
  for (int i = 1; i < n_workers; ++i) {
    workers.emplace_back([&] {
      (void)at::get_num_threads();  // a new thread takes LibTorch's setting once; the method's own limit then holds
      work();
    });
  }
  work();
  for (auto& worker : workers) worker.join();
  for (const auto& problem : problems) {
    if (problem) std::rethrow_exception(problem);
  }
  return curves;
}

}  // namespace
}  // namespace extract_pitch_detail

std::vector<float> extract_pitch(std::span<const float> wave_16k, const PitchConfig& config, int threads) {
  using namespace extract_pitch_detail;
  const auto recipe = parse_pitch_recipe(config.method);
  if (recipe.combination.empty()) return by_method(wave_16k, recipe.members.front().method, config, threads);
  std::vector<double> weights;
  for (const auto& member : recipe.members) weights.push_back(member.weight);
  return combine_pitch(recipe.combination, side_by_side(wave_16k, recipe, config, threads), weights);
}

std::vector<float> extract_pitch(const Waveform& wave, const PitchConfig& config, int threads) {
  auto f0 = extract_pitch(mono_at_16k(wave), config, threads);
  f0.resize(static_cast<std::size_t>(feature_frames(wave.n_frames(), wave.sample_rate_hz)));
  return f0;
}

}  // namespace melisma
