#include "models/weights/safetensors_header.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "tools/base/error.h"

namespace melisma {
namespace safetensors_header_detail {
namespace {

// Receives the header piece by piece; the depth of nesting says what a piece must be, so nothing can recurse.
class HeaderSax final : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader header;

  bool start_object(std::size_t) override {
    if (depth_ == 0 || (depth_ == 1 && !in_array_)) {
      ++depth_;
      if (depth_ == 2) begin_entry();
      return true;
    }
    refuse("an object");
  }

  bool end_object() override {
    if (depth_ == 2) finish_entry();
    --depth_;
    return true;
  }

  bool key(std::string& text) override {
    if (depth_ == 1) {
      if (!names_.insert(text).second) fail(ErrorKind::checkpoint, "the name '{}' appears twice in its header", text);
      name_ = text;
    } else {
      if (!fields_.insert(text).second) fail(ErrorKind::checkpoint, "'{}' appears twice in '{}'", text, name_);
      field_ = text;
    }
    return true;
  }

  bool string(std::string& text) override {
    if (depth_ == 2 && !in_array_ && in_metadata_) {
      header.metadata[field_] = text;
      return true;
    }
    if (depth_ == 2 && !in_array_ && field_ == "dtype") {
      header.entries.back().type = text;
      return true;
    }
    refuse("a text");
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_array_ || in_metadata_ || (field_ != "shape" && field_ != "data_offsets")) refuse("a list");
    in_array_ = true;
    offsets_.clear();
    return true;
  }

  bool end_array() override {
    in_array_ = false;
    if (field_ != "data_offsets") return true;
    if (offsets_.size() != 2) fail(ErrorKind::checkpoint, "'data_offsets' of '{}' must be two numbers", name_);
    header.entries.back().begin = offsets_[0];
    header.entries.back().end = offsets_[1];
    return true;
  }

  bool number_unsigned(std::uint64_t value) override {
    if (!in_array_) refuse("a number");
    if (field_ == "data_offsets") {
      if (offsets_.size() < 3) offsets_.push_back(value);
      return true;
    }
    constexpr std::size_t kMostDimensions = 16;
    auto& shape = header.entries.back().shape;
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) ||
        shape.size() == kMostDimensions) {
      fail(ErrorKind::checkpoint, "tensor '{}' has an impossible shape", name_);
    }
    shape.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool number_integer(std::int64_t) override { refuse("a negative number"); }
  bool number_float(double, const std::string&) override { refuse("a fraction"); }
  bool null() override { refuse("null"); }
  bool boolean(bool) override { refuse("a truth value"); }
  bool binary(nlohmann::json::binary_t&) override { refuse("binary data"); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail(ErrorKind::checkpoint, "its header is not valid JSON (byte {})", position);
  }

 private:
  [[noreturn]] void refuse(std::string_view found) const {
    if (depth_ == 0) fail(ErrorKind::checkpoint, "its header is {} instead of an object", found);
    if (depth_ == 1) fail(ErrorKind::checkpoint, "its header holds {} under '{}'", found, name_);
    fail(ErrorKind::checkpoint, "'{}' of '{}' in its header holds {}", field_, name_, found);
  }

  void begin_entry() {
    in_metadata_ = name_ == "__metadata__";
    fields_.clear();
    if (!in_metadata_) header.entries.push_back({.name = name_, .type = "", .shape = {}});
  }

  void finish_entry() {
    if (in_metadata_) return;
    for (const auto* needed : {"dtype", "shape", "data_offsets"}) {
      if (!fields_.contains(needed)) fail(ErrorKind::checkpoint, "tensor '{}' has no '{}'", name_, needed);
    }
    if (fields_.size() > 3) fail(ErrorKind::checkpoint, "tensor '{}' has unknown fields in its header", name_);
  }

  int depth_ = 0;
  bool in_array_ = false, in_metadata_ = false;
  std::string name_, field_;
  std::set<std::string> names_, fields_;
  std::vector<std::uint64_t> offsets_;
};

}  // namespace
}  // namespace safetensors_header_detail

SafetensorsHeader parse_safetensors_header(std::string_view text) {
  if (text.empty() || text.front() != '{') fail(ErrorKind::checkpoint, "its header does not start with '{{'");
  safetensors_header_detail::HeaderSax sax;
  nlohmann::json::sax_parse(text.begin(), text.end(), &sax);
  return std::move(sax.header);
}

}  // namespace melisma
