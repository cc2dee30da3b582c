// What every mixing model is to the rest of the program, the table of families, and model files.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <string_view>

#include "models/layers/module.h"
#include "models/mix/console.h"
#include "models/mix/effects.h"
#include "models/mix/mix_config.h"
#include "models/mix/mix_losses.h"
#include "models/weights/model_file.h"

namespace melisma {

struct MixInput {
  at::Tensor tracks;     // [B, T, N] mono tracks
  at::Tensor present;    // [B, T] bool: tracks that count; undefined: all
  at::Tensor reference;  // [B, 2, M] a song to sound like; undefined: none
};

class MixModel : public Module {
 public:
  // The mix [B, 2, N], and the controls it was made with if the model has a console.
  [[nodiscard]] virtual MadeMix mix(const MixInput& input) const = 0;
  // Whether predict() is there: parameters can then be looked at, changed, and played over whole songs.
  [[nodiscard]] virtual bool has_console() const { return true; }
  // The controls for these tracks. Error(internal) if !has_console().
  [[nodiscard]] virtual ConsoleControls predict(const MixInput& input) const;
  // How the console of those controls pans.
  [[nodiscard]] virtual PanLaw pan_law() const { return PanLaw::compromise; }
  // Lengths of tracks must be multiples of this.
  [[nodiscard]] virtual std::int64_t length_step() const { return 1; }
};

struct MixFamilyRow {
  std::string_view name, summary;
  std::unique_ptr<MixModel> (*make)(const MixModelConfig& config);
};

[[nodiscard]] std::unique_ptr<MixModel> make_mix_transformer(const MixModelConfig& config);
[[nodiscard]] std::unique_ptr<MixModel> make_mix_cnn(const MixModelConfig& config);
[[nodiscard]] std::unique_ptr<MixModel> make_dmc(const MixModelConfig& config);
[[nodiscard]] std::unique_ptr<MixModel> make_mix_wave_unet(const MixModelConfig& config);

inline constexpr std::array kMixFamilies{
    MixFamilyRow{"transformer", "console parameters of any number of tracks, by attention among them and a reference",
                 make_mix_transformer},
    MixFamilyRow{"cnn", "console parameters by convolutions over each track's spectrogram and the mean of all",
                 make_mix_cnn},
    MixFamilyRow{"dmc", "gain and pan of each track from its own sound and the mean of all", make_dmc},
    MixFamilyRow{"wave-u-net", "the mix itself from a fixed number of waves", make_mix_wave_unet},
};

// Weights are zero until load() or initialise(). Error(config) if sizes contradict each other.
[[nodiscard]] std::unique_ptr<MixModel> make_mix_model(const MixModelConfig& config);

// Family "mix", with the config as canonical JSON.
[[nodiscard]] ModelFile mix_model_file(const MixModel& model, const MixModelConfig& config);

// The model of a file. Error(checkpoint) naming what is wrong: another family, an unreadable config, other tensors.
struct LoadedMixModel {
  MixModelConfig config;
  std::unique_ptr<MixModel> model;
};
[[nodiscard]] LoadedMixModel load_mix_model(const ModelFile& file);

}  // namespace melisma
