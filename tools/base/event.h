// Everything the program says to the outside, typed; console, progress bar, JSON lines and TensorBoard are sinks of it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace melisma {

using NamedValues = std::vector<std::pair<std::string, double>>;

enum class Severity { info, warning, error };

// A sentence for a person.
struct MessageEvent {
  Severity severity = Severity::info;
  std::string text;
};

// How far a long action is. `total` 0 = unknown. One task name at a time has a bar; done == total ends it.
struct ProgressEvent {
  std::string task;  // "preparing", "epoch 3/20"
  double done = 0;
  double total = 0;
  std::string unit;  // "files", "steps", "s of audio"
  NamedValues details;
};

// Numbers of a moment of training or evaluation; tags are "loss/mel", "grad_norm/generator", "validation/mel_distance".
struct ScalarsEvent {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::string phase;  // "train", "validation"
  NamedValues values;
};

struct AudioEvent {
  std::string tag;
  std::int64_t step = 0;
  std::int64_t sample_rate_hz = 0;
  std::vector<float> samples;  // mono, [-1, 1]
};

struct ImageEvent {
  std::string tag;
  std::int64_t step = 0;
  std::int64_t height = 0, width = 0;
  std::vector<std::uint8_t> rgb;  // [height][width][3]
};

struct HistogramEvent {
  std::string tag;
  std::int64_t step = 0;
  std::vector<float> values;
};

// The settings of a run and the metrics they are to be compared by.
struct HyperparametersEvent {
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<std::string> metrics;
};

// What the overtraining monitor, the engine or a gate decided: {"overtraining", "stop", "no improvement since epoch
// 2"}.
struct DecisionEvent {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  std::string about, decision, reason;
};

using Event = std::variant<MessageEvent, ProgressEvent, ScalarsEvent, AudioEvent, ImageEvent, HistogramEvent,
                           HyperparametersEvent, DecisionEvent>;

// Receives events in order, from one thread at a time (EventHub serialises).
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void receive(const Event& event) = 0;
  virtual void flush() {}
};

// Hands each event to every sink, in the order they were added; safe to call from several threads.
class EventHub final : public EventSink {
 public:
  EventHub();
  ~EventHub() override;
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;
  void add(std::unique_ptr<EventSink> sink);
  void receive(const Event& event) override;
  void flush() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

inline void say(EventSink& sink, std::string text) { sink.receive(MessageEvent{Severity::info, std::move(text)}); }
inline void warn(EventSink& sink, std::string text) { sink.receive(MessageEvent{Severity::warning, std::move(text)}); }

}  // namespace melisma
