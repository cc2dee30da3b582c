#include "tools/bench/peer.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "tools/base/atomic_file.h"

namespace melisma {

namespace {

double seconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

double cpu_seconds() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }
double wall_seconds() { return seconds_of(CLOCK_MONOTONIC); }

nlohmann::json ask_peer(const std::string& python, std::string_view script, const std::vector<std::string>& arguments,
                        int threads) {
  auto command = fmt::format(
      "OMP_NUM_THREADS={0} OPENBLAS_NUM_THREADS={0} MKL_NUM_THREADS={0} NUMBA_NUM_THREADS={0} '{1}' '{2}/{3}'", threads,
      python, MELISMA_PEERS_FOLDER, script);
  for (const auto& argument : arguments) command += fmt::format(" '{}'", argument);
  std::string answer;
  if (auto* pipe = ::popen((command + " 2>/dev/null").c_str(), "r"); pipe != nullptr) {
    std::array<char, 4096> block;
    for (std::size_t n; (n = std::fread(block.data(), 1, block.size(), pipe)) > 0;) answer.append(block.data(), n);
    ::pclose(pipe);
  }
  auto json = nlohmann::json::parse(answer, nullptr, false);
  return json.is_object() ? json : nlohmann::json::object();
}

void write_samples(const std::filesystem::path& path, std::span<const float> samples) {
  write_file_atomically(path, {reinterpret_cast<const char*>(samples.data()), samples.size_bytes()});
}

}  // namespace melisma
