// A sweep to its end with runs that are made up: what is queued when, who goes on, who wins, and that it can be left.
#include "experiments/sweeps/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "experiments/jobs/job_queue.h"
#include "experiments/runs/job_note.h"
#include "experiments/sweeps/leaderboard.h"
#include "tests/support/golden.h"
#include "tests/support/refusal.h"
#include "tools/base/atomic_file.h"
#include "tools/base/metrics_file.h"
#include "tools/base/table.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal_of;
using testing::TemporaryFolder;

// A recipe of four settings.
struct SmallRecipe {
  struct Trainer {
    std::int64_t epochs = 27;
    std::uint64_t seed = 100;
    static constexpr auto fields() {
      return std::tuple{field("epochs", &Trainer::epochs, "epochs").at_least(1), field("seed", &Trainer::seed, "seed")};
    }
  } trainer;
  struct Overtraining {
    std::string metric = "distance";
    static constexpr auto fields() { return std::tuple{field("metric", &Overtraining::metric, "metric")}; }
  } overtraining;
  double lr = 0.5;
  std::int64_t width = 4;
  static constexpr auto fields() {
    return std::tuple{field("lr", &SmallRecipe::lr, "lr").range(0, 1),
                      field("width", &SmallRecipe::width, "width").range(1, 64),
                      field("trainer", &SmallRecipe::trainer, "trainer"),
                      field("overtraining", &SmallRecipe::overtraining, "overtraining")};
  }
};

RecipeSettings open_small(const std::string& name) {
  if (name != "small") fail(ErrorKind::usage, "no recipe {}", name);
  auto owner = std::make_shared<SmallRecipe>();
  return {owner, schema_of(*owner)};
}

SweepPlan plan_of(SweepConfig config, const std::vector<std::string>& over, const std::string& base = "") {
  config.name = config.name.empty() ? "s" : config.name;
  config.recipe = "small";
  config.dataset = "d";
  std::vector<SearchKey> keys;
  for (const auto& text : over) keys.push_back(parse_search_key(text));
  return plan_sweep(config, std::move(keys), base, open_small);
}

std::vector<std::pair<std::int64_t, std::int64_t>> pairs_of(const std::vector<SweepRung>& rungs) {
  std::vector<std::pair<std::int64_t, std::int64_t>> pairs;
  for (const auto& rung : rungs) pairs.emplace_back(rung.n_trials, rung.epochs);
  return pairs;
}

TEST(SweepPlan, HalvingKeepsAPartAndTrainsItLonger) {
  using Pair = std::pair<std::int64_t, std::int64_t>;
  EXPECT_THAT(pairs_of(halving_rungs(27, 27, 3, 0)), ElementsAre(Pair{27, 1}, Pair{9, 3}, Pair{3, 9}, Pair{1, 27}));
  EXPECT_THAT(pairs_of(halving_rungs(5, 100, 2, 10)), ElementsAre(Pair{5, 10}, Pair{3, 20}, Pair{2, 40}, Pair{1, 100}));
  EXPECT_THAT(pairs_of(halving_rungs(1, 8, 3, 0)), ElementsAre(Pair{1, 8}));
  EXPECT_THAT(pairs_of(halving_rungs(9, 4, 3, 3)), ElementsAre(Pair{9, 3}, Pair{3, 4}, Pair{1, 4}));
}

TEST(SweepPlan, EveryCombinationIsTriedOnTheRecipeBeforeAnythingRuns) {
  const auto plan = plan_of({}, {"lr=0.1,0.2", "width=2,4,8"});
  ASSERT_EQ(plan.trials.size(), 6u);
  EXPECT_EQ(plan.trials[3].name, "t004");
  EXPECT_THAT(plan.trials[3].settings, ElementsAre("lr=0.2", "width=2"));
  EXPECT_EQ(plan.metric, "distance");
  EXPECT_EQ(plan.rungs[0].epochs, 27);
  const auto refused = [](const std::vector<std::string>& over) {
    return refusal_of(ErrorKind::config, [&] { (void)plan_of({}, over); });
  };
  EXPECT_THAT(refused({"lr=0.1,7", "width=1..99"}), ::testing::AllOf(HasSubstr("--over lr=7"), HasSubstr("width=99")));
  EXPECT_THAT(refused({"widht=1,2"}), HasSubstr("'width'"));
  EXPECT_THAT(refused({"width=2.5"}), HasSubstr("integer"));
}

TEST(SweepPlan, RefusesWhatCannotBeCompared) {
  const auto refused = [](SweepConfig config, const std::vector<std::string>& over) {
    return refusal_of(ErrorKind::usage, [&] { (void)plan_of(config, over); });
  };
  EXPECT_THAT(refused({}, {}), HasSubstr("needs something to vary"));
  EXPECT_THAT(refused({}, {"lr=0.1", "lr=0.2"}), HasSubstr("lr is varied twice"));
  EXPECT_THAT(refused({}, {"trainer.epochs=1,2"}), HasSubstr("the same chance"));
  EXPECT_THAT(refused({}, {"trainer.seed=1,2"}), HasSubstr("`seeds`"));
  EXPECT_THAT(refused({}, {"lr=0.1..0.2"}), HasSubstr("a grid needs values"));
  EXPECT_THAT(refused({.name = "a b"}, {"lr=0.1"}), HasSubstr("cannot name a run"));
}

TEST(SweepPlan, WhatAllShareCountsForTheLengthAndTheMetric) {
  SweepConfig config;
  config.set = {"trainer.epochs=9"};
  const auto plan = plan_of(config, {"lr=0.1"}, "[overtraining]\nmetric = \"other\"\n");
  EXPECT_EQ(plan.rungs[0].epochs, 9);
  EXPECT_EQ(plan.metric, "other");
}

// A workspace in which jobs of a sweep are done by hand: a training writes held-out scores that follow from its
// settings.
class SweepTest : public ::testing::Test {
 protected:
  [[nodiscard]] JobQueue queue() const { return JobQueue(folder / "w"); }
  SweepState advance(const Sweep& sweep) const {
    auto queue = this->queue();
    const auto engine = make_job_engine("local", queue, {});
    return sweep.advance(queue, *engine, {});
  }
  static std::string after(const std::vector<std::string>& words, const std::string& option) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i] == option) return words[i + 1];
    }
    return "";
  }
  // The held-out score of an epoch: falls towards (lr - 0.3)^2, the slower the wider.
  static double score_of(double lr, double width, std::int64_t epoch) {
    return (lr - 0.3) * (lr - 0.3) + width / static_cast<double>(epoch);
  }
  void train(const Job& job) {
    const auto& words = job.request.words;
    const auto epochs = std::stoll(after(words, "--epochs"));
    double lr = 0.5, width = 4;
    fs::path place = after(words, "--resume");
    if (place.empty()) {
      for (const auto& word : words) {
        if (word.starts_with("lr=")) lr = std::stod(word.substr(3));
        if (word.starts_with("width=")) width = std::stod(word.substr(6));
      }
      place =
          Run::create(folder / "w", after(words, "--name"), "1", fmt::format("lr = {}\nwidth = {}\n", lr, width), {})
              .folder();
    }
    const auto run = Run::open(folder / "w", place.string());
    std::sscanf(run.config_toml().c_str(), "lr = %lf\nwidth = %lf", &lr, &width);
    auto status = run.status();
    MetricsFileSink metrics(run.metrics());
    for (auto epoch = status.epoch + 1; epoch <= epochs; ++epoch) {
      metrics.receive(ScalarsEvent{.step = epoch,
                                   .epoch = epoch,
                                   .phase = "validation",
                                   .values = {{"validation/distance", score_of(lr, width, epoch)}}});
    }
    status.epoch = epochs;
    run.set_status(status);
    fs::create_directories(queue().files(job.id).folder);
    ::setenv(kJobFolderVariable, queue().files(job.id).folder.c_str(), 1);
    note_run_of_job(run.folder());
    ::unsetenv(kJobFolderVariable);
  }
  // Does every queued job; how many there were.
  int do_jobs(const std::function<bool(const Job&)>& fails = {}) {
    int n = 0;
    auto queue = this->queue();
    while (auto claimed = queue.claim("cpu")) {
      const auto& job = claimed->job;
      done.push_back(job);
      ++n;
      const bool is_failing = fails && fails(job);
      if (!is_failing && job.request.words[0] == "train") train(job);
      if (!is_failing && job.request.words[0] == "evaluate") {
        const auto mean = 0.01 * static_cast<double>(job.id);
        write_file_atomically(
            after(job.request.words, "-o"),
            fmt::format(R"({{"candidates":[{{"metrics":{{"distance":{{"mean":{},"low":{},"high":{}}}}}}}]}})", mean,
                        mean - 0.001, mean + 0.001));
      }
      queue.end(job, {.is_known = true, .exit_code = is_failing ? 3 : 0});
    }
    return n;
  }
  std::vector<std::string> names_done() const {
    std::vector<std::string> names;
    for (const auto& job : done) names.push_back(job.request.name);
    return names;
  }

  TemporaryFolder folder;
  std::vector<Job> done;
};

TEST_F(SweepTest, AGridTrainsEveryCombinationAndTheBaselineAndTestsTheBest) {
  const auto sweep = Sweep::start(folder / "w", plan_of({}, {"lr=0.15,0.35,0.9"}), "");
  EXPECT_EQ(advance(sweep), SweepState::submitted);
  EXPECT_EQ(advance(sweep), SweepState::working);
  EXPECT_EQ(do_jobs(), 4);
  EXPECT_EQ(advance(sweep), SweepState::submitted);
  EXPECT_EQ(do_jobs(), 2);
  EXPECT_THAT(names_done(), ElementsAre("s baseline", "s t001", "s t002", "s t003", "s t002 test", "s baseline test"));
  EXPECT_EQ(advance(sweep), SweepState::finished);
  EXPECT_EQ(sweep.winner(queue())->name, "t002");
  EXPECT_EQ(after(done[4].request.words, "--split"), "test");
  EXPECT_EQ(done[4].request.words[1], Run::open(folder / "w", "s-t002").folder());
  EXPECT_THAT(done[1].request.words, ::testing::IsSupersetOf({"--name", "s-t001", "lr=0.15", "27"}));

  const auto standing = sweep.standing(queue());
  ASSERT_EQ(standing.size(), 4u);
  EXPECT_EQ(standing[0].trial.name, "t002");
  EXPECT_DOUBLE_EQ(standing[0].mean(), score_of(0.35, 4, 27));
  EXPECT_TRUE(standing[0].test && standing[0].state == "done");
  EXPECT_EQ(standing[1].trial.name, "t001");
  EXPECT_EQ(standing[2].trial.name, "baseline");
  EXPECT_TRUE(standing[2].test);
  EXPECT_FALSE(standing[1].test);
}

TEST_F(SweepTest, HalvingGoesOnWithTheBestFromWhereTheyAre) {
  SweepConfig config;
  config.method = "halving";
  config.trials = 9;
  const auto sweep = Sweep::start(folder / "w", plan_of(config, {"lr=0..1"}), "");
  advance(sweep);
  EXPECT_EQ(do_jobs(), 10);
  // Those nearest to the best learning rate go on.
  std::vector<std::pair<double, std::string>> by_score;
  for (const auto& trial : sweep.plan().trials) {
    by_score.emplace_back(score_of(std::stod(trial.settings[0].substr(3)), 4, 1), trial.name);
  }
  std::ranges::sort(by_score);
  advance(sweep);
  EXPECT_EQ(do_jobs(), 3);
  std::set<std::string> second;
  for (std::size_t i = 10; i < 13; ++i) {
    second.insert(done[i].request.name);
    EXPECT_EQ(done[i].request.words[2], "--resume");
    EXPECT_EQ(done[i].request.words.back(), "9");
  }
  EXPECT_EQ(second, (std::set<std::string>{"s " + by_score[0].second + " rung 2", "s " + by_score[1].second + " rung 2",
                                           "s " + by_score[2].second + " rung 2"}));
  advance(sweep);
  EXPECT_EQ(do_jobs(), 1);
  EXPECT_EQ(done.back().request.words.back(), "27");
  advance(sweep);
  EXPECT_EQ(do_jobs(), 2);
  EXPECT_EQ(advance(sweep), SweepState::finished);
  EXPECT_EQ(sweep.winner(queue())->name, by_score[0].second);
  const auto standing = sweep.standing(queue());
  EXPECT_EQ(standing[0].rungs_done, 3);
  EXPECT_EQ(standing.back().state, "dropped");
}

// Scores of a rung are those of its epochs, though the survivors have trained on since.
TEST_F(SweepTest, ASelectionThatWasMadeStaysAsItWas) {
  SweepConfig config;
  config.method = "halving";
  config.trials = 6;
  config.reduction = 3;
  config.set = {"trainer.epochs=30"};
  const auto sweep = Sweep::start(folder / "w", plan_of(config, {"lr=0..1", "width=1..40"}), "");
  for (int round = 0; round < 10 && advance(sweep) != SweepState::finished; ++round) {
    const auto reopened = Sweep::open(folder / "w", "s", open_small);  // left and gone on with
    EXPECT_EQ(advance(reopened), SweepState::working);
    do_jobs();
  }
  const auto names = names_done();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());  // nothing was done twice
  EXPECT_EQ(names.size(), 6u + 1 + 2 + 1 + 2);
}

TEST_F(SweepTest, TrialsThatFailAreShownAndHoldNothingUp) {
  const auto sweep = Sweep::start(folder / "w", plan_of({}, {"lr=0.1,0.3"}), "");
  advance(sweep);
  do_jobs([](const Job& job) { return job.request.name == "s t002"; });
  advance(sweep);
  do_jobs();
  EXPECT_EQ(advance(sweep), SweepState::finished);
  EXPECT_EQ(sweep.winner(queue())->name, "t001");
  EXPECT_EQ(sweep.standing(queue()).back().state, "failed");
}

TEST_F(SweepTest, ASweepOfNothingButFailuresHasNoWinner) {
  const auto sweep = Sweep::start(folder / "w", plan_of({}, {"lr=0.1,0.3"}), "");
  advance(sweep);
  do_jobs([](const Job&) { return true; });
  EXPECT_EQ(advance(sweep), SweepState::finished);
  EXPECT_FALSE(sweep.winner(queue()));
}

TEST_F(SweepTest, SeedsAreAveragedAndTheFirstOneIsTested) {
  SweepConfig config;
  config.seeds = 2;
  const auto sweep = Sweep::start(folder / "w", plan_of(config, {"lr=0.1,0.3"}), "");
  advance(sweep);
  EXPECT_EQ(do_jobs(), 6);
  EXPECT_THAT(done[2].request.words, ::testing::IsSupersetOf({"s-t001-s1", "trainer.seed=100"}));
  EXPECT_THAT(done[3].request.words, ::testing::IsSupersetOf({"s-t001-s2", "trainer.seed=101"}));
  EXPECT_EQ(sweep.standing(queue())[0].scores.size(), 2u);
  advance(sweep);
  do_jobs();
  EXPECT_THAT(done[6].request.words[1], HasSubstr("s-t002-s1"));
}

TEST_F(SweepTest, AnotherSweepOfTheSameNameIsRefused) {
  Sweep::start(folder / "w", plan_of({}, {"lr=0.1"}), "");
  Sweep::start(folder / "w", plan_of({}, {"lr=0.1"}), "");
  EXPECT_THAT(refusal_of(ErrorKind::usage, [&] { Sweep::start(folder / "w", plan_of({}, {"lr=0.2"}), ""); }),
              HasSubstr("is there already with other settings"));
  EXPECT_THAT(refusal_of(ErrorKind::usage, [&] { Sweep::open(folder / "w", "z", open_small); }),
              HasSubstr("unknown sweep 'z'"));
  EXPECT_THAT(Sweep::list(folder / "w"), ElementsAre("s"));
}

TEST_F(SweepTest, TheLeaderboardSaysWhatMayBeConcluded) {
  const auto sweep = Sweep::start(folder / "w", plan_of({}, {"lr=0.1,0.3"}), "");
  advance(sweep);
  EXPECT_FALSE(leaderboard_of(sweep, queue()).winner);
  do_jobs();
  advance(sweep);
  do_jobs();  // the winner's test comes before the baseline's: its number is smaller by more than the intervals
  const auto board = leaderboard_of(sweep, queue());
  const auto text = to_table(board);
  for (const auto* part :
       {"t002", "baseline", "as all trials share", "It is the best of 2, so that number flatters it.",
        "Their intervals are apart: it is better."}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  const auto json = to_json(board);
  EXPECT_EQ(json["winner"], "t002");
  EXPECT_EQ(json["trials"].size(), 3u);
  EXPECT_EQ(json["trials"][0]["test"]["mean"], 0.04);
  const auto page = leaderboard_html(board, folder / "w");
  EXPECT_THAT(page, HasSubstr("Sweep s"));
  EXPECT_THAT(page, HasSubstr("<svg"));
  EXPECT_EQ(page.find("<script"), std::string::npos);
}

}  // namespace
}  // namespace melisma
