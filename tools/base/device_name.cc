#include "tools/base/device_name.h"

#include <charconv>
#include <optional>

#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr std::string_view kNumbered = "cuda:";

std::optional<DeviceName> read_device(std::string_view text) {
  using Kind = DeviceName::Kind;
  if (text == "auto") return DeviceName{};
  if (text == "cpu") return DeviceName{.kind = Kind::cpu};
  if (text == "cuda") return DeviceName{.kind = Kind::cuda};
  if (!text.starts_with(kNumbered)) return std::nullopt;
  constexpr std::int64_t kMost = 127;  // LibTorch numbers devices in eight bits
  std::int64_t index = -1;
  const auto* first = text.data() + kNumbered.size();
  const auto [end, problem] = std::from_chars(first, text.data() + text.size(), index);
  if (problem != std::errc() || end != text.data() + text.size() || index < 0 || index > kMost) return std::nullopt;
  return DeviceName{.kind = Kind::cuda, .index = index};
}

}  // namespace

std::string device_problem(std::string_view text) {
  if (read_device(text)) return {};
  return fmt::format("is cpu, cuda, a certain GPU such as cuda:1, or auto (a GPU if there is one); found '{}'", text);
}

DeviceName parse_device(std::string_view text) {
  const auto name = read_device(text);
  if (!name) fail(ErrorKind::usage, "a device {}", device_problem(text));
  return *name;
}

}  // namespace melisma
