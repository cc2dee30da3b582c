#include "tools/base/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace melisma {
namespace {

TEST(JsonText, NamesInAnyEncodingAreWritten) {
  const nlohmann::ordered_json value{{"file", "caf\xe9.wav"}, {"name", "caf\xc3\xa9"}};
  EXPECT_EQ(json_line(value), "{\"file\":\"caf\xef\xbf\xbd.wav\",\"name\":\"caf\xc3\xa9\"}");
  EXPECT_EQ(json_text(value), "{\n  \"file\": \"caf\xef\xbf\xbd.wav\",\n  \"name\": \"caf\xc3\xa9\"\n}");
}

}  // namespace
}  // namespace melisma
