// The house keeps its order: includes point up the table of rooms, only at declared libraries, and Torch-free rooms
// stay so.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/structure/rooms.h"
#include "tests/support/golden.h"

namespace melisma {
namespace {
namespace fs = std::filesystem;

const fs::path kRoot = testing::source_folder();

struct Library {
  std::string path;                   // "data/audio"
  std::set<std::string> may_include;  // folder names
  bool torch = false;
  std::size_t position = 0;
};

std::string slurp(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The melisma_library calls of rooms.cmake, by folder name.
std::map<std::string, Library> read_libraries() {
  std::map<std::string, Library> libraries;
  const auto text = slurp(kRoot / "tools/cmake/rooms.cmake");
  const std::regex call(R"(melisma_library\(([^)]*)\))");
  for (std::sregex_iterator it(text.begin(), text.end(), call), end; it != end; ++it) {
    std::istringstream words((*it)[1].str());
    Library library;
    words >> library.path;
    std::string mode;
    for (std::string word; words >> word;) {
      if (word == "TORCH") {
        library.torch = true;
      } else if (word == "DEPS" || word == "HEADERS_OF" || word == "LINK") {
        mode = word;
      } else if (mode != "LINK") {
        library.may_include.insert(word);
      }
    }
    library.position = libraries.size();
    const auto name = fs::path(library.path).filename().string();
    library.may_include.insert(name);
    libraries.emplace(name, library);
  }
  return libraries;
}

std::vector<fs::path> sources_below(const fs::path& folder) {
  std::vector<fs::path> sources;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto extension = entry.path().extension();
    if (extension == ".h" || extension == ".cc" || extension == ".cu") sources.push_back(entry.path());
  }
  return sources;
}

std::vector<std::string> includes_of(const fs::path& source) {
  std::vector<std::string> found;
  const std::regex line(R"re(^\s*#include\s+(["<])([^">]+)[">])re");
  std::istringstream text(slurp(source));
  for (std::string row; std::getline(text, row);) {
    std::smatch match;
    if (std::regex_search(row, match, line)) found.push_back(match[2]);
  }
  return found;
}

bool is_room(const std::string& include) {
  const auto room = include.substr(0, include.find('/'));
  return room != include && room != "tests" && is_room_name(room) && include.ends_with(".h");
}

std::string folder_of(const std::string& include) { return std::next(fs::path(include).begin())->string(); }

bool names_torch(const std::string& include) {
  return include.starts_with("ATen/") || include.starts_with("c10/") || include.starts_with("torch/") ||
         include.starts_with("caffe2/");
}

// The first Torch header reached from `source` through project headers, if any, with the path to it.
std::optional<std::string> torch_reached_from(const fs::path& source, std::set<std::string>& seen) {
  for (const auto& include : includes_of(source)) {
    if (names_torch(include)) return include;
    if (!is_room(include) || !seen.insert(include).second) continue;
    if (auto inner = torch_reached_from(kRoot / include, seen)) return include + " -> " + *inner;
  }
  return std::nullopt;
}

TEST(Structure, EveryIncludeIsDeclaredAndPointsUpTheTable) {
  const auto libraries = read_libraries();
  ASSERT_GE(libraries.size(), 15u);
  for (const auto& [name, library] : libraries) {
    for (const auto& source : sources_below(kRoot / library.path)) {
      for (const auto& include : includes_of(source)) {
        if (!is_room(include)) continue;
        const auto target = folder_of(include);
        ASSERT_TRUE(libraries.contains(target)) << source << " includes " << include << " of an unknown library";
        EXPECT_TRUE(library.may_include.contains(target))
            << source << " includes " << include << ", but rooms.cmake does not list '" << target << "' for "
            << library.path;
        EXPECT_LE(libraries.at(target).position, library.position) << source << " includes down the table: " << include;
        EXPECT_TRUE(fs::exists(kRoot / include)) << source << " includes " << include;
      }
    }
  }
}

TEST(Structure, TorchFreeLibrariesReachNoTorchHeader) {
  for (const auto& [name, library] : read_libraries()) {
    if (library.torch) continue;
    for (const auto& source : sources_below(kRoot / library.path)) {
      std::set<std::string> seen;
      const auto reached = torch_reached_from(source, seen);
      EXPECT_FALSE(reached.has_value()) << source << " reaches " << *reached;
    }
  }
}

TEST(Structure, NobodyIncludesTheSlowTorchHeaders) {
  for (const auto room : kRooms) {
    for (const auto& source : sources_below(kRoot / room)) {
      for (const auto& include : includes_of(source)) {
        EXPECT_TRUE(include != "torch/torch.h" && include != "torch/nn.h" && include != "torch/optim.h" &&
                    include != "torch/types.h")
            << source << " includes " << include;
      }
    }
  }
}

// Before C++23 what a function returned is gone when such a loop begins, and the loop runs no time or over rubble.
TEST(Structure, NoLoopRunsOverAPartOfAFileThatIsGone) {
  const std::regex loop(R"(for \([^;]*:\s*[\w:]*(load_json|load|parse)\([^;]*\)\s*(\.at\(|\[|\.items\(|\.front\())");
  EXPECT_TRUE(std::regex_search(R"(for (const auto& c : load_json(file).at("cases")) {)", loop));
  EXPECT_FALSE(std::regex_search(R"(for (const auto& c : fixture.at("cases")) {)", loop));
  for (const auto room : kRooms) {
    for (const auto& source : sources_below(kRoot / room)) {
      if (source.filename() == "structure_test.cc") continue;
      std::istringstream text(slurp(source));
      for (std::string line; std::getline(text, line);) EXPECT_FALSE(std::regex_search(line, loop)) << source << line;
    }
  }
}

TEST(Structure, EveryFolderHasAReadme) {
  for (const auto& [name, library] : read_libraries()) {
    EXPECT_TRUE(fs::exists(kRoot / library.path / "README.md")) << library.path << " has no README.md";
  }
}

// A README names tests as `Suite.Name`.
TEST(Structure, TestsThatReadmesNameExist) {
  std::set<std::string> tests;
  const std::regex definition(R"((?:TEST|TEST_F|TEST_P|RC_GTEST_PROP)\((\w+),\s*(\w+))");
  for (const auto& source : sources_below(kRoot / "tests")) {
    const auto text = slurp(source);
    for (std::sregex_iterator found(text.begin(), text.end(), definition), end; found != end; ++found) {
      tests.insert((*found)[1].str() + "." + (*found)[2].str());
    }
  }
  const std::regex naming(R"(`([A-Z]\w+\.[A-Z]\w+)`)");
  int n_named = 0;
  for (const auto room : kRooms) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / room)) {
      if (entry.path().filename() != "README.md") continue;
      const auto text = slurp(entry.path());
      for (std::sregex_iterator found(text.begin(), text.end(), naming), end; found != end; ++found, ++n_named) {
        EXPECT_TRUE(tests.contains((*found)[1])) << entry.path() << " names " << (*found)[1] << ", which is no test";
      }
    }
  }
  EXPECT_GT(n_named, 0);
}

TEST(Structure, FilesFitInOneReading) {
  for (const auto room : kRooms) {
    for (const auto& source : sources_below(kRoot / room)) {
      const auto text = slurp(source);
      EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 450)
          << source << " is past one reading: find the noun in it";
    }
  }
}

}  // namespace
}  // namespace melisma
