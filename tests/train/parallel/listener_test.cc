#include "train/parallel/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

#include "tests/support/refusal.h"
#include "train/parallel/distributed_config.h"

namespace melisma {
namespace {
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Ports, ASettingIsFreeFixedOrARange) {
  EXPECT_EQ(ports_of("0"), std::vector<std::uint16_t>{0});
  EXPECT_EQ(ports_of("29500"), std::vector<std::uint16_t>{29500});
  EXPECT_EQ(ports_of("29500-29502"), (std::vector<std::uint16_t>{29500, 29501, 29502}));
}

TEST(Ports, OtherSettingsAreRefused) {
  for (const auto* text : {"", "port", "-1", "65536", "29500-", "29500-x", "1.5"}) {
    EXPECT_THAT(port_problem(text), StartsWith("is 0 (any free port), a port up to 65535, or a range")) << text;
  }
  EXPECT_EQ(port_problem("29510-29500"), "is a range that holds no port: '29510-29500'");
  EXPECT_EQ(port_problem("0-5"), "is a range that holds no port: '0-5'");
}

TEST(Ports, AFreeOneIsFoundAndAnswers) {
  const Listener listener("127.0.0.1", {0});
  EXPECT_GT(listener.port(), 0);
  EXPECT_EQ(problem_of_reaching("127.0.0.1", listener.port(), 5), "");
}

TEST(Ports, ATakenOneIsNamedWithWhatToSet) {
  const Listener first("127.0.0.1", {0});
  EXPECT_EQ(testing::refusal_of(ErrorKind::network, [&] { const Listener second("127.0.0.1", {first.port()}); }),
            fmt::format("port {0} is taken by another program (127.0.0.1:{0}); set distributed.port to 0 (any "
                        "free port), to another one, or to a range such as \"29500-29600\"",
                        first.port()));
}

TEST(Ports, OfARangeTheFirstFreeOneIsTaken) {
  const Listener taken("127.0.0.1", {0});
  const auto next = static_cast<std::uint16_t>(taken.port() + 1);
  const Listener found("127.0.0.1", {taken.port(), next, 0});
  EXPECT_NE(found.port(), taken.port());
  EXPECT_THAT(testing::refusal_of(ErrorKind::network,
                                  [&] {
                                    const Listener none("127.0.0.1", {taken.port(), taken.port()});
                                  }),
              StartsWith("none of the ports"));
}

TEST(Ports, WhatTheSystemRefusesIsTranslated) {
  EXPECT_THAT(listening_problem(EACCES, "0.0.0.0", 80), StartsWith("port 80 is privileged (0.0.0.0:80)"));
  EXPECT_THAT(listening_problem(EACCES, "0.0.0.0", 29500), StartsWith("the system forbids port 29500"));
  EXPECT_THAT(listening_problem(EPERM, "::", 29500), HasSubstr("[::]:29500"));
  for (const int error : {EACCES, EPERM, EADDRINUSE}) {
    EXPECT_THAT(listening_problem(error, "0.0.0.0", 29500), HasSubstr("set distributed.port to")) << error;
  }
}

TEST(Ports, AnAddressOfAnotherMachineIsNamed) {
  EXPECT_THAT(testing::refusal_of(ErrorKind::network, [] { const Listener listener("192.0.2.1", {0}); }),
              StartsWith("192.0.2.1 is no address of this machine, where rank 0 runs"));
}

TEST(Ports, ANameThatMeansNothingIsNamed) {
  EXPECT_THAT(testing::refusal_of(ErrorKind::network, [] { (void)problem_of_reaching("no-such-host.invalid", 1, 1); }),
              StartsWith("'no-such-host.invalid' is no address and no known name"));
}

TEST(Ports, IPv6) {
  std::unique_ptr<Listener> listener;
  try {
    listener = std::make_unique<Listener>("::1", std::vector<std::uint16_t>{0});
  } catch (const Error&) {
    GTEST_SKIP() << "this machine has no IPv6";
  }
  EXPECT_EQ(problem_of_reaching("::1", listener->port(), 5), "");
  EXPECT_EQ(own_address_towards("::1", listener->port()), "::1");
  EXPECT_EQ(place_text("::1", 29500), "[::1]:29500");
}

TEST(Ports, TheOwnAddressIsTheOneOnTheWay) { EXPECT_EQ(own_address_towards("127.0.0.1", 29500), "127.0.0.1"); }

}  // namespace
}  // namespace melisma
