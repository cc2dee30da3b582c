#include "infer/features/pitch_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {
namespace pitch_curve_detail {
namespace {

constexpr std::string_view kHeader = "time_s,f0_hz";
constexpr double kHighestHz = 8000;
constexpr double kFrameSeconds = 0.01;
constexpr double kSameEnd = 0.05, kNearEnd = 0.5;  // seconds

std::optional<double> number(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  double value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// One line of a file, and where it stands.
struct Line {
  const std::filesystem::path& path;
  int count;
  std::string_view text;

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> problem, Args&&... args) const {
    fail(ErrorKind::data, "pitch curve '{}', line {}: {}; expected seconds,Hz such as 0.01,220", path.string(), count,
         fmt::format(problem, std::forward<Args>(args)...));
  }
};

void add_point(const Line& line, PitchCurve& curve) {
  const auto comma = line.text.find(',');
  if (comma == std::string_view::npos || line.text.find(',', comma + 1) != std::string_view::npos) {
    line.refuse("found '{}', which is not two fields", line.text);
  }
  const auto seconds = number(line.text.substr(0, comma)), hz = number(line.text.substr(comma + 1));
  if (!seconds || !hz) line.refuse("found '{}', which is not two numbers", line.text);
  if (*seconds < 0 || (!curve.seconds.empty() && *seconds <= curve.end_s())) {
    line.refuse("time {} s does not come after the one before it", *seconds);
  }
  if (*hz < 0 || *hz > kHighestHz) line.refuse("pitch {} Hz is not between 0 and {}", *hz, kHighestHz);
  curve.seconds.push_back(*seconds);
  curve.f0_hz.push_back(static_cast<float>(*hz));
}

}  // namespace
}  // namespace pitch_curve_detail

PitchCurve curve_of_frames(std::vector<float> f0_hz) {
  PitchCurve curve{.f0_hz = std::move(f0_hz)};
  for (std::size_t t = 0; t < curve.f0_hz.size(); ++t) curve.seconds.push_back(static_cast<double>(t) / 100);
  return curve;
}

void write_pitch_curve(const std::filesystem::path& path, const PitchCurve& curve) {
  auto text = fmt::format("{}\n", pitch_curve_detail::kHeader);
  for (std::size_t i = 0; i < curve.seconds.size(); ++i) {
    fmt::format_to(std::back_inserter(text), "{},{}\n", curve.seconds[i], curve.f0_hz[i]);
  }
  write_file_atomically(path, text);
}

PitchCurve read_pitch_curve(const std::filesystem::path& path) {
  using namespace pitch_curve_detail;
  const auto content = read_file(path);
  PitchCurve curve{.source = path.string()};
  std::string_view rest = content;
  for (int count = 1; !rest.empty(); ++count) {
    auto text = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    if (text.ends_with('\r')) text.remove_suffix(1);
    const bool is_header = count == 1 && text == kHeader;
    if (!text.empty() && !text.starts_with('#') && !is_header) add_point({path, count, text}, curve);
  }
  if (curve.seconds.empty()) {
    fail(ErrorKind::data, "pitch curve '{}' holds no points; expected lines of seconds,Hz", path.string());
  }
  return curve;
}

std::vector<float> frames_of_curve(const PitchCurve& curve, std::int64_t n_frames) {
  using pitch_curve_detail::kFrameSeconds;
  constexpr double kSamePlace = 1e-6;  // seconds: a frame's time, rounded in a file
  std::vector<float> frames(static_cast<std::size_t>(n_frames));
  const auto& times = curve.seconds;
  const auto& hz = curve.f0_hz;
  std::size_t next = 0;  // first point behind the frame
  for (std::size_t t = 0; t < frames.size(); ++t) {
    const auto time = static_cast<double>(t) / 100;
    while (next < times.size() && times[next] <= time + kSamePlace) ++next;
    const bool is_first = next == 0, is_last = next == times.size();
    if (is_first || is_last) {
      const auto edge = is_first ? 0 : times.size() - 1;
      if (!times.empty() && std::abs(times[edge] - time) <= kFrameSeconds + kSamePlace) frames[t] = hz[edge];
      continue;
    }
    const auto share = std::max(0.0, (time - times[next - 1]) / (times[next] - times[next - 1]));
    const auto left = hz[next - 1], right = hz[next];
    if (share * (times[next] - times[next - 1]) <= kSamePlace) {
      frames[t] = left;
    } else if (left > 0 && right > 0) {
      frames[t] = static_cast<float>(left + share * (right - left));
    } else {
      frames[t] = share < 0.5 ? left : right;
    }
  }
  return frames;
}

std::string curve_length_remark(const PitchCurve& curve, double seconds) {
  using namespace pitch_curve_detail;
  const auto distance = std::abs(curve.end_s() - seconds);
  if (distance > kNearEnd) {
    fail(ErrorKind::data,
         "the pitch curve '{}' ends at {:.2f} s, but the recording at {:.2f} s; give the curve of this recording "
         "(melisma "
         "pitch makes one)",
         curve.source, curve.end_s(), seconds);
  }
  if (distance <= kSameEnd) return {};
  return fmt::format("the pitch curve ends at {:.2f} s, the recording at {:.2f} s", curve.end_s(), seconds);
}

}  // namespace melisma
