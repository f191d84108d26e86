// Ops that take bf16 beside fp32, against themselves in fp64 from the same rounded inputs.
#pragma once
#include <algorithm>
#include <cmath>

#include "support/twins.h"

namespace rung::test {

inline bool is_half(const Tensor& x) {
  return x.scalar_type() == at::kBFloat16;
}

// Relative difference in the 2-norm; not a number never passes.
inline double gap(const Tensor& a, const Tensor& b) {
  return std::sqrt((a - b).square().sum().item<double>() /
                   std::max(b.square().sum().item<double>(), 1e-60));
}

// `op` of inputs in bf16, or in fp32 where `wides` names them, is within the tolerance of `op` in
// fp64: value and gradients.
inline void check_half(const std::vector<Tensor>& inputs, const std::vector<size_t>& wides,
                       const std::function<Tensor(const std::vector<Tensor>&)>& op,
                       double tolerance = 1e-2) {
  const auto results = [&](bool half) {
    std::vector<Tensor> leaves;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool wide = std::find(wides.begin(), wides.end(), i) != wides.end();
      const Tensor rounded = inputs[i].to(wide ? at::kFloat : at::kBFloat16);
      leaves.push_back((half ? rounded : rounded.to(at::kDouble)).clone().requires_grad_());
    }
    const Tensor y = op(leaves);
    (y * normal(y.sizes().vec(), 700).to(at::kBFloat16).to(y.scalar_type())).sum().backward();
    std::vector<Tensor> found{y.detach().to(at::kDouble)};
    for (const Tensor& leaf : leaves) found.push_back(leaf.grad().to(at::kDouble));
    return found;
  };
  const auto got = results(true), want = results(false);
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(gap(got[i], want[i]) < tolerance);
  }
}

}  // namespace rung::test
