// Reference numbers in tests: finding fixtures, reading them, comparing, and the recipes and formulas they are defined
// by. The safetensors reader here is independent of the one in models/weights, which is itself under test.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace melisma::testing {

// The root of the source tree.
[[nodiscard]] std::filesystem::path source_folder();

// Folder of a topic ("dsp", "rvc", "formats/npy"): below MELISMA_GOLDEN_DIR if that is set, else tests/golden. May be
// absent.
[[nodiscard]] std::filesystem::path golden_folder(std::string_view topic);

// Every file of the topic whose name matches prefix and suffix, sorted. Absent topic: nothing and has_topic is false;
// an existing topic without a match is a test failure.
struct GoldenFiles {
  bool has_topic = false;
  std::vector<std::filesystem::path> files;
};
[[nodiscard]] GoldenFiles golden_files(std::string_view topic, std::string_view prefix, std::string_view suffix);

struct GoldenTensor {
  std::string dtype;  // as in the file: "F32", "I64", ...
  std::vector<std::int64_t> shape;
  std::vector<double> values;  // row-major, whatever the dtype
  [[nodiscard]] std::int64_t numel() const { return static_cast<std::int64_t>(values.size()); }
  [[nodiscard]] std::vector<float> floats() const { return {values.begin(), values.end()}; }
};

// A whole .safetensors file. at() throws std::out_of_range naming the tensor.
struct GoldenFile {
  std::map<std::string, GoldenTensor> tensors;
  std::map<std::string, std::string> metadata;
  static GoldenFile load(const std::filesystem::path& path);
  [[nodiscard]] const GoldenTensor& at(const std::string& name) const;
  [[nodiscard]] bool has(const std::string& name) const { return tensors.contains(name); }
  // A metadata value parsed as JSON.
  [[nodiscard]] nlohmann::json json(const std::string& key) const;
};

[[nodiscard]] nlohmann::json load_json(const std::filesystem::path& path);

// Numbers of a JSON array in which infinities and NaN are the strings "inf", "-inf", "nan" and null is NaN.
[[nodiscard]] std::vector<double> json_numbers(const nlohmann::json& array);

// Success if every |got - expected| <= absolute + relative * |expected|; the message names the worst element, its index
// and how much of the tolerance it uses. NaN equals NaN, infinities equal themselves.
[[nodiscard]] ::testing::AssertionResult near_all(std::span<const double> expected, std::span<const double> got,
                                                  double absolute, double relative = 0);
[[nodiscard]] ::testing::AssertionResult near_all(std::span<const double> expected, std::span<const float> got,
                                                  double absolute, double relative = 0);

// A signal recipe (golden/SIGNALS.md): channels of n samples in double. check_recipe also compares with a `check`
// object.
[[nodiscard]] std::vector<std::vector<double>> render_recipe(const nlohmann::json& recipe);
[[nodiscard]] ::testing::AssertionResult recipe_matches_check(const std::vector<std::vector<double>>& channels,
                                                              const nlohmann::json& check);

// The linear congruential generator of the recipes: values in [-1, 1).
class Lcg {
 public:
  explicit Lcg(std::uint32_t seed) : state_(seed) {}
  std::uint32_t next_state() { return state_ = 1664525u * state_ + 1013904223u; }
  double next() { return static_cast<double>(next_state()) / 2147483648.0 - 1.0; }

 private:
  std::uint32_t state_;
};

// Formula numbers u_i(name) in [-1, 1) (FNV-1a + SplitMix64), exact in float.
[[nodiscard]] std::vector<double> formula_numbers(std::string_view name, std::int64_t count);

// A folder that is removed at the end of the test.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace melisma::testing
