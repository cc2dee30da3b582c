// The project speaks of itself alone, and headers say what they are for.
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/golden.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

const fs::path kProject = testing::source_folder();

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// Files people read: sources, scripts, pages and settings; fixtures keep their own provenance.
std::vector<fs::path> texts_of_project() {
  std::vector<fs::path> texts;
  for (auto entry = fs::recursive_directory_iterator(kProject); entry != fs::recursive_directory_iterator(); ++entry) {
    const auto name = entry->path().filename().string();
    const auto place = entry->path().lexically_relative(kProject).string();
    if (entry->is_directory() &&
        (name == "build" || name == ".git" || name == "melisma-workspace" || place == "tests/golden")) {
      entry.disable_recursion_pending();
    } else if (entry->is_regular_file() && name != ".git" && entry->file_size() < (1u << 20)) {
      texts.push_back(entry->path());
    }
  }
  return texts;
}

// `word` not followed by a letter, so that a folder's name is not taken for the start of a longer one.
bool mentions(const std::string& text, const std::string& word) {
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const auto next = at + word.size();
    if (next >= text.size() || std::isalnum(static_cast<unsigned char>(text[next])) == 0) return true;
  }
  return false;
}

TEST(Words, NothingNamesTheMachineItWasWrittenOn) {
  // Put together here so that this file does not contain them.
  const std::vector<std::string> words{std::string("/wo") + "rk", std::string("/tmp/") + "wt",
                                       std::string("sub") + "agent", std::string("LEAD_") + "NOTE"};
  for (const auto& path : texts_of_project()) {
    const auto text = text_of(path);
    for (const auto& word : words) EXPECT_FALSE(mentions(text, word)) << path << " says '" << word << "'";
  }
}

TEST(Words, EveryHeaderBeginsWithWhatItIsFor) {
  for (const auto* room : {"tools", "data", "models", "infer", "eval", "train", "experiments"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kProject / room)) {
      if (entry.path().extension() != ".h") continue;
      EXPECT_TRUE(text_of(entry.path()).starts_with("// ")) << entry.path() << " begins without saying what it is for";
    }
  }
}

}  // namespace
}  // namespace melisma
