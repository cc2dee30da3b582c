// Training goes on in PyTorch from a checkpoint written here, and here from one written there: the next step is the
// same.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "models/rvc/synthesizer.h"
#include "models/rvc/training_file.h"
#include "models/rvc/voice_model.h"
#include "models/weights/model_file.h"
#include "tests/support/golden.h"
#include "tools/base/atomic_file.h"
#include "train/engine/optimizer.h"

namespace melisma {
namespace {
using testing::golden_folder;
using testing::TemporaryFolder;

// The weights after one step of torch.optim.AdamW from the file, its gradient a tenth of them; the schedule is made as
// the RVC tools make it when they train on, and half of the file's learning rate taken.
constexpr const char* kTorchStep = R"(
import sys, torch
file = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
weights = [torch.nn.Parameter(w.clone()) for w in file["model"].values()]
optimizer = torch.optim.AdamW(weights, lr=1.0, betas=(0.5, 0.5), eps=1.0)
optimizer.load_state_dict(file["optimizer"])
assert all(m["exp_avg"].shape == w.shape for w, m in optimizer.state.items())
torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5, last_epoch=file["iteration"] - 1)  # wants initial_lr
optimizer.param_groups[0]["lr"] = file["optimizer"]["param_groups"][0]["lr"] / 2
for w in weights: w.grad = w.detach() / 10
optimizer.step()
torch.save({"state_dict": {n: w.detach() for n, w in zip(file["model"], weights)}}, sys.argv[2])
)";

TEST(SlowCheckpointExchange, TorchTakesTheSameNextStepFromWhatWeWrite) {
  const auto golden = golden_folder("rvc/files") / "G_train_applio.pth";
  if (!std::filesystem::exists(golden)) GTEST_SKIP() << "no fixtures";
  if (std::system("python3 -c 'import torch' 2>/dev/null") != 0) GTEST_SKIP() << "no torch for Python";
  const TemporaryFolder folder;
  auto file = read_rvc_generator(golden);
  file.optimizer.initial_lr = 2e-4;  // as where a schedule is used
  const double lr = 0.5 * file.optimizer.lr;
  write_file_atomically(folder / "step.py", kTorchStep);
  for (const auto tool : kRvcTools) {
    SCOPED_TRACE(name_of(tool));
    const auto written = (folder / "G.pth").string(), stepped = (folder / "stepped.pth").string();
    write_rvc_generator(written, file, tool);
    const auto command = "python3 " + (folder / "step.py").string() + " " + written + " " + stepped + " 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0);

    auto network = build_synthesizer(file.model);
    AdamW optimizer(*network, {.lr = lr,
                               .beta1 = file.optimizer.beta1,
                               .beta2 = file.optimizer.beta2,
                               .eps = file.optimizer.eps,
                               .weight_decay = file.optimizer.weight_decay});
    optimizer.load(file.moments);
    for (auto& [name, parameter] : network->parameters()) parameter.mutable_grad() = parameter.detach() / 10;
    optimizer.step(lr, at::zeros({}, at::kBool));
    const auto expected = read_model(stepped).weights, got = network->state_dict();
    ASSERT_EQ(got.size(), expected.size());
    for (const auto& [name, tensor] : got) {
      EXPECT_FALSE(at::equal(tensor, file.model.weights.at(name))) << name;
      EXPECT_LT((tensor - expected.at(name)).abs().max().item<double>(), 1e-7) << name;
    }
  }
}

}  // namespace
}  // namespace melisma
