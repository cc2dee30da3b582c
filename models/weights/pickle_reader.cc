#include "models/weights/pickle_reader.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "models/weights/pickle_arrays.h"
#include "models/weights/pickle_globals.h"
#include "tools/base/error.h"

namespace melisma {
namespace pickle_reader_detail {
namespace {

constexpr int kDeepest = 64;

// Everything a running pickle needs; containers are also kept here so that a hostile one (cyclic, deep) can be taken
// apart piece by piece.
class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, const StorageSource& storages) : bytes_(bytes), storages_(storages) {}
  ~PickleMachine() {
    if (finished_) return;
    for (auto& sequence : sequences_) sequence->items.clear();
    for (auto& dict : dicts_) dict->items.clear();
  }
  PickleMachine(const PickleMachine&) = delete;
  PickleMachine& operator=(const PickleMachine&) = delete;

  UnpickledValue run() {
    while (true) {
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      if (opcode == '.') break;
      step(opcode);
    }
    if (stack_.size() != 1 || !marks_.empty()) fail(ErrorKind::checkpoint, "its pickle does not end with one value");
    auto result = pop();
    (void)height_of(result, 0);
    drop_unreachable();
    finished_ = true;
    return {std::move(result), position_};
  }

 private:
  void step(unsigned char opcode) {
    if (step_scalar(opcode) || step_text(opcode) || step_container(opcode) || step_memo(opcode)) return;
    switch (opcode) {
      case 0x80:  // PROTO
        if (const auto version = unsigned_of(1); version > 5) {
          fail(ErrorKind::checkpoint, "its pickle protocol is {}; 2 to 5 are known", version);
        }
        return;
      case 0x95:  // FRAME
        return (void)take(8);
      case '0':  // POP
        return (void)pop();
      case '2':  // DUP
        return push(top());
      case 'c': {  // GLOBAL
        const auto module = line(), name = line();
        return push_global(module, name);
      }
      case 0x93: {  // STACK_GLOBAL
        const auto name = pop(), module = pop();
        if (name.text() == nullptr || module.text() == nullptr) malformed();
        return push_global(*module.text(), *name.text());
      }
      case 'Q': {  // BINPERSID
        const auto id = pop();
        return push(PickleValue(requested_storage(id)));
      }
      case 'R':     // REDUCE
      case 0x81: {  // NEWOBJ
        const auto arguments = pop(), callee = pop();
        return push(made_by_call(callee, arguments));
      }
      case 'b': {  // BUILD
        const auto state = pop();
        return build(top(), state);
      }
      default:
        fail(ErrorKind::checkpoint, "its pickle has the unknown instruction 0x{:02x} at byte {}", opcode,
             position_ - 1);
    }
  }

  bool step_scalar(unsigned char opcode) {
    switch (opcode) {
      case 'N':
        return push({}), true;
      case 0x88:
        return push(true), true;
      case 0x89:
        return push(false), true;
      case 'K':
        return push(static_cast<std::int64_t>(unsigned_of(1))), true;
      case 'M':
        return push(static_cast<std::int64_t>(unsigned_of(2))), true;
      case 'J':
        return push(static_cast<std::int64_t>(static_cast<std::int32_t>(unsigned_of(4)))), true;
      case 0x8a:
        return push(long_integer(unsigned_of(1))), true;
      case 'G': {
        std::uint64_t bits = 0;
        for (const auto byte : take(8)) bits = bits << 8 | static_cast<std::uint64_t>(byte);
        return push(std::bit_cast<double>(bits)), true;
      }
      default:
        return false;
    }
  }

  bool step_text(unsigned char opcode) {
    switch (opcode) {
      case 'X':
        return push(text_of(unsigned_of(4))), true;
      case 0x8c:
        return push(text_of(unsigned_of(1))), true;
      case 0x8d:
        return push(text_of(unsigned_of(8))), true;
      case 'T':  // BINSTRING of Python 2
        return push(text_of(unsigned_of(4))), true;
      case 'U':
        return push(text_of(unsigned_of(1))), true;
      case 'B':
        return push(bytes_value(text_of(unsigned_of(4)))), true;
      case 'C':
        return push(bytes_value(text_of(unsigned_of(1)))), true;
      case 0x8e:  // BINBYTES8
      case 0x96:  // BYTEARRAY8
        return push(bytes_value(text_of(unsigned_of(8)))), true;
      default:
        return false;
    }
  }

  bool step_container(unsigned char opcode) {
    switch (opcode) {
      case '(':
        return marks_.push_back(stack_.size()), true;
      case ')':
        return push(sequence(true, {})), true;
      case ']':
        return push(sequence(false, {})), true;
      case '}':
        return push(dict()), true;
      case 'l':
        return push(sequence(false, pop_to_mark())), true;
      case 't':
        return push(sequence(true, pop_to_mark())), true;
      case 0x85:
      case 0x86:
      case 0x87:
        return push(sequence(true, pop_last(static_cast<std::size_t>(opcode - 0x84)))), true;
      case 'd': {
        auto items = pop_to_mark();
        push(dict());
        return set_items(items), true;
      }
      case 'a':
        return append(pop_last(1)), true;
      case 'e':
        return append(pop_to_mark()), true;
      case 's':
        return set_items(pop_last(2)), true;
      case 'u':
        return set_items(pop_to_mark()), true;
      default:
        return false;
    }
  }

  bool step_memo(unsigned char opcode) {
    switch (opcode) {
      case 'q':
        return remember(unsigned_of(1)), true;
      case 'r':
        return remember(unsigned_of(4)), true;
      case 0x94:
        return remember(memo_.size()), true;
      case 'h':
        return recall(unsigned_of(1)), true;
      case 'j':
        return recall(unsigned_of(4)), true;
      default:
        return false;
    }
  }

  // Reading.
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > bytes_.size() - position_) fail(ErrorKind::checkpoint, "its pickle is cut off at byte {}", position_);
    const auto part = bytes_.subspan(position_, static_cast<std::size_t>(count));
    position_ += static_cast<std::size_t>(count);
    return part;
  }

  std::uint64_t unsigned_of(std::size_t n_bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, take(n_bytes).data(), n_bytes);
    return value;
  }

  // Two's complement, little endian; beyond 64 bits only its magnitude as a real number.
  PickleValue long_integer(std::uint64_t n_bytes) {
    const auto part = take(n_bytes);
    const bool negative = !part.empty() && static_cast<unsigned>(part.back()) >= 128;
    if (n_bytes <= 8) {
      std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
      std::memcpy(&value, part.data(), part.size());
      return static_cast<std::int64_t>(value);
    }
    double value = 0;
    for (std::size_t i = part.size(); i-- > 0;) value = value * 256 + static_cast<double>(part[i]);
    return negative ? value - std::exp2(8.0 * static_cast<double>(n_bytes)) : value;
  }

  std::string text_of(std::uint64_t length) {
    const auto part = take(length);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }

  static PickleValue bytes_value(std::string content) {
    return PickleBytes{std::make_shared<const std::string>(std::move(content))};
  }

  std::string line() {
    std::string text;
    for (char c = 0; (c = static_cast<char>(take(1)[0])) != '\n';) text += c;
    return text;
  }

  // Stack and memo.
  [[noreturn]] void malformed() const {
    fail(ErrorKind::checkpoint, "its pickle makes no sense at byte {}", position_ - 1);
  }

  void push(PickleValue value) { stack_.push_back(std::move(value)); }

  PickleValue& top() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) malformed();
    return stack_.back();
  }

  PickleValue pop() {
    auto value = std::move(top());
    stack_.pop_back();
    return value;
  }

  std::vector<PickleValue> pop_last(std::size_t count) {
    std::vector<PickleValue> values(count);
    for (std::size_t i = count; i-- > 0;) values[i] = pop();
    return values;
  }

  std::vector<PickleValue> pop_to_mark() {
    if (marks_.empty() || marks_.back() > stack_.size()) malformed();
    const auto start = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleValue> values(std::make_move_iterator(start), std::make_move_iterator(stack_.end()));
    stack_.erase(start, stack_.end());
    marks_.pop_back();
    return values;
  }

  void remember(std::uint64_t key) { memo_[key] = top(); }

  void recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) malformed();
    push(found->second);
  }

  // Containers.
  PickleValue sequence(bool is_tuple, std::vector<PickleValue> items) {
    sequences_.push_back(std::make_shared<PickleSequence>(PickleSequence{is_tuple, std::move(items)}));
    return sequences_.back();
  }

  PickleValue dict() {
    dicts_.push_back(std::make_shared<PickleDict>());
    return dicts_.back();
  }

  void append(std::vector<PickleValue> items) {
    auto* list = top().sequence();
    if (list == nullptr || list->is_tuple) malformed();
    for (auto& item : items) list->items.push_back(std::move(item));
  }

  void set_items(std::vector<PickleValue> items) {
    auto* target = top().dict();
    if (target == nullptr || items.size() % 2 != 0) malformed();
    for (std::size_t i = 0; i < items.size(); i += 2) {
      target->items.emplace_back(std::move(items[i]), std::move(items[i + 1]));
    }
  }

  // Names, storages and calls.
  void push_global(const std::string& module, const std::string& name) {
    push(PickleGlobal{std::make_shared<const std::string>(allowed_global(module, name))});
  }

  // The id is ('storage', type, key, location, count[, view]); the storage travels as a one-element tuple of a tensor.
  PickleValue requested_storage(const PickleValue& id) {
    const auto request = storage_request(id);
    const auto bytes = storages_(request);
    if (!bytes) return {};
    if (bytes->nbytes() < request.n_bytes()) {
      fail(ErrorKind::checkpoint, "storage '{}' claims {} bytes, but the file has {}", request.key, request.n_bytes(),
           bytes->nbytes());
    }
    auto flat = at::empty({0}, at::TensorOptions().dtype(request.type));
    flat.set_(*bytes, 0, {static_cast<std::int64_t>(request.numel)}, {1});
    return flat;
  }

  PickleValue made_by_call(const PickleValue& callee, const PickleValue& arguments) {
    if (callee.global() == nullptr || arguments.sequence() == nullptr) malformed();
    const auto& items = arguments.sequence()->items;
    if (*callee.global() == "numpy._reconstruct") return new_array(call_global(*callee.global(), items));
    if (*callee.global() != "collections.OrderedDict") return call_global(*callee.global(), items);
    auto made = dict();
    made.dict()->is_ordered = true;
    if (items.empty()) return made;
    if (items.size() != 1 || items[0].sequence() == nullptr) malformed();
    for (const auto& pair : items[0].sequence()->items) {
      if (pair.sequence() == nullptr || pair.sequence()->items.size() != 2) malformed();
      made.dict()->items.emplace_back(pair.sequence()->items[0], pair.sequence()->items[1]);
    }
    return made;
  }

  // An array of numpy, whose elements come with BUILD: where it is remembered it is filled, too.
  PickleValue new_array(PickleValue array) {
    unfilled_arrays_.insert(array.tensor()->unsafeGetTensorImpl());
    return array;
  }

  // Attributes, which plain data does not have, but for what arrays and their types are made of.
  void build(const PickleValue& object, const PickleValue& state) {
    if (object.tensor() != nullptr && unfilled_arrays_.erase(object.tensor()->unsafeGetTensorImpl()) > 0) {
      auto array = *object.tensor();
      fill_numpy_array(array, state);
    }
    const auto* parts = state.sequence();
    const auto* order =
        object.text() == nullptr || parts == nullptr || parts->items.size() < 2 ? nullptr : parts->items[1].text();
    if (order != nullptr && *order == ">") fail(ErrorKind::checkpoint, "its numbers are big-endian, which is not read");
  }

  // Longest path below a value; a cycle or too long a path is refused. Shared contents are visited once.
  int height_of(const PickleValue& value, int depth) {
    const void* identity = value.sequence();
    if (identity == nullptr) identity = value.dict();
    if (identity == nullptr) return 0;
    constexpr int kOpen = -1;
    const auto [place, is_new] = heights_.emplace(identity, kOpen);
    if (!is_new && place->second == kOpen) fail(ErrorKind::checkpoint, "its pickle contains itself");
    int height = is_new ? 0 : place->second;
    if (depth + height > kDeepest) fail(ErrorKind::checkpoint, "its pickle is nested deeper than {}", kDeepest);
    if (!is_new) return height;
    const auto visit = [&](const PickleValue& item) { height = std::max(height, 1 + height_of(item, depth + 1)); };
    if (const auto* items = value.sequence()) {
      for (const auto& item : items->items) visit(item);
    } else {
      for (const auto& [key, item] : value.dict()->items) visit(key), visit(item);
    }
    heights_[identity] = height;
    return height;
  }

  // What was made and thrown away may be nested to any depth: it is emptied here, not by a chain of destructors.
  void drop_unreachable() {
    for (auto& sequence : sequences_) {
      if (!heights_.contains(sequence.get())) sequence->items.clear();
    }
    for (auto& dict : dicts_) {
      if (!heights_.contains(dict.get())) dict->items.clear();
    }
  }

  std::span<const std::byte> bytes_;
  const StorageSource& storages_;
  std::size_t position_ = 0;
  bool finished_ = false;
  std::vector<PickleValue> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, PickleValue> memo_;
  std::unordered_map<const void*, int> heights_;
  std::unordered_set<const void*> unfilled_arrays_;
  std::vector<std::shared_ptr<PickleSequence>> sequences_;
  std::vector<std::shared_ptr<PickleDict>> dicts_;
};

}  // namespace
}  // namespace pickle_reader_detail

UnpickledValue read_pickle(std::span<const std::byte> bytes, const StorageSource& storages) {
  return pickle_reader_detail::PickleMachine(bytes, storages).run();
}

}  // namespace melisma
