#include "infer/match/match_limiter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <span>

#include "data/audio/iir.h"
#include "data/signal/vector.h"

namespace melisma {
namespace match_limiter_detail {
namespace {

constexpr std::int64_t kBlock = 4096, kRun = 256;
constexpr double kNegligible = 1e-100;  // far above where processors slow down
constexpr std::int64_t kExtension = 6;  // samples a one-pole filter that goes both ways is led in by

// How much a sample must be turned down: out = 1 - 1 / max(1, |peak| / threshold), `scale` = level / threshold. Returns
// the largest.
MELISMA_CLONES MELISMA_PLAIN_MAXIMA double hard_reduction(const double* left, const double* right, std::int64_t n,
                                                          double scale, double* out) {
  const Vec4 one{1, 1, 1, 1};
  const auto keep_larger = [](Vec4 & a, const Vec4& b) __attribute__((always_inline)) { a = b > a ? b : a; };
  Vec4 most{};
  std::int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const Vec4 l = *vec4_at(left + i), r = *vec4_at(right + i);
    Vec4 ratio = one;
    for (const auto* v : {&l, &r}) {
      keep_larger(ratio, *v * scale);
      keep_larger(ratio, *v * -scale);
    }
    const Vec4 reduction = one - one / ratio;
    keep_larger(most, reduction);
    *vec4_at(out + i) = reduction;
  }
  double largest = std::max(std::max(most[0], most[1]), std::max(most[2], most[3]));
  for (; i < n; ++i) {
    out[i] = 1 - 1 / std::max(std::max(std::abs(left[i]), std::abs(right[i])) * scale, 1.0);
    largest = std::max(largest, out[i]);
  }
  return largest;
}

// x[i] = the largest of x[i ... i + width), for all i with such a window; each doubling looks twice as far.
MELISMA_CLONES MELISMA_PLAIN_MAXIMA void maxima_ahead(double* x, std::int64_t n, std::int64_t width) {
  const auto look = [&](std::int64_t step) {
    std::int64_t i = 0;
    for (; i + 4 + step <= n; i += 4) {
      const Vec4 a = *vec4_at(x + i), b = *vec4_at(x + i + step);
      *vec4_at(x + i) = a > b ? a : b;
    }
    for (; i + step < n; ++i) x[i] = std::max(x[i], x[i + step]);
  };
  std::int64_t covered = 1;
  for (; 2 * covered <= width; covered *= 2) look(covered);
  if (covered < width) look(width - covered);
}

// into[i] = the larger of into[i] and other[i].
MELISMA_CLONES MELISMA_PLAIN_MAXIMA void keep_larger(double* into, const double* other, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const Vec4 a = *vec4_at(into + i), b = *vec4_at(other + i);
    *vec4_at(into + i) = a > b ? a : b;
  }
  for (; i < n; ++i) into[i] = std::max(into[i], other[i]);
}

// z <- pole z + input, four inputs at a time: only one product and one sum of them wait for the last z.
class LeakySum {
 public:
  explicit LeakySum(double pole) : pole_(pole), pole2_(pole * pole), pole3_(pole2_ * pole), pole4_(pole2_ * pole2_) {}
  double z = 0;
  // The four values of z.
  std::array<double, 4> add(double a, double b, double c, double d) {
    const double ab = b + pole_ * a, abc = c + pole_ * ab, abcd = d + pole_ * abc, before = z;
    z = abcd + pole4_ * before;
    return {a + pole_ * before, ab + pole2_ * before, abc + pole3_ * before, z};
  }
  double add(double input) { return z = input + pole_ * z; }
  void forget_what_is_negligible() {
    if (std::abs(z) < kNegligible) z = 0;
  }

 private:
  double pole_, pole2_, pole3_, pole4_;
};

// A recursive filter at rest, in place, block after block; its state is dropped once it is negligible.
class Recursion {
 public:
  explicit Recursion(Polynomials filter) : filter_(std::move(filter)), state_(filter_.b.size(), 0.0) {}
  void run(std::span<double> samples) {
    for (; !samples.empty(); samples = samples.subspan(std::min<std::size_t>(kRun, samples.size()))) {
      const auto now = samples.first(std::min<std::size_t>(kRun, samples.size()));
      if (filter_.b.size() == 2) {
        first_order(now);
      } else {
        any_order(now);
      }
      if (is_negligible()) std::ranges::fill(state_, 0.0);
    }
  }
  [[nodiscard]] bool is_negligible() const {
    return std::ranges::all_of(state_, [](double value) { return std::abs(value) < kNegligible; });
  }

 private:
  void first_order(std::span<double> samples) {
    const double b = filter_.b[0], c = filter_.b[1] - filter_.a[1] * b;
    LeakySum sum(-filter_.a[1]);
    sum.z = state_[0];
    auto* x = samples.data();
    std::size_t i = 0;
    for (; i + 4 <= samples.size(); i += 4) {
      const double before = sum.z;
      const auto z = sum.add(c * x[i], c * x[i + 1], c * x[i + 2], c * x[i + 3]);
      x[i] = b * x[i] + before;
      x[i + 1] = b * x[i + 1] + z[0];
      x[i + 2] = b * x[i + 2] + z[1];
      x[i + 3] = b * x[i + 3] + z[2];
    }
    for (; i < samples.size(); ++i) {
      const double before = sum.z;
      sum.add(c * x[i]);
      x[i] = b * x[i] + before;
    }
    state_[0] = sum.z;
  }
  void any_order(std::span<double> samples) {
    const auto order = filter_.b.size() - 1;
    for (auto& sample : samples) {
      const double x = sample, y = filter_.b[0] * x + state_[0];
      for (std::size_t k = 1; k <= order; ++k) {
        state_[k - 1] = filter_.b[k] * x - filter_.a[k] * y + (k < order ? state_[k] : 0.0);
      }
      sample = y;
    }
  }
  Polynomials filter_;
  std::vector<double> state_;
};

std::int64_t samples_of(double ms, const MatchConfig& config) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(config.sample_rate_hz) * ms * 1e-3));
}

Polynomials low_pass(int order, double corner_hz, const MatchConfig& config) {
  return butterworth_polynomials(order, FilterKind::low, std::array{corner_hz},
                                 static_cast<double>(config.sample_rate_hz));
}

class GainMaker {
 public:
  GainMaker(const StereoSignal& signal, double level, const MatchConfig& config, LimiterStages* stages)
      : signal_(signal),
        scale_(level / config.threshold),
        n_(signal.n_frames()),
        reach_(samples_of(config.limiter.attack_ms, config) / 2 * 2),
        hold_samples_(samples_of(config.limiter.hold_ms, config)),
        pole_(std::exp(config.limiter.attack_coefficient /
                       static_cast<double>(samples_of(config.limiter.attack_ms, config)))),
        forward_(pole_),
        hold_(low_pass(config.limiter.hold_order, config.limiter.hold_hz, config)),
        release_(low_pass(config.limiter.release_order, config.limiter.release_coefficient / config.limiter.release_ms,
                          config)),
        stages_(stages) {}

  LimiterGain make() {
    LimiterGain made;
    made.gain.resize(static_cast<std::size_t>(n_));  // first the attack filter's way forward, then the gain
    others_ = std::make_unique_for_overwrite<double[]>(static_cast<std::size_t>(n_));
    if (stages_ != nullptr) {
      for (auto* stage :
           {&stages_->hard, &stages_->slid, &stages_->attack, &stages_->held, &stages_->hold, &stages_->release}) {
        stage->assign(static_cast<std::size_t>(n_), 0.0);
      }
    }
    lead_in();
    for (std::int64_t first = 0; first < n_; first += kBlock) forward(first, std::min(kBlock, n_ - first), made);
    backward(made.gain);
    return made;
  }

 private:
  // hard_ [count + reach before + reach after] around [first, first + count); false if all of it is 0.
  bool look(std::int64_t first, std::int64_t count, std::int64_t before) {
    const auto begin = first - before, end = first + count + reach_;
    hard_.assign(static_cast<std::size_t>(end - begin), 0.0);
    const auto from = std::max<std::int64_t>(begin, 0), to = std::min(end, n_);
    return hard_reduction(signal_.left.data() + from, signal_.right.data() + from, to - from, scale_,
                          hard_.data() + (from - begin)) > 0;
  }

  double filtered_forward(double x) { return forward_.add((1 - pole_) * x); }

  // The odd reflection before the first sample.
  void lead_in() {
    const bool is_any = look(0, kExtension + 1, reach_);
    maxima_ahead(hard_.data(), std::ssize(hard_), 2 * reach_ + 1);
    const auto* slid = hard_.data();
    forward_.z = is_any ? 2 * slid[0] - slid[kExtension] : 0;
    for (auto i = kExtension; i >= 1; --i) filtered_forward(2 * slid[0] - slid[i]);
  }

  void forward(std::int64_t first, std::int64_t count, LimiterGain& made) {
    const auto before = hold_samples_ - 1 + reach_;
    double* way = made.gain.data() + first;
    double* others = others_.get() + first;
    const bool is_any = look(first, count, before);
    if (!is_any && forward_.z == 0 && hold_.is_negligible() && release_.is_negligible()) {
      std::fill_n(way, count, 0.0);
      std::fill_n(others, count, 0.0);
      std::fill(tail_.begin(), tail_.end(), 0.0);
      return;
    }
    std::copy_n(hard_.begin() + before, count, others);
    if (stages_ != nullptr) std::copy_n(others, count, stages_->hard.begin() + first);
    made.n_over += std::count_if(others, others + count, [](double reduction) { return reduction > 0; });
    maxima_ahead(hard_.data(), std::ssize(hard_), 2 * reach_ + 1);
    const double* slid = hard_.data() + hold_samples_ - 1;  // of the block; before it what is still held
    if (stages_ != nullptr) std::copy_n(slid, count, stages_->slid.begin() + first);
    attack_forward(slid, count, way);
    for (std::int64_t i = std::max<std::int64_t>(0, count - kExtension - 1); i < count; ++i) {
      std::rotate(tail_.begin(), tail_.begin() + 1, tail_.end());
      tail_.back() = slid[i];
    }
    hold_and_release(first, count, others);
  }

  void attack_forward(const double* slid, std::int64_t count, double* way) {
    const double share = 1 - pole_;
    std::int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
      const auto z = forward_.add(share * slid[i], share * slid[i + 1], share * slid[i + 2], share * slid[i + 3]);
      std::ranges::copy(z, way + i);
    }
    for (; i < count; ++i) way[i] = filtered_forward(slid[i]);
    forward_.forget_what_is_negligible();
  }

  void hold_and_release(std::int64_t first, std::int64_t count, double* others) {
    maxima_ahead(hard_.data(), count + hold_samples_ - 1, hold_samples_);
    held_.assign(hard_.begin(), hard_.begin() + count);
    hold_out_ = held_;
    hold_.run(hold_out_);
    if (stages_ != nullptr) std::ranges::copy(held_, stages_->held.begin() + first);
    keep_larger(held_.data(), hold_out_.data(), count);
    release_.run(held_);
    keep_larger(others, hold_out_.data(), count);
    keep_larger(others, held_.data(), count);
    if (stages_ == nullptr) return;
    std::ranges::copy(hold_out_, stages_->hold.begin() + first);
    std::ranges::copy(held_, stages_->release.begin() + first);
  }

  // The odd reflection after the last sample, and the way back.
  void backward(std::vector<double>& gain) {
    const double last = tail_[kExtension];
    std::array<double, kExtension> after{};
    for (std::int64_t i = 0; i < kExtension; ++i) {
      after[static_cast<std::size_t>(i)] =
          filtered_forward(2 * last - tail_[static_cast<std::size_t>(kExtension - 1 - i)]);
    }
    LeakySum attack(pole_);
    attack.z = after.back();
    for (auto i = after.size(); i-- > 0;) attack.add((1 - pole_) * after[i]);
    for (std::int64_t end = n_; end > 0; end -= std::min(end, kRun)) {
      attack.forget_what_is_negligible();
      const auto first = std::max<std::int64_t>(0, end - kRun);
      attack_backward(attack, gain.data() + first, others_.get() + first, end - first,
                      stages_ == nullptr ? nullptr : stages_->attack.data() + first);
    }
  }

  // From the last sample to the first: gain [n] goes in as the way forward.
  void attack_backward(LeakySum& attack, double* gain, const double* others, std::int64_t n, double* stage) const {
    const double share = 1 - pole_;
    const auto put = [&](std::int64_t i, double value) {
      if (stage != nullptr) stage[i] = value;
      gain[i] = 1 - std::max(others[i], value);
    };
    auto i = n;
    for (; i >= 4; i -= 4) {
      const auto z = attack.add(share * gain[i - 1], share * gain[i - 2], share * gain[i - 3], share * gain[i - 4]);
      put(i - 1, z[0]), put(i - 2, z[1]), put(i - 3, z[2]), put(i - 4, z[3]);
    }
    for (; i > 0; --i) put(i - 1, attack.add(share * gain[i - 1]));
  }

  const StereoSignal& signal_;
  double scale_;
  std::int64_t n_, reach_, hold_samples_;  // the attack's window is reach_ to both sides
  double pole_;
  LeakySum forward_;  // the attack filter on its way forward
  Recursion hold_, release_;
  LimiterStages* stages_;
  std::vector<double> hard_, held_, hold_out_;
  std::unique_ptr<double[]> others_;           // [n] max(hard, hold, release)
  std::array<double, kExtension + 1> tail_{};  // the last samples of slid
};

}  // namespace
}  // namespace match_limiter_detail

LimiterGain limiter_gain(const StereoSignal& signal, double peak, double level, const MatchConfig& config,
                         LimiterStages* stages) {
  constexpr double kCloseToOne = 1 + 1e-5 + 1e-8;  // numpy.isclose(r, 1)
  if (peak * level / config.threshold <= kCloseToOne) return {};
  return match_limiter_detail::GainMaker(signal, level, config, stages).make();
}

}  // namespace melisma
