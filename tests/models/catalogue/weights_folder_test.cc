#include "models/catalogue/weights_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using testing::TemporaryFolder;

// A folder of weights of the test's own.
class WeightsFolder : public ::testing::Test {
 protected:
  WeightsFolder() { ::setenv("MELISMA_WEIGHTS", folder_.path().c_str(), 1); }
  ~WeightsFolder() override { ::unsetenv("MELISMA_WEIGHTS"); }
  TemporaryFolder folder_;
};

TEST_F(WeightsFolder, FilesAreFoundByPathOrByNameInIt) {
  write_file_atomically(folder_ / "some.pt", "x");
  EXPECT_EQ(find_weights("some.pt"), folder_ / "some.pt");
  EXPECT_EQ(find_weights((folder_ / "some.pt").string()), folder_ / "some.pt");
  try {
    (void)find_weights("other.pt");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::checkpoint);
    EXPECT_THAT(error.message(), HasSubstr("there are no weights 'other.pt'"));
    EXPECT_THAT(error.message(), HasSubstr(folder_.path().string()));
  }
}

TEST_F(WeightsFolder, FilesAreFoundByWhatTheyHold) {
  const auto abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";  // FIPS 180-2, B.1
  EXPECT_EQ(weights_with_sha256(abc), std::nullopt);
  write_file_atomically(folder_ / "text.md", "abc");
  EXPECT_EQ(weights_with_sha256(abc), std::nullopt) << "no weights by their name";
  std::filesystem::create_directories(folder_ / "contentvec");
  write_file_atomically(folder_ / "contentvec/pytorch_model.bin", "abc");
  EXPECT_EQ(weights_with_sha256(abc), folder_ / "contentvec/pytorch_model.bin");
}

TEST_F(WeightsFolder, AnAbsentFolderHoldsNothing) {
  ::setenv("MELISMA_WEIGHTS", (folder_ / "absent").c_str(), 1);
  EXPECT_EQ(weights_with_sha256(std::string(64, '0')), std::nullopt);
}

TEST_F(WeightsFolder, AChangedFileIsHashedAgain) {
  write_file_atomically(folder_ / "some.pt", "abc");
  const auto first = sha256_of_weights(folder_ / "some.pt");
  EXPECT_EQ(sha256_of_weights(folder_ / "some.pt"), first);
  const auto written = std::filesystem::last_write_time(folder_ / "some.pt");
  write_file_atomically(folder_ / "some.pt", "abd");
  std::filesystem::last_write_time(folder_ / "some.pt", written + std::chrono::seconds(2));
  EXPECT_NE(sha256_of_weights(folder_ / "some.pt"), first);
}

}  // namespace
}  // namespace melisma
