#include "data/effects/effects.h"

#include <fmt/format.h>

#include "tools/base/error.h"
#include "tools/base/table.h"
#include "tools/config/config.h"

namespace melisma {
namespace {

class Row final : public Effect {
 public:
  explicit Row(std::vector<std::unique_ptr<Effect>> effects) : effects_(std::move(effects)) {}

  void push(Waveform block, const TakeAudio& take) override { push_from(0, std::move(block), take); }

  void finish(const TakeAudio& take) override {
    for (std::size_t i = 0; i < effects_.size(); ++i) {
      effects_[i]->finish([&](Waveform rest) { push_from(i + 1, std::move(rest), take); });
    }
  }

 private:
  void push_from(std::size_t i, Waveform block, const TakeAudio& take) {
    if (block.samples.empty()) return;
    if (i == effects_.size()) return take(std::move(block));
    effects_[i]->push(std::move(block), [&](Waveform out) { push_from(i + 1, std::move(out), take); });
  }

  std::vector<std::unique_ptr<Effect>> effects_;
};

}  // namespace

AllEffectSettings::AllEffectSettings() {
  for (const auto& row : kEffects) drafts_.push_back(row.draft());
}

Schema AllEffectSettings::schema() {
  Schema all;
  for (std::size_t i = 0; i < kEffects.size(); ++i) {
    for (auto& setting : drafts_[i]->schema()) {
      setting.path = fmt::format("{}.{}", kEffects[i].name, setting.path);
      all.push_back(std::move(setting));
    }
  }
  return all;
}

EffectChain EffectChain::read(const std::filesystem::path& file) {
  EffectChain chain;
  chain.file_ = file;
  configure_sequence(file, "effect", [&](const std::string& name) {
    chain.drafts_.push_back(find_row(kEffects, name, "effect").draft());
    chain.names_.push_back(name);
    return chain.drafts_.back()->schema();
  });
  return chain;
}

std::unique_ptr<Effect> EffectChain::make(std::int64_t sample_rate_hz, std::int64_t n_channels) const {
  const SignalShape shape{sample_rate_hz, n_channels, file_.parent_path()};
  std::vector<std::unique_ptr<Effect>> effects;
  for (std::size_t i = 0; i < drafts_.size(); ++i) {
    effects.push_back(with_context(fmt::format("making effect {} of '{}', {}", i + 1, file_.string(), names_[i]),
                                   [&] { return drafts_[i]->make(shape); }));
  }
  return std::make_unique<Row>(std::move(effects));
}

}  // namespace melisma
