#include "models/layers/device_pool.h"

#include <gtest/gtest.h>

#include "models/layers/device.h"

namespace melisma {
namespace {

TEST(DevicePool, WhoTakesOneGetsTheLeastTaken) {
  DevicePool pool({at::Device("cuda:0"), at::Device("cuda:1"), at::kCPU});
  (void)pool.take();  // a lease that ended counts no more
  const auto a = pool.take();
  EXPECT_EQ(a.device(), at::Device("cuda:0"));
  {
    const auto b = pool.take(), c = pool.take(), d = pool.take();
    EXPECT_EQ(b.device(), at::Device("cuda:1"));
    EXPECT_EQ(c.device(), at::kCPU);
    EXPECT_EQ(d.index(), 0u);
  }
  EXPECT_EQ(pool.take().index(), 1u);
}

TEST(DeviceScope, IsTheThreadsUntilItEnds) {
  EXPECT_TRUE(scoped_device().is_cpu());
  {
    const DeviceScope outer(at::Device("cuda:1"));
    {
      const DeviceScope inner(at::kCPU);
      EXPECT_TRUE(scoped_device().is_cpu());
    }
    EXPECT_EQ(scoped_device(), at::Device("cuda:1"));
  }
  EXPECT_TRUE(scoped_device().is_cpu());
}

TEST(Device, SeveralNamesAreOneEach) {
  EXPECT_EQ(open_devices("cpu,cpu"), (std::vector<at::Device>{at::kCPU, at::kCPU}));
}

}  // namespace
}  // namespace melisma
