// What `melisma convert` is to make of what: recordings and results paired, and checked before anything is loaded.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tools/actions/convert_action.h"

namespace melisma {

struct ConvertJob {
  std::filesystem::path input, output;
};

struct ConvertJobs {
  std::vector<ConvertJob> jobs;
  std::string format;      // a name of kAudioFormats
  bool is_folder = false;  // a folder of recordings: one that cannot be used does not stop the others
};

// One job for a file; for a folder one a recording, sub-folders mirrored. Recordings that differ only in their ending
// keep it in the result's name; what lies in the output folder already is no recording. Throws Error(data) if there is
// nothing to convert, Error(usage) if the output cannot be what is meant or would replace a recording, Error(device) if
// it cannot be written.
[[nodiscard]] ConvertJobs convert_jobs(const ConvertActionOptions& options);

}  // namespace melisma
