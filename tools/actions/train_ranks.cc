#include "tools/actions/train_ranks.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tools/actions/run_manifest.h"
#include "tools/base/error.h"
#include "train/parallel/launcher.h"

namespace melisma {
namespace {

// The one port that every rank knows without being told.
std::uint16_t known_port(const RankPlace& place, const DistributedConfig& config) {
  if (place.port > 0) return static_cast<std::uint16_t>(place.port);
  const auto ports = ports_of(config.port);
  if (ports.size() == 1 && ports.front() != 0) return ports.front();
  fail(
      ErrorKind::config,
      "{} started rank {} of {}, but nothing says on which port they meet; set MASTER_PORT, or distributed.port to one "
      "port",
      place.starter, place.rank, place.size);
}

std::unique_ptr<Listener> listener_of_first(const std::string& address, std::uint16_t port) {
  if (const char* descriptor = std::getenv(kListenerVariable)) {
    return std::make_unique<Listener>(std::atoi(descriptor), address, port);
  }
  return std::make_unique<Listener>(address, std::vector<std::uint16_t>{port});
}

}  // namespace

std::optional<RankPlace> own_place(std::int64_t processes) {
  auto place = place_in_environment(process_environment());
  if (place && processes > 1 && place->local_size != processes) {
    fail(ErrorKind::usage,
         "--processes {} would start ranks, but {} has started this one: rank {} of {}; leave --processes out",
         processes, place->starter, place->rank, place->size);
  }
  return place;
}

std::unique_ptr<ProcessRanks> meet_ranks(const RankPlace& place, const DistributedConfig& config, at::Device device,
                                         const std::string& settings) {
  if (config.backend == "nccl" && !device.is_cuda()) {
    fail(ErrorKind::config,
         "distributed.backend is nccl, which sums on GPUs, but this rank trains on {}; set it to auto or gloo",
         device.str());
  }
  Meeting meeting{.place = {place.rank, place.size},
                  .address = place.address.empty() ? config.address : place.address,
                  .port = known_port(place, config),
                  .listener = nullptr,
                  .interface = config.interface,
                  .timeout_seconds = config.timeout,
                  .notes_prefix = std::to_string(place.attempt),
                  .use_nccl = device.is_cuda() && config.backend != "gloo"};
  if (place.rank == 0 && !place.is_met_elsewhere) meeting.listener = listener_of_first(meeting.address, meeting.port);
  auto ranks = std::make_unique<ProcessRanks>(std::make_unique<Group>(std::move(meeting)), config.bucket_mb);
  ranks->require_same("settings", settings);
  return ranks;
}

int start_ranks(std::int64_t processes, const DistributedConfig& config) {
  Launch launch;
  launch.command = command_words();
  launch.command.front() = std::filesystem::read_symlink("/proc/self/exe").string();
  launch.processes = processes;
  launch.listener = std::make_unique<Listener>(config.address, ports_of(config.port));
  launch.timeout_seconds = config.timeout;
  if (std::getenv("OMP_NUM_THREADS") == nullptr) {
    launch.threads_each = std::max<std::int64_t>(1, at::get_num_threads() / processes);
  }
  return run_ranks(std::move(launch));
}

}  // namespace melisma
