#include "train/parallel/rank_environment.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/refusal.h"

namespace melisma {
namespace {

Environment of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

TEST(RankEnvironment, AProcessOfItsOwnHasNoPlace) {
  EXPECT_EQ(place_in_environment(of({})), std::nullopt);
  EXPECT_EQ(place_in_environment(of({{"MASTER_ADDR", "gpu01"}, {"MASTER_PORT", "29500"}})), std::nullopt);
  EXPECT_EQ(place_in_environment(of({{"RANK", "0"}, {"WORLD_SIZE", "1"}})), std::nullopt);
}

TEST(RankEnvironment, Torchrun) {
  const auto place = place_in_environment(of({{"RANK", "5"},
                                              {"WORLD_SIZE", "8"},
                                              {"LOCAL_RANK", "1"},
                                              {"LOCAL_WORLD_SIZE", "4"},
                                              {"MASTER_ADDR", "10.0.0.1"},
                                              {"MASTER_PORT", "29500"},
                                              {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                              {"TORCHELASTIC_RESTART_COUNT", "2"}}));
  const RankPlace expected{.rank = 5,
                           .size = 8,
                           .local_rank = 1,
                           .local_size = 4,
                           .address = "10.0.0.1",
                           .port = 29500,
                           .starter = "torchrun",
                           .is_met_elsewhere = true,
                           .attempt = 2};
  EXPECT_EQ(place, expected);
}

TEST(RankEnvironment, ASlurmStepMeetsAtItsFirstNodeOnThePortOfItsJob) {
  const auto place = place_in_environment(of({{"SLURM_PROCID", "3"},
                                              {"SLURM_STEP_NUM_TASKS", "4"},
                                              {"SLURM_LOCALID", "1"},
                                              {"SLURM_STEP_NODELIST", "gpu[03-04]"},
                                              {"SLURM_JOB_ID", "1234567"}}));
  const RankPlace expected{
      .rank = 3, .size = 4, .local_rank = 1, .address = "gpu03", .port = 24567, .starter = "Slurm"};
  EXPECT_EQ(place, expected);
}

TEST(RankEnvironment, ABatchScriptOfSlurmIsNoRank) {
  EXPECT_EQ(place_in_environment(of({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_JOB_ID", "7"}})),
            std::nullopt);
}

TEST(RankEnvironment, WhatIsSaidOfTheMeetingPlaceGoesBeforeSlurms) {
  const auto place = place_in_environment(of({{"SLURM_PROCID", "1"},
                                              {"SLURM_STEP_NUM_TASKS", "2"},
                                              {"SLURM_STEP_NODELIST", "a,b"},
                                              {"SLURM_JOB_ID", "7"},
                                              {"MASTER_ADDR", "fe80::1%eth0"},
                                              {"MASTER_PORT", "29501"}}));
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->address, "fe80::1%eth0");
  EXPECT_EQ(place->port, 29501);
}

TEST(RankEnvironment, OpenMpiAndPmi) {
  const auto open_mpi = place_in_environment(of({{"OMPI_COMM_WORLD_RANK", "1"},
                                                 {"OMPI_COMM_WORLD_SIZE", "2"},
                                                 {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                                 {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                                 {"PMI_RANK", "0"},
                                                 {"PMI_SIZE", "2"}}));
  const RankPlace expected{.rank = 1, .size = 2, .local_rank = 1, .local_size = 2, .starter = "Open MPI"};
  EXPECT_EQ(open_mpi, expected);
  const auto pmi = place_in_environment(of({{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}}));
  const RankPlace other{.rank = 2, .size = 3, .starter = "PMI"};
  EXPECT_EQ(pmi, other);
}

TEST(RankEnvironment, NonsenseIsNamed) {
  const auto refusal = [](std::map<std::string, std::string> variables) {
    return testing::refusal_of(ErrorKind::config, [&] { (void)place_in_environment(of(std::move(variables))); });
  };
  EXPECT_EQ(refusal({{"RANK", "one"}, {"WORLD_SIZE", "2"}}),
            "the environment says RANK = 'one', which is no number; unset it, or start the ranks anew");
  EXPECT_EQ(refusal({{"RANK", "1"}}), "the environment sets RANK but not WORLD_SIZE; a starter of ranks sets both");
  EXPECT_EQ(refusal({{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}}),
            "the environment says PMI_RANK = 2 but PMI_SIZE = 2; ranks count from 0");
  EXPECT_EQ(refusal({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "70000"}}),
            "the environment says MASTER_PORT = 70000; the highest port is 65535");
}

TEST(RankEnvironment, FirstHostOfANodeList) {
  EXPECT_EQ(first_host_of("login"), "login");
  EXPECT_EQ(first_host_of("login,gpu[1-2]"), "login");
  EXPECT_EQ(first_host_of("gpu[03-05,9],login"), "gpu03");
  EXPECT_EQ(first_host_of("rack-2-gpu[7,9]"), "rack-2-gpu7");
}

}  // namespace
}  // namespace melisma
