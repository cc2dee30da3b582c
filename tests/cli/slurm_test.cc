// Jobs on a real Slurm of one node, which the suite starts: munged, slurmctld and slurmd with a configuration of their
// own. It needs root and Debian's slurmctld, slurmd, slurm-client and munge, and says so where it has not.
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "tests/cli/training.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::ProgramRun;
using testing::TemporaryFolder;
using Words = std::vector<std::string>;

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  char piece[4096];
  while (const auto n = std::fread(piece, 1, sizeof(piece), pipe)) text.append(piece, n);
  ::pclose(pipe);
  return text;
}

bool wait_until(const std::function<bool()>& is_so) {
  for (int i = 0; i < 600; ++i) {
    if (is_so()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return false;
}

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  socklen_t size = sizeof(address);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(socket);
  return ntohs(address.sin_port);
}

// A daemon in the foreground, which ends with the test.
class Daemon {
 public:
  Daemon(const std::string& command, const fs::path& log) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(file, STDOUT_FILENO);
    ::dup2(file, STDERR_FILENO);
    ::execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
    ::_exit(127);
  }
  ~Daemon() {
    ::kill(pid_, SIGTERM);
    for (int i = 0; i < 100 && ::waitpid(pid_, nullptr, WNOHANG) == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, WNOHANG);
  }

 private:
  pid_t pid_;
};

// Why there can be no cluster; empty if there can.
std::string missing() {
  if (::geteuid() != 0) return "slurmctld and slurmd are started as root, and this is another user";
  for (const auto* program : {"munged", "slurmctld", "slurmd", "sbatch"}) {
    if (output_of(std::string("command -v ") + program).empty()) {
      return std::string(program) + " is not installed: apt-get install slurmctld slurmd slurm-client munge";
    }
  }
  return {};
}

class Cluster {
 public:
  Cluster() {
    fs::permissions(folder_.path(), fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec |
                                        fs::perms::group_read | fs::perms::others_read);
    for (const auto* part : {"munge", "state", "spool"}) fs::create_directory(folder_ / part);
    write_file_atomically(folder_ / "munge/key", std::string(256, 'k'));
    for (const auto* secret : {"munge", "munge/key"}) fs::permissions(folder_ / secret, fs::perms::owner_all);
    fs::permissions(folder_ / "munge/key", fs::perms::owner_read);
    write_configuration();
    ::setenv("SLURM_CONF", (folder_ / "slurm.conf").c_str(), 1);
    const auto munge = (folder_ / "munge").string();
    munged_ = std::make_unique<Daemon>("munged --foreground --force --key-file=" + munge + "/key --socket=" + munge +
                                           "/socket --pid-file=" + munge + "/pid --seed-file=" + munge +
                                           "/seed --log-file=" + munge + "/log",
                                       folder_ / "munged.txt");
    is_up_ = wait_until([&] { return fs::exists(folder_ / "munge/socket"); });
    controller_ = std::make_unique<Daemon>("slurmctld -D -c", folder_ / "slurmctld.txt");
    node_ = std::make_unique<Daemon>("slurmd -D", folder_ / "slurmd.txt");
    is_up_ = is_up_ && wait_until([] { return output_of("sinfo --noheader --format=%T").starts_with("idle"); });
  }
  ~Cluster() {
    (void)output_of("scancel --user=root");
    (void)wait_until([] { return output_of("squeue --noheader").empty(); });
    ::unsetenv("SLURM_CONF");
  }
  [[nodiscard]] bool is_up() const { return is_up_; }
  [[nodiscard]] std::string what_it_says() const {
    return output_of("tail -n 5 " + folder_.path().string() + "/*.txt " + folder_.path().string() + "/munge/log");
  }

 private:
  void write_configuration() const {
    const auto here = folder_.path().string();
    char host[256] = {};
    ::gethostname(host, sizeof(host) - 1);
    const std::string name = std::string(host).substr(0, std::string(host).find('.'));
    write_file_atomically(folder_ / "gpu0", "");
    write_file_atomically(folder_ / "gres.conf", "NodeName=" + name + " Name=gpu File=" + here + "/gpu0\n");
    write_file_atomically(
        folder_ / "slurm.conf",
        "ClusterName=one\nSlurmctldHost=" + name + "(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\n" +
            "AuthType=auth/munge\nAuthInfo=socket=" + here +
            "/munge/socket\nSlurmctldPort=" + std::to_string(free_port()) +
            "\nSlurmdPort=" + std::to_string(free_port()) + "\nStateSaveLocation=" + here +
            "/state\nSlurmdSpoolDir=" + here + "/spool\nSlurmctldPidFile=" + here + "/ctld.pid\nSlurmdPidFile=" + here +
            "/slurmd.pid\nProctrackType=proctrack/pgid\nTaskPlugin=task/none\nSelectType=select/cons_tres\n" +
            "SelectTypeParameters=CR_Core\nReturnToService=2\nKillWait=30\nGresTypes=gpu\nJobCompType=jobcomp/none\n" +
            "SchedulerParameters=batch_sched_delay=0,sched_min_interval=0\nNodeName=" + name +
            " NodeAddr=127.0.0.1 CPUs=2 Gres=gpu:1 State=UNKNOWN\nPartitionName=main Nodes=" + name +
            " Default=YES MaxTime=INFINITE State=UP\n");
  }

  TemporaryFolder folder_;
  std::unique_ptr<Daemon> munged_, controller_, node_;
  bool is_up_ = false;
};

class SlowSlurm : public testing::Training {
 protected:
  static void SetUpTestSuite() {
    if (!missing().empty()) return;
    testing::Training::SetUpTestSuite();
    cluster_ = std::make_unique<Cluster>();
  }
  static void TearDownTestSuite() {
    cluster_.reset();
    if (missing().empty()) testing::Training::TearDownTestSuite();
  }
  void SetUp() override {
    if (const auto why = missing(); !why.empty()) GTEST_SKIP() << why;
    ASSERT_TRUE(cluster_->is_up()) << cluster_->what_it_says();
  }
  static ProgramResult program(const Words& more) { return ProgramRun(folder(), more).finish(); }
  static nlohmann::json shown(const std::string& id) {
    const auto result = program({"jobs", "show", id, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }
  static std::string submit(const Words& options, const Words& job) {
    Words words{"jobs", "submit", "--json", "--set", "engine=slurm"};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("--");
    words.insert(words.end(), job.begin(), job.end());
    const auto result = program(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out)["id"].dump();
  }
  static bool comes_to(const std::string& id, const std::string& state) {
    return wait_until([&] { return shown(id)["state"] == state; });
  }

 private:
  static inline std::unique_ptr<Cluster> cluster_;
};

TEST_F(SlowSlurm, JobsRunAndWaitForEachOtherAndAreSkippedAfterAFailure) {
  const auto good = submit({}, {"runs", "list"});
  const auto after_good = submit({"--after", good}, {"runs", "list"});
  const auto bad = submit({}, {"runs", "show", "nobody"});
  const auto after_bad = submit({"--after", bad}, {"runs", "list"});
  EXPECT_TRUE(comes_to(after_good, "done")) << shown(after_good);
  EXPECT_EQ(shown(good)["state"], "done");
  EXPECT_THAT(program({"jobs", "log", good}).out, HasSubstr("== job " + good + ", start 1, on "));
  EXPECT_TRUE(comes_to(after_bad, "skipped")) << shown(after_bad);
  EXPECT_EQ(shown(bad)["reason"], "exit code 2");
  EXPECT_EQ(program({"jobs", "retry", bad}).exit_code, 0);
  EXPECT_TRUE(wait_until([&] { return shown(bad)["starts"] == 2 && shown(bad)["state"] == "failed"; })) << shown(bad);
}

TEST_F(SlowSlurm, ACancelledTrainingOnAGpuSavesFirst) {
  const auto id = submit({"--set", "slurm.gres=gpu:1"}, tiny_words("cancelled", {"--epochs", "500"}));
  ASSERT_TRUE(wait_until([] { return has_checkpoint("cancelled"); })) << shown(id);
  const auto job = shown(id);
  EXPECT_EQ(job["state"], "running");
  EXPECT_THAT(output_of("scontrol show job " + job["cluster_id"].get<std::string>()), HasSubstr("gpu:1"));
  EXPECT_EQ(program({"jobs", "cancel", id}).exit_code, 0);
  EXPECT_TRUE(comes_to(id, "cancelled")) << shown(id);
  EXPECT_EQ(status("cancelled")["state"], "interrupted");
}

TEST_F(SlowSlurm, ARequeuedTrainingGoesOnFromItsLastCheckpoint) {
  const auto id = submit({}, tiny_words("requeued", {"--epochs", "30"}));
  ASSERT_TRUE(wait_until([] { return has_checkpoint("requeued"); })) << shown(id);
  const auto in_cluster = shown(id)["cluster_id"].get<std::string>();
  EXPECT_EQ(output_of("scontrol requeue " + in_cluster), "");
  // A requeued job would be held back for two minutes.
  EXPECT_TRUE(wait_until([&] {
    return output_of("squeue --noheader --format=%T --jobs=" + in_cluster).starts_with("PENDING") &&
           output_of("scontrol update JobId=" + in_cluster + " StartTime=now").empty();
  }));
  EXPECT_TRUE(comes_to(id, "done")) << shown(id);
  EXPECT_THAT(program({"jobs", "log", id}).out, HasSubstr("--resume " + run_folder("requeued").string()));
  EXPECT_EQ(status("requeued")["state"], "finished");
  EXPECT_EQ(status("requeued")["epoch"], 30);
}

TEST_F(SlowSlurm, ASweepIsAJobArray) {
  const auto result =
      program({"sweep", "run", "--name", "lr", "--dataset", "mara", "--config", "tiny.toml", "--over",
               "losses.mel=15,45", "--set", "trainer.epochs=1", "--no-test", "--jobs-set", "engine=slurm", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out)["trials"].size(), 3u);
  const auto jobs = nlohmann::json::parse(program({"jobs", "list", "--group", "sweep lr", "--json"}).out);
  ASSERT_EQ(jobs.size(), 3u);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_EQ(jobs[i]["state"], "done");
    EXPECT_THAT(jobs[i]["cluster_id"].get<std::string>(), EndsWith("_" + std::to_string(i)));
  }
}

TEST_F(SlowSlurm, WhatTheClusterRefusesIsSaidAndNotQueued) {
  const auto result =
      program({"jobs", "submit", "--set", "engine=slurm", "--set", "slurm.partition=nowhere", "--", "runs", "list"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.err, HasSubstr("melisma: device: sbatch refuses"));
  const auto jobs = nlohmann::json::parse(program({"jobs", "list", "--json"}).out);
  EXPECT_EQ(jobs.back()["state"], "cancelled");
}

}  // namespace
}  // namespace melisma
