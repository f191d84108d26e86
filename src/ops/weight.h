// A weight as an op sees it: the value that it multiplies by and the place where its gradient is
// summed.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

namespace rung {

// What an op read and wrote at a weight's use, kept for measurements; tables have no input.
struct Tap {
  at::Tensor input, output;
};

struct Weight {
  at::Tensor value;     // [P, ...] in the compute type
  at::Tensor gradient;  // [P, ...] view of the gradient arena; ops add to it; undefined when frozen
  double A = 1.0;       // forward multiplier
  double A_input = 1.0;   // multiplier of the gradient with respect to the op's input
  double A_weight = 1.0;  // multiplier of the weight's gradient
  // Rows of the parts that have a scale each, where linear() reads ternary weights; null: dense.
  std::shared_ptr<const std::vector<int64_t>> ternary = nullptr;
  Tap* tap = nullptr;  // filled by linear and embedding where it is set
};

// The weight as a leaf of the recorded graph: gradients that reach it are added to weight.gradient.
at::Tensor leaf(const Weight& weight);
// A times the weight, for ops made of plain operations; gradients are multiplied by A_weight.
at::Tensor multiplied(const Weight& weight);

}  // namespace rung
