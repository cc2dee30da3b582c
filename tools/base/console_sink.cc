#include "tools/base/console_sink.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "tools/base/format.h"
#include "tools/base/rate.h"

namespace melisma {
namespace {

constexpr double kSecondsBetweenDraws = 0.1;
constexpr double kSecondsBetweenLines = 30;
constexpr std::string_view kEraseLine = "\r\x1b[2K";

// Columns a UTF-8 text takes, as far as messages of this program go: one a code point.
std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// At most `columns` of them, so that a bar never wraps.
std::string cut_to(std::string text, std::size_t columns) {
  while (columns_of(text) > columns) {
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.pop_back();
    if (!text.empty()) text.pop_back();
  }
  return text;
}

struct Group {
  std::string name;
  NamedValues values;
};

// {"loss/mel", "loss/kl", "lr/generator"} -> loss {mel, kl}, lr {generator}; a tag without "/" is a group of its own.
std::vector<Group> grouped(const NamedValues& values) {
  std::vector<Group> groups;
  for (const auto& [tag, value] : values) {
    const auto slash = tag.find('/');
    const auto name = tag.substr(0, slash);
    if (groups.empty() || groups.back().name != name || slash == std::string::npos) groups.push_back({name, {}});
    groups.back().values.emplace_back(slash == std::string::npos ? "" : tag.substr(slash + 1), value);
  }
  return groups;
}

std::string group_text(const Group& group) {
  const double first = group.values.front().second;
  if (group.name == "items_per_second") return format_rate(first, "items");
  if (group.name == "seconds_left") return format_seconds(first) + " left";
  const bool is_same =
      std::all_of(group.values.begin(), group.values.end(), [&](const auto& named) { return named.second == first; });
  if (group.name == "lr" && is_same) return "lr " + format_value(first);
  auto text = group.name;
  for (const auto& [name, value] : group.values) {
    text += name.empty() ? fmt::format(" {}", format_value(value)) : fmt::format(" {} {}", name, format_value(value));
  }
  return text;
}

// "12/27 files | 3.2 files/s | 12 s left | rms 0.1"; what is under way is not counted before it is done.
std::string progress_text(const ProgressEvent& progress, const RateEstimator& rate) {
  constexpr double kRounding = 1e-6;  // sums of fractions end a little short
  const auto done = std::floor(progress.done + kRounding);
  auto text = progress.total > 0 ? fmt::format("{}/{}", format_count(static_cast<std::int64_t>(done)),
                                               format_amount(std::round(progress.total), progress.unit))
                                 : format_amount(done, progress.unit);
  if (const auto speed = rate.per_second()) text += " | " + format_rate(*speed, progress.unit);
  if (progress.total > 0) {
    if (const auto left = rate.seconds_left(progress.total)) text += fmt::format(" | {} left", format_seconds(*left));
  }
  for (const auto& [name, value] : progress.details) text += fmt::format(" | {} {}", name, format_value(value));
  return text;
}

std::string percent_text(const ProgressEvent& progress) {
  return fmt::format("{:.0f} %", std::floor(100 * std::clamp(progress.done / progress.total, 0.0, 1.0)));
}

// A line of its own; of a single thing the count would say nothing to the end.
std::string line_text(const ProgressEvent& progress, const RateEstimator& rate) {
  const auto text = progress_text(progress, rate);
  return fmt::format("{}: {}{}", progress.task, progress.total == 1 ? percent_text(progress) + " | " : "", text);
}

std::string bar_text(const ProgressEvent& progress, const RateEstimator& rate, std::size_t columns) {
  const auto after = progress_text(progress, rate);
  if (progress.total <= 0) return cut_to(fmt::format("{} {}", progress.task, after), columns);
  const double fraction = std::clamp(progress.done / progress.total, 0.0, 1.0);
  const auto percent = fmt::format("{:>5}", percent_text(progress));
  const auto taken = columns_of(progress.task) + columns_of(after) + percent.size() + 6;
  const auto cells = std::min<std::size_t>(30, columns > taken ? columns - taken : 0);
  std::string bar;
  if (cells >= 5) {
    const auto full = static_cast<std::size_t>(std::floor(fraction * static_cast<double>(cells)));
    bar = fmt::format(" [{}{}]", std::string(full, '#'), std::string(cells - full, '.'));
  }
  return cut_to(fmt::format("{}{} {} {}", progress.task, bar, percent, after), columns);
}

}  // namespace

Console standard_error_console() {
  Console console;
  console.write = [](std::string_view text) {
    while (!text.empty()) {
      const auto written = ::write(STDERR_FILENO, text.data(), text.size());
      if (written <= 0) return;  // nobody listens: not a reason to stop working
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  };
  console.now_seconds = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  console.width_columns = [] {
    winsize size{};
    const bool is_known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return is_known ? static_cast<int>(size.ws_col) : 80;
  };
  const char* terminal = std::getenv("TERM");
  console.is_terminal = ::isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
  console.has_colour = console.is_terminal && std::getenv("NO_COLOR") == nullptr;
  return console;
}

std::string scalars_line(const ScalarsEvent& event) {
  const bool is_training = event.phase == "train";
  if (event.values.empty() || (!is_training && event.values.size() < 2)) return "";
  auto line = fmt::format("step {} | epoch {}", event.step, event.epoch);
  for (const auto& group : grouped(event.values)) line += " | " + group_text(group);
  return line;
}

struct ConsoleSink::State {
  Console console;
  bool has_bar = false;  // a bar stands on the current line
  std::string task;      // whose progress is shown; "" = none
  std::string bar;
  RateEstimator rate;
  double task_began = 0, last_shown = 0;

  void line(std::string_view text) {
    const bool redraw = has_bar;
    erase_bar();
    console.write(std::string(text) + "\n");
    if (redraw) draw_bar();
  }
  void erase_bar() {
    if (has_bar) console.write(kEraseLine);
    has_bar = false;
  }
  void draw_bar() {
    console.write(std::string(kEraseLine) + bar);
    has_bar = true;
  }
  void message(const MessageEvent& event) {
    if (event.severity == Severity::info) return line(event.text);
    const bool is_error = event.severity == Severity::error;
    const std::string_view word = is_error ? "error" : "warning";
    if (console.has_colour) return line(fmt::format("\x1b[{}m{}:\x1b[0m {}", is_error ? 31 : 33, word, event.text));
    line(fmt::format("{}: {}", word, event.text));
  }
  void progress(const ProgressEvent& event) {
    const double now = console.now_seconds();
    if (event.task != task) {
      task = event.task;
      rate = RateEstimator();
      task_began = last_shown = now;
      if (console.is_terminal) last_shown -= kSecondsBetweenDraws;
    }
    rate.observe(event.done, now);
    const bool is_done = event.total > 0 && event.done >= event.total;
    if (console.is_terminal) {
      if (!is_done && now - last_shown >= kSecondsBetweenDraws) {
        bar = bar_text(event, rate, static_cast<std::size_t>(std::max(20, console.width_columns() - 1)));
        draw_bar();
        last_shown = now;
      }
      if (is_done) erase_bar();
    } else if (is_done ? now - task_began >= kSecondsBetweenLines : now - last_shown >= kSecondsBetweenLines) {
      line(is_done ? fmt::format("{}: {} in {}", event.task, format_amount(std::round(event.done), event.unit),
                                 format_seconds(now - task_began))
                   : line_text(event, rate));
      last_shown = now;
    }
    if (is_done) task.clear();
  }
  void receive(const MessageEvent& event) { message(event); }
  void receive(const ProgressEvent& event) { progress(event); }
  void receive(const ScalarsEvent& event) {
    if (const auto text = scalars_line(event); !text.empty()) line(text);
  }
  void receive(const DecisionEvent& event) {
    line(fmt::format("{}: {}{}", event.about, event.decision, event.reason.empty() ? "" : " (" + event.reason + ")"));
  }
  void receive(const AudioEvent&) {}
  void receive(const ImageEvent&) {}
  void receive(const HistogramEvent&) {}
  void receive(const HyperparametersEvent&) {}
};

ConsoleSink::ConsoleSink(Console console) : state_(std::make_unique<State>()) { state_->console = std::move(console); }

ConsoleSink::~ConsoleSink() { state_->erase_bar(); }

void ConsoleSink::receive(const Event& event) {
  std::visit([this](const auto& typed) { state_->receive(typed); }, event);
}

// The bar is taken away so that results on stdout start on a clean line.
void ConsoleSink::flush() { state_->erase_bar(); }

}  // namespace melisma
