#include "tools/bench/flop_count.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <atomic>
#include <string_view>

namespace melisma {
namespace {

std::atomic<double> flops_so_far{0};

// Entry `d` of a per-dimension setting that may be given once for all dimensions.
std::int64_t setting_of(const c10::List<std::int64_t>& list, std::int64_t d) {
  return list.get(list.size() == 1 ? 0 : static_cast<std::size_t>(d));
}

double dense(const c10::IValue& value) { return static_cast<double>(value.toTensor().numel()); }

// A convolution multiplies each weight of one output channel with every position of the smaller-rate side: output for a
// plain one, input for a transposed one.
double convolution_flops(const at::Tensor& positions, const at::Tensor& weight) {
  return 2.0 * static_cast<double>(positions.numel()) * static_cast<double>(weight.numel()) /
         static_cast<double>(weight.size(0));
}

double flops_of(std::string_view name, c10::ArrayRef<const c10::IValue> in) {
  if (name == "aten::convolution_backward") {
    const auto wanted = in[10].toBoolList();
    const bool transposed = in[7].toBool();
    const auto& positions = transposed ? in[1].toTensor() : in[0].toTensor();
    return (static_cast<double>(wanted.get(0)) + static_cast<double>(wanted.get(1))) *
           convolution_flops(positions, in[2].toTensor());
  }
  if (name == "aten::convolution") {
    const auto &input = in[0].toTensor(), &weight = in[1].toTensor();
    if (in[6].toBool()) return convolution_flops(input, weight);
    const auto stride = in[3].toIntList(), padding = in[4].toIntList(), dilation = in[5].toIntList();
    double positions = static_cast<double>(input.size(0) * weight.size(0));
    for (std::int64_t d = 0; d + 2 < input.dim(); ++d) {
      const auto span = setting_of(dilation, d) * (weight.size(d + 2) - 1) + 1;
      positions *=
          static_cast<double>((input.size(d + 2) + 2 * setting_of(padding, d) - span) / setting_of(stride, d) + 1);
    }
    return 2.0 * positions * static_cast<double>(weight.numel()) / static_cast<double>(weight.size(0));
  }
  if (name == "aten::mm" || name == "aten::bmm")
    return 2 * dense(in[0]) * static_cast<double>(in[1].toTensor().size(-1));
  if (name == "aten::addmm") return 2 * dense(in[1]) * static_cast<double>(in[2].toTensor().size(-1));
  return 0;
}

std::unique_ptr<at::ObserverContext> see_operation(const at::RecordFunction& call) {
  flops_so_far.fetch_add(flops_of(call.name(), call.inputs()));
  return nullptr;
}

}  // namespace

FlopCount::FlopCount() {
  flops_so_far = 0;
  handle_ = at::addGlobalCallback(
      at::RecordFunctionCallback(see_operation).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
}

FlopCount::~FlopCount() { at::removeCallback(handle_); }

double FlopCount::operations() const { return flops_so_far; }

}  // namespace melisma
