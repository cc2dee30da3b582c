#include "infer/convert/voice.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/signal/chunks.h"
#include "infer/convert/positional_noise.h"
#include "infer/convert/windows.h"
#include "models/layers/device.h"
#include "models/rvc/voice_model.h"
#include "tools/base/error.h"
#include "tools/base/seed.h"

namespace melisma {
namespace {

constexpr std::int64_t kEncoderWindowFrames = 3000;  // 30 s: what the text encoder attends over at once
constexpr std::int64_t kEncoderOverlapFrames = 300;

// How many frames to each side the flow sees: four couplings of three layers with kernel 5.
constexpr std::int64_t kFlowContextFrames = 24;

// Weights of a window's frames where it meets its neighbours: a linear fade over the overlap on each inner side.
at::Tensor window_weights(const std::vector<FrameRange>& windows, std::size_t i) {
  auto weight = at::ones({windows[i].length()}, at::kFloat);
  const auto fade = [](std::int64_t n) { return (at::arange(n, at::kFloat) + 0.5) / static_cast<double>(n); };
  if (i > 0) {
    const auto overlap = windows[i - 1].last - windows[i].first;
    weight.narrow(0, 0, overlap).mul_(fade(overlap));
  }
  if (i + 1 < windows.size()) {
    const auto overlap = windows[i].last - windows[i + 1].first;
    weight.narrow(0, windows[i].length() - overlap, overlap).mul_(fade(overlap).flip(0));
  }
  return weight;
}

// Voices of the RVC tools do not say what they were trained on; by their width it is one of two outputs of a HuBERT,
// ContentVec unless their maker says otherwise. ddPn08's name the layer.
ContentConfig content_of_foreign_voice(const RvcConfig& network, const std::string& contents) {
  const auto said = nlohmann::json::parse(contents, nullptr, /*allow_exceptions=*/false);
  if (said.is_object() && said.contains("embedder_output_layer") && said["embedder_output_layer"].is_number_integer()) {
    return {.method = "hubert",
            .hubert = {.output = "layer",
                       .layer = said["embedder_output_layer"].get<std::int64_t>(),
                       .projection = network.content_channels == 256}};
  }
  for (const auto& preset : kHubertPresets) {
    ContentConfig content{.method = "hubert", .hubert = {.output = std::string(preset.name)}};
    if (usual_content_width(content) == network.content_channels) return content;
  }
  fail(ErrorKind::checkpoint,
       "the model does not say what content features it was trained on, and its {} content channels are neither those "
       "of RVC v2 (768) nor of v1 (256)",
       network.content_channels);
}

}  // namespace

struct Voice::State {
  std::unique_ptr<Synthesizer> network;
  std::vector<std::string> speakers;
  ContentConfig content;
  PitchConfig pitch;
  at::Device device = at::kCPU;

  // Prior of every frame, [1, inter, T] each, from windows that fade into each other.
  [[nodiscard]] LatentStatistics encode(const at::Tensor& content, const at::Tensor& coarse) const {
    const auto total = content.size(1);
    const auto windows = encoder_windows(total, kEncoderWindowFrames, kEncoderOverlapFrames);
    const auto inter = network->config().inter_channels;
    LatentStatistics all{at::zeros({1, inter, total}, device), at::zeros({1, inter, total}, device)};
    for (std::size_t i = 0; i < windows.size(); ++i) {
      const auto [first, last] = windows[i];
      const auto part =
          network->encode_text(content.narrow(1, first, last - first), coarse.narrow(1, first, last - first),
                               at::ones({1, 1, last - first}, device));
      const auto weight = on_device(window_weights(windows, i), device);
      all.mean.narrow(2, first, last - first).add_(part.mean * weight);
      all.log_std.narrow(2, first, last - first).add_(part.log_std * weight);
    }
    return all;
  }

  // [1, speaker channels, 1], the weighted sum of the speakers' own.
  [[nodiscard]] at::Tensor speaker_vector(const SpeakerMix& mix) const {
    at::Tensor sum;
    for (const auto& [row, weight] : mix) {
      if (row < 0 || row >= network->config().speakers) {
        fail(ErrorKind::usage, "speaker {} is outside the model's {} speakers", row, network->config().speakers);
      }
      auto vector = network->speaker_vector(at::full({1}, row, at::TensorOptions(device).dtype(at::kLong)));
      if (weight != 1) vector = vector * weight;
      sum = sum.defined() ? sum + vector : vector;
    }
    if (!sum.defined()) fail(ErrorKind::internal, "a mix of no speakers");
    return sum;
  }

  // Of samples first .. first + count - 1.
  [[nodiscard]] SourceNoise source_noise(std::uint64_t seed, std::int64_t first, std::int64_t count) const {
    const auto sines = vocoder_of(network->config()).sines;
    const auto normal = on_device(positional_normal(seed, "source", sines, first, count), device);
    SourceNoise noise{normal.transpose(0, 1).unsqueeze(0), {}};
    if (sines > 1) {
      auto generator = at::detail::createCPUGenerator(seed_of(seed, "phases"));
      noise.phases = on_device(at::rand({1, sines}, generator, at::kFloat), device);
    }
    return noise;
  }

  // Of frames first .. first + count - 1, whatever the rate of the layer.
  [[nodiscard]] LayerNoise layer_noise(std::uint64_t seed, std::int64_t first, std::int64_t count) const {
    return [=, where = device](std::int64_t call, at::IntArrayRef shape) {
      const auto rate = shape[2] / count;
      const auto noise = positional_normal(seed, fmt::format("layer {}", call), shape[1], first * rate, shape[2]);
      return on_device(noise, where).unsqueeze(0);
    };
  }

  // Audio of chunk.keep, [keep.length() * hop], in the CPU's memory.
  [[nodiscard]] at::Tensor decode(const Chunk& chunk, const LatentStatistics& prior, const at::Tensor& f0,
                                  const at::Tensor& cycles, const at::Tensor& speaker,
                                  const SynthesisOptions& options) const {
    const auto first = chunk.compute.first, count = chunk.compute.length(), hop = network->config().hop;
    const auto mask = at::ones({1, 1, count}, device);
    auto z = prior.mean.narrow(2, first, count);
    if (options.noise_scale > 0) {
      const auto noise = on_device(positional_normal(options.noise_seed, "prior", z.size(1), first, count), device);
      z = z + at::exp(prior.log_std.narrow(2, first, count)) * noise.unsqueeze(0) * options.noise_scale;
    }
    z = network->flow().reverse(z, mask, speaker);
    at::Tensor source;
    if (network->config().use_f0) {
      const auto noise =
          options.source_noise ? source_noise(options.noise_seed, first * hop, count * hop) : SourceNoise{};
      source = network->decoder().source()(f0.narrow(1, first, count), noise, cycles.narrow(1, first, count));
    }
    const auto layers = options.source_noise ? layer_noise(options.noise_seed, first, count) : LayerNoise{};
    const auto wave = network->decoder()(z, speaker, source, layers).view({-1});
    const auto kept = wave.narrow(0, (chunk.keep.first - first) * hop, chunk.keep.length() * hop);
    return kept.to(at::kCPU).contiguous();
  }
};

Voice::Voice(std::unique_ptr<State> state) : state_(std::move(state)) {}
Voice::Voice(Voice&&) noexcept = default;
Voice& Voice::operator=(Voice&&) noexcept = default;
Voice::~Voice() = default;

Voice Voice::load(const ModelFile& file, at::Device device) {
  const auto config = rvc_voice_config(file);
  auto state = std::make_unique<State>();
  state->content = config.content_parameters.empty() ? content_of_foreign_voice(config.network, file.contents)
                                                     : content_config_of(config.content_parameters);
  state->pitch = config.pitch_parameters.empty() ? PitchConfig{} : pitch_config_of(config.pitch_parameters);
  if (!content_needs_weights(state->content) && content_width(state->content) != config.network.content_channels) {
    fail(ErrorKind::checkpoint, "the model takes {} content channels, but its content features '{}' have {}",
         config.network.content_channels, config.content_parameters, content_width(state->content));
  }
  state->speakers = config.speaker_names;
  state->network = build_synthesizer(file);
  if (!device.is_cpu()) state->network->to(device);
  state->device = device;
  state->network->set_requires_grad(false);
  state->network->fold(true);
  return Voice(std::move(state));
}

Voice Voice::untrained(const ModelFile& file, std::uint64_t seed) {
  const auto config = rvc_voice_config(file);
  auto generator = at::detail::createCPUGenerator(seed_of(seed, "weights"));
  Synthesizer fresh(config.network, {.posterior = false});
  fresh.initialise(generator);
  ModelFile untrained = file;
  untrained.weights = fresh.state_dict();
  return load(untrained);
}

std::int64_t Voice::sample_rate_hz() const { return state_->network->config().sample_rate_hz; }
std::int64_t Voice::hop_samples() const { return state_->network->config().hop; }
const std::vector<std::string>& Voice::speakers() const { return state_->speakers; }
std::int64_t Voice::n_speakers() const {
  return state_->speakers.empty() ? state_->network->config().speakers : std::ssize(state_->speakers);
}
const ContentConfig& Voice::content() const { return state_->content; }
std::int64_t Voice::content_columns() const { return state_->network->config().content_channels; }
const PitchConfig& Voice::pitch() const {
  static const PitchConfig usual;
  return state_->pitch.method == kImportedPitch ? usual : state_->pitch;
}

void Voice::synthesize(const FeatureMatrix& content, std::span<const float> f0_hz, const SpeakerMix& speakers,
                       const SynthesisOptions& options, const std::function<void(std::span<const float>)>& take) const {
  const c10::NoGradGuard no_grad;
  const auto total = std::min(content.n_frames, static_cast<std::int64_t>(f0_hz.size()));
  if (total == 0) return;
  if (content.width != state_->network->config().content_channels) {
    fail(ErrorKind::data, "content features have {} columns, the model takes {}", content.width,
         state_->network->config().content_channels);
  }
  const auto features = at::from_blob(const_cast<float*>(content.values.data()), {1, total, content.width}, at::kFloat);
  const auto f0 = on_device(at::from_blob(const_cast<float*>(f0_hz.data()), {1, total}, at::kFloat), state_->device);
  const auto bins = coarse_pitch(f0_hz.first(static_cast<std::size_t>(total)));
  const auto coarse = at::from_blob(const_cast<std::int64_t*>(bins.data()), {1, total}, at::kLong);
  const auto vector = state_->speaker_vector(speakers);
  const auto prior = state_->encode(on_device(features, state_->device), on_device(coarse, state_->device));
  const auto& network = *state_->network;
  const auto cycles = network.config().use_f0 ? network.decoder().source().cycles_before(f0) : at::Tensor();
  const auto context = kFlowContextFrames + network.decoder().context_frames();
  for (const auto& chunk : chunks_with_context(total, options.chunk_frames, context)) {
    const auto wave = state_->decode(chunk, prior, f0, cycles, vector, options);
    take({wave.const_data_ptr<float>(), static_cast<std::size_t>(wave.numel())});
  }
}

std::vector<float> Voice::synthesize(const FeatureMatrix& content, std::span<const float> f0_hz, std::int64_t speaker,
                                     const SynthesisOptions& options) const {
  std::vector<float> samples;
  synthesize(content, f0_hz, SpeakerMix{{speaker, 1}}, options,
             [&](std::span<const float> piece) { samples.insert(samples.end(), piece.begin(), piece.end()); });
  return samples;
}

std::vector<float> Voice::resynthesize(const Dataset& dataset, const Clip& clip,
                                       const SynthesisOptions& options) const {
  const auto content = dataset.features(key_of(content_as_stored(state_->content, dataset.feature_sets())), clip);
  const auto f0 = dataset.features(key_of(state_->pitch), clip);
  auto samples = synthesize(content, f0.values, clip.speaker, options);
  samples.resize(static_cast<std::size_t>(clip.length), 0.0f);
  return samples;
}

}  // namespace melisma
