// Recognising the same recording in another guise: other gain, rate, codec, or trimmed at the ends.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace melisma {

// What a recording sounds like, 62.5 words a second: the signs of how energy differences of neighbouring bands change
// from frame to frame (Haitsma and Kalker 2002, with 256 ms frames every 16 ms and bands from 200 to 1800 Hz).
struct Fingerprint {
  std::vector<std::uint32_t> bits;
  std::vector<std::uint16_t>
      doubtful;  // three least certain bits, 5 bits each; kQuietFrame = near silence, not compared
  static constexpr std::uint16_t kQuietFrame = 0x8000;
};

// Makes the fingerprint of a stream; memory grows by 6 bytes a frame.
class Fingerprinter {
 public:
  // Throws Error(config) for a rate below 4 kHz.
  explicit Fingerprinter(std::int64_t sample_rate_hz);
  ~Fingerprinter();
  Fingerprinter(Fingerprinter&&) noexcept;
  Fingerprinter& operator=(Fingerprinter&&) noexcept;
  void push(std::span<const float> mono);
  // Nothing may be pushed afterwards.
  [[nodiscard]] Fingerprint finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// How alike two fingerprints are at the best of the alignments that their words suggest.
struct FingerprintMatch {
  double bit_error_rate = 0.5;    // 0 = the same, 0.5 = unrelated
  std::int64_t n_frames = 0;      // compared
  std::int64_t shift_frames = 0;  // frame i of `second` is frame i + shift of `first`
};
[[nodiscard]] FingerprintMatch best_match(const Fingerprint& first, const Fingerprint& second);

// The group of each recording: those that hold the same sound (at least 40 % of the shorter one, at most 30 % of the
// bits different) share a number, the lowest index among them; -1 = like no other.
[[nodiscard]] std::vector<std::int64_t> duplicate_groups(std::span<const Fingerprint> recordings);

}  // namespace melisma
