// The `hubert` method: a layer of a HuBERT encoder, a row each 20 ms.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/signal/thread_limit.h"
#include "infer/features/content.h"
#include "infer/features/pitch.h"
#include "infer/features/recording_pieces.h"
#include "models/catalogue/weights_folder.h"
#include "models/content/hubert_file.h"
#include "models/layers/device.h"
#include "tools/base/error.h"

namespace melisma {
namespace hubert_content_detail {
namespace {
namespace fs = std::filesystem;

constexpr std::int64_t kFramesARow = 2;

// The file of the weights, which must be the ones asked for.
fs::path checked_weights(const ContentConfig& config) {
  if (config.weights_sha256.starts_with(kImportedWeights)) {
    const auto name = config.weights_sha256.substr(kImportedWeights.size());
    return with_context(fmt::format("looking for '{}', which made the imported content features", name),
                        [&] { return locate_weights(config.weights.empty() ? name : config.weights); });
  }
  if (config.weights.empty() && !config.weights_sha256.empty()) {
    if (auto found = weights_with_sha256(config.weights_sha256)) return *found;
    fail(ErrorKind::checkpoint,
         "the content features are made with weights of SHA-256 {}, which are not in '{}'; put their file there, or "
         "name "
         "it (--content-weights when converting, content.weights in settings)",
         config.weights_sha256, weights_folder().string());
  }
  const auto path = locate_weights(config.weights);
  if (config.weights_sha256.empty()) return path;
  if (const auto found = sha256_of_weights(path); found != config.weights_sha256) {
    fail(ErrorKind::checkpoint,
         "the content features are made with weights of SHA-256 {}, but '{}' has {}; give the file they were made with",
         config.weights_sha256, path.string(), found);
  }
  return path;
}

using Network = std::shared_ptr<const Hubert>;

Network loaded(const fs::path& path, at::ScalarType arithmetic) {
  Network network = load_hubert(path, arithmetic, scoped_device());
  const auto& strides = network->config().conv_strides;
  const auto step = std::accumulate(strides.begin(), strides.end(), std::int64_t{1}, std::multiplies<>());
  if (step != kRowSamples) {
    fail(ErrorKind::checkpoint, "'{}' has a frame each {} samples; content features want one each {}", path.string(),
         step, kRowSamples);
  }
  return network;
}

Network loaded_fp32(const fs::path& path) { return loaded(path, at::kFloat); }
Network loaded_bf16(const fs::path& path) { return loaded(path, at::kBFloat16); }

HubertOutput output_of(const HubertSettings& settings) {
  for (const auto& preset : kHubertPresets) {
    if (preset.name == settings.output) return {preset.layer, preset.projection};
  }
  return {settings.layer, settings.projection};
}

// A network that has the output asked for.
Network network_of(const ContentConfig& config) {
  const auto path = checked_weights(config);
  auto network =
      remembered(path, config.hubert.arithmetic == "bf16" ? loaded_bf16 : loaded_fp32, scoped_device().str());
  const auto [layer, projection] = output_of(config.hubert);
  if (layer > network->config().n_layers) {
    fail(ErrorKind::config, "content.hubert: layer {} is asked for, but '{}' has {}", layer, path.string(),
         network->config().n_layers);
  }
  if (projection && network->config().projection == 0) {
    fail(ErrorKind::config, "content.hubert: a projection is asked for, but '{}' has no 'final_proj.weight'",
         path.string());
  }
  return network;
}

// A stretch of a clip that goes through the network at once.
struct Piece {
  std::size_t clip = 0;
  Chunk rows;
  std::span<const float> wave;
};

// A clip, its samples that are no numbers silenced and its end padded where not even one frame fits; rows that the
// network gives of it.
struct Heard {
  std::vector<float> own;  // empty if the clip can be used as it is
  std::span<const float> wave;
  std::int64_t n_rows = 0;
};

Heard heard(std::span<const float> clip, const HubertConfig& config) {
  Heard made{.own = {}, .wave = clip, .n_rows = 0};
  const bool is_finite = std::all_of(clip.begin(), clip.end(), [](float x) { return std::isfinite(x); });
  if (!is_finite || std::ssize(clip) < config.receptive_field()) {
    made.own.assign(clip.begin(), clip.end());
    for (auto& x : made.own) x = std::isfinite(x) ? x : 0;
    made.own.resize(std::max(clip.size(), static_cast<std::size_t>(config.receptive_field())));
    made.wave = made.own;
  }
  made.n_rows = config.n_frames(std::ssize(made.wave));
  return made;
}

// The rows to keep of what the network made of a piece, into the clip's matrix.
void take(const Piece& piece, const at::Tensor& made, FeatureMatrix& features) {
  const auto kept = made.narrow(0, piece.rows.keep.first - piece.rows.compute.first, piece.rows.keep.length())
                        .to(at::kCPU)
                        .contiguous();
  std::copy_n(kept.const_data_ptr<float>(), kept.numel(),
              features.values.begin() + piece.rows.keep.first * features.width);
}

std::vector<Piece> pieces_of(const std::vector<Heard>& clips, const std::vector<FeatureMatrix>& features,
                             const HubertConfig& config) {
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < clips.size(); ++i) {
    if (features[i].n_frames == 0) continue;
    const auto& wave = clips[i].wave;
    for (const auto& rows : recording_pieces(wave, clips[i].n_rows)) {
      const auto first = rows.compute.first * kRowSamples;
      // The last piece goes on to the end: samples that give no row any more still count in the group norm.
      const auto end = rows.compute.last == clips[i].n_rows
                           ? std::ssize(wave)
                           : (rows.compute.last - 1) * kRowSamples + config.receptive_field();
      pieces.push_back({i, rows, wave.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(end - first))});
    }
  }
  return pieces;
}

// Few pieces share the threads within them, many have one each.
void hear(const Hubert& network, const HubertOutput& output, const std::vector<Piece>& pieces,
          std::vector<FeatureMatrix>& features) {
  const auto n = std::ssize(pieces);
  if (n < omp_get_max_threads() || omp_get_max_threads() == 1 || !network.device().is_cpu()) {
    std::vector<std::span<const float>> waves;
    for (const auto& piece : pieces) waves.push_back(piece.wave);
    const auto made = network(waves, output);
    for (std::size_t i = 0; i < pieces.size(); ++i) take(pieces[i], made[i], features[pieces[i].clip]);
    return;
  }
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t i = 0; i < n; ++i) {
    const auto& piece = pieces[static_cast<std::size_t>(i)];
    take(piece, network({&piece.wave, 1}, output)[0], features[piece.clip]);
  }
}

}  // namespace
}  // namespace hubert_content_detail

std::int64_t hubert_content_width(const ContentConfig& config) {
  using namespace hubert_content_detail;
  return network_of(config)->width(output_of(config.hubert));
}

std::int64_t usual_hubert_content_width(const ContentConfig& config) {
  const HubertConfig usual;
  return hubert_content_detail::output_of(config.hubert).projection ? usual.projection : usual.hidden;
}

std::vector<FeatureMatrix> raw_hubert_content(ContentClips clips, const ContentConfig& config, int threads) {
  using namespace hubert_content_detail;
  const ThreadLimit limit(threads);
  const auto network = network_of(config);
  const auto output = output_of(config.hubert);
  std::vector<Heard> waves;
  std::vector<FeatureMatrix> features;
  for (const auto& clip : clips) {
    const auto n_frames = std::ssize(clip) / kFeatureHopSamples;
    waves.push_back(heard(clip, network->config()));
    features.push_back(
        {.values = {}, .n_frames = (n_frames + kFramesARow - 1) / kFramesARow, .width = network->width(output)});
    features.back().values.resize(static_cast<std::size_t>(features.back().n_frames * features.back().width));
  }
  hear(*network, output, pieces_of(waves, features, network->config()), features);
  for (std::size_t i = 0; i < features.size(); ++i) {  // the last row is held up to the clip's end
    auto& [values, n_rows, width] = features[i];
    for (auto row = waves[i].n_rows; row < n_rows; ++row) {
      std::copy_n(values.begin() + (row - 1) * width, width, values.begin() + row * width);
    }
  }
  return features;
}

}  // namespace melisma
