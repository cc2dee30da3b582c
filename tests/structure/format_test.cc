// Every source is laid out as .clang-format says. Layouts differ between releases of clang-format, so the check is for
// one of them: version 14, the one of Debian 12 and Ubuntu 22.04, called clang-format or clang-format-14.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/structure/rooms.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

struct CommandOutput {
  int code = -1;
  std::string text;
};

CommandOutput output_of(const std::string& command) {
  CommandOutput output;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 4096> piece{};
  while (const auto n = std::fread(piece.data(), 1, piece.size(), pipe)) output.text.append(piece.data(), n);
  output.code = ::pclose(pipe);
  return output;
}

std::string formatter() {
  for (const std::string program : {"clang-format-14", "clang-format"}) {
    const auto version = output_of(program + " --version");
    if (version.code == 0 && version.text.find("version 14.") != std::string::npos) return program;
  }
  return "";
}

TEST(Format, EverySourceIsLaidOutAsAgreed) {
  const auto program = formatter();
  if (program.empty()) GTEST_SKIP() << "clang-format 14 is not installed";
  std::string files;
  for (const auto room : kRooms) {
    for (const auto& entry : fs::recursive_directory_iterator(testing::source_folder() / room)) {
      const auto extension = entry.path().extension();
      if (extension == ".h" || extension == ".cc") files += " '" + entry.path().string() + "'";
    }
  }
  const auto checked = output_of(program + " --dry-run -Werror --ferror-limit=1" + files);
  EXPECT_EQ(checked.code, 0) << checked.text << "\nrun " << program << " -i on these files";
}

}  // namespace
}  // namespace melisma
