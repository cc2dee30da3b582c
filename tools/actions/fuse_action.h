// `melisma fuse`: one voice of several.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace melisma {

struct FuseOptions {
  std::filesystem::path workspace;
  std::vector<std::string> models;   // model files, runs (their best epoch) or checkpoint folders
  std::vector<double> weights;       // one a model; none = equal ones
  std::string method = "sum";        // row of kMergeMethods
  std::vector<std::string> parts;    // "decoder=0.2": weights of a part of its own
  std::string on = "effective";      // or "raw"
  bool as_given = false;             // weights are not made to sum to 1
  double density = 1;                // of ties: the share of what each model learned that is kept
  std::vector<std::string> indexes;  // the models' feature indexes in their order, fused beside the result
  std::uint64_t seed = 0;            // of the choice among the indexes' vectors and of their clustering
  std::string dtype = "fp32";        // row of kExtractTypes
  std::filesystem::path output;      // .safetensors or .pth; the index goes beside it with the ending .index
  bool for_training = false;         // keep the posterior encoder, as `train --from` needs it
  bool json = false;
};

// Writes the voice, its parents and their weights in its provenance, and prints what became of what. Throws
// Error(checkpoint) naming what differs where voices are not of one kind. Exit code 0.
int fuse(const FuseOptions& options);

}  // namespace melisma
