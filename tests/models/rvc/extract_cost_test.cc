// What extracting a full-size checkpoint costs, measured on the real program: time (printed), peak memory (checked).
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "models/rvc/tensor_shapes.h"
#include "models/weights/pth_file.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;
using melisma::testing::golden_folder;
using melisma::testing::TemporaryFolder;

struct ProgramCost {
  int exit_code = -1;
  double seconds = 0, cpu_seconds = 0;
  double peak_bytes = 0;
};

ProgramCost cost_of_extract(const std::vector<std::string>& arguments) {
  std::vector<const char*> words{std::getenv("MELISMA_BINARY"), "extract"};
  for (const auto& argument : arguments) words.push_back(argument.c_str());
  words.push_back(nullptr);
  const auto start = std::chrono::steady_clock::now();
  const auto child = ::fork();
  if (child == 0) {
    ::execv(words[0], const_cast<char* const*>(words.data()));
    ::_exit(127);
  }
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const auto cpu = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return {WEXITSTATUS(status), seconds.count(), cpu(usage.ru_utime) + cpu(usage.ru_stime),
          1024.0 * static_cast<double>(usage.ru_maxrss)};
}

// A checkpoint as Applio writes it: v2 at 40 kHz, 36 million weights with two optimizer moments each.
void write_full_checkpoint(const fs::path& path) {
  const auto shapes = rvc_tensor_shapes(rvc_v2_40k(), {});
  auto model = std::make_shared<PickleDict>(), optimizer = std::make_shared<PickleDict>();
  model->is_ordered = true;
  const auto numbers = [](at::IntArrayRef shape) {
    return TensorToWrite{"", shape.vec(), at::kFloat, [shape = shape.vec()] { return at::randn(shape).mul_(0.02); }};
  };
  for (const auto& [name, tensor] : shapes) {
    model->set(name, numbers(tensor.sizes()));
    auto moments = std::make_shared<PickleDict>();
    moments->set("exp_avg", numbers(tensor.sizes()));
    moments->set("exp_avg_sq", numbers(tensor.sizes()));
    optimizer->set(name, moments);
  }
  auto root = std::make_shared<PickleDict>();
  root->set("model", model);
  root->set("iteration", std::int64_t{100});
  root->set("optimizer", optimizer);
  root->set("learning_rate", 1e-4);
  write_pth(path, root);
}

TEST(SlowExtractCost, AFullCheckpointNeedsLittleMoreMemoryThanItsOutput) {
  const auto* binary = std::getenv("MELISMA_BINARY");
  const auto tiny = golden_folder("rvc/files") / "voice_webui.pth";
  if (binary == nullptr || !fs::exists(binary) || !fs::exists(tiny)) GTEST_SKIP();
  const TemporaryFolder folder;
  // In a process of its own: what a process holds when it starts a program counts as that program's peak.
  if (const auto writer = ::fork(); writer == 0) {
    write_full_checkpoint(folder / "G_100.pth");
    ::_exit(0);
  } else {
    ::waitpid(writer, nullptr, 0);
  }
  const auto library = cost_of_extract({tiny.string(), "-o", (folder / "tiny.safetensors").string()});
  ASSERT_EQ(library.exit_code, 0);
  for (const auto& [type, format] :
       {std::pair("fp32", "safetensors"), {"fp16", "safetensors"}, {"int8", "safetensors"}, {"fp16", "pth"}}) {
    const auto output = folder / (std::string(type) + "." + format);
    const auto cost =
        cost_of_extract({(folder / "G_100.pth").string(), "--dtype", type, "--format", format, "-o", output.string()});
    ASSERT_EQ(cost.exit_code, 0) << type;
    const auto bytes = static_cast<double>(fs::file_size(output));
    const auto extra = cost.peak_bytes - library.peak_bytes;
    fmt::print(
        "{} {}: {:.2f} s ({:.2f} s CPU), {:.1f} MB written, {:.1f} MB beyond the loaded library ({:.2f}x the output)\n",
        type, format, cost.seconds, cost.cpu_seconds, bytes / 1e6, extra / 1e6, extra / bytes);
    EXPECT_LT(extra, 1.5 * bytes) << type << " " << format;
  }
}

}  // namespace
}  // namespace melisma
