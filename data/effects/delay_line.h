// The last samples of a signal, read at any distance.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

namespace melisma {

class DelayLine {
 public:
  // Remembers `n_past` samples beside the newest.
  explicit DelayLine(std::int64_t n_past) : samples_(static_cast<std::size_t>(n_past) + 1, 0.0F) {}

  // Numbers too small to matter become 0: arithmetic with denormal ones is a hundred times slower.
  void push(float sample) {
    newest_ = newest_ + 1 == samples_.size() ? 0 : newest_ + 1;
    samples_[newest_] = std::abs(sample) < 1e-20F ? 0.0F : sample;
  }
  // The sample `distance` before the newest, 0 ... n_past.
  [[nodiscard]] float at(std::int64_t distance) const {
    const auto back = static_cast<std::size_t>(distance);
    return samples_[back <= newest_ ? newest_ - back : newest_ + samples_.size() - back];
  }
  [[nodiscard]] float oldest() const { return samples_[newest_ + 1 == samples_.size() ? 0 : newest_ + 1]; }
  // Between samples, by the cubic through the four around (Catmull-Rom); distance 1 ... n_past - 2.
  [[nodiscard]] float between(double distance) const {
    const auto whole = static_cast<std::int64_t>(distance);
    const auto t = static_cast<float>(distance - static_cast<double>(whole));
    const float before = at(whole - 1), a = at(whole), b = at(whole + 1), after = at(whole + 2);
    return a + 0.5F * t * (b - before + t * (2 * before - 5 * a + 4 * b - after + t * (3 * (a - b) + after - before)));
  }

 private:
  std::vector<float> samples_;
  std::size_t newest_ = 0;
};

}  // namespace melisma
