#include "tools/base/device_name.h"

#include <gtest/gtest.h>

#include "tests/support/refusal.h"

namespace melisma {
namespace {

TEST(DeviceName, IsReadWithItsNumber) {
  using Kind = DeviceName::Kind;
  EXPECT_EQ(parse_device("auto").kind, Kind::automatic);
  EXPECT_EQ(parse_device("cpu").kind, Kind::cpu);
  EXPECT_EQ(parse_device("cuda").index, -1);
  EXPECT_EQ(parse_device("cuda:12").kind, Kind::cuda);
  EXPECT_EQ(parse_device("cuda:12").index, 12);
}

TEST(DeviceName, AnythingElseIsRefusedWithWhatThereIs) {
  for (const auto* name : {"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1 ", "cuda:1000", "CPU", "cpu:0"}) {
    EXPECT_NE(device_problem(name), "") << name;
    const auto said = testing::refusal_of(ErrorKind::usage, [&] { (void)parse_device(name); });
    EXPECT_NE(said.find("cuda:1"), std::string::npos) << said;
    EXPECT_NE(said.find(std::string("found '") + name + "'"), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace melisma
