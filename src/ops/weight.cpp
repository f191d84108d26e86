#include "ops/weight.h"

#include "ops/custom.h"

namespace rung {

size_t open_tap(const Weight& weight, const at::Tensor& input, const at::Tensor& output) {
  if (!weight.taps) return 0;
  weight.taps->push_back({.input = input.defined() ? input.detach() : at::Tensor(),
                          .output = output.detach(),
                          .input_gradient = {},
                          .output_gradient = {}});
  return weight.taps->size() - 1;
}

void close_tap(const Weight& weight, size_t use, const at::Tensor& output_gradient,
               const at::Tensor& input_gradient) {
  if (!weight.taps) return;
  (*weight.taps)[use].output_gradient = output_gradient;
  (*weight.taps)[use].input_gradient = input_gradient;
}

at::Tensor watched(const at::Tensor& x, Tap& tap) {
  at::Tensor y = x.detach();
  tap.output = x.detach();
  record({y}, {x}, [&tap](const std::vector<at::Tensor>& g) {
    tap.output_gradient = g[0];
    return std::vector<at::Tensor>{g[0]};
  });
  return y;
}

at::Tensor leaf(const Weight& weight) {
  at::Tensor value = weight.value.detach();
  if (weight.gradient.defined())
    record(
        {value}, {},
        [gradient = weight.gradient](const std::vector<at::Tensor>& g) {
          if (g[0].defined()) gradient.add_(g[0]);
          return std::vector<at::Tensor>{};
        },
        true);
  return value;
}

at::Tensor multiplied(const Weight& weight) {
  at::Tensor value = weight.value.detach();
  if (weight.A != 1.0) value = value * weight.A;
  if (weight.gradient.defined())
    record(
        {value}, {},
        [gradient = weight.gradient, factor = weight.A_weight](const std::vector<at::Tensor>& g) {
          if (g[0].defined()) gradient.add_(g[0], factor);
          return std::vector<at::Tensor>{};
        },
        true);
  return value;
}

}  // namespace rung
