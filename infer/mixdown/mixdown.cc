#include "infer/mixdown/mixdown.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "data/audio/iir.h"
#include "data/effects/biquad.h"
#include "data/effects/decibels.h"
#include "data/effects/dynamics.h"
#include "models/mix/reverb.h"
#include "tools/base/error.h"
#include "tools/base/stop.h"

namespace melisma {
namespace mixdown {
namespace {

constexpr std::int64_t kBlock = 1 << 15;
constexpr std::int64_t kRoomSamples = 65536;

void stop_if_asked() {
  if (const int stop = stop_requested()) throw Error::interrupted(stop, "mixing stopped");
}

// The bands that do anything.
Sections equalizer_of(std::span<const double> values, double rate) {
  Sections sections;
  for (std::size_t band = 0; band < 6; ++band) {
    const double gain_db = values[3 * band], hz = values[3 * band + 1], q = values[3 * band + 2];
    if (gain_db == 0) continue;
    sections.push_back(band == 0   ? low_shelf_section(hz, q, gain_db, rate)
                       : band == 5 ? high_shelf_section(hz, q, gain_db, rate)
                                   : peak_section(hz, q, gain_db, rate));
  }
  return sections;
}

// Samples that come out `delay` later.
class DelayLine {
 public:
  explicit DelayLine(std::int64_t delay) : kept_(static_cast<std::size_t>(delay), 0.0F) {}
  void pass(std::span<float> samples) {
    kept_.insert(kept_.end(), samples.begin(), samples.end());
    std::copy_n(kept_.begin(), samples.size(), samples.begin());
    kept_.erase(kept_.begin(), kept_.begin() + std::ssize(samples));
  }

 private:
  std::vector<float> kept_;
};

// The gain of a compressor ahead of what it acts on; channels share it.
class Leveller {
 public:
  Leveller(std::span<const double> values, std::int64_t rate, std::int64_t lookahead, std::size_t n_channels)
      : makeup_db_(values[5]), delays_(n_channels, DelayLine(lookahead)) {
    if (values[1] > 1) {
      gain_.emplace(CompressorSettings{.threshold_db = values[0],
                                       .ratio = values[1],
                                       .attack_ms = values[2],
                                       .release_ms = values[2],
                                       .knee_db = values[4]},
                    rate);
    }
  }
  // channels: as many spans of one length.
  void pass(std::span<const std::span<float>> channels) {
    const auto n = channels[0].size();
    factors_.assign(n, static_cast<float>(melisma::factor_of_db(makeup_db_)));
    if (gain_) {
      for (std::size_t i = 0; i < n; ++i) {
        double side = 0;
        for (const auto& channel : channels) side += channel[i];
        const double gain_db = gain_->next_db(std::abs(side));
        if (gain_db != 0) factors_[i] = static_cast<float>(melisma::factor_of_db(gain_db + makeup_db_));
      }
    }
    for (std::size_t c = 0; c < channels.size(); ++c) {
      delays_[c].pass(channels[c]);
      for (std::size_t i = 0; i < n; ++i) channels[c][i] *= factors_[i];
    }
  }

 private:
  double makeup_db_;
  std::optional<CompressorGain> gain_;
  std::vector<DelayLine> delays_;
  std::vector<float> factors_;
};

void scale(std::span<float> samples, double gain_db) {
  const auto factor = static_cast<float>(melisma::factor_of_db(gain_db));
  if (gain_db != 0) {
    for (float& sample : samples) sample *= factor;
  }
}

// One track's way to the bus.
class Strip {
 public:
  Strip(const SheetTrack& track, const MixSheet& sheet)
      : fader_db_(track.values[0]),
        sections_(equalizer_of(std::span(track.values).subspan(kTrackEqualizer, 18),
                               static_cast<double>(sheet.sample_rate_hz))),
        leveller_(std::span(track.values).subspan(kTrackCompressor, 6), sheet.sample_rate_hz, kTrackLookahead, 1),
        send_(static_cast<float>(melisma::factor_of_db(track.values[kTrackSend]))) {
    const auto factors = pan_factors(at::scalar_tensor(track.values[kTrackPan], at::kDouble),
                                     sheet.is_constant_power ? PanLaw::constant_power : PanLaw::compromise);
    for (std::int64_t side = 0; side < 2; ++side) pan_[side] = factors[side].item<float>();
  }
  void pass(std::span<float> samples) {
    scale(samples, fader_db_);
    if (!sections_.empty()) filter_sections(sections_, samples, state_);
    const std::span<float> channels[] = {samples};
    leveller_.pass(channels);
  }
  // Adds what pass() left to left and right of the bus and of what is sent.
  void add_to(std::span<const float> samples, Waveform& bus, Waveform* sent) const {
    for (std::int64_t side = 0; side < 2; ++side) {
      const auto out = bus.channel(side);
      for (std::size_t i = 0; i < samples.size(); ++i) out[i] += pan_[side] * samples[i];
      if (sent == nullptr) continue;
      const auto to_room = sent->channel(side);
      for (std::size_t i = 0; i < samples.size(); ++i) to_room[i] += send_ * pan_[side] * samples[i];
    }
  }

 private:
  double fader_db_;
  Sections sections_;
  SectionState state_;
  Leveller leveller_;
  float send_, pan_[2] = {0, 0};
};

// The reverb as a stream: blocks convolved by Fourier transform, what rings on kept for the next ones.
class Room {
 public:
  explicit Room(const MixSheet& sheet) {
    const auto values = at::tensor(sheet.reverb, at::kFloat);
    const auto noise = reverb_noise(0, kRoomSamples, static_cast<double>(sheet.sample_rate_hz));
    response_ = room_response(noise, values.narrow(0, 0, kReverbBands), values.narrow(0, kReverbBands, kReverbBands));
    points_ = filtering_points((kBlock + kRoomSamples) / 2 + 1);
    spectrum_ = at::fft_rfft(response_, points_);
    ringing_ = at::zeros({2, points_});
  }
  void add_to(const Waveform& sent, Waveform& bus) {
    const auto n = sent.n_frames();
    const auto x = at::from_blob(const_cast<float*>(sent.samples.data()), {2, n});
    ringing_ += at::fft_irfft(at::fft_rfft(x, points_) * spectrum_, points_);
    at::from_blob(bus.samples.data(), {2, n}).add_(ringing_.narrow(1, 0, n));
    ringing_ = at::constant_pad_nd(ringing_.narrow(1, n, points_ - n), {0, n});
  }

 private:
  at::Tensor response_, spectrum_, ringing_;
  std::int64_t points_ = 0;
};

class Master {
 public:
  explicit Master(const MixSheet& sheet)
      : fader_db_(sheet.master[kMasterFader]),
        output_db_(sheet.master[kMasterOutput]),
        sections_(equalizer_of(std::span(sheet.master).subspan(kMasterEqualizer, 18),
                               static_cast<double>(sheet.sample_rate_hz))),
        leveller_(std::span(sheet.master).subspan(kMasterCompressor, 6), sheet.sample_rate_hz, kMasterLookahead, 2) {}
  void pass(Waveform& bus) {
    const std::span<float> channels[] = {bus.channel(0), bus.channel(1)};
    for (std::size_t side = 0; side < 2; ++side) {
      scale(channels[side], fader_db_);
      if (!sections_.empty()) filter_sections(sections_, channels[side], states_[side]);
    }
    leveller_.pass(channels);
    for (const auto& channel : channels) scale(channel, output_db_);
  }

 private:
  double fader_db_, output_db_;
  Sections sections_;
  SectionState states_[2];
  Leveller leveller_;
};

Waveform silence(std::int64_t n, std::int64_t rate) {
  return {std::vector<float>(static_cast<std::size_t>(2 * n)), 2, rate};
}

// Frames [first, first + count) of a stereo block.
Waveform part_of(const Waveform& block, std::int64_t first, std::int64_t count) {
  auto part = silence(count, block.sample_rate_hz);
  for (std::int64_t side = 0; side < 2; ++side) {
    std::ranges::copy(block.channel(side).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
                      part.channel(side).begin());
  }
  return part;
}

}  // namespace
}  // namespace mixdown

void play_sheet(const StemStore& stems, const MixSheet& sheet, const MixReceiver& receive,
                const std::function<void(std::int64_t)>& progress) {
  using namespace mixdown;
  const c10::InferenceMode no_gradients;
  std::vector<Strip> strips;
  for (const auto& track : sheet.tracks) strips.emplace_back(track, sheet);
  Master master(sheet);
  std::optional<Room> room;
  if (!sheet.reverb.empty()) room.emplace(sheet);
  const auto total = stems.n_frames() + kConsoleDelay;  // the last frames come out after the stems have ended
  std::vector<std::vector<float>> pieces(strips.size());
  for (std::int64_t at = 0; at < total; at += kBlock) {
    stop_if_asked();
    const auto n = std::min(kBlock, total - at);
    at::parallel_for(0, std::ssize(strips), 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        pieces[i].resize(static_cast<std::size_t>(n));
        stems.read(i, at, pieces[i]);
        strips[i].pass(pieces[i]);
      }
    });
    auto bus = silence(n, sheet.sample_rate_hz), sent = silence(room ? n : 0, sheet.sample_rate_hz);
    for (std::size_t i = 0; i < strips.size(); ++i) strips[i].add_to(pieces[i], bus, room ? &sent : nullptr);
    if (room) room->add_to(sent, bus);
    master.pass(bus);
    const auto late = std::clamp<std::int64_t>(kConsoleDelay - at, 0, n);
    if (late < n) receive(late == 0 ? bus : part_of(bus, late, n - late));
    if (progress) progress(std::min(at + n, stems.n_frames()));
  }
}

void play_model(const StemStore& stems, const MixModel& model, const MixReceiver& receive,
                const std::function<void(std::int64_t)>& progress) {
  using namespace mixdown;
  const c10::InferenceMode no_gradients;
  const auto step = model.length_step();
  const auto length = (std::int64_t{131072} + step - 1) / step * step, hop = length / 2;
  const auto n_tracks = std::ssize(stems.channels());
  const auto window = at::hann_window(length, at::TensorOptions().dtype(at::kFloat));
  auto tail = at::zeros({2, hop});
  for (std::int64_t first = -hop; first < stems.n_frames(); first += hop) {
    stop_if_asked();
    auto tracks = at::zeros({1, n_tracks, length});
    for (std::int64_t i = 0; i < n_tracks; ++i) {
      stems.read(static_cast<std::size_t>(i), first,
                 {tracks[0][i].data_ptr<float>(), static_cast<std::size_t>(length)});
    }
    const auto made = model.mix({.tracks = tracks}).wave[0] * window;
    const auto ready = (made.narrow(1, 0, hop) + tail).contiguous();
    tail = made.narrow(1, hop, hop).clone();
    if (first < 0) continue;  // what comes before the song only lends its second half
    const auto n = std::min(hop, stems.n_frames() - first);
    auto block = silence(n, stems.sample_rate_hz());
    for (std::int64_t side = 0; side < 2; ++side) {
      std::copy_n(ready[side].const_data_ptr<float>(), n, block.channel(side).begin());
    }
    receive(block);
    if (progress) progress(first + n);
  }
}

}  // namespace melisma
