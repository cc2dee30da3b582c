#include "train/engine/schedule.h"

#include <algorithm>
#include <cmath>

#include "tools/base/error.h"

namespace melisma {
namespace {

double warmup_steps(const Duration& warmup, std::int64_t steps_per_epoch) {
  switch (warmup.unit) {
    case Duration::Unit::off:
      return 0;
    case Duration::Unit::steps:
      return warmup.amount;
    case Duration::Unit::epochs:
      return warmup.amount * static_cast<double>(steps_per_epoch);
    case Duration::Unit::seconds:
      break;
  }
  fail(ErrorKind::config, "warmup is '{}'; expected steps or epochs, since time is not the same in each run",
       warmup.text());
}

// Whether counting to `count` has just passed a multiple of `amount`.
bool passed_multiple(double amount, std::int64_t count) {
  if (count <= 0) return false;
  const auto now = static_cast<double>(count);
  return amount <= 1 || std::floor(now / amount) > std::floor((now - 1) / amount);
}

}  // namespace

double learning_rate(const OptimizerConfig& config, std::int64_t epoch, std::int64_t step,
                     std::int64_t steps_per_epoch) {
  const double decayed = config.lr * std::pow(config.lr_decay, static_cast<double>(epoch - 1));
  const double warmup = warmup_steps(config.warmup, steps_per_epoch);
  return warmup > 0 ? decayed * std::min(1.0, static_cast<double>(step + 1) / warmup) : decayed;
}

bool is_due(const Duration& every, const Moment& moment) {
  switch (every.unit) {
    case Duration::Unit::off:
      return false;
    case Duration::Unit::steps:
      return !moment.is_epoch_end && passed_multiple(every.amount, moment.step);
    case Duration::Unit::epochs:
      return moment.is_epoch_end && passed_multiple(every.amount, moment.epoch);
    case Duration::Unit::seconds:
      return moment.seconds_since_last >= every.amount;
  }
  return false;
}

}  // namespace melisma
