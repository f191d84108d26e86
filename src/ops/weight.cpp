#include "ops/weight.h"

#include "ops/custom.h"

namespace rung {

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
