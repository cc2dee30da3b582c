// `melisma train --processes N` as people run it, and what is left when one of its ranks dies.
#include <dirent.h>
#include <signal.h>

#include <algorithm>
#include <set>

#include "tests/cli/training.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::GoldenFile;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::ProgramRun;

// Parent and children of every process, from /proc.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const auto after_name = text.rfind(')');
    if (after_name == std::string::npos) continue;
    std::istringstream rest(text.substr(after_name + 2));
    std::string state;
    pid_t its_parent = 0;
    rest >> state >> its_parent;
    if (its_parent == parent && state != "Z") children.push_back(std::stoi(name));
  }
  std::ranges::sort(children);
  return children;
}

std::string environment_of(pid_t pid, const std::string& variable) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/environ");
  for (std::string item; std::getline(file, item, '\0');) {
    if (item.starts_with(variable + "=")) return item.substr(variable.size() + 1);
  }
  return {};
}

// The process of a rank, once it runs as one.
pid_t rank_of(const ProgramRun& run, const std::string& rank) {
  for (int i = 0; i < 2000; ++i) {
    for (const auto child : children_of(run.pid())) {
      if (environment_of(child, "RANK") == rank) return child;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return -1;
}

// Whether any process listens on the port, IPv4 or IPv6.
bool is_listening(const std::string& port) {
  char digits[8];
  std::snprintf(digits, sizeof(digits), ":%04X", std::stoi(port));
  for (const auto* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream file(table);
    for (std::string line; std::getline(file, line);) {
      std::istringstream words(line);
      std::string number, local, remote, state;
      words >> number >> local >> remote >> state;
      if (local.ends_with(digits) && state == "0A") return true;
    }
  }
  return false;
}

// Everything that ranks could leave behind.
struct Traces {
  static Traces now(const fs::path& folder) {
    Traces traces;
    for (const auto& place : {fs::path("/dev/shm"), fs::temp_directory_path()}) {
      for (const auto& entry : fs::directory_iterator(place)) traces.files.insert(entry.path());
    }
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "cmdline");
      const std::string command((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      std::error_code gone;
      const auto where = fs::read_symlink(entry.path() / "cwd", gone);
      if (command.find("melisma") != std::string::npos && where == folder) traces.n_processes += 1;
    }
    return traces;
  }
  std::set<fs::path> files;
  int n_processes = 0;
};

class TrainProcesses : public testing::Training {
 protected:
  // Temporary files go to a folder of this test's own, where those of other tests do not come and go.
  void SetUp() override {
    testing::Training::SetUp();
    fs::create_directories(folder() / "temporary");
    ::setenv("TMPDIR", (folder() / "temporary").c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("TMPDIR");
    testing::Training::TearDown();
  }
  // Two ranks, which notice within four seconds that one is lost.
  static Words two(const std::string& name, const Words& more = {}) {
    Words all{"--processes", "2", "--set", "distributed.timeout=4"};
    all.insert(all.end(), more.begin(), more.end());
    return tiny_words(name, all);
  }
  static void expect_nothing_left(const Traces& before) {
    const auto after = Traces::now(fs::canonical(folder()));
    EXPECT_EQ(after.n_processes, 0);
    for (const auto& file : after.files) {
      const auto name = file.filename().string();
      const auto is_named = [&](const char* part) { return name.find(part) != std::string::npos; };
      const bool is_anybodys =
          file.parent_path() == "/dev/shm" && !(is_named("melisma") || is_named("torch") || is_named("gloo"));
      EXPECT_TRUE(before.files.contains(file) || is_anybodys) << file << " was left behind";
    }
  }
};

// Differences of weights from zero-gradient parameters are rounding alone: a constant added to all keys cancels in the
// softmax, so AdamW walks there along the sign of noise.
bool is_rounding_alone(const std::string& name) { return name.ends_with("conv_k.bias"); }

double largest_difference(const fs::path& left, const fs::path& right) {
  const auto a = GoldenFile::load(left), b = GoldenFile::load(right);
  double largest = 0;
  for (const auto& [name, tensor] : a.tensors) {
    if (is_rounding_alone(name)) continue;
    const auto& other = b.at(name).values;
    for (std::size_t i = 0; i < other.size(); ++i) {
      const double difference = std::abs(static_cast<double>(tensor.values[i]) - static_cast<double>(other[i]));
      if (difference > largest) largest = difference;
    }
  }
  return largest;
}

TEST_F(TrainProcesses, TwoRanksTrainWhatOneDoesWithTheSameBatches) {
  const Words ten_steps{"--epochs", "5", "--set", "trainer.accumulation=1"};
  ASSERT_EQ(train_tiny("one", ten_steps).exit_code, 0);
  const auto result = testing::run_program(folder(), two("pair", {"--epochs", "5"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("2, which share every batch"), HasSubstr("epoch 5 | held-out mel_distance"),
                                Not(HasSubstr("rank 1:"))));
  const auto state = testing::load_json(checkpoint("pair") / "state.json");
  EXPECT_GE(state["step"].get<int>(), 10);
  EXPECT_EQ(state["ranks"], 2);
  for (const auto* file : {"model.safetensors", "discriminator.safetensors"}) {
    EXPECT_LT(largest_difference(checkpoint("one") / file, checkpoint("pair") / file), 1e-6) << file;
  }
  const auto score = [&](const std::string& name) {
    return testing::load_json(checkpoint(name) / "state.json")["evaluations"].back()["score"].get<double>();
  };
  EXPECT_NEAR(score("one"), score("pair"), 1e-5);
}

TEST_F(TrainProcesses, ARunGoesOnWithAnotherNumberOfRanks) {
  ASSERT_EQ(train_tiny("grows", {"--epochs", "1"}).exit_code, 0);
  const auto wide = train({"--resume", "grows", "--epochs", "2", "--processes", "3"});
  ASSERT_EQ(wide.exit_code, 0) << wide.err;
  EXPECT_THAT(wide.err, HasSubstr("trained with 1 rank until now and continues with 3"));
  const auto narrow = train({"--resume", "grows", "--epochs", "3"});
  ASSERT_EQ(narrow.exit_code, 0) << narrow.err;
  EXPECT_EQ(status("grows")["epoch"], 3);
}

TEST_F(TrainProcesses, AKilledRankIsNamedTheOtherSavesAndNothingIsLeft) {
  const auto before = Traces::now(fs::canonical(folder()));
  ProgramRun run(folder(), two("robbed", {"--epochs", "500"}));
  ASSERT_TRUE(run.wait_until_it_says("epoch 1 | held-out")) << run.err();
  const auto victim = rank_of(run, "1");
  ASSERT_GT(victim, 0);
  const auto port = environment_of(victim, "MASTER_PORT");
  EXPECT_TRUE(is_listening(port));
  ::kill(victim, SIGKILL);
  const auto result = run.finish();
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("melisma: network: rank 1 of 2 ("), HasSubstr("pid " + std::to_string(victim)),
                    HasSubstr("is gone or hangs"), HasSubstr("is saved in")));
  EXPECT_THAT(result.err, HasSubstr("rank 1 of 2 (pid " + std::to_string(victim) + ") was ended by signal 9 (Killed)"));
  EXPECT_EQ(status("robbed")["state"], "failed");
  EXPECT_FALSE(is_listening(port));
  expect_nothing_left(before);
  const auto saved = testing::load_json(checkpoint("robbed") / "state.json")["step"].get<int>();
  const auto epoch = testing::load_json(checkpoint("robbed") / "state.json")["epochs_done"].get<int>() + 1;
  const auto resumed = train({"--resume", "robbed", "--epochs", std::to_string(epoch), "--processes", "2"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_GT(testing::load_json(checkpoint("robbed") / "state.json")["step"].get<int>(), saved);
}

TEST_F(TrainProcesses, WhenRankZeroIsKilledTheOtherSaves) {
  const auto before = Traces::now(fs::canonical(folder()));
  ProgramRun run(folder(), two("orphaned", {"--epochs", "500", "--set", "checkpoints.every=off"}));
  ASSERT_TRUE(run.wait_until_it_says("epoch 1 | held-out")) << run.err();
  ::kill(rank_of(run, "0"), SIGKILL);
  const auto result = run.finish();
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("rank 1: melisma: network: rank 0 of 2 ("), HasSubstr("is saved in"),
                                HasSubstr("was ended by signal 9 (Killed)")));
  EXPECT_GT(testing::load_json(checkpoint("orphaned") / "state.json")["step"].get<int>(), 0);
  expect_nothing_left(before);
}

TEST_F(TrainProcesses, ARankThatHangsIsNoticedWithinTheTimeout) {
  const auto before = Traces::now(fs::canonical(folder()));
  ProgramRun run(folder(), two("stuck", {"--epochs", "500"}));
  ASSERT_TRUE(run.wait_until_it_says("epoch 1 | held-out")) << run.err();
  const auto victim = rank_of(run, "1");
  ::kill(victim, SIGSTOP);
  ASSERT_TRUE(run.wait_until_it_says("melisma: network: rank 1 of 2")) << run.err();
  ::kill(victim, SIGCONT);  // it finds itself alone
  const auto result = run.finish();
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(result.err, HasSubstr("is gone or hangs: no sign of life"));
  expect_nothing_left(before);
}

TEST_F(TrainProcesses, SigtermStopsEveryRankAndSaves) {
  const auto before = Traces::now(fs::canonical(folder()));
  ProgramRun run(folder(), two("asked", {"--epochs", "500"}));
  ASSERT_TRUE(run.wait_until_it_says("epoch 1 | held-out")) << run.err();
  ::kill(run.pid(), SIGTERM);
  const auto result = run.finish();
  EXPECT_EQ(result.exit_code, 143) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("everything is saved in"), Not(HasSubstr("rank 1:"))));
  EXPECT_EQ(status("asked")["state"], "interrupted");
  expect_nothing_left(before);
}

TEST_F(TrainProcesses, ASignalToOneRankStopsAll) {
  ProgramRun run(folder(), two("nudged", {"--epochs", "500"}));
  ASSERT_TRUE(run.wait_until_it_says("epoch 1 | held-out")) << run.err();
  ::kill(rank_of(run, "1"), SIGINT);
  const auto result = run.finish();
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_EQ(status("nudged")["state"], "interrupted");
}

TEST_F(TrainProcesses, RanksEndWithTheirStarter) {
  ProgramRun run(folder(), two("headless", {"--epochs", "500"}));
  ASSERT_TRUE(run.wait_until_it_says("epoch 1 | held-out")) << run.err();
  ::kill(run.pid(), SIGKILL);
  (void)run.finish();
  int n_left = -1;
  for (int i = 0; i < 4000 && n_left != 0; ++i) {
    n_left = Traces::now(fs::canonical(folder())).n_processes;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(n_left, 0);
  EXPECT_EQ(status("headless")["state"], "interrupted");
}

TEST_F(TrainProcesses, WhatIsWrongIsSaidOnceBeforeAnyRankStarts) {
  const auto result = testing::run_program(folder(), two("wrong", {"--set", "model.speakers=0"}));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(result.err.find("melisma: "), result.err.rfind("melisma: ")) << result.err;
}

TEST_F(TrainProcesses, ARunThatIsThereIsRefusedOnce) {
  ASSERT_EQ(train_tiny("taken", {"--epochs", "1"}).exit_code, 0);
  const auto result = testing::run_program(folder(), two("taken", {"--epochs", "1"}));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_EQ(result.err.find("melisma: "), result.err.rfind("melisma: ")) << result.err;
}

TEST_F(TrainProcesses, ATakenPortIsNamedAndARangeFindsAnother) {
  ProgramRun first(folder(), two("holder", {"--epochs", "500", "--set", "distributed.port=29871-29890"}));
  ASSERT_TRUE(first.wait_until_it_says("epoch 1 | held-out")) << first.err();
  const auto port = environment_of(rank_of(first, "1"), "MASTER_PORT");
  const fs::path elsewhere = folder() / "elsewhere";
  fs::create_directories(elsewhere);
  const auto with_port = [&](const std::string& text, const std::string& name) {
    auto words = two(name, {"--epochs", "1", "--set", "distributed.port=" + text});
    std::ranges::replace(words, std::string("tiny.toml"), (folder() / "tiny.toml").string());
    return testing::run_program(elsewhere, words);
  };
  const auto taken = with_port(port, "taken");
  EXPECT_EQ(taken.exit_code, 5);
  EXPECT_THAT(taken.err, HasSubstr("melisma: network: port " + port +
                                   " is taken by another program (127.0.0.1:" + port + "); set distributed.port to 0"));
  const auto range = with_port("29871-29890", "range");
  EXPECT_EQ(range.exit_code, 0) << range.err;
  ::kill(first.pid(), SIGTERM);
  EXPECT_EQ(first.finish().exit_code, 143);
}

TEST_F(TrainProcesses, RanksMeetOverIPv6) {
  const auto result = testing::run_program(folder(), two("six", {"--epochs", "1", "--set", "distributed.address=::1"}));
  if (result.err.find("[::1]") != std::string::npos || result.err.find("'::1'") != std::string::npos) {
    GTEST_SKIP() << "this machine has no IPv6";
  }
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(TrainProcesses, AnUnknownInterfaceSuggestsTheNearest) {
  const auto result = testing::run_program(folder(), two("wire", {"--epochs", "1", "--interface", "la"}));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("unknown network interface 'la'; did you mean 'lo'?"));
}

}  // namespace
}  // namespace melisma
