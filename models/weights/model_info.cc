#include "models/weights/model_info.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/weights/mapped_file.h"
#include "models/weights/pth_file.h"
#include "models/weights/safetensors.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"
#include "tools/base/json_text.h"
#include "tools/base/table.h"

namespace melisma {
namespace model_info_detail {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 15> kProgramKeys{
    "format",     "format_version", "family", "config",         "sample_rate", "quantization",  "layout", "metrics",
    "provenance", "epoch",          "step",   kTensorDigestKey, "dtype",       "extracted_utc", "quality"};
constexpr std::array<std::string_view, 4> kWeightKeys{"weight", "model", "state_dict", "params"};
// What programs that read a voice model build the network by.
constexpr std::array<std::string_view, 9> kToolKeys{
    "optimizer", "config", "sr", "f0", "version", "vocoder", "melisma", "scaler", "melisma_provenance"};

template <class Keys>
bool is_among(const Keys& keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

void refuse(const std::string& key) {
  fail(ErrorKind::usage, "'{}' says what the weights are, and they stay; name, author and description can be set", key);
}

[[noreturn]] void fail_to_remove(const std::string& key, const std::vector<std::string>& known) {
  if (known.empty()) fail(ErrorKind::usage, "there is no entry '{}' to remove, nor any other", key);
  throw Error(ErrorKind::usage, unknown_name_message("entry", key, known));
}

// The header of a .safetensors file with its metadata changed; tensors in the order they had.
std::string changed_header(std::string_view header, const std::vector<InfoChange>& changes) {
  const auto old = Json::parse(header);
  auto metadata = old.value("__metadata__", Json::object());
  for (const auto& [key, value] : changes) {
    if (is_program_metadata(key)) refuse(key);
    if (value) {
      metadata[key] = *value;
    } else if (metadata.erase(key) == 0) {
      std::vector<std::string> known;
      for (const auto& [name, text] : metadata.items()) {
        if (!is_program_metadata(name)) known.push_back(name);
      }
      fail_to_remove(key, known);
    }
  }
  auto fresh = Json::object();
  if (!metadata.empty()) fresh["__metadata__"] = metadata;
  for (const auto& [name, entry] : old.items()) {
    if (name != "__metadata__") fresh[name] = entry;
  }
  auto text = json_line(fresh);
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

void edit_safetensors(const fs::path& input, const fs::path& output, const std::vector<InfoChange>& changes) {
  const auto offset = read_safetensors(input).data_offset;  // checked as every file is that is read
  const MappedFile file(input);
  const auto* bytes = reinterpret_cast<const char*>(file.bytes().data());
  const auto header = changed_header({bytes + sizeof(std::uint64_t), offset - sizeof(std::uint64_t)}, changes);
  const auto length = static_cast<std::uint64_t>(header.size());
  write_file_atomically(output, [&](const fs::path& temporary) {
    std::ofstream copy(temporary, std::ios::binary | std::ios::trunc);
    copy.write(reinterpret_cast<const char*>(&length), sizeof(length));
    copy.write(header.data(), static_cast<std::streamsize>(header.size()));
    copy.write(bytes + offset, static_cast<std::streamsize>(file.size() - offset));
    copy.close();
    if (!copy) fail_to_write(output, errno);
  });
}

PickleValue changed_value(const std::string& key, const std::string& text, const PickleValue* old) {
  if (old == nullptr || !old->integer()) return text;
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || end != text.data() + text.size()) {
    fail(ErrorKind::usage, "'{}' is the number {} in the file; '{}' is none", key, *old->integer(), text);
  }
  return number;
}

void change_entry(PickleDict& root, const InfoChange& change) {
  const auto key = change.key == "name" ? std::string("model_name") : change.key;
  if (is_among(kWeightKeys, key) || is_among(kToolKeys, key)) refuse(key);
  const auto entry = std::ranges::find_if(root.items, [&](const auto& item) {
    const auto* text = item.first.text();
    return text != nullptr && *text == key;
  });
  if (change.value) {
    auto value = changed_value(key, *change.value, entry == root.items.end() ? nullptr : &entry->second);
    if (entry == root.items.end()) return root.set(key, std::move(value));
    entry->second = std::move(value);
    return;
  }
  if (entry != root.items.end()) {
    root.items.erase(entry);
    return;
  }
  std::vector<std::string> known;
  for (const auto& [name, value] : root.items) {
    if (name.text() == nullptr || is_among(kWeightKeys, *name.text()) || is_among(kToolKeys, *name.text())) continue;
    known.push_back(*name.text());
  }
  fail_to_remove(key, known);
}

void edit_pth(const fs::path& input, const fs::path& output, const std::vector<InfoChange>& changes) {
  const auto root = read_pth(input);
  const bool has_entries = root.dict() != nullptr && std::ranges::any_of(kWeightKeys, [&](std::string_view key) {
                             const auto* weights = root.find(key);
                             return weights != nullptr && weights->dict() != nullptr;
                           });
  if (!has_entries) {
    fail(ErrorKind::checkpoint,
         "'{}' holds bare weights, beside which nothing can be said; melisma extract makes a voice model of them",
         input.string());
  }
  for (const auto& change : changes) change_entry(*root.dict(), change);
  write_pth(output, root);
}

}  // namespace
}  // namespace model_info_detail

bool is_program_metadata(std::string_view key) {
  return model_info_detail::is_among(model_info_detail::kProgramKeys, key);
}

void edit_model_info(const std::filesystem::path& input, const std::filesystem::path& output,
                     const std::vector<InfoChange>& changes) {
  using namespace model_info_detail;
  with_context(fmt::format("changing what '{}' says", input.string()), [&] {
    if (looks_like_pth(input)) return edit_pth(input, output, changes);
    if (!looks_like_safetensors(input) && std::filesystem::is_regular_file(input)) {
      fail(ErrorKind::checkpoint, "'{}' is neither a .safetensors nor a .pth file", input.string());
    }
    edit_safetensors(input, output, changes);
  });
}

}  // namespace melisma
