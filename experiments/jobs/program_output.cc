#include "experiments/jobs/program_output.h"

#include "tools/base/atomic_file.h"
#include "tools/base/program.h"
#include "tools/base/scratch_folder.h"

namespace melisma {

ProgramOutput output_of_program(const std::vector<std::string>& words) {
  const ScratchFolder scratch;  // files instead of pipes: nobody has to read while the program writes
  const auto out = scratch / "out", err = scratch / "err";
  const auto end = run_to_end(words, out, err);
  return {end.exit_code, read_file(out), read_file(err)};
}

}  // namespace melisma
