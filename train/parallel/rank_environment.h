// Which rank of how many this process is, as whoever started it says: torchrun, Slurm or an MPI. Torch-free.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace melisma {

struct RankPlace {
  std::int64_t rank = 0, size = 1;              // of all processes, everywhere
  std::int64_t local_rank = 0, local_size = 1;  // of those on this machine
  std::string address;                          // of rank 0; empty = as the settings say
  std::int64_t port = 0;                        // of rank 0; 0 = as the settings say
  std::string starter;                          // "torchrun", "Slurm", "Open MPI", "PMI"
  // The meeting place is kept by the starter (torchrun's agent): rank 0 joins it like the others.
  bool is_met_elsewhere = false;
  std::int64_t attempt = 0;  // of the starter to run this job: each has keys of its own in the meeting place
  bool operator==(const RankPlace&) const = default;
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Reads RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE (torchrun); else SLURM_PROCID, SLURM_STEP_NUM_TASKS,
// SLURM_LOCALID of a Slurm step; else OMPI_COMM_WORLD_*; else PMI_RANK, PMI_SIZE, MPI_LOCALRANKID; with MASTER_ADDR and
// MASTER_PORT in each case, or, under Slurm, the step's first node and a port that follows from the job's number.
// Nothing if this is a process of its own: none of these, or a job of one process. Throws Error(config) naming the
// variable that makes no sense.
[[nodiscard]] std::optional<RankPlace> place_in_environment(const Environment& environment);

// The environment of this process.
[[nodiscard]] Environment process_environment();

// The first name of a Slurm node list: "gpu[03-05,9],login" -> "gpu03".
[[nodiscard]] std::string first_host_of(const std::string& node_list);

}  // namespace melisma
