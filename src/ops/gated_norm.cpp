#include "ops/gated_norm.h"

#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

#include "ops/cuda/fused.h"
#include "ops/dispatch.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

Tensor gated_norm_plain(const Tensor& x, const Tensor& gate, int64_t groups, const Weight& gain,
                        const NormOptions& options, GatePlace place) {
  if (place == GatePlace::before) return group_norm(x * at::silu(gate), groups, gain, options);
  return at::sigmoid(gate) * group_norm(x, groups, gain, options);
}

Tensor gated_norm(const Tensor& x, const Tensor& gate, int64_t groups, const Weight& gain,
                  const NormOptions& options, GatePlace place) {
  const Span span("rung::norm");
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && cuda::fits_gated_norm(x, gate, groups)) {
      const Tensor y = cuda::gated_norm(x, gate, groups, options, place);
      return gain.value.defined() ? y * multiplied(gain).view({x.size(0), 1, 1, x.size(3)}) : y;
    }
  return gated_norm_plain(x, gate, groups, gain, options, place);
}

}  // namespace rung
