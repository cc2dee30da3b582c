// Events for a person at a console: one line a message, an interval or a decision, and a progress bar on terminals.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tools/base/event.h"

namespace melisma {

// Where and how a ConsoleSink writes; for tests all of it can be replaced.
struct Console {
  std::function<void(std::string_view)> write;  // bytes as they are
  std::function<double()> now_seconds;          // a steady clock
  std::function<int()> width_columns;           // of the terminal
  bool is_terminal = false;
  bool has_colour = false;
};

// stderr; colour on terminals unless NO_COLOR is set.
[[nodiscard]] Console standard_error_console();

// Quiet and useful: messages as they are (warnings and errors marked), training scalars as
//   step 150 | epoch 3 | loss mel 21.4 kl 1.21 | grad_norm generator 35.1 | lr 0.0001 | 4.21 items/s | 3 min 05 s left
// validation scalars on a line where they say more than one number (the engine tells of a single one itself), decisions
// with their reason. Progress is a bar with rate and time left on a terminal, gone when done; elsewhere a line every
// half minute, none for what is done sooner. Audio, images, histograms and settings are not for consoles.
class ConsoleSink final : public EventSink {
 public:
  explicit ConsoleSink(Console console = standard_error_console());
  ~ConsoleSink() override;
  ConsoleSink(const ConsoleSink&) = delete;
  ConsoleSink& operator=(const ConsoleSink&) = delete;
  void receive(const Event& event) override;
  void flush() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The line of a ScalarsEvent; "" if there is nothing to say.
[[nodiscard]] std::string scalars_line(const ScalarsEvent& event);

}  // namespace melisma
