// How the processes of one training are started and come together.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "train/parallel/distributed_config.h"
#include "train/parallel/process_ranks.h"
#include "train/parallel/rank_environment.h"

namespace melisma {

// This process's place among the ranks; nothing if it trains alone or is to start `processes` ranks. Throws
// Error(usage) if --processes contradicts what the starter says.
[[nodiscard]] std::optional<RankPlace> own_place(std::int64_t processes);

// Meets the other ranks, which train on `device`s like this one, and compares `settings` with them. Throws
// Error(network), Error(config), and Error(device) where NCCL is asked for and cannot be used.
[[nodiscard]] std::unique_ptr<ProcessRanks> meet_ranks(const RankPlace& place, const DistributedConfig& config,
                                                       at::Device device, const std::string& settings);

// Starts `processes` ranks with this process's command line and waits for them: each computes with its share of this
// process's threads unless the environment says otherwise. Returns or throws as run_ranks.
int start_ranks(std::int64_t processes, const DistributedConfig& config);

}  // namespace melisma
