#include "ops/gated_norm.h"

#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

namespace rung {

using at::Tensor;

Tensor gated_norm_plain(const Tensor& x, const Tensor& gate, int64_t groups, const Weight& gain,
                        const NormOptions& options, GatePlace place) {
  if (place == GatePlace::before) return group_norm(x * at::silu(gate), groups, gain, options);
  return at::sigmoid(gate) * group_norm(x, groups, gain, options);
}

Tensor gated_norm(const Tensor& x, const Tensor& gate, int64_t groups, const Weight& gain,
                  const NormOptions& options, GatePlace place) {
  return gated_norm_plain(x, gate, groups, gain, options, place);
}

}  // namespace rung
