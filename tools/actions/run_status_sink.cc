#include "tools/actions/run_status_sink.h"

#include <unistd.h>

#include <cmath>
#include <utility>

namespace melisma {

RunStatusSink::RunStatusSink(const Run& run, std::string metric) : run_(run), status_(run.status()) {
  status_.state = "running";
  status_.reason.clear();
  status_.metric = std::move(metric);
  status_.pid = ::getpid();
  write_now();
}

void RunStatusSink::write_now() {
  run_.set_status(status_);
  written_ = std::chrono::steady_clock::now();
}

// A validation is always written; other events at most once in two seconds.
void RunStatusSink::receive(const Event& event) {
  const auto* scalars = std::get_if<ScalarsEvent>(&event);
  if (scalars == nullptr) return;
  status_.epoch = scalars->epoch;
  status_.step = scalars->step;
  bool is_scored = false;
  for (const auto& [tag, value] : scalars->values) {
    if (tag != "validation/" + status_.metric || !std::isfinite(value)) continue;
    is_scored = true;
    if (status_.best_epoch == 0 || value < status_.best_score) {
      status_.best_epoch = scalars->epoch;
      status_.best_score = value;
    }
  }
  if (is_scored || std::chrono::steady_clock::now() - written_ > std::chrono::seconds(2)) write_now();
}

void RunStatusSink::set_best(std::int64_t epoch, double score) {
  status_.best_epoch = epoch;
  status_.best_score = score;
}

void RunStatusSink::end(std::string state, std::string reason) {
  status_.state = std::move(state);
  status_.reason = std::move(reason);
  status_.pid = 0;
  write_now();
}

}  // namespace melisma
