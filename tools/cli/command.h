// A command of the program: one row of kCommands, one file <name>_command.cc.
#pragma once
#include <filesystem>
#include <functional>
#include <string_view>

namespace CLI {
class App;
}

namespace melisma {

// Options every command has.
struct GlobalOptions {
  std::filesystem::path workspace = "melisma-workspace";
  int threads = 0;  // 0 = one a physical core
};

struct Command {
  std::string_view name;
  std::string_view summary;
  // Adds the command's options to `app`; the returned function runs it after parsing and gives the exit code.
  std::function<int()> (*define)(CLI::App& app, const GlobalOptions& global);
};

}  // namespace melisma
