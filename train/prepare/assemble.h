// From prepared recordings to the dataset file and the report; the second half of prepare().
#pragma once
#include <string>
#include <vector>

#include "train/prepare/prepare.h"
#include "train/prepare/sources.h"

namespace melisma {

// Everything the dataset will hold, in its order, before the samples are copied.
struct Assembly {
  std::vector<SourceFile> sources;
  std::vector<RecordingRow> rows;             // one a source
  std::vector<std::string> speakers;          // those with clips, by name
  std::vector<PreparedRecording> recordings;  // kept ones, by name
  std::vector<std::size_t> source_of;         // of each kept recording
  std::vector<Clip> clips;                    // hash filled
  std::map<std::string, Dropped> dropped;
  std::string parameters, content_hash, split_hash;
};

[[nodiscard]] Assembly assemble(const std::vector<SourceFile>& sources, std::vector<Part>& parts,
                                const std::vector<std::filesystem::path>& part_paths,
                                const std::vector<std::int64_t>& groups, const PrepareConfig& config,
                                bool is_split_by_list);

// Gives every kept recording and its clips their side (one a source), and the hashes.
void place(Assembly& assembly, const std::vector<Split>& sides);

// Writes the dataset, or adds the feature sets that the same dataset lacks; says which.
std::string write(const Assembly& assembly, const PrepareRequest& request, std::span<const FeatureMaker> makers,
                  EventSink& events);

[[nodiscard]] PrepareReport report_of(const Assembly& assembly, const PrepareRequest& request, std::string outcome);

}  // namespace melisma
