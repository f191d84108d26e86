// What recurrent mixers do with their output: a gate before or behind a norm by group.
#pragma once
#include "ops/norm.h"

namespace rung {

enum class GatePlace {
  before,  // N(x silu(gate)), Mamba-2's
  behind,  // N(x) sigmoid(gate), xLSTM 7B's
};

// x and gate [P, B, T, D]; N as group_norm, over each of `groups` groups of D / groups units.
at::Tensor gated_norm(const at::Tensor& x, const at::Tensor& gate, int64_t groups,
                      const Weight& gain, const NormOptions& options, GatePlace place);
// Plain twin.
at::Tensor gated_norm_plain(const at::Tensor& x, const at::Tensor& gate, int64_t groups,
                            const Weight& gain, const NormOptions& options, GatePlace place);

}  // namespace rung
