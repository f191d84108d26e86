#include "ops/gated_mlstm.h"

#include <ATen/ops/split_with_sizes.h>

#include "ops/cuda/fused.h"
#include "ops/dispatch.h"
#include "ops/gated_norm.h"
#include "ops/span.h"

namespace rung {

using at::Tensor;

Tensor gated_mlstm(const std::vector<Tensor>& maps, const Tensor& gates, const Weight& gain,
                   const GatedMlstm& o, MlstmState& state) {
  const Span span("rung::recurrence");
  const auto by_head = [&](const Tensor& map) { return map.unflatten(3, {o.heads, -1}); };
  const auto gate = at::split_with_sizes(gates, {o.heads, o.heads}, -1);
  const MlstmOutput out = mlstm({by_head(maps[0]) * o.factor, by_head(maps[1]), by_head(maps[2]),
                                 gate[0], gate[1], state.memory, state.m},
                                o.chunk);
  state = {out.memory, out.m};
  return gated_norm(out.h.flatten(-2), maps[3], o.heads, gain, o.norm, GatePlace::behind);
}

Tensor gated_mlstm_plain(const Tensor& maps, const Tensor& gates, const Weight& gain,
                         const GatedMlstm& o) {
  const int64_t keys = o.heads * o.keys, values = (maps.size(3) - 2 * keys) / 2;
  MlstmState state;
  return gated_mlstm(at::split_with_sizes(maps, {keys, keys, values, values}, -1), gates, gain, o,
                     state);
}

Tensor gated_mlstm(const Tensor& maps, const Tensor& gates, const Weight& gain,
                   const GatedMlstm& o) {
  if constexpr (with_cuda)
    if (fused_on_cuda(maps) && cuda::fits_gated_mlstm(maps, gates, o)) {
      const Tensor y = cuda::gated_mlstm(maps, gates, o);
      return gain.value.defined() ? y * multiplied(gain).view({y.size(0), 1, 1, y.size(3)}) : y;
    }
  return gated_mlstm_plain(maps, gates, gain, o);
}

}  // namespace rung
