#include "infer/mixdown/sheet_source.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "tools/base/error.h"

namespace melisma {
namespace sheet_source {
namespace {

constexpr double kStemLufs = -26;  // of every stem that is made as loud as the others

std::vector<double> numbers(const at::Tensor& values) {
  const auto row = values.to(at::kDouble).to(at::kCPU).contiguous();
  return {row.const_data_ptr<double>(), row.const_data_ptr<double>() + row.numel()};
}

// Sums of what was predicted, and their mean.
class MeanControls {
 public:
  void add(const ConsoleControls& controls) {
    const auto sum = [&](at::Tensor& whole, const at::Tensor& part) {
      if (part.defined()) whole = whole.defined() ? whole + part : part;
    };
    sum(sum_.tracks, controls.tracks);
    sum(sum_.master, controls.master);
    sum(sum_.reverb, controls.reverb);
    ++n_;
  }
  [[nodiscard]] bool is_empty() const { return n_ == 0; }
  [[nodiscard]] ConsoleControls mean() const {
    const auto share = [&](const at::Tensor& whole) { return whole.defined() ? whole / n_ : whole; };
    return {share(sum_.tracks), share(sum_.master), share(sum_.reverb)};
  }

 private:
  ConsoleControls sum_;
  int n_ = 0;
};

}  // namespace
}  // namespace sheet_source

at::Tensor excerpt_of_stems(const StemStore& stems, std::int64_t first, std::int64_t count) {
  const auto n_tracks = std::ssize(stems.channels());
  auto tracks = at::empty({1, n_tracks, count});
  for (std::int64_t i = 0; i < n_tracks; ++i) {
    stems.read(static_cast<std::size_t>(i), first, {tracks[0][i].data_ptr<float>(), static_cast<std::size_t>(count)});
  }
  return tracks;
}

at::Tensor loudest_part(const Waveform& wave, std::int64_t count) {
  const auto n = wave.n_frames();
  auto rows = at::from_blob(const_cast<float*>(wave.samples.data()), {wave.n_channels, n}).clone();
  if (wave.n_channels == 1) rows = rows.expand({2, n});
  rows = rows.narrow(0, 0, 2);
  if (n <= count) return at::constant_pad_nd(rows, {0, count - n}).unsqueeze(0);
  const auto energy = rows.square().sum(0).unfold(0, count, std::max<std::int64_t>(count / 4, 1)).sum(-1);
  const auto first = energy.argmax().item<std::int64_t>() * std::max<std::int64_t>(count / 4, 1);
  return rows.narrow(1, first, count).contiguous().unsqueeze(0);
}

MixSheet sheet_of(const ConsoleControls& controls, const StemStore& stems, PanLaw law) {
  const auto rate = stems.sample_rate_hz();
  auto sheet = neutral_sheet(stems.names(), rate);
  sheet.is_constant_power = law == PanLaw::constant_power;
  const auto values = console_values(controls.tracks[0], kTrackParameters, rate);
  for (std::size_t i = 0; i < sheet.tracks.size(); ++i) {
    sheet.tracks[i].values = sheet_source::numbers(values[static_cast<std::int64_t>(i)]);
  }
  sheet.master = sheet_source::numbers(console_values(controls.master[0], kMasterParameters, rate));
  if (controls.reverb.defined()) sheet.reverb = sheet_source::numbers(controls.reverb[0]);
  return sheet;
}

ConsoleControls controls_of(const MixSheet& sheet) {
  std::vector<at::Tensor> tracks;
  for (const auto& track : sheet.tracks) tracks.push_back(at::tensor(track.values, at::kDouble));
  const auto rate = sheet.sample_rate_hz;
  ConsoleControls controls{console_parts(at::stack(tracks), kTrackParameters, rate).unsqueeze(0),
                           console_parts(at::tensor(sheet.master, at::kDouble), kMasterParameters, rate).unsqueeze(0),
                           {}};
  if (!sheet.reverb.empty()) controls.reverb = at::tensor(sheet.reverb, at::kDouble).unsqueeze(0);
  return controls;
}

MixSheet predicted_sheet(const MixModel& model, const MixModelConfig& config, const StemStore& stems,
                         const Waveform& reference, const ListeningConfig& listening) {
  const c10::NoGradGuard no_grad;
  if (stems.sample_rate_hz() != config.sample_rate_hz) {
    fail(ErrorKind::internal, "stems at {} Hz for a model at {} Hz", stems.sample_rate_hz(), config.sample_rate_hz);
  }
  const auto count = listening.excerpt_samples, room = std::max<std::int64_t>(stems.n_frames() - count, 0);
  const auto heard_reference = reference.samples.empty() ? at::Tensor() : loudest_part(reference, count);
  sheet_source::MeanControls mean;
  for (std::int64_t i = 0; i < listening.excerpts; ++i) {
    const auto first = room * (2 * i + 1) / (2 * listening.excerpts);
    const auto tracks = excerpt_of_stems(stems, first, count);
    if (tracks.abs().max().item<float>() == 0) continue;
    mean.add(model.predict({.tracks = tracks, .reference = heard_reference}));
    if (room == 0) break;
  }
  if (mean.is_empty()) fail(ErrorKind::data, "the stems are silent wherever they were listened to");
  return sheet_of(mean.mean(), stems, model.pan_law());
}

MixSheet equal_loudness_sheet(const StemStore& stems) {
  auto sheet = neutral_sheet(stems.names(), stems.sample_rate_hz());
  const auto& fader = kTrackParameters[0];
  for (std::size_t i = 0; i < sheet.tracks.size(); ++i) {
    const auto& channel = stems.channels()[i];
    auto& values = sheet.tracks[i].values;
    if (std::isfinite(channel.lufs)) {
      values[0] = std::clamp(sheet_source::kStemLufs - channel.lufs, fader.low, fader.high);
    }
    if (channel.is_left) values[kTrackPan] = 0;
    if (channel.is_right) values[kTrackPan] = 1;
  }
  return sheet;
}

}  // namespace melisma
