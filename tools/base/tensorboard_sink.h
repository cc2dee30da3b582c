// Events for TensorBoard: `tensorboard --logdir runs` shows scalars, audio, images, histograms, decisions and settings.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "tools/base/event.h"

namespace melisma {

// Writes events.out.tfevents.<seconds>.<host>.<process>.<n> into a folder, a new file for each sink, each record in one
// write, so that a kill leaves whole records and at most one torn one, where readers stop.
class TensorBoardSink final : public EventSink {
 public:
  // A run that resumes after `resumed_step` makes readers forget what earlier files say of later steps. Throws
  // Error(device) naming path and cause.
  explicit TensorBoardSink(const std::filesystem::path& folder,
                           std::optional<std::int64_t> resumed_step = std::nullopt);
  ~TensorBoardSink() override;
  TensorBoardSink(const TensorBoardSink&) = delete;
  TensorBoardSink& operator=(const TensorBoardSink&) = delete;
  // Messages and progress are not for TensorBoard. Throws Error(device) if the record cannot be written.
  void receive(const Event& event) override;
  void flush() override;
  [[nodiscard]] const std::filesystem::path& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace melisma
