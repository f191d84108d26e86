// Gates of a recurrence beside the other maps of one input.
#pragma once
#include <utility>

#include "ops/weight.h"

namespace rung {

struct GateMap {
  Weight weight, bias;  // [P, G, D] and [P, G]
  double cap;
};

// {y, gates}: y = linear(x, weight) and gates = cap tanh((linear(x, gates.weight) + bias) / cap),
// [P, B, T, G] in fp32 or wider. Gradients of x are summed by the products themselves.
std::pair<at::Tensor, at::Tensor> linear_and_gates(const at::Tensor& x, const Weight& weight,
                                                   const GateMap& gates);
// Plain twin.
std::pair<at::Tensor, at::Tensor> linear_and_gates_plain(const at::Tensor& x, const Weight& weight,
                                                         const GateMap& gates);

// cap tanh((raw + bias) / cap), in fp32 or wider.
at::Tensor capped_gates(const at::Tensor& raw, const GateMap& gates);

}  // namespace rung
