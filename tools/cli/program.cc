// Parses the command line, runs one command, and turns errors into one line and an exit code.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <vector>

#include "tools/base/error.h"
#include "tools/base/table.h"
#include "tools/cli/commands.h"
#include "tools/cli/commit.h"

namespace melisma {
namespace {

constexpr const char* kDescription =
    "Melisma: a training and research workbench for voices and mixes.\n"
    "Recordings become a dataset (prepare), a voice (train), numbers on recordings it never heard (evaluate),\n"
    "a file for others (extract), converted audio (convert) and a page to publish (report).";

// What is wrong with the words of a command line, and where to look.
std::string parse_problem(const CLI::App& app, const CLI::ParseError& problem) {
  std::string help = "melisma";
  std::vector<std::string> known;
  for (const auto* command = &app;; command = command->get_subcommands().front()) {
    if (command != &app) help += " " + command->get_name();
    for (const auto* option : command->get_options()) {
      for (const auto& name : option->get_lnames()) known.push_back("--" + name);
    }
    if (command->get_subcommands().empty()) break;
  }
  help += " --help";
  for (auto word : app.remaining(true)) {
    if (!word.starts_with("--")) continue;
    word = word.substr(0, word.find('='));
    const auto near = nearest_names(word, known);
    return fmt::format("unknown option '{}'; {}{} lists them", word,
                       near.empty() ? "" : fmt::format("did you mean '{}'? ", fmt::join(near, "' or '")), help);
  }
  return fmt::format("{}; see {}", problem.what(), help);
}

// argv[1] when it is a word that names no command: an error with did-you-mean (CLI11 would only say it was not
// expected).
void check_command_name(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--workspace" || word == "--threads") {
      ++i;
      continue;
    }
    if (word.starts_with("-")) continue;
    (void)find_row(kCommands, word, "command", ErrorKind::usage);
    return;
  }
}

// The parser of command lines, and what each command does.
struct Parser {
  GlobalOptions global;
  CLI::App app{kDescription, "melisma"};
  std::vector<std::pair<CLI::App*, std::function<int()>>> commands;

  Parser() {
    app.set_version_flag("--version", fmt::format("melisma {} (commit {})", MELISMA_VERSION, program_commit()));
    app.add_option("--workspace", global.workspace, "folder of datasets, runs, models and jobs")
        ->take_last()
        ->capture_default_str();
    app.add_option("--threads", global.threads, "threads to compute with; 0 = one a physical core")
        ->take_last()
        ->check(CLI::NonNegativeNumber);
    app.require_subcommand(1);
    app.fallthrough();
    for (const auto& command : kCommands) {
      auto* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
      commands.emplace_back(sub, command.define(*sub, global));
    }
  }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  // An exit code if all the line asks for, help or the version, is printed already.
  std::optional<int> parse(int argc, char** argv) {
    check_command_name(argc, argv);
    try {
      app.parse(argc, argv);
      return std::nullopt;
    } catch (const CLI::ParseError& problem) {
      if (problem.get_exit_code() != 0) throw Error(ErrorKind::usage, parse_problem(app, problem));
      return app.exit(problem);
    }
  }
};

int run_parsed(int argc, char** argv) {
  Parser parser;
  if (const auto exit_code = parser.parse(argc, argv)) return *exit_code;
  for (const auto& [sub, run] : parser.commands) {
    if (sub->parsed()) return run();
  }
  return 2;
}

}  // namespace

int run_program(int argc, char** argv) {
  try {
    return run_parsed(argc, argv);
  } catch (const Error& error) {
    fmt::print(stderr, "melisma: {}\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    fmt::print(stderr, "melisma: internal: {} (this is a defect; please report the command and this line)\n",
               error.what());
    return 70;
  }
}

void check_command_line(std::vector<std::string> words) {
  words.insert(words.begin(), "melisma");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  Parser parser;
  if (parser.parse(static_cast<int>(argv.size()), argv.data())) {
    throw Error(ErrorKind::usage, "this command line only asks for help");
  }
}

void end_program(int exit_code) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  std::exit(exit_code);  // sanitizers report at the very end
#else
  std::cout.flush();
  std::fflush(nullptr);
  std::_Exit(exit_code);
#endif
}

}  // namespace melisma
