#include "data/signal/filter_bank.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <bit>

namespace melisma {
namespace filter_bank_detail {
namespace {
constexpr std::int64_t kGroup = 16;  // filters transformed at a time: their spectra and samples stay in the L2 cache
}  // namespace
}  // namespace filter_bank_detail

FilterBank::FilterBank(std::span<const FirFilter> filters, std::int64_t min_block)
    : n_filters_(static_cast<std::int64_t>(filters.size())) {
  const c10::NoGradGuard no_grad;
  std::int64_t after = 0;  // samples behind a block that reach into it
  for (const auto& filter : filters) {
    before_ = std::max(before_, static_cast<std::int64_t>(filter.taps.size()) - 1 - filter.advance);
    after = std::max(after, filter.advance);
  }
  n_fft_ = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(before_ + min_block + after)));
  block_ = n_fft_ - before_ - after;
  auto taps = at::zeros({n_filters_, n_fft_}, at::kDouble);
  for (std::int64_t f = 0; f < n_filters_; ++f) {
    const auto& filter = filters[static_cast<std::size_t>(f)];
    // Turned around the circle so that the block's first sample, before_ samples into the segment, comes out first.
    for (std::size_t k = 0; k < filter.taps.size(); ++k) {
      const auto place = (static_cast<std::int64_t>(k) - filter.advance - before_ + 2 * n_fft_) % n_fft_;
      taps.data_ptr<double>()[f * n_fft_ + place] = filter.taps[k];
    }
  }
  spectra_ = at::fft_rfft(taps);
}

void FilterBank::apply(const Read& read, std::int64_t first, const Use& use) const {
  using filter_bank_detail::kGroup;
  const c10::NoGradGuard no_grad;
  auto segment = at::zeros({n_fft_}, at::kDouble);
  read(first - before_, {segment.data_ptr<double>(), static_cast<std::size_t>(n_fft_)});
  const auto spectrum = at::fft_rfft(segment);  // [n_fft/2 + 1]
  for (std::int64_t f = 0; f < n_filters_; f += kGroup) {
    const auto n = std::min(kGroup, n_filters_ - f);
    const auto filtered = at::fft_irfft(spectra_.narrow(0, f, n) * spectrum, n_fft_);  // [n, n_fft]
    for (std::int64_t i = 0; i < n; ++i) use(f + i, filtered.data_ptr<double>() + i * n_fft_);
  }
}

}  // namespace melisma
