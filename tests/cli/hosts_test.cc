// Several hosts for real: network namespaces with addresses of their own, joined by virtual cables, one rank on each.
#include <fcntl.h>
#include <sched.h>

#include <fstream>

#include "tests/cli/training.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::ProgramRun;

// Hosts 10.77.0.1, 10.77.0.2, ... on one switch. None of them can ask a name server.
class Hosts {
 public:
  explicit Hosts(int n) : n_(n) {
    if (::geteuid() != 0) problem_ = "only root can make network namespaces";
    if (problem_.empty() && std::system("ip -V > /dev/null 2>&1") != 0)
      problem_ = "the program ip (iproute2) is missing";
    if (!problem_.empty()) return;
    const auto hub = name("hub");
    ip("netns add " + hub);
    ip("-n " + hub + " link add switch type bridge");
    ip("-n " + hub + " link set switch up");
    for (int host = 0; host < n; ++host) {
      const auto own = name(std::to_string(host)), plug = "plug" + std::to_string(host);
      ip("netns add " + own);
      ip("-n " + own + " link add cable type veth peer name " + plug + " netns " + hub);
      ip("-n " + hub + " link set " + plug + " master switch up");
      ip("-n " + own + " addr add " + address(host) + "/24 dev cable");
      ip("-n " + own + " link set lo up");
      ip("-n " + own + " link set cable up");
    }
  }
  ~Hosts() {
    for (int host = 0; host < n_; ++host)
      (void)std::system(("ip netns del " + name(std::to_string(host)) + " 2> /dev/null").c_str());
    (void)std::system(("ip netns del " + name("hub") + " 2> /dev/null").c_str());
  }
  Hosts(const Hosts&) = delete;
  Hosts& operator=(const Hosts&) = delete;

  // Why there are none; empty if there are.
  [[nodiscard]] const std::string& problem() const { return problem_; }
  static std::string address(int host) { return "10.77.0." + std::to_string(host + 1); }
  void cut(int host) { ip("-n " + name(std::to_string(host)) + " link set cable down"); }

  // Rank `host` of all, on its host.
  [[nodiscard]] std::unique_ptr<ProgramRun> run(int host, const fs::path& folder,
                                                const std::vector<std::string>& words) const {
    fs::create_directories(folder);
    const auto network = "/var/run/netns/" + name(std::to_string(host));  // named after this process, not its child
    return std::make_unique<ProgramRun>(folder, words, testing::Start::fresh, [&] {
      const int own = ::open(network.c_str(), O_RDONLY | O_CLOEXEC);
      if (::setns(own, CLONE_NEWNET) != 0) ::_exit(126);
      ::setenv("RANK", std::to_string(host).c_str(), 1);
      ::setenv("WORLD_SIZE", std::to_string(n_).c_str(), 1);
      ::setenv("LOCAL_RANK", "0", 1);
      ::setenv("LOCAL_WORLD_SIZE", "1", 1);
      ::setenv("MASTER_ADDR", address(0).c_str(), 1);
      ::setenv("MASTER_PORT", "29500", 1);
    });
  }

 private:
  static std::string name(const std::string& part) { return "melisma-" + std::to_string(::getpid()) + "-" + part; }
  void ip(const std::string& words) {
    if (problem_.empty() && std::system(("ip " + words).c_str()) != 0) problem_ = "this machine refuses: ip " + words;
  }
  int n_;
  std::string problem_;
};

class SlowHosts : public testing::Training {
 protected:
  static constexpr int kHosts = 3;

  static Words words_of(const std::string& name, const Words& more) {
    Words all{"--workspace", (folder() / "melisma-workspace").string(),
              "--config",    (folder() / "tiny.toml").string(),
              "--dataset",   dataset_file("mara").string(),
              "--name",      name,
              "--set",       "distributed.timeout=4"};
    all.insert(all.end(), more.begin(), more.end());
    return words(all);
  }
  static std::vector<std::unique_ptr<ProgramRun>> start(const Hosts& hosts, const std::string& name,
                                                        const Words& more) {
    std::vector<std::unique_ptr<ProgramRun>> runs;
    for (int host = 0; host < kHosts; ++host) {
      runs.push_back(hosts.run(host, folder() / ("host" + std::to_string(host)), words_of(name, more)));
    }
    return runs;
  }
  // Lines of the run's losses and scores, without clocks.
  static std::vector<nlohmann::json> losses(const std::string& name) {
    std::vector<nlohmann::json> found;
    std::ifstream file(run_folder(name) / "metrics.jsonl");
    for (std::string line; std::getline(file, line);) {
      const auto one = nlohmann::json::parse(line).value("values", nlohmann::json::object());
      for (const auto& [key, value] : one.items()) {
        if (key.starts_with("loss/") || key.starts_with("validation/")) found.push_back({{key, value}});
      }
    }
    return found;
  }
};

TEST_F(SlowHosts, ThreeHostsTrainWhatThreeProcessesOfOneDo) {
  const Hosts hosts(kHosts);
  if (!hosts.problem().empty()) GTEST_SKIP() << hosts.problem();
  auto runs = start(hosts, "spread", {"--epochs", "3", "--set", "trainer.log_every=1 steps"});
  for (auto& run : runs) {
    const auto result = run->finish();
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
  const auto one = testing::run_program(
      folder(), words_of("gathered", {"--epochs", "3", "--set", "trainer.log_every=1 steps", "--processes", "3"}));
  ASSERT_EQ(one.exit_code, 0) << one.err;
  ASSERT_GE(losses("gathered").size(), 12u);
  EXPECT_EQ(losses("spread"), losses("gathered"));
  EXPECT_EQ(read_file(checkpoint("spread") / "model.safetensors"),
            read_file(checkpoint("gathered") / "model.safetensors"));
}

TEST_F(SlowHosts, ACutCableIsNoticedTheOthersSaveAndEveryRankSaysWho) {
  Hosts hosts(kHosts);
  if (!hosts.problem().empty()) GTEST_SKIP() << hosts.problem();
  auto runs = start(hosts, "cut", {"--epochs", "500"});
  ASSERT_TRUE(runs[0]->wait_until_it_says("epoch 1 | held-out")) << runs[0]->err();
  hosts.cut(2);
  std::vector<ProgramResult> results;
  for (auto& run : runs) results.push_back(run->finish());
  for (const auto& result : results) EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(results[0].err, AllOf(HasSubstr("melisma: network: rank 2 of 3 ("), HasSubstr("is gone or hangs"),
                                    HasSubstr("is saved in")));
  EXPECT_THAT(results[1].err, AllOf(HasSubstr("melisma: network: rank 2 of 3 ("), HasSubstr("another rank saves")));
  EXPECT_THAT(results[2].err, AllOf(HasSubstr("rank 0 of 3 (10.77.0.1:29500) is gone or out of reach"),
                                    HasSubstr("another rank saves")));
  const auto epoch = testing::load_json(checkpoint("cut") / "state.json")["epochs_done"].get<int>() + 1;
  const auto resumed = testing::run_program(
      folder(), {"train", "rvc", "--resume", "cut", "--epochs", std::to_string(epoch), "--processes", "3"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
}

TEST_F(SlowHosts, AHostThatNeverComesIsNamed) {
  const Hosts hosts(kHosts);
  if (!hosts.problem().empty()) GTEST_SKIP() << hosts.problem();
  std::vector<std::unique_ptr<ProgramRun>> runs;
  for (const int host : {0, 1}) {
    runs.push_back(hosts.run(host, folder() / ("early" + std::to_string(host)), words_of("early", {"--epochs", "1"})));
  }
  const auto first = runs[0]->finish(), second = runs[1]->finish();
  for (const auto& result : {first, second}) EXPECT_EQ(result.exit_code, 5) << result.err;
  const auto missing = HasSubstr("rank 2 of 3 did not come to 10.77.0.1:29500 within 4 s");
  EXPECT_THAT(first.err, missing);
  EXPECT_THAT(second.err, ::testing::AnyOf(missing, HasSubstr("rank 0 left 10.77.0.1:29500 before all 3 ranks had")));
  EXPECT_TRUE(run_folder("early").empty()) << "nothing was made";
}

}  // namespace
}  // namespace melisma
