// A weight as an op sees it: the value that it multiplies by and the place where its gradient is
// summed.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "core/quantiser.h"

namespace rung {

// What an op read and wrote at one use of a weight, kept for measurements, and once the backward
// pass has been there the gradients of both; tables have no input.
struct Tap {
  at::Tensor input, output, input_gradient, output_gradient;
};
using Taps = std::vector<Tap>;  // in the order of uses

struct Weight {
  at::Tensor value;     // [P, ...] in the compute type
  at::Tensor gradient;  // [P, ...] view of the gradient arena; ops add to it; undefined when frozen
  double A = 1.0;       // forward multiplier
  double A_input = 1.0;   // multiplier of the gradient with respect to the op's input
  double A_weight = 1.0;  // multiplier of the weight's gradient
  // Rows of the parts that have a scale each, where linear() reads ternary weights; null: dense.
  std::shared_ptr<const std::vector<int64_t>> ternary = nullptr;
  bool ternary_norm = true;                             // such a map normalises its input itself
  std::shared_ptr<const MapFormats> formats = nullptr;  // that linear() multiplies in
  // The value in formats->weight's codes [P, out, in], where a step keeps these up to date and
  // leaves `value` behind.
  at::Tensor codes = {};
  // Where it is set, linear, embedding and the readout's loss add their uses.
  Taps* taps = nullptr;

  // Read by plain products alone, which may be joined with others and fused.
  bool is_plain() const { return !ternary && !formats && !taps; }
};

// Notes a use of a weight that is listened to, and later its gradients. `use` is the place in taps.
size_t open_tap(const Weight& weight, const at::Tensor& input, const at::Tensor& output);
void close_tap(const Weight& weight, size_t use, const at::Tensor& output_gradient,
               const at::Tensor& input_gradient);

// The identity on x, which with its gradient becomes the output of `tap`.
at::Tensor watched(const at::Tensor& x, Tap& tap);

// The weight as a leaf of the recorded graph: gradients that reach it are added to weight.gradient.
at::Tensor leaf(const Weight& weight);
// A times the weight, for ops made of plain operations; gradients are multiplied by A_weight.
at::Tensor multiplied(const Weight& weight);

}  // namespace rung
