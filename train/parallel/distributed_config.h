// Settings of how ranks find each other: [distributed]. Torch-free.
#pragma once
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tools/config/fields.h"

namespace melisma {

inline constexpr int kHighestPort = 65535;
inline constexpr std::array<std::string_view, 3> kSumBackends{"auto", "nccl", "gloo"};

namespace ports_detail {

inline std::optional<int> port_number(std::string_view text) {
  int value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < 0 || value > kHighestPort) return {};
  return value;
}

}  // namespace ports_detail

// What is wrong with a `port` setting, or nothing.
[[nodiscard]] inline std::string port_problem(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = ports_detail::port_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : ports_detail::port_number(text.substr(dash + 1));
  if (!first || !last) {
    return fmt::format("is 0 (any free port), a port up to {}, or a range such as 29500-29600; found '{}'",
                       kHighestPort, text);
  }
  if (dash == std::string_view::npos) return {};
  if (*first == 0 || *last < *first) return fmt::format("is a range that holds no port: '{}'", text);
  return {};
}
// The ports that a `port` setting means, in the order in which they are tried: "0" (any free one), "29500",
// "29500-29600". Throws Error(config).
[[nodiscard]] std::vector<std::uint16_t> ports_of(std::string_view text);

struct DistributedConfig {
  std::string port = "0";
  std::string address = "127.0.0.1";
  std::string interface;
  std::string backend = "auto";
  double timeout = 300;
  double bucket_mb = 25;
  static constexpr auto fields() {
    using C = DistributedConfig;
    return std::tuple{
        field("port", &C::port,
              "port where ranks meet: 0 = a free one, a number, or a range such as \"29500-29600\" of which the first "
              "free one is taken; MASTER_PORT goes before it")
            .checked_by(&port_problem)
            .cosmetic(),
        field("address", &C::address, "address where ranks meet, IPv4 or IPv6 or a name; MASTER_ADDR goes before it")
            .cosmetic(),
        field("interface", &C::interface,
              "network interface that gradients go through; empty = the one that leads to the address")
            .cosmetic(),
        field("backend", &C::backend,
              "what sums gradients: nccl between GPUs, gloo between CPUs (and GPUs, through the CPU's memory); auto = "
              "the one that suits the device")
            .choices(kSumBackends)
            .cosmetic(),
        field("timeout", &C::timeout, "longest that ranks wait for each other before one counts as lost")
            .unit("s")
            .at_least(0.5)
            .cosmetic(),
        field("bucket_mb", &C::bucket_mb, "gradients that are summed at once, while others are still computed")
            .unit("MB")
            .range(0.001, 4096),
    };
  }
};

}  // namespace melisma
