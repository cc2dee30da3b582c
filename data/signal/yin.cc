#include "data/signal/yin.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "data/signal/vector.h"
#include "tools/base/error.h"

namespace melisma {
namespace yin_detail {
namespace {

constexpr std::int64_t kChunkFrames = 128;  // frames that share products; bounds the work space to the L2 cache
constexpr double kTiny = std::numeric_limits<double>::min();
constexpr std::int64_t kGroup = 8;  // samples whose products are added at a time

// acc[lag] += sum over i < n of x[i] x[i + lag], one sample after the other; n <= kGroup.
MELISMA_CLONES void add_products(const double* x, std::int64_t n, std::int64_t n_lags, double* acc) {
  for (std::int64_t lag = 0; lag < n_lags; lag += 8) {
    Vec4 low = *vec4_at(acc + lag), high = *vec4_at(acc + lag + 4);
    const auto* y = x + lag;
    for (std::int64_t i = 0; i < n; ++i) {
      low += x[i] * *vec4_at(y + i);
      high += x[i] * *vec4_at(y + i + 4);
    }
    *vec4_at(acc + lag) = low;
    *vec4_at(acc + lag + 4) = high;
  }
}

// The autocorrelation of overlapping frames from the products of blocks of one hop: frame t with lag k sums the samples
// [t*hop, t*hop + frame - k), that is whole blocks and the first `rest` samples of one more.
class Autocorrelation {
 public:
  Autocorrelation(const YinConfig& config, std::int64_t count)
      : hop_(config.hop),
        frame_(config.frame),
        n_lags_((config.max_lag() + 1 + 7) / 8 * 8),
        count_(count),
        n_blocks_(count + config.frame / config.hop),
        blocks_(static_cast<std::size_t>(n_blocks_ * n_lags_)),
        tails_(static_cast<std::size_t>(count * n_lags_)) {}

  // x: the samples from the first frame's first one on, with at least hop + n_lags readable after the last frame.
  void fill(const double* x) {
    for (std::int64_t block = 0; block < n_blocks_; ++block) fill_block(x + block * hop_, block);
  }

  // out[lag] of a frame, lags 0 ... n_lags-1.
  void of_frame(std::int64_t t, double* out) const {
    const auto* tail = tails_.data() + t * n_lags_;
    std::fill(out, out + n_lags_, 0.0);
    for (std::int64_t e = 0; e * hop_ <= frame_; ++e) {
      const auto end = std::min(n_lags_, frame_ - hop_ * (e + 1) + 1);  // lags that take block e whole
      const auto* block = blocks_.data() + (t + e) * n_lags_;
      for (std::int64_t lag = 0; lag < end; ++lag) out[lag] += block[lag];
    }
    for (std::int64_t lag = 0; lag < n_lags_; ++lag) out[lag] += tail[lag];
  }
  [[nodiscard]] std::int64_t n_lags() const { return n_lags_; }

 private:
  void fill_block(const double* x, std::int64_t block) {
    auto* acc = blocks_.data() + block * n_lags_;
    for (std::int64_t i = 0; i < hop_; i += kGroup) {
      const auto n = std::min(kGroup, hop_ - i);
      for (std::int64_t r = i; r < i + n; ++r) keep_tails(x, block, i, r, acc);
      add_products(x + i, n, n_lags_, acc);
    }
  }

  // The frames and lags whose sum ends r samples into this block: acc holds the first i of them.
  void keep_tails(const double* x, std::int64_t block, std::int64_t i, std::int64_t r, const double* acc) {
    for (std::int64_t e = std::max<std::int64_t>(0, (frame_ - r - n_lags_) / hop_); e * hop_ + r <= frame_; ++e) {
      const auto lag = frame_ - r - e * hop_;
      const auto t = block - e;
      if (lag >= n_lags_ || t < 0 || t >= count_) continue;
      auto sum = acc[lag];
      for (std::int64_t j = i; j < r; ++j) sum += x[j] * x[j + lag];
      tails_[static_cast<std::size_t>(t * n_lags_ + lag)] = sum;
    }
  }

  std::int64_t hop_, frame_, n_lags_, count_, n_blocks_;
  std::vector<double> blocks_;  // [n_blocks][n_lags]: products of whole blocks
  std::vector<double> tails_;   // [count][n_lags]: products of the begun block at the end of each frame
};

// acf [n_lags] and the frame's samples -> d'(min_lag ... max_lag) and, if wanted, the correlation.
void normalise(const YinConfig& config, const double* acf, const double* x, double* d, double* correlation) {
  const auto min_lag = config.min_lag(), max_lag = config.max_lag();
  double head = 0, tail = 0, sum = 0;  // energy of the first and of the last `lag` samples
  for (std::int64_t lag = 1; lag <= max_lag; ++lag) {
    head += x[lag - 1] * x[lag - 1];
    tail += x[config.frame - lag] * x[config.frame - lag];
    const auto difference = 2 * (acf[0] - acf[lag]) - head;
    sum += difference;
    if (lag < min_lag) continue;
    d[lag - min_lag] = difference / (sum / static_cast<double>(lag) + kTiny);
    if (correlation != nullptr) correlation[lag - min_lag] = 2 * acf[lag] / (2 * acf[0] - head - tail + kTiny);
  }
}

// The local maximum that i leads up to; the bias of d' is a few samples at most.
std::int64_t climb(std::span<const double> correlation, std::int64_t i) {
  const auto last = static_cast<std::int64_t>(correlation.size()) - 1;
  const auto value = [&](std::int64_t k) { return correlation[static_cast<std::size_t>(k)]; };
  for (int moves = 0; moves < 3; ++moves) {
    if (i < last && value(i + 1) > value(i)) {
      ++i;
    } else if (i > 0 && value(i - 1) > value(i)) {
      --i;
    } else {
      break;
    }
  }
  return i;
}

YinFrame pick(std::span<const double> d, std::span<const double> correlation, const YinConfig& config) {
  const auto n = static_cast<std::int64_t>(d.size());
  const auto at = [&](std::int64_t i) { return d[static_cast<std::size_t>(i)]; };
  std::int64_t best = -1;
  for (std::int64_t i = 0; i < n && best < 0; ++i) {
    const bool falls = i == 0 ? true : at(i) < at(i - 1);
    const bool rises = i == n - 1 ? true : i == 0 ? at(0) < at(1) : at(i) <= at(i + 1);
    if (falls && rises && at(i) < config.threshold) best = i;
  }
  const bool has_dip = best >= 0;
  if (!has_dip) best = std::min_element(d.begin(), d.end()) - d.begin();
  const auto period = static_cast<double>(config.min_lag() + best) + parabolic_offset(d, best);
  const auto rate = static_cast<double>(config.sample_rate_hz);
  const bool is_silent = !has_dip && at(best) == 0;  // nothing differs from nothing
  return {static_cast<float>(rate / period), static_cast<float>(rate / refined_period(correlation, best, config)),
          is_silent ? 1 : static_cast<float>(at(best)), has_dip};
}

}  // namespace
}  // namespace yin_detail

std::int64_t YinConfig::min_lag() const {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(sample_rate_hz) / fmax_hz));
}

std::int64_t YinConfig::max_lag() const {
  return std::min(static_cast<std::int64_t>(std::ceil(static_cast<double>(sample_rate_hz) / fmin_hz)), frame - 1);
}

void YinConfig::check() const {
  const auto rate = static_cast<double>(sample_rate_hz);
  if (!(fmin_hz > 0 && fmin_hz < fmax_hz && fmax_hz <= rate / 2)) {
    fail(ErrorKind::config, "pitch: the range {} to {} Hz is not possible; need 0 < lowest < highest <= {} Hz", fmin_hz,
         fmax_hz, rate / 2);
  }
  if (hop < 1 || frame < 4 || rate / fmin_hz >= static_cast<double>(frame - 1) || n_lags() < 3) {
    fail(ErrorKind::config,
         "pitch: a period of {} Hz does not fit into frames of {} samples at {} Hz; raise the lowest "
         "pitch above {:.1f} Hz",
         fmin_hz, frame, sample_rate_hz, rate / static_cast<double>(frame - 1));
  }
}

void normalised_difference(std::span<const float> wave, const YinConfig& config, std::int64_t first, std::int64_t count,
                           double* difference, double* correlation) {
  using namespace yin_detail;
  const auto n = static_cast<std::int64_t>(wave.size());
  std::vector<double> x;
  for (std::int64_t begin = 0; begin < count; begin += kChunkFrames) {
    const auto frames = std::min(kChunkFrames, count - begin);
    Autocorrelation products(config, frames);
    const auto offset = (first + begin) * config.hop - config.frame / 2;  // of x in the wave
    x.assign(static_cast<std::size_t>(frames * config.hop + config.frame + config.hop + products.n_lags() + 8), 0.0);
    const auto low = std::max<std::int64_t>(0, offset);
    const auto high = std::min(n, offset + static_cast<std::int64_t>(x.size()));
    if (high > low) std::copy(wave.begin() + low, wave.begin() + high, x.begin() + (low - offset));
    products.fill(x.data());
    std::vector<double> acf(static_cast<std::size_t>(products.n_lags()));
    for (std::int64_t t = 0; t < frames; ++t) {
      products.of_frame(t, acf.data());
      const auto row = (begin + t) * config.n_lags();
      normalise(config, acf.data(), x.data() + t * config.hop, difference + row,
                correlation == nullptr ? nullptr : correlation + row);
    }
  }
}

double parabolic_offset(std::span<const double> d, std::int64_t i) {
  if (i <= 0 || i + 1 >= static_cast<std::int64_t>(d.size())) return 0;
  const auto k = static_cast<std::size_t>(i);
  const auto a = d[k + 1] + d[k - 1] - 2 * d[k], b = (d[k + 1] - d[k - 1]) / 2;
  return std::abs(b) >= std::abs(a) ? 0 : -b / a;
}

double refined_period(std::span<const double> correlation, std::int64_t i, const YinConfig& config) {
  const auto first = static_cast<double>(config.min_lag());
  i = yin_detail::climb(correlation, i);
  auto period = first + static_cast<double>(i) + parabolic_offset(correlation, i);
  const auto peak = correlation[static_cast<std::size_t>(i)];
  // A peak that many periods later is as sharp, so it tells the period that many times more exactly.
  for (std::int64_t periods = 2; periods * period <= static_cast<double>(config.max_lag() - 1); periods *= 2) {
    const auto guess = std::llround(static_cast<double>(periods) * period - first);
    const auto k = yin_detail::climb(correlation, guess);
    if (correlation[static_cast<std::size_t>(k)] < 0.95 * peak) break;
    period = (first + static_cast<double>(k) + parabolic_offset(correlation, k)) / static_cast<double>(periods);
  }
  return period;
}

void for_each_lag_chunk(std::span<const float> wave, const YinConfig& config, int threads,
                        const std::function<void(const LagChunk&)>& look) {
  using yin_detail::kChunkFrames;
  const auto n_frames = config.n_frames(static_cast<std::int64_t>(wave.size()));
  const auto n_chunks = (n_frames + kChunkFrames - 1) / kChunkFrames;
#pragma omp parallel for schedule(dynamic) num_threads(threads > 0 ? threads : omp_get_max_threads())
  for (std::int64_t i = 0; i < n_chunks; ++i) {
    LagChunk chunk;
    chunk.first = i * kChunkFrames;
    chunk.count = std::min(kChunkFrames, n_frames - chunk.first);
    chunk.n_lags = config.n_lags();
    chunk.difference.resize(static_cast<std::size_t>(chunk.count * chunk.n_lags));
    chunk.correlation.resize(chunk.difference.size());
    normalised_difference(wave, config, chunk.first, chunk.count, chunk.difference.data(), chunk.correlation.data());
    look(chunk);
  }
}

std::vector<YinFrame> yin(std::span<const float> wave, const YinConfig& config, int threads) {
  config.check();
  std::vector<YinFrame> found(static_cast<std::size_t>(config.n_frames(static_cast<std::int64_t>(wave.size()))));
  for_each_lag_chunk(wave, config, threads, [&](const LagChunk& chunk) {
    for (std::int64_t t = 0; t < chunk.count; ++t) {
      found[static_cast<std::size_t>(chunk.first + t)] =
          yin_detail::pick(chunk.difference_of(t), chunk.correlation_of(t), config);
    }
  });
  return found;
}

}  // namespace melisma
