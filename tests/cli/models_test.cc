// `melisma models` against a local web server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/cli/program_run.h"
#include "tests/support/file_server.h"
#include "tools/base/atomic_file.h"
#include "tools/base/hash.h"

namespace melisma {
namespace {
using testing::FileServer;
using ::testing::HasSubstr;
using testing::ProgramResult;
using testing::TemporaryFolder;
using Words = std::vector<std::string>;

class ModelsCommand : public ::testing::Test {
 protected:
  ModelsCommand() { ::setenv("MELISMA_WEIGHTS", weights_.path().c_str(), 1); }
  ~ModelsCommand() override { ::unsetenv("MELISMA_WEIGHTS"); }
  ProgramResult run(Words words) const {
    words.insert(words.begin(), "models");
    return testing::run_program(folder_.path(), words);
  }
  // A row of the user's for /path of the server.
  void add(const std::string& name, const std::string& path) const {
    const auto result =
        run({"add", name, "--url", server_.address() + path, "--path", name + ".pt", "--size",
             std::to_string(server_.content().size()), "--sha256", sha256(server_.content()), "--for", "a test"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  std::string state_of(const std::string& name) const {
    const auto result = run({"list", name, "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out).at(0).at("state");
  }
  std::string fetched(const std::string& name) const { return read_file(weights_ / (name + ".pt")); }

  TemporaryFolder folder_, weights_;
  FileServer server_{std::string(5000, 'w') + "eights"};
};

TEST_F(ModelsCommand, ListsTheCatalogue) {
  const auto result = run({"list"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("rmvpe"));
  EXPECT_THAT(result.out, HasSubstr("173 MiB"));
  EXPECT_THAT(result.out, HasSubstr("absent"));
}

TEST_F(ModelsCommand, FetchesWhatIsNamedAndVerifiesIt) {
  add("mine", "/moved");
  EXPECT_EQ(state_of("mine"), "absent");
  const auto result = run({"fetch", "mine"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("mine.pt: 4.9 KiB, SHA-256 as published"));
  EXPECT_EQ(fetched("mine"), server_.content());
  EXPECT_EQ(state_of("mine"), "present");
  EXPECT_THAT(run({"fetch", "mine"}).out, HasSubstr("mine.pt: already there"));
  EXPECT_EQ(run({"verify"}).exit_code, 0);
}

TEST_F(ModelsCommand, AConnectionThatEndsEarlyIsContinued) {
  add("mine", "/cut");
  const auto result = run({"fetch", "mine"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(fetched("mine"), server_.content());
}

TEST_F(ModelsCommand, OtherBytesAreRefused) {
  add("mine", "/other");
  const auto result = run({"fetch", "mine"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.err, HasSubstr("network: cannot fetch '" + (weights_ / "mine.pt").string() +
                                    "': " + server_.address() + "/other: its SHA-256 is "));
  EXPECT_FALSE(std::filesystem::exists(weights_ / "mine.pt"));
}

TEST_F(ModelsCommand, OneThatIsMissingKeepsNoOtherFromBeingFetched) {
  add("gone", "/missing");
  add("mine", "/good");
  const auto result = run({"fetch", "gone", "mine"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.err, HasSubstr("/missing: the server answers 404"));
  EXPECT_EQ(fetched("mine"), server_.content());
}

TEST_F(ModelsCommand, AMirrorIsAskedFirst) {
  add("mine", "/good");
  const auto at_mirror = run({"fetch", "mine", "--mirror", "http://127.0.0.1:1"});
  EXPECT_EQ(at_mirror.exit_code, 0) << "falls back to the row's own URL: " << at_mirror.err;
  EXPECT_EQ(run({"fetch", "mine", "--mirror", "a.org", "--replace"}).exit_code, 0) << "nothing is asked for";
  std::filesystem::remove(weights_ / "mine.pt");
  const auto wrong = run({"fetch", "mine", "--mirror", "a.org"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_EQ(wrong.err, "melisma: usage: the mirror 'a.org' is no http or https URL\n");
  const auto mirrored = run({"fetch", "rmvpe", "--mirror", server_.address() + "/missing"});
  EXPECT_THAT(
      mirrored.err,
      HasSubstr(server_.address() + "/missing/lj1995/VoiceConversionWebUI/resolve/main/rmvpe.pt: the server answers"));
}

TEST_F(ModelsCommand, OfflineFetchesNothingAndSaysWhatIsMissing) {
  add("mine", "/good");
  const auto result = run({"fetch", "mine", "--offline"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.err, HasSubstr("'" + (weights_ / "mine.pt").string() +
                                    "' is not there and nothing may be fetched (offline); put the file of SHA-256 " +
                                    sha256(server_.content()) + " there"));
  EXPECT_EQ(server_.n_requests(), 0);
}

TEST_F(ModelsCommand, AnotherFileIsFoundOutAndNotOverwrittenUnasked) {
  add("mine", "/good");
  write_file_atomically(weights_ / "mine.pt", std::string(server_.content().size(), '?'));
  const auto verified = run({"verify"});
  EXPECT_EQ(verified.exit_code, 3);
  EXPECT_THAT(verified.out, HasSubstr("another file (SHA-256)"));
  const auto refused = run({"fetch", "mine"});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err, HasSubstr("mine.pt' is another file; move it away, or --replace it with the published one"));
  EXPECT_EQ(run({"fetch", "mine", "--replace"}).exit_code, 0);
  EXPECT_EQ(fetched("mine"), server_.content());
}

TEST_F(ModelsCommand, AFileOfOnesOwnIsAddedByItsHash) {
  write_file_atomically(folder_ / "own.pth", "abc");
  const auto result = run({"add", "own", "--file", "own.pth", "--licence", "CC0"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(state_of("own"), "present");
  EXPECT_EQ(read_file(weights_ / "own.pth"), "abc");
  const auto again = run({"add", "own", "--file", "own.pth"});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_EQ(again.err, "melisma: usage: the catalogue has a 'own' already; choose another name, or --replace it\n");
}

TEST_F(ModelsCommand, NamesAreCorrected) {
  const auto result = run({"fetch", "rmpve"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("melisma: usage: unknown model 'rmpve'; did you mean 'rmvpe'? known: "));
  const auto half = run({"add", "x", "--url", "http://127.0.0.1/x"});
  EXPECT_EQ(half.exit_code, 2);
  EXPECT_EQ(half.err, "melisma: usage: a row needs --file, or else --url with --size and --sha256\n");
}

}  // namespace
}  // namespace melisma
