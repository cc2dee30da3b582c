#include "tools/base/tensorboard_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

#include "tools/base/append_file.h"
#include "tools/base/tfevents.h"

namespace melisma {
namespace {

double wall_time_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::filesystem::path new_file_in(const std::filesystem::path& folder) {
  static std::atomic<int> count{0};
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  return folder / fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<std::int64_t>(wall_time_now()), host,
                              ::getpid(), count++);
}

}  // namespace

struct TensorBoardSink::State {
  AppendFile file;
  explicit State(const std::filesystem::path& folder) : file(new_file_in(folder)) {}

  void write(std::string_view event) { file.append(tfevents_record(event)); }
  void receive(const MessageEvent&) {}
  void receive(const ProgressEvent&) {}
  void receive(const ScalarsEvent& event) {
    const double now = wall_time_now();
    for (const auto& [tag, value] : event.values) {
      write(tfevents_scalar(now, event.step, tag, static_cast<float>(value)));
    }
  }
  void receive(const AudioEvent& event) { write(tfevents_audio(wall_time_now(), event)); }
  void receive(const ImageEvent& event) { write(tfevents_image(wall_time_now(), event)); }
  void receive(const HistogramEvent& event) {
    write(tfevents_histogram(wall_time_now(), event.step, event.tag, tf_histogram_of(event.values)));
  }
  void receive(const HyperparametersEvent& event) {
    for (const auto& message : tfevents_hyperparameters(wall_time_now(), event)) write(message);
  }
  void receive(const DecisionEvent& event) {
    write(tfevents_text(wall_time_now(), event.step, event.about,
                        fmt::format("epoch {}: **{}** {}", event.epoch, event.decision, event.reason)));
  }
};

TensorBoardSink::TensorBoardSink(const std::filesystem::path& folder, std::optional<std::int64_t> resumed_step)
    : state_(std::make_unique<State>(folder)) {
  state_->write(tfevents_header(wall_time_now()));
  if (resumed_step) state_->write(tfevents_restart(wall_time_now(), *resumed_step + 1));
}

TensorBoardSink::~TensorBoardSink() = default;

void TensorBoardSink::receive(const Event& event) {
  std::visit([this](const auto& typed) { state_->receive(typed); }, event);
}

void TensorBoardSink::flush() { state_->file.sync(); }

const std::filesystem::path& TensorBoardSink::path() const { return state_->file.path(); }

}  // namespace melisma
