// A workspace with the dataset "mara" for tests that train with the real program.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "tests/cli/tiny_voice.h"

namespace melisma::testing {

// One workspace for all tests of a suite: each test names its own runs.
class Training : public ::testing::Test {
 protected:
  using Words = std::vector<std::string>;

  static void SetUpTestSuite() {
    shared_ = std::make_unique<TemporaryFolder>();
    write_recordings(folder() / "in", "mara", 6);
    write_file_atomically(folder() / "tiny.toml", kTinyVoice);
    const auto made = run_program(folder(), {"prepare", "in", "--name", "mara", "--pitch", "yin"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  static void TearDownTestSuite() { shared_.reset(); }

  // train rvc <more...>
  static Words words(const Words& more) {
    Words all{"train", "rvc"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  static ProgramResult train(const Words& more) { return run_program(folder(), words(more)); }
  static Words tiny_words(const std::string& name, const Words& more = {}) {
    Words all{"--dataset", dataset_file("mara").string(), "--config", "tiny.toml", "--name", name};
    all.insert(all.end(), more.begin(), more.end());
    return words(all);
  }
  static ProgramResult train_tiny(const std::string& name, const Words& more = {}) {
    return run_program(folder(), tiny_words(name, more));
  }

  static const std::filesystem::path& folder() { return shared_->path(); }
  static std::filesystem::path dataset_file(const std::string& name) {
    return folder() / "melisma-workspace/datasets" / (name + ".h5");
  }
  // Of the run `name`; empty if there is none.
  static std::filesystem::path run_folder(const std::string& name) {
    std::error_code absent;
    for (const auto& item : std::filesystem::directory_iterator(folder() / "melisma-workspace/runs", absent)) {
      if (item.path().filename().string().starts_with(name + "-")) return item.path();
    }
    return {};
  }
  // Whether a checkpoint of the run `name` is complete.
  static bool has_checkpoint(const std::string& name) {
    const auto run = run_folder(name);
    std::error_code absent;
    for (const auto& entry : std::filesystem::directory_iterator(run.empty() ? run : run / "checkpoints", absent)) {
      if (std::filesystem::exists(entry.path() / "DONE")) return true;
    }
    return false;
  }
  // The newest checkpoint of the run `name`.
  static std::filesystem::path checkpoint(const std::string& name) {
    const auto index = load_json(run_folder(name) / "checkpoints/index.json");
    return run_folder(name) / "checkpoints" / index["checkpoints"].back()["folder"].get<std::string>();
  }
  static nlohmann::json status(const std::string& name) { return load_json(run_folder(name) / "status.json"); }

  // The last line on stderr is the error.
  static void expect_error(const ProgramResult& result, int exit_code, const std::string& message) {
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_THAT("\n" + result.err, ::testing::EndsWith("\nmelisma: " + message + "\n"));
  }

 private:
  static inline std::unique_ptr<TemporaryFolder> shared_;
};

}  // namespace melisma::testing
