#include "tools/actions/console.h"

#include "tools/base/console_sink.h"

namespace melisma {

std::unique_ptr<EventHub> console_events() {
  auto hub = std::make_unique<EventHub>();
  hub->add(std::make_unique<ConsoleSink>());
  return hub;
}

}  // namespace melisma
