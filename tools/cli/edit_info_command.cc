#include <CLI/CLI.hpp>
#include <memory>

#include "tools/cli/commands.h"
#include "tools/cli/engine_library.h"

namespace melisma {

std::function<int()> define_edit_info(CLI::App& app, const GlobalOptions& global) {
  auto options = std::make_shared<EditInfoOptions>();
  app.add_option("file", options->file, "a .safetensors or .pth model")->required();
  app.add_option("--set", options->sets, "KEY=VALUE: name, author, description, ...; may be given several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--remove", options->removes, "KEY of an entry to remove; may be given several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("-o,--output", options->output, "the file to write");
  app.add_flag("--in-place", options->in_place, "write the file itself");
  return [options, &global] {
    options->workspace = global.workspace;
    return engine(global).edit_info(*options);
  };
}

}  // namespace melisma
