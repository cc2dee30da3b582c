// Names of the devices that tensors are computed on: "cpu", "cuda", "cuda:1", "auto".
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace melisma {

struct DeviceName {
  enum class Kind { automatic, cpu, cuda };  // automatic: a GPU where one can be used, otherwise the CPU
  Kind kind = Kind::automatic;
  std::int64_t index = -1;  // which GPU; -1 = none is named
};

// What is wrong with a name, or nothing.
[[nodiscard]] std::string device_problem(std::string_view text);

// Throws Error(usage) for what device_problem finds.
[[nodiscard]] DeviceName parse_device(std::string_view text);

}  // namespace melisma
