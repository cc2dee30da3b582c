#include "tests/support/golden.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace melisma::testing {
namespace fs = std::filesystem;
namespace {

double half_to_double(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double mantissa = bits & 1023;
  const double sign = (bits & 0x8000) ? -1 : 1;
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(mantissa + 1024, exponent - 25);
}

template <class T>
void decode(const char* bytes, std::vector<double>& out) {
  for (auto& value : out) {
    T element;
    std::memcpy(&element, bytes, sizeof(T));
    bytes += sizeof(T);
    value = static_cast<double>(element);
  }
}

void decode_as(const std::string& dtype, const char* bytes, std::vector<double>& out) {
  if (dtype == "F64") return decode<double>(bytes, out);
  if (dtype == "F32") return decode<float>(bytes, out);
  if (dtype == "I64") return decode<std::int64_t>(bytes, out);
  if (dtype == "I32") return decode<std::int32_t>(bytes, out);
  if (dtype == "I16") return decode<std::int16_t>(bytes, out);
  if (dtype == "U16") return decode<std::uint16_t>(bytes, out);
  if (dtype == "I8") return decode<std::int8_t>(bytes, out);
  if (dtype == "U8" || dtype == "BOOL") return decode<std::uint8_t>(bytes, out);
  if (dtype == "F16") {
    std::vector<double> raw(out.size());
    decode<std::uint16_t>(bytes, raw);
    std::transform(raw.begin(), raw.end(), out.begin(),
                   [](double v) { return half_to_double(static_cast<std::uint16_t>(v)); });
    return;
  }
  if (dtype == "BF16") {
    std::vector<double> raw(out.size());
    decode<std::uint16_t>(bytes, raw);
    std::transform(raw.begin(), raw.end(), out.begin(),
                   [](double v) { return std::bit_cast<float>(static_cast<std::uint32_t>(v) << 16); });
    return;
  }
  throw std::runtime_error("golden file: unknown dtype " + dtype);
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read fixture " + path.string());
  std::ostringstream content;
  content << file.rdbuf();
  return std::move(content).str();
}

template <class T>
::testing::AssertionResult compare_all(std::span<const double> expected, std::span<const T> got, double absolute,
                                       double relative) {
  if (expected.size() != got.size()) {
    return ::testing::AssertionFailure() << "expected " << expected.size() << " values, got " << got.size();
  }
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double e = expected[i], g = static_cast<double>(got[i]);
    if (e == g || (std::isnan(e) && std::isnan(g))) continue;
    const double limit = absolute + relative * std::abs(e);
    double used = limit > 0 ? std::abs(g - e) / limit : INFINITY;
    if (std::isnan(used)) used = INFINITY;
    if (used > worst) {
      worst = used;
      where = i;
    }
  }
  auto result = worst <= 1 ? ::testing::AssertionSuccess() : ::testing::AssertionFailure();
  if (expected.empty()) return result << "no values";
  return result << "worst element " << where << " of " << expected.size() << ": expected " << expected[where]
                << ", got " << static_cast<double>(got[where]) << ", uses " << worst * 100 << " % of the tolerance";
}

double optional_number(const nlohmann::json& object, const char* key, double fallback) {
  return object.contains(key) ? object[key].get<double>() : fallback;
}

std::vector<double> render_shape(const nlohmann::json& term, std::size_t n, double sr) {
  constexpr double two_pi = 2 * M_PI;
  const std::string type = term.at("type");
  const double phase = optional_number(term, "phase", 0);
  std::vector<double> y(n, 0.0);
  if (type == "sine") {
    const double freq = term.at("freq");
    for (std::size_t k = 0; k < n; ++k) y[k] = std::sin(two_pi * freq * static_cast<double>(k) / sr + phase);
  } else if (type == "chirp") {
    const double f0 = term.at("f0"), f1 = term.at("f1"), dur = term.at("dur");
    for (std::size_t k = 0; k < n; ++k) {
      const double t = static_cast<double>(k) / sr;
      y[k] = std::sin(two_pi * (f0 * t + (f1 - f0) / (2 * dur) * t * t) + phase);
    }
  } else if (type == "noise") {
    Lcg lcg(term.at("seed").get<std::uint32_t>());
    const auto skip = static_cast<std::size_t>(optional_number(term, "skip", 0));
    const auto stride = static_cast<std::size_t>(optional_number(term, "stride", 1));
    for (std::size_t i = 0; i < skip; ++i) lcg.next_state();
    for (std::size_t k = 0; k < n; ++k) {
      y[k] = lcg.next();
      for (std::size_t i = 1; i < stride; ++i) lcg.next_state();
    }
    if (term.contains("lp")) {
      const double c = term["lp"];
      double last = 0;
      for (auto& value : y) value = last = c * value + (1 - c) * last;
    }
  } else if (type == "voice") {
    const double f0 = term.at("f0");
    const double cents = optional_number(term, "vib_cents", 0), vib_hz = optional_number(term, "vib_hz", 0);
    const std::vector<double> gains = term.at("gains");
    double running = 0;
    for (std::size_t k = 0; k < n; ++k) {
      const double kk = static_cast<double>(k);
      double f = f0 * std::pow(2.0, cents / 1200 * std::sin(two_pi * vib_hz * kk / sr));
      if (term.contains("glide")) f *= std::pow(2.0, term["glide"].get<double>() * kk / static_cast<double>(n));
      running += two_pi * f / sr;
      for (std::size_t i = 0; i < gains.size(); ++i) y[k] += gains[i] * std::sin(static_cast<double>(i + 1) * running);
    }
  } else if (type == "impulse") {
    const auto& list = term.contains("at") ? term["at"] : term.at("impulses");
    for (const auto& item : list) y.at(item[0].get<std::size_t>()) += item[1].get<double>();
  } else if (type == "dc") {
    std::fill(y.begin(), y.end(), 1.0);
  } else {
    throw std::runtime_error("recipe: unknown term " + type);
  }
  return y;
}

void add_term(const nlohmann::json& term, double sr, std::vector<double>& channel) {
  const std::size_t n = channel.size();
  auto y = render_shape(term, n, sr);
  const double amp = optional_number(term, "amp", 1);
  for (std::size_t k = 0; k < n; ++k) {
    const double kk = static_cast<double>(k);
    double v = y[k] * amp;
    if (term.contains("am")) {
      const auto& am = term["am"];
      v *= 1 + am.at("depth").get<double>() *
                   std::sin(2 * M_PI * am.at("freq").get<double>() * kk / sr + optional_number(am, "phase", 0));
    }
    if (term.contains("decay")) v *= std::exp(-kk / (term["decay"].get<double>() * sr));
    y[k] = v;
  }
  if (term.contains("env")) {
    std::vector<double> envelope(n, 0.0);
    for (const auto& part : term["env"]) {
      const auto first = part[0].get<std::size_t>(), last = part[1].get<std::size_t>();
      for (std::size_t k = first; k < std::min(last, n); ++k) envelope[k] = part[2];
    }
    for (std::size_t k = 0; k < n; ++k) y[k] *= envelope[k];
  }
  for (std::size_t k = 0; k < n; ++k) channel[k] += y[k];
}

void finish_channel(const nlohmann::json& recipe, std::vector<double>& x) {
  const std::size_t n = x.size();
  if (recipe.contains("fade") && recipe["fade"].is_number()) {
    const auto m = recipe["fade"].get<std::size_t>();
    for (std::size_t i = 0; i < m; ++i) {
      const double w = 0.5 - 0.5 * std::cos(M_PI * (static_cast<double>(i) + 0.5) / static_cast<double>(m));
      x[i] *= w;
      x[n - 1 - i] *= w;
    }
  }
  const double gain = optional_number(recipe, "gain", 1);
  for (auto& v : x) v *= gain;
  if (recipe.contains("clip") && recipe["clip"].is_number()) {
    const double c = recipe["clip"];
    for (auto& v : x) v = std::clamp(v, -c, c);
  }
  if (recipe.contains("round") && recipe["round"].is_string()) {
    const std::string how = recipe["round"];
    for (auto& v : x) {
      v = how == "f32" ? static_cast<double>(static_cast<float>(v))
                       : std::clamp(std::nearbyint(v * 32768), -32768.0, 32767.0) / 32768;
    }
  }
}

}  // namespace

fs::path source_folder() { return MELISMA_SOURCE_DIR; }

fs::path golden_folder(std::string_view topic) {
  const char* chosen = std::getenv("MELISMA_GOLDEN_DIR");
  return (chosen != nullptr ? fs::path(chosen) : source_folder() / "tests/golden") / topic;
}

GoldenFiles golden_files(std::string_view topic, std::string_view prefix, std::string_view suffix) {
  GoldenFiles found;
  const auto folder = golden_folder(topic);
  found.has_topic = fs::is_directory(folder);
  if (!found.has_topic) return found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(suffix)) found.files.push_back(entry.path());
  }
  std::sort(found.files.begin(), found.files.end());
  EXPECT_FALSE(found.files.empty()) << folder << " holds no " << prefix << "*" << suffix;
  return found;
}

GoldenFile GoldenFile::load(const fs::path& path) {
  const auto bytes = slurp(path);
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), 8);
  const auto header = nlohmann::json::parse(bytes.substr(8, header_size));
  GoldenFile file;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      file.metadata = entry.get<std::map<std::string, std::string>>();
      continue;
    }
    GoldenTensor tensor{entry.at("dtype"), entry.at("shape"), {}};
    std::int64_t count = 1;
    for (const auto dimension : tensor.shape) count *= dimension;
    tensor.values.resize(static_cast<std::size_t>(count));
    decode_as(tensor.dtype, bytes.data() + 8 + header_size + entry.at("data_offsets")[0].get<std::size_t>(),
              tensor.values);
    file.tensors.emplace(name, std::move(tensor));
  }
  return file;
}

const GoldenTensor& GoldenFile::at(const std::string& name) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw std::out_of_range("fixture holds no tensor '" + name + "'");
  return found->second;
}

nlohmann::json GoldenFile::json(const std::string& key) const { return nlohmann::json::parse(metadata.at(key)); }

nlohmann::json load_json(const fs::path& path) { return nlohmann::json::parse(slurp(path)); }

std::vector<double> json_numbers(const nlohmann::json& array) {
  std::vector<double> values;
  for (const auto& item : array) {
    if (item.is_number()) {
      values.push_back(item.get<double>());
    } else {
      const std::string text = item.is_string() ? item.get<std::string>() : "nan";
      values.push_back(text == "inf" ? INFINITY : text == "-inf" ? -INFINITY : NAN);
    }
  }
  return values;
}

::testing::AssertionResult near_all(std::span<const double> expected, std::span<const double> got, double absolute,
                                    double relative) {
  return compare_all(expected, got, absolute, relative);
}

::testing::AssertionResult near_all(std::span<const double> expected, std::span<const float> got, double absolute,
                                    double relative) {
  return compare_all(expected, got, absolute, relative);
}

std::vector<std::vector<double>> render_recipe(const nlohmann::json& recipe) {
  const auto n = recipe.at("n").get<std::size_t>();
  const double sr = recipe.at("sr");
  std::vector<std::vector<double>> channels;
  for (const auto& terms : recipe.at("channels")) {
    std::vector<double> channel(n, 0.0);
    for (const auto& term : terms) add_term(term, sr, channel);
    finish_channel(recipe, channel);
    channels.push_back(std::move(channel));
  }
  return channels;
}

::testing::AssertionResult recipe_matches_check(const std::vector<std::vector<double>>& channels,
                                                const nlohmann::json& check) {
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const auto& x = channels[c];
    double sum = 0, squares = 0, peak = 0;
    for (const double v : x) {
      sum += v;
      squares += v * v;
      peak = std::max(peak, std::abs(v));
    }
    const std::vector<std::pair<const char*, double>> facts = {{"sum", sum}, {"sumsq", squares}, {"peak", peak}};
    for (const auto& [key, got] : facts) {
      if (!check.contains(key)) continue;
      const double e = check.at(key).at(c).get<double>();
      if (std::abs(e - got) > 1e-9 * std::max(1.0, std::abs(e))) {
        return ::testing::AssertionFailure() << "channel " << c << " " << key << ": expected " << e << ", got " << got;
      }
    }
  }
  return ::testing::AssertionSuccess();
}

std::vector<double> formula_numbers(std::string_view name, std::int64_t count) {
  std::uint64_t seed = 0xcbf29ce484222325ULL;
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  std::vector<double> numbers(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t z = seed + (static_cast<std::uint64_t>(i) + 1) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z ^= z >> 31;
    numbers[static_cast<std::size_t>(i)] = static_cast<double>(z >> 40) * 0x1.0p-23 - 1;
  }
  return numbers;
}

TemporaryFolder::TemporaryFolder() {
  auto pattern = (fs::temp_directory_path() / "melisma-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace melisma::testing
