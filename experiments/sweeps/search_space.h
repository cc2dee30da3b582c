// Which settings a sweep tries: values or ranges of keys, all combinations of them, or random ones.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace melisma {

struct SearchRange {
  double low = 0, high = 0;
  bool is_log = false;  // equal steps of the logarithm are equally likely
};

// One key, with values as --set takes them, or a range.
struct SearchKey {
  std::string path;
  std::vector<std::string> values;
  std::optional<SearchRange> range;
  bool is_integer = false;  // draws from the range are rounded
};

// "losses.mel=15,45", "model.vocoder=hifigan,refinegan", "generator_optimizer.lr=1e-5..1e-3:log",
// "data.batch_size=2..8". Commas inside brackets and quotes part nothing. Error(usage) saying what is wrong and how it
// is written.
[[nodiscard]] SearchKey parse_search_key(std::string_view text);
// The same text again.
[[nodiscard]] std::string text_of(const SearchKey& key);

// The table [over] of a TOML file: lists of values, or text with a range. Empty if there is none. Error(config) with
// file and line.
[[nodiscard]] std::vector<SearchKey> search_keys_of_toml(std::string_view toml, const std::string& source);

// "key=value" of every key, one list a combination; the last key changes fastest. Error(usage) for a range.
[[nodiscard]] std::vector<std::vector<std::string>> grid_of(std::span<const SearchKey> keys);
// Those of combination number `index` of a random search: the same for the same seed, whatever else is drawn.
[[nodiscard]] std::vector<std::string> drawn_from(std::span<const SearchKey> keys, std::uint64_t seed,
                                                  std::int64_t index);

}  // namespace melisma
