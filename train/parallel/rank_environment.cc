#include "train/parallel/rank_environment.h"

#include <array>
#include <charconv>
#include <cstdlib>

#include "tools/base/error.h"
#include "train/parallel/distributed_config.h"

namespace melisma {
namespace {

constexpr std::int64_t kFirstSlurmPort = 20000, kSlurmPorts = 10000;

std::optional<std::int64_t> number_in(const Environment& environment, const std::string& name) {
  const auto text = environment(name);
  if (!text || text->empty()) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (problem == std::errc() && end == text->data() + text->size() && value >= 0) return value;
  fail(ErrorKind::config, "the environment says {} = '{}', which is no number; unset it, or start the ranks anew", name,
       *text);
}

std::int64_t needed(const Environment& environment, const std::string& name, const std::string& because) {
  if (const auto value = number_in(environment, name)) return *value;
  fail(ErrorKind::config, "the environment sets {} but not {}; a starter of ranks sets both", because, name);
}

// Names of the variables of one starter; "" = it has none.
struct Variables {
  const char *starter, *rank, *size, *local_rank, *local_size;
};

constexpr std::array kStarters{
    Variables{"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"},
    Variables{"Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", ""},
    Variables{"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
              "OMPI_COMM_WORLD_LOCAL_SIZE"},
    Variables{"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"},
};

// A batch script of Slurm has SLURM_PROCID too, but is no rank: only a step (srun) has tasks.
bool is_there(const Variables& variables, const Environment& environment) {
  if (!environment(variables.rank)) return false;
  return std::string_view(variables.starter) != "Slurm" || environment(variables.size).has_value();
}

// Where rank 0 is to be met, where the starter does not say it in so many words.
void find_slurm_meeting_place(const Environment& environment, RankPlace& place) {
  if (place.address.empty()) {
    const auto nodes = environment("SLURM_STEP_NODELIST");
    if (nodes) place.address = first_host_of(*nodes);
  }
  if (place.port == 0) {
    const auto job = number_in(environment, "SLURM_JOB_ID");
    if (job) place.port = kFirstSlurmPort + *job % kSlurmPorts;
  }
}

void check(const RankPlace& place, const Variables& variables) {
  if (place.size < 1 || place.rank >= place.size) {
    fail(ErrorKind::config, "the environment says {} = {} but {} = {}; ranks count from 0", variables.rank, place.rank,
         variables.size, place.size);
  }
  if (place.port > kHighestPort) {
    fail(ErrorKind::config, "the environment says MASTER_PORT = {}; the highest port is {}", place.port, kHighestPort);
  }
}

}  // namespace

std::string first_host_of(const std::string& node_list) {
  const auto bracket = node_list.find('['), comma = node_list.find(',');
  if (bracket == std::string::npos || comma < bracket) return node_list.substr(0, comma);
  const auto end = node_list.find_first_of("-,]", bracket);
  return node_list.substr(0, bracket) + node_list.substr(bracket + 1, end - bracket - 1);
}

std::optional<RankPlace> place_in_environment(const Environment& environment) {
  for (const auto& variables : kStarters) {
    if (!is_there(variables, environment)) continue;
    RankPlace place;
    place.starter = variables.starter;
    place.rank = needed(environment, variables.rank, variables.size);
    place.size = needed(environment, variables.size, variables.rank);
    place.local_rank = number_in(environment, variables.local_rank).value_or(0);
    place.local_size = number_in(environment, variables.local_size).value_or(1);
    place.address = environment("MASTER_ADDR").value_or("");
    place.port = number_in(environment, "MASTER_PORT").value_or(0);
    place.is_met_elsewhere = environment("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
    place.attempt = number_in(environment, "TORCHELASTIC_RESTART_COUNT").value_or(0);
    if (place.starter == "Slurm") find_slurm_meeting_place(environment, place);
    check(place, variables);
    if (place.size == 1) return std::nullopt;
    return place;
  }
  return std::nullopt;
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
}

}  // namespace melisma
