#include "models/rvc/training_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <regex>

#include "models/rvc/discriminator.h"
#include "models/rvc/tensor_shapes.h"
#include "models/rvc/voice_file.h"
#include "models/weights/pth_file.h"
#include "models/weights/pth_model.h"
#include "tools/base/error.h"

namespace melisma {
namespace training_file_detail {
namespace {

std::vector<std::string> names_of(const StateDict& dict) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : dict) names.push_back(name);
  return names;
}

// Where a tensor of D stands: sub-discriminator, layer (conv_post last), then bias, norm, direction.
std::array<std::int64_t, 3> place_in_discriminator(const std::string& name) {
  static const std::regex pattern(
      R"(discriminators\.(\d{1,4})\.(?:convs\.(\d{1,4})|conv_post)\.(bias|weight_g|weight_v))");
  std::smatch match;
  if (!std::regex_match(name, match, pattern)) {
    fail(ErrorKind::checkpoint, "'{}' is no tensor of an RVC discriminator (D file)", name);
  }
  constexpr std::int64_t kPost = 10000;
  const auto part = match[3].str();
  return {std::stoll(match[1]), match[2].matched ? std::stoll(match[2]) : kPost,
          part == "bias"       ? 0
          : part == "weight_g" ? 1
                               : 2};
}

bool is_in_order(const StateDict& weights, const StateDict& order) { return names_of(weights) == names_of(order); }

// In whose order G's moments are.
RvcTool order_of(const TorchAdam& adam, const StateDict& weights, const RvcConfig& config) {
  std::vector<std::string> misfits;
  std::vector<RvcTool> fitting;
  for (const auto tool : kRvcTools) {
    const auto problem = misfit(adam, rvc_generator_parameters(config, tool));
    if (problem.empty()) fitting.push_back(tool);
    misfits.push_back(fmt::format("{}'s order of parameters ({})", name_of(tool), problem));
  }
  if (fitting.empty()) {
    fail(ErrorKind::checkpoint, "its optimizer's state is in nobody's order: neither in {}",
         fmt::join(misfits, ", nor in "));
  }
  if (fitting.size() == 1 || !adam.has_moments()) return fitting.front();
  for (const auto tool : fitting) {
    if (is_in_order(weights, rvc_generator_parameters(config, tool))) return tool;
  }
  fail(ErrorKind::checkpoint,
       "its optimizer's state could be in the order of several tools, and its weights are in none of these; take the "
       "file as the tool wrote it");
}

void check_all_finite(const StateDict& tensors) {
  for (const auto& [name, tensor] : tensors) check_finite(name, tensor);
}

// The optimizer of a checkpoint, or nothing where the file has none (a pretrained base).
std::optional<TorchAdam> adam_in(const PickleValue& root) {
  const auto* optimizer = root.find("optimizer");
  if (optimizer == nullptr || optimizer->is_none()) return std::nullopt;
  return torch_adam_of(*optimizer);
}

// `parameters` in the order in which the moments are numbered.
void take_moments(RvcTrainingFile& file, const std::optional<TorchAdam>& adam, const StateDict& parameters) {
  TorchAdam fresh;
  fresh.parameters.resize(parameters.size());
  file.moments = moments_by_name(adam ? *adam : fresh, parameters);
  file.has_moments = adam && adam->has_moments();
  if (adam) file.optimizer = adam->settings;
  check_all_finite(file.moments);
}

PickleValue read_root(const std::filesystem::path& path) {
  if (!looks_like_pth(path)) {
    fail(ErrorKind::checkpoint,
         "'{}' is no PyTorch file; a training checkpoint of the RVC tools (G_*.pth, D_*.pth) is "
         "expected",
         path.string());
  }
  return read_pth(path);
}

}  // namespace
}  // namespace training_file_detail

std::string_view name_of(RvcTool tool) {
  if (tool == RvcTool::applio) return "Applio";
  return tool == RvcTool::webui ? "RVC-WebUI" : "older RVC-WebUI";
}

StateDict rvc_generator_parameters(const RvcConfig& config, RvcTool tool) {
  const auto applio = rvc_tensor_shapes(config, {});
  if (tool == RvcTool::applio || config.vocoder != "hifigan") return applio;  // RVC-WebUI has no other vocoder
  const auto is_source = [](const std::string& name) { return name.starts_with("dec.noise_convs."); };
  const auto is_text = [](const std::string& name) { return name.starts_with("enc_p."); };
  const bool is_text_last = tool == RvcTool::webui && config.content_channels != 256;
  // RVC-WebUI registers the convolutions of the source before the rest of the decoder.
  StateDict webui;
  const auto add_all = [&](const auto& is_chosen) {
    for (const auto& [name, shape] : applio) {
      if (is_chosen(name)) webui.add(name, shape);
    }
  };
  for (const auto& [name, tensor] : applio) {
    if (name == "dec.conv_pre.weight") add_all(is_source);
    if (!is_source(name) && !(is_text_last && is_text(name))) webui.add(name, tensor);
  }
  if (is_text_last) add_all(is_text);
  return webui;
}

StateDict in_discriminator_order(const StateDict& weights) {
  auto items = weights.items();
  std::stable_sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
    return training_file_detail::place_in_discriminator(a.first) <
           training_file_detail::place_in_discriminator(b.first);
  });
  StateDict ordered;
  for (auto& [name, tensor] : items) ordered.add(name, tensor);
  return ordered;
}

RvcDiscriminatorConfig rvc_discriminator_of_shapes(const StateDict& weights) {
  const auto inner = [&](const char* name) { return weights.contains(name) ? weights.at(name).size(0) : 1; };
  RvcDiscriminatorConfig config;
  config.scale_divisor =
      std::max<std::int64_t>(1, 1024 / std::max<std::int64_t>(1, inner("discriminators.0.convs.5.bias")));
  config.period_divisor =
      std::max<std::int64_t>(1, 1024 / std::max<std::int64_t>(1, inner("discriminators.1.convs.4.bias")));
  const auto is_spectral = weights.contains("discriminators.6.convs.1.weight_v") &&
                           weights.at("discriminators.6.convs.1.weight_v").size(-1) > 1;
  config.version = is_spectral ? "v3" : weights.contains("discriminators.7.conv_post.bias") ? "v2" : "v1";
  const auto difference = Discriminator(config).state_dict().difference_to(weights);
  if (!difference.empty()) {
    fail(ErrorKind::checkpoint, "it is none of the discriminators of the RVC tools: compared with {}, {}",
         config.version, difference.summary());
  }
  return config;
}

RvcTrainingFile read_rvc_generator(const std::filesystem::path& path, std::int64_t sample_rate_hz) {
  using namespace training_file_detail;
  const auto root = read_root(path);
  return with_context(fmt::format("reading the checkpoint '{}'", path.string()), [&] {
    auto model = model_from_pth(root);
    const auto rate = sample_rate_hz > 0 ? sample_rate_hz : rate_beside(path, model);
    RvcTrainingFile file{.model = as_rvc_voice(std::move(model), rate), .moments = {}, .optimizer = {}};
    const auto config = rvc_voice_config(file.model).network;
    const auto difference = rvc_tensor_shapes(config, {}).difference_to(file.model.weights);
    if (!difference.empty()) {
      fail(ErrorKind::checkpoint, "it is no training checkpoint but an extracted voice: {}", difference.summary());
    }
    check_all_finite(file.model.weights);
    const auto adam = adam_in(root);
    if (adam) file.order = order_of(*adam, file.model.weights, config);
    take_moments(file, adam, rvc_generator_parameters(config, file.order));
    return file;
  });
}

RvcTrainingFile read_rvc_discriminator(const std::filesystem::path& path) {
  using namespace training_file_detail;
  const auto root = read_root(path);
  return with_context(fmt::format("reading the checkpoint '{}'", path.string()), [&] {
    RvcTrainingFile file{.model = model_from_pth(root), .moments = {}, .optimizer = {}};
    file.model.weights = in_discriminator_order(file.model.weights);
    (void)rvc_discriminator_of_shapes(file.model.weights);
    check_all_finite(file.model.weights);
    take_moments(file, adam_in(root), file.model.weights);
    return file;
  });
}

std::optional<std::filesystem::path> rvc_discriminator_beside(const std::filesystem::path& generator) {
  const auto name = generator.filename().string();
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] != 'G') continue;
    auto other = name;
    other[i] = 'D';
    if (std::filesystem::is_regular_file(generator.parent_path() / other)) return generator.parent_path() / other;
  }
  return std::nullopt;
}

PickleValue rvc_training_value(const RvcTrainingFile& file, const std::vector<std::string>& parameters, RvcTool tool) {
  auto weights = std::make_shared<PickleDict>();
  weights->is_ordered = true;
  for (const auto& name : parameters) weights->set(name, file.model.weights.at(name).detach());
  auto root = std::make_shared<PickleDict>();
  root->set("model", std::move(weights));
  root->set("iteration", std::max<std::int64_t>(file.model.epoch, 0));
  root->set("optimizer", torch_adam_value(file.moments, parameters, file.optimizer));
  root->set("learning_rate", file.optimizer.initial_lr.value_or(file.optimizer.lr));
  if (tool == RvcTool::applio) root->set("scaler", std::make_shared<PickleDict>());
  return root;
}

void write_rvc_generator(const std::filesystem::path& path, const RvcTrainingFile& file, RvcTool tool) {
  const auto order = rvc_generator_parameters(rvc_voice_config(file.model).network, tool);
  write_pth(path, rvc_training_value(file, training_file_detail::names_of(order), tool));
}

void write_rvc_discriminator(const std::filesystem::path& path, const RvcTrainingFile& file, RvcTool tool) {
  const auto order = in_discriminator_order(file.model.weights);
  write_pth(path, rvc_training_value(file, training_file_detail::names_of(order), tool));
}

}  // namespace melisma
