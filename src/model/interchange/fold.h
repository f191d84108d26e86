// A run as weights alone: every multiplier of its parametrisation folded into a tensor, so that
// formats without multipliers can hold it.
#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "model/decoder.h"

namespace rung {

using NamedTensors = std::map<std::string, at::Tensor>;  // without member axis

// What the format itself multiplies by.
struct FoldTarget {
  double embedding = 1.0;        // the embedding's rows
  double attention_logit = 1.0;  // q.k
};

// Tensors of a decoder of the same parts in which A = 1 everywhere, skips and branches are added as
// they are, activations have slope 1, and the only multipliers left are the target's. Norms have
// gains then. A stream that the rule shrinks by s is held as 1 / s of itself, so that norms divide
// by the same up to their epsilon. `row`: the weights of one member, [n]. Fails on mixers other
// than attention.
NamedTensors fold(const Decoder& decoder, const at::Tensor& row, const FoldTarget& target);

}  // namespace rung
