// Whether the held-out recordings of a run are ones that its weights have never heard.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace melisma {

// Why scores of the run on held-out recordings of a dataset may not be of unheard ones; empty if the manifest gives no
// reason to doubt. A run that began with fresh weights has heard nothing but its train split; of one that began with
// weights from elsewhere, imported or as a base, nobody knows but who trained those.
[[nodiscard]] std::string held_out_caveat(const nlohmann::ordered_json& manifest, std::string_view dataset_hash);
// The same of the dataset that the run was trained on.
[[nodiscard]] std::string held_out_caveat(const nlohmann::ordered_json& manifest);

// The caveat that starting from `weights` brings to a run on a dataset: none for a checkpoint of a run here that was
// trained on the same dataset and has none itself.
[[nodiscard]] std::string caveat_of_base(const std::filesystem::path& weights, std::string_view dataset_hash);

}  // namespace melisma
