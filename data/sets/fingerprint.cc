#include "data/sets/fingerprint.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <complex>
#include <map>
#include <numeric>
#include <unsupported/Eigen/FFT>

#include "data/audio/resample.h"
#include "tools/base/error.h"

namespace melisma {
namespace {

constexpr std::int64_t kRateHz = 4000, kWindow = 1024, kHop = 64;
constexpr std::size_t kBands = 33, kBits = 32, kDoubtful = 3;
constexpr double kLowestHz = 200, kHighestHz = 1800;
constexpr float kQuietRatio = 3e-5F;       // frames 45 dB below the loudest are not compared
constexpr std::int64_t kIndexStep = 3;     // every third word is indexed, all are looked up
constexpr std::size_t kCommonWord = 1000;  // a word in more places than this tells nothing
constexpr int kVotesNeeded = 3;
constexpr std::int64_t kFramesNeeded = 16;
constexpr double kShareNeeded = 0.4, kErrorAllowed = 0.30;

// First FFT bin of each band, and one past the last.
std::array<std::size_t, kBands + 1> band_edges() {
  std::array<std::size_t, kBands + 1> edges{};
  for (std::size_t i = 0; i <= kBands; ++i) {
    const double hz = kLowestHz * std::pow(kHighestHz / kLowestHz, static_cast<double>(i) / kBands);
    edges[i] = static_cast<std::size_t>(std::lround(hz * kWindow / kRateHz));
  }
  return edges;
}

std::vector<float> hann_window() {
  std::vector<float> window(kWindow);
  for (std::size_t i = 0; i < window.size(); ++i) {
    window[i] = static_cast<float>(0.5 - 0.5 * std::cos(2 * M_PI * static_cast<double>(i) / kWindow));
  }
  return window;
}

// The word of a frame from the differences of its bands and of the frame before, and its least certain bits.
std::pair<std::uint32_t, std::uint16_t> word_of(const std::array<float, kBits>& now,
                                                const std::array<float, kBits>& before) {
  std::uint32_t word = 0;
  std::array<std::pair<float, std::uint16_t>, kBits> certainty;
  for (std::size_t i = 0; i < kBits; ++i) {
    const float change = now[i] - before[i];
    word |= static_cast<std::uint32_t>(change > 0) << i;
    certainty[i] = {std::abs(change), static_cast<std::uint16_t>(i)};
  }
  std::partial_sort(certainty.begin(), certainty.begin() + kDoubtful, certainty.end());
  std::uint16_t doubtful = 0;
  for (std::size_t i = 0; i < kDoubtful; ++i) doubtful |= static_cast<std::uint16_t>(certainty[i].second << (5 * i));
  return {word, doubtful};
}

bool is_quiet(std::uint16_t doubtful) { return doubtful == Fingerprint::kQuietFrame; }

}  // namespace

struct Fingerprinter::State {
  StreamResampler resampler;
  Eigen::FFT<float> fft;
  std::vector<float> window = hann_window();
  std::array<std::size_t, kBands + 1> edges = band_edges();
  std::vector<float> samples;  // at kRateHz, those not yet past every frame
  std::vector<float> frame = std::vector<float>(kWindow);
  std::vector<std::complex<float>> spectrum;
  std::array<float, kBits> before{};
  bool has_before = false;
  std::vector<float> energy;
  Fingerprint made;

  explicit State(std::int64_t sample_rate_hz) : resampler(sample_rate_hz, kRateHz, ResampleQuality::high) {
    fft.SetFlag(Eigen::FFT<float>::HalfSpectrum);
  }

  void make_frames() {
    std::size_t start = 0;
    for (; start + kWindow <= samples.size(); start += kHop) make_frame(samples.data() + start);
    samples.erase(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(start));
  }

  void make_frame(const float* from) {
    for (std::size_t i = 0; i < frame.size(); ++i) frame[i] = from[i] * window[i];
    fft.fwd(spectrum, frame);
    std::array<float, kBands> bands{};
    for (std::size_t b = 0; b < kBands; ++b) {
      for (std::size_t k = edges[b]; k < edges[b + 1]; ++k) bands[b] += std::norm(spectrum[k]);
    }
    std::array<float, kBits> now;
    for (std::size_t i = 0; i < kBits; ++i) now[i] = bands[i] - bands[i + 1];
    if (has_before) {
      const auto [word, doubtful] = word_of(now, before);
      made.bits.push_back(word);
      made.doubtful.push_back(doubtful);
      energy.push_back(std::accumulate(bands.begin(), bands.end(), 0.0F));
    }
    before = now;
    has_before = true;
  }
};

Fingerprinter::Fingerprinter(std::int64_t sample_rate_hz) {
  if (sample_rate_hz < kRateHz) fail(ErrorKind::config, "fingerprints need {} Hz, not {}", kRateHz, sample_rate_hz);
  state_ = std::make_unique<State>(sample_rate_hz);
}
Fingerprinter::~Fingerprinter() = default;
Fingerprinter::Fingerprinter(Fingerprinter&&) noexcept = default;
Fingerprinter& Fingerprinter::operator=(Fingerprinter&&) noexcept = default;

void Fingerprinter::push(std::span<const float> mono) {
  state_->resampler.push(mono, state_->samples);
  state_->make_frames();
}

Fingerprint Fingerprinter::finish() {
  state_->resampler.finish(state_->samples);
  state_->make_frames();
  const auto& energy = state_->energy;
  const float loudest = energy.empty() ? 0 : *std::max_element(energy.begin(), energy.end());
  for (std::size_t i = 0; i < energy.size(); ++i) {
    if (energy[i] <= loudest * kQuietRatio) state_->made.doubtful[i] = Fingerprint::kQuietFrame;
  }
  return std::move(state_->made);
}

namespace {

// One word of one recording, sorted by word.
struct IndexedWord {
  std::uint32_t word;
  std::uint32_t recording;
  std::uint32_t frame;
};

class WordIndex {
 public:
  explicit WordIndex(std::span<const Fingerprint> recordings) {
    for (std::size_t r = 0; r < recordings.size(); ++r) {
      const auto& print = recordings[r];
      for (std::size_t f = 0; f < print.bits.size(); f += kIndexStep) {
        if (!is_quiet(print.doubtful[f])) {
          words_.push_back({print.bits[f], static_cast<std::uint32_t>(r), static_cast<std::uint32_t>(f)});
        }
      }
    }
    std::sort(words_.begin(), words_.end(), [](const IndexedWord& a, const IndexedWord& b) {
      return std::tie(a.word, a.recording, a.frame) < std::tie(b.word, b.recording, b.frame);
    });
    // Where words with each upper half begin: a look-up then searches a handful.
    starts_.assign(65537, words_.size());
    for (std::size_t i = words_.size(); i-- > 0;) starts_[words_[i].word >> 16] = i;
    for (std::size_t i = 65536; i-- > 0;) starts_[i] = std::min(starts_[i], starts_[i + 1]);
  }

  [[nodiscard]] std::span<const IndexedWord> find(std::uint32_t word) const {
    const auto from = words_.begin() + static_cast<std::ptrdiff_t>(starts_[word >> 16]);
    const auto to = words_.begin() + static_cast<std::ptrdiff_t>(starts_[(word >> 16) + 1]);
    const auto first =
        std::lower_bound(from, to, word, [](const IndexedWord& a, std::uint32_t b) { return a.word < b; });
    const auto last =
        std::upper_bound(first, to, word, [](std::uint32_t a, const IndexedWord& b) { return a < b.word; });
    return {first, last};
  }

 private:
  std::vector<IndexedWord> words_;
  std::vector<std::size_t> starts_;
};

// Votes for "frame i of the asked recording is frame i + shift of `recording`".
using Votes = std::map<std::pair<std::uint32_t, std::int64_t>, int>;

// Looks up every word of `print` and its variants with doubtful bits turned, in recordings before `limit`.
Votes votes_for(const Fingerprint& print, const WordIndex& index, std::uint32_t limit) {
  Votes votes;
  for (std::size_t f = 0; f < print.bits.size(); ++f) {
    if (is_quiet(print.doubtful[f])) continue;
    for (unsigned variant = 0; variant < 1U << kDoubtful; ++variant) {
      auto word = print.bits[f];
      for (std::size_t i = 0; i < kDoubtful; ++i) {
        if ((variant >> i & 1U) != 0) word ^= 1U << (print.doubtful[f] >> (5 * i) & 31);
      }
      const auto found = index.find(word);
      if (found.size() > kCommonWord) continue;
      for (const auto& place : found) {
        if (place.recording >= limit) break;
        ++votes[{place.recording, static_cast<std::int64_t>(place.frame) - static_cast<std::int64_t>(f)}];
      }
    }
  }
  return votes;
}

FingerprintMatch compare(const Fingerprint& first, const Fingerprint& second, std::int64_t shift) {
  std::int64_t wrong = 0, n_frames = 0;
  const auto from = std::max<std::int64_t>(0, -shift);
  const auto to = std::min<std::int64_t>(std::ssize(second.bits), std::ssize(first.bits) - shift);
  for (auto i = from; i < to; ++i) {
    const auto a = static_cast<std::size_t>(i + shift), b = static_cast<std::size_t>(i);
    if (is_quiet(first.doubtful[a]) || is_quiet(second.doubtful[b])) continue;
    wrong += std::popcount(first.bits[a] ^ second.bits[b]);
    ++n_frames;
  }
  if (n_frames == 0) return {0.5, 0, shift};
  return {static_cast<double>(wrong) / static_cast<double>(n_frames * kBits), n_frames, shift};
}

std::int64_t n_compared(const Fingerprint& print) {
  return std::count_if(print.doubtful.begin(), print.doubtful.end(), [](auto d) { return !is_quiet(d); });
}

// The best alignment among the three shifts around each well-voted one that covers enough of the shorter recording.
FingerprintMatch best_of(const Fingerprint& first, const Fingerprint& second, std::span<const std::int64_t> shifts) {
  const auto shorter = std::min(n_compared(first), n_compared(second));
  const auto needed = std::max(kFramesNeeded, static_cast<std::int64_t>(kShareNeeded * static_cast<double>(shorter)));
  FingerprintMatch best;
  for (const auto shift : shifts) {
    for (const auto nearby : {shift - 1, shift, shift + 1}) {
      const auto match = compare(first, second, nearby);
      if (match.n_frames >= needed && match.bit_error_rate < best.bit_error_rate) best = match;
    }
  }
  return best;
}

// The shifts of one recording with the most votes, at most eight.
std::vector<std::int64_t> best_shifts(std::vector<std::pair<int, std::int64_t>> voted) {
  std::sort(voted.begin(), voted.end(), std::greater<>());
  std::vector<std::int64_t> shifts;
  for (const auto& [count, shift] : voted) {
    if (count >= kVotesNeeded && shifts.size() < 8) shifts.push_back(shift);
  }
  return shifts;
}

std::int64_t root_of(std::vector<std::int64_t>& parent, std::int64_t i) {
  while (parent[static_cast<std::size_t>(i)] != i) i = parent[static_cast<std::size_t>(i)];
  return i;
}

}  // namespace

FingerprintMatch best_match(const Fingerprint& first, const Fingerprint& second) {
  const WordIndex index(std::span(&first, 1));
  std::vector<std::pair<int, std::int64_t>> voted;
  for (const auto& [where, count] : votes_for(second, index, 1)) voted.emplace_back(count, where.second);
  return best_of(first, second, best_shifts(std::move(voted)));
}

std::vector<std::int64_t> duplicate_groups(std::span<const Fingerprint> recordings) {
  const WordIndex index(recordings);
  std::vector<std::int64_t> parent(recordings.size());
  std::iota(parent.begin(), parent.end(), 0);
  for (std::size_t r = 0; r < recordings.size(); ++r) {
    std::map<std::uint32_t, std::vector<std::pair<int, std::int64_t>>> voted;
    for (const auto& [where, count] : votes_for(recordings[r], index, static_cast<std::uint32_t>(r))) {
      voted[where.first].emplace_back(count, where.second);
    }
    for (auto& [other, shifts] : voted) {
      const auto match = best_of(recordings[other], recordings[r], best_shifts(std::move(shifts)));
      if (match.bit_error_rate > kErrorAllowed) continue;
      const auto a = root_of(parent, other), b = root_of(parent, static_cast<std::int64_t>(r));
      parent[static_cast<std::size_t>(std::max(a, b))] = std::min(a, b);
    }
  }
  std::vector<std::int64_t> size(recordings.size(), 0), groups(recordings.size(), -1);
  for (std::size_t r = 0; r < recordings.size(); ++r) {
    groups[r] = root_of(parent, static_cast<std::int64_t>(r));
    ++size[static_cast<std::size_t>(groups[r])];
  }
  for (auto& group : groups) {
    if (size[static_cast<std::size_t>(group)] == 1) group = -1;
  }
  return groups;
}

}  // namespace melisma
