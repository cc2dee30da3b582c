#include "tools/base/event.h"

#include <mutex>

namespace melisma {

struct EventHub::State {
  std::mutex mutex;
  std::vector<std::unique_ptr<EventSink>> sinks;
};

EventHub::EventHub() : state_(std::make_unique<State>()) {}
EventHub::~EventHub() = default;

void EventHub::add(std::unique_ptr<EventSink> sink) {
  const std::lock_guard lock(state_->mutex);
  state_->sinks.push_back(std::move(sink));
}

void EventHub::receive(const Event& event) {
  const std::lock_guard lock(state_->mutex);
  for (auto& sink : state_->sinks) sink->receive(event);
}

void EventHub::flush() {
  const std::lock_guard lock(state_->mutex);
  for (auto& sink : state_->sinks) sink->flush();
}

}  // namespace melisma
