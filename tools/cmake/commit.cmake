# cmake -DSOURCE=<source folder> -DOUTPUT=<file.cc> -P commit.cmake
# Writes program_commit() of tools/cli/commit.h: the commit that is checked out, or "unknown" where there is no repository.
set(commit "unknown")
if(EXISTS "${SOURCE}/.git")
  execute_process(COMMAND git -c safe.directory=* rev-parse --verify HEAD WORKING_DIRECTORY "${SOURCE}"
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE code)
  if(code EQUAL 0)
    set(commit "${found}")
  endif()
endif()
file(WRITE "${OUTPUT}" "#include \"tools/cli/commit.h\"

namespace melisma {

const char* program_commit() { return \"${commit}\"; }

}  // namespace melisma
")
