#include "ops/gate_map.h"

#include <ATen/ops/tanh.h>

#include "ops/cuda/fused.h"
#include "ops/dispatch.h"
#include "ops/linear.h"
#include "ops/span.h"
#include "ops/wide.h"

namespace rung {

using at::Tensor;

Tensor capped_gates(const Tensor& raw, const GateMap& gates) {
  const Tensor bias = wide(multiplied(gates.bias)).view({raw.size(0), 1, 1, raw.size(3)});
  return at::tanh((wide(raw) + bias) / gates.cap) * gates.cap;
}

std::pair<Tensor, Tensor> linear_and_gates_plain(const Tensor& x, const Weight& weight,
                                                 const GateMap& gates) {
  const auto maps = linears(x, {weight, gates.weight});
  return {maps[0], capped_gates(maps[1], gates)};
}

std::pair<Tensor, Tensor> linear_and_gates(const Tensor& x, const Weight& weight,
                                           const GateMap& gates) {
  const Span span("rung::linear");
  if constexpr (with_cuda)
    if (fused_on_cuda(x) && cuda::fits_gate_map(x, weight, gates))
      return cuda::linear_and_gates(x, weight, gates);
  return linear_and_gates_plain(x, weight, gates);
}

}  // namespace rung
