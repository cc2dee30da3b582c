// Settings of how ranks find each other: [distributed]. Torch-free.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tools/config/fields.h"

namespace melisma {

inline constexpr int kHighestPort = 65535;

// What is wrong with a `port` setting, or nothing.
[[nodiscard]] std::string port_problem(std::string_view text);
// The ports that a `port` setting means, in the order in which they are tried: "0" (any free one), "29500",
// "29500-29600". Throws Error(config).
[[nodiscard]] std::vector<std::uint16_t> ports_of(std::string_view text);

struct DistributedConfig {
  std::string port = "0";
  std::string address = "127.0.0.1";
  std::string interface;
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
