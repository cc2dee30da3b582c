#include "models/retrieval/index_file.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "models/weights/mapped_file.h"
#include "tools/base/atomic_file.h"
#include "tools/base/error.h"

namespace melisma {

static_assert(std::endian::native == std::endian::little, "index files are little-endian");

std::int64_t InvertedLists::n_vectors() const {
  std::int64_t n = 0;
  for (const auto& list : rows) n += static_cast<std::int64_t>(list.size());
  return n;
}

namespace {

constexpr std::string_view kIvfFlat = "IwFl", kFlatL2 = "IxF2", kListArray = "ilar", kFull = "full", kSparse = "sprs";
constexpr std::int32_t kSquaredEuclidean = 1;
constexpr std::int64_t kUnused = 1 << 20;  // what faiss writes into two fields that mean nothing any more
constexpr std::int64_t kWidest = 1 << 16;  // columns

// Reads field by field; every count is checked against the bytes that are left before anything is allocated.
class IndexReader {
 public:
  explicit IndexReader(std::span<const std::byte> bytes) : left_(bytes) {}

  template <class T>
  T value(std::string_view what) {
    T result;
    std::memcpy(&result, take(sizeof(T), what).data(), sizeof(T));
    return result;
  }

  template <class T>
  std::vector<T> values(std::uint64_t count, std::string_view what) {
    if (count > left_.size() / sizeof(T)) fail_short(what);
    std::vector<T> result(count);
    if (count > 0) std::memcpy(result.data(), take(count * sizeof(T), what).data(), count * sizeof(T));
    return result;
  }

  // A vector with its length before it.
  template <class T>
  std::vector<T> counted(std::string_view what) {
    return values<T>(value<std::uint64_t>(what), what);
  }

  std::string tag(std::string_view what) {
    const auto bytes = take(4, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  void expect_tag(std::string_view expected, std::string_view what) {
    if (const auto found = tag(what); found != expected) {
      fail(ErrorKind::checkpoint, "{} is of kind '{}', expected '{}'", what, printable(found), expected);
    }
  }

  void expect_end() const {
    if (!left_.empty()) fail(ErrorKind::checkpoint, "{} bytes follow after the last list", left_.size());
  }

  static std::string printable(std::string text) {
    for (auto& c : text) {
      if (c < ' ' || c > '~') c = '?';
    }
    return text;
  }

 private:
  std::span<const std::byte> take(std::size_t count, std::string_view what) {
    if (count > left_.size()) fail_short(what);
    const auto taken = left_.first(count);
    left_ = left_.subspan(count);
    return taken;
  }
  [[noreturn]] static void fail_short(std::string_view what) { fail(ErrorKind::checkpoint, "it ends within {}", what); }

  std::span<const std::byte> left_;
};

struct IndexHeader {
  std::int64_t width = 0, n_vectors = 0;
};

IndexHeader read_index_header(IndexReader& reader, std::string_view what) {
  const auto width = reader.value<std::int32_t>(what);
  const auto n_vectors = reader.value<std::int64_t>(what);
  (void)reader.value<std::int64_t>(what);
  (void)reader.value<std::int64_t>(what);
  if (reader.value<std::uint8_t>(what) == 0) fail(ErrorKind::checkpoint, "{} is not trained", what);
  const auto metric = reader.value<std::int32_t>(what);
  if (metric != kSquaredEuclidean) {
    fail(ErrorKind::checkpoint, "{} measures distance by metric {}, expected {} (squared Euclidean)", what, metric,
         kSquaredEuclidean);
  }
  if (width < 1 || width > kWidest) fail(ErrorKind::checkpoint, "{} has {} columns", what, width);
  if (n_vectors < 0) fail(ErrorKind::checkpoint, "{} has {} vectors", what, n_vectors);
  return {width, n_vectors};
}

std::vector<std::uint64_t> read_list_sizes(IndexReader& reader, std::uint64_t n_lists) {
  const auto kind = reader.tag("the kind of its list sizes");
  const auto numbers = reader.counted<std::uint64_t>("the list sizes");
  if (kind == kFull) {
    if (numbers.size() != n_lists) {
      fail(ErrorKind::checkpoint, "{} list sizes for {} lists", numbers.size(), n_lists);
    }
    return numbers;
  }
  if (kind != kSparse) fail(ErrorKind::checkpoint, "its list sizes are of kind '{}'", IndexReader::printable(kind));
  std::vector<std::uint64_t> sizes(n_lists);
  if (numbers.size() % 2 != 0) fail(ErrorKind::checkpoint, "its sparse list sizes are no pairs");
  for (std::size_t i = 0; i < numbers.size(); i += 2) {
    if (numbers[i] >= n_lists) fail(ErrorKind::checkpoint, "a size for list {} of {}", numbers[i], n_lists);
    sizes[numbers[i]] = numbers[i + 1];
  }
  return sizes;
}

void check_finite_floats(const std::vector<float>& values, std::string_view what) {
  for (const auto value : values) {
    if (!std::isfinite(value)) fail(ErrorKind::checkpoint, "{} holds a value that is not finite", what);
  }
}

void read_lists(IndexReader& reader, InvertedLists& index, std::int64_t n_vectors) {
  reader.expect_tag(kListArray, "its list store");
  const auto n_lists = reader.value<std::uint64_t>("the number of lists");
  const auto code_size = reader.value<std::uint64_t>("the size of a vector");
  const auto width = static_cast<std::size_t>(index.width);
  if (n_lists != index.centres.size() / width || code_size != width * sizeof(float)) {
    fail(ErrorKind::checkpoint, "its list store has {} lists of {}-byte vectors, its centres are {} of {} bytes",
         n_lists, code_size, index.centres.size() / width, width * sizeof(float));
  }
  std::vector<bool> seen(static_cast<std::size_t>(n_vectors));
  for (const auto size : read_list_sizes(reader, n_lists)) {
    if (size > static_cast<std::uint64_t>(n_vectors)) {
      fail(ErrorKind::checkpoint, "a list of {} vectors, in an index of {}", size, n_vectors);
    }
    auto& vectors = index.vectors.emplace_back(reader.values<float>(size * width, "the vectors of a list"));
    check_finite_floats(vectors, "a list");
    for (const auto row : index.rows.emplace_back(reader.values<std::int64_t>(size, "the numbers of a list"))) {
      if (row < 0 || row >= n_vectors) fail(ErrorKind::checkpoint, "a vector numbered {} of {}", row, n_vectors);
      if (seen[static_cast<std::size_t>(row)]) fail(ErrorKind::checkpoint, "two vectors numbered {}", row);
      seen[static_cast<std::size_t>(row)] = true;
    }
  }
  if (index.n_vectors() != n_vectors) {
    fail(ErrorKind::checkpoint, "its lists hold {} vectors, its header says {}", index.n_vectors(), n_vectors);
  }
}

InvertedLists read_index(std::span<const std::byte> bytes) {
  IndexReader reader(bytes);
  reader.expect_tag(kIvfFlat, "it");
  const auto header = read_index_header(reader, "it");
  // Every vector takes its floats and its number: more than the file can hold is refused before anything is made.
  if (static_cast<std::uint64_t>(header.n_vectors) > bytes.size() / sizeof(std::int64_t)) {
    fail(ErrorKind::checkpoint, "its header says {} vectors, more than its {} bytes can hold", header.n_vectors,
         bytes.size());
  }
  InvertedLists index;
  index.width = header.width;
  const auto n_lists = reader.value<std::uint64_t>("the number of lists");
  index.probes = reader.value<std::int64_t>("the number of probes");
  reader.expect_tag(kFlatL2, "its table of centres");
  const auto centres = read_index_header(reader, "its table of centres");
  index.centres = reader.counted<float>("the centres");
  if (centres.width != header.width || static_cast<std::uint64_t>(centres.n_vectors) != n_lists || n_lists == 0 ||
      n_lists > index.centres.size() || index.centres.size() != n_lists * static_cast<std::uint64_t>(header.width)) {
    fail(ErrorKind::checkpoint, "{} centres of {} columns for {} lists of {}", centres.n_vectors, centres.width,
         n_lists, header.width);
  }
  check_finite_floats(index.centres, "its table of centres");
  constexpr std::uint8_t kHashtable = 2;
  const auto direct_map = reader.value<std::uint8_t>("its direct map");
  (void)reader.counted<std::int64_t>("its direct map");  // where a vector lies: known from the lists
  if (direct_map >= kHashtable) fail(ErrorKind::checkpoint, "its direct map is of kind {}", direct_map);
  read_lists(reader, index, header.n_vectors);
  reader.expect_end();
  return index;
}

class IndexWriter {
 public:
  template <class T>
  void value(T value) {
    content_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  template <class T>
  void values(const std::vector<T>& values) {
    content_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  void tag(std::string_view text) { content_ += text; }
  void header(std::int64_t width, std::int64_t n_vectors) {
    value(static_cast<std::int32_t>(width));
    value(n_vectors);
    value(kUnused);
    value(kUnused);
    value(std::uint8_t{1});
    value(kSquaredEuclidean);
  }
  [[nodiscard]] const std::string& content() const { return content_; }

 private:
  std::string content_;
};

}  // namespace

InvertedLists read_index_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  try {
    return read_index(file.bytes());
  } catch (const Error& error) {
    fail(ErrorKind::checkpoint, "cannot read the index '{}': {}", path.string(), error.message());
  }
}

void write_index_file(const std::filesystem::path& path, const InvertedLists& lists) {
  IndexWriter writer;
  writer.tag(kIvfFlat);
  writer.header(lists.width, lists.n_vectors());
  writer.value(static_cast<std::uint64_t>(lists.n_lists()));
  writer.value(lists.probes);
  writer.tag(kFlatL2);
  writer.header(lists.width, lists.n_lists());
  writer.value(static_cast<std::uint64_t>(lists.centres.size()));
  writer.values(lists.centres);
  writer.value(std::uint8_t{0});   // no direct map
  writer.value(std::uint64_t{0});  // and nothing in it
  writer.tag(kListArray);
  writer.value(static_cast<std::uint64_t>(lists.n_lists()));
  writer.value(static_cast<std::uint64_t>(lists.width) * sizeof(float));
  writer.tag(kFull);
  writer.value(static_cast<std::uint64_t>(lists.n_lists()));
  for (const auto& rows : lists.rows) writer.value(static_cast<std::uint64_t>(rows.size()));
  for (std::size_t i = 0; i < lists.rows.size(); ++i) {
    writer.values(lists.vectors[i]);
    writer.values(lists.rows[i]);
  }
  write_file_atomically(path, writer.content());
}

}  // namespace melisma
