// Damaged files by the thousand: every one must be read or refused, never crash, hang or reach outside its bytes (run
// under the asan preset for the last).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "models/weights/model_file.h"
#include "models/weights/pth_file.h"
#include "models/weights/safetensors.h"
#include "tests/support/golden.h"
#include "tools/base/error.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using melisma::testing::golden_files;
using melisma::testing::Lcg;
using melisma::testing::TemporaryFolder;

std::string bytes_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  // One to four changes: a bit, a byte, a 64-bit number, a cut, a repeated or a missing part.
  std::string operator()(std::string bytes) {
    const auto n_changes = 1 + below(4);
    for (std::size_t i = 0; i < n_changes && !bytes.empty(); ++i) change(bytes);
    return bytes;
  }

 private:
  std::size_t below(std::size_t limit) { return (random_.next_state() >> 8) % limit; }

  void change(std::string& bytes) {
    const auto at = below(bytes.size());
    const auto length = std::min(bytes.size() - at, 1 + below(64));
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        return;
      case 1:
        bytes[at] = static_cast<char>(below(256));
        return;
      case 2:
        for (std::size_t i = at; i < std::min(at + 8, bytes.size()); ++i) bytes[i] = below(2) == 0 ? '\xff' : '\0';
        return;
      case 3:
        bytes.resize(at);
        return;
      case 4:
        bytes.insert(at, bytes.substr(at, length));
        return;
      default:
        bytes.erase(at, length);
    }
  }

  Lcg random_;
};

// Reads every tensor it gets, so that a view outside the file would be noticed.
void read_wholly(const fs::path& path) {
  const auto model = read_model(path);
  double sum = 0;
  for (const auto& [name, tensor] : model.weights) {
    if (tensor.numel() > 0 && !tensor.is_complex()) sum += tensor.to(at::kDouble).sum().item<double>();
  }
  EXPECT_FALSE(std::isinf(sum) && model.weights.size() == 0);
}

void try_mutations(const std::vector<std::string>& originals, int n_each, std::uint32_t seed) {
  const TemporaryFolder folder;
  Mutator mutate(seed);
  int n_read = 0, n_refused = 0;
  for (const auto& original : originals) {
    for (int i = 0; i < n_each; ++i) {
      const auto path = folder / "file";
      std::ofstream(path, std::ios::binary) << mutate(original);
      try {
        read_wholly(path);
        ++n_read;
      } catch (const Error& error) {
        ++n_refused;
        ASSERT_TRUE(error.kind() == ErrorKind::checkpoint) << error.what();
      }
    }
  }
  EXPECT_GT(n_refused, 0);
  EXPECT_GT(n_read, 0) << "mutations that leave a file readable are part of the test";
}

TEST(SlowFuzz, DamagedSafetensorsFilesAreReadOrRefused) {
  const auto found = golden_files("quant/safetensors", "", ".safetensors");
  if (!found.has_topic) GTEST_SKIP();
  std::vector<std::string> originals;
  for (const auto& path : found.files) originals.push_back(bytes_of(path));
  try_mutations(originals, 300, 1);
}

TEST(SlowFuzz, DamagedPthFilesAreReadOrRefused) {
  const auto found = golden_files("rvc/files", "evil_", ".pth");
  if (!found.has_topic) GTEST_SKIP();
  std::vector<std::string> originals;
  for (const auto& path : found.files) originals.push_back(bytes_of(path));
  const TemporaryFolder folder;
  auto weights = std::make_shared<PickleDict>();
  weights->set("a", at::arange(6, at::kFloat).view({2, 3}));
  weights->set("b", at::ones({4}, at::kHalf));
  auto root = std::make_shared<PickleDict>();
  root->is_ordered = true;
  root->set("weight", weights);
  root->set("sr", std::int64_t{40000});
  write_pth(folder / "good.pth", root);
  originals.push_back(bytes_of(folder / "good.pth"));
  try_mutations(originals, 2000, 2);
}

TEST(SlowFuzz, DamageInsideThePicklesOfRealFilesIsReadOrRefused) {
  const auto found = golden_files("rvc/files", "voice_legacy", ".pth");
  if (!found.has_topic || found.files.empty()) GTEST_SKIP();
  try_mutations({bytes_of(found.files.front())}, 1500, 3);
}

}  // namespace
}  // namespace melisma
