// Networks of the tests: filled by formula, as the fixtures say, and the fixtures' three signals.
#pragma once
#include <ATen/ATen.h>

#include <string>
#include <utility>
#include <vector>

#include "models/pitch/named_weights.h"
#include "models/weights/state_dict.h"
#include "tests/support/formula.h"

namespace melisma::testing {

// Weights of the names and shapes that a network of `shape` takes, made by the formula with `salt`.
template <class Network, class Shape>
StateDict formula_weights_for(const Shape& shape, const std::string& salt) {
  const StateDict none;
  NamedWeights asked(none);
  const Network unused(shape, asked);
  StateDict weights;
  for (const auto& [name, sizes] : asked.taken()) weights.add(name, formula_weight(salt, name, sizes));
  return weights;
}

// The network itself.
template <class Network, class Shape>
Network formula_network(const Shape& shape, const std::string& salt) {
  const auto weights = formula_weights_for<Network>(shape, salt);
  NamedWeights named(weights);
  Network network(shape, named);
  named.check();
  return network;
}

// 16 kHz audio "glide", "noise" or "voice" of f0_classic.safetensors.
inline std::vector<float> fixture_signal(const std::string& name) {
  static const auto file = GoldenFile::load(golden_folder("rvc") / "f0_classic.safetensors");
  auto samples = file.at(name + ".audio_i16").floats();
  for (auto& sample : samples) sample /= 32768;
  return samples;
}

}  // namespace melisma::testing
